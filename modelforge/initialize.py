"""initialize: decided parameters → values. Each is filled once, from generators keyed by its path, on all cores.

Long parameters are drawn in chunks of a fixed size, each with a key of its own, so that neither the number of threads
nor the order of work changes a bit.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from modelforge.block import Block
from modelforge.config.origins import Origins
from modelforge.errors import ForgeError, Problem
from modelforge.inits.base import Fill
from modelforge.ledger import Ledger, Tally, measure, record
from modelforge.rng import CHUNK, keyed_globals, seed_
from modelforge.rules import ParameterPlan, Scope, Subject, assign
from modelforge.shapes import describe, parameters, reset_method
from modelforge.spec.parse import parse_init


def initialize(module: nn.Module, init: Mapping[str, Any] | str, *, seed: int = 0) -> Ledger:
    """Fills every parameter of any module, in place, exactly once: what `Module.apply` is used for.

    Args:
        module: Any `nn.Module` with real memory. Roles and logical blocks come from its modules' classes; parameters
            of classes that modelforge does not know are covered by name, in `params`.
        init: An init block, as in YAML: a scheme with its fields, and blocks for roles, `types` and `params`.
        seed: Key of all random numbers. The same seed and paths give the same values.

    Returns:
        The ledger: for each parameter what filled it, what was promised, and what was measured.

    Raises:
        ForgeError: parameters that nothing covers, rules that match nothing, schemes that cannot serve a shape,
            parameters without memory, parametrised weights. Nothing is written then.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> ledger = initialize(net, {"scheme": "kaiming", "bias": {"scheme": "constant", "value": 0.1}})
        >>> ledger.ok, ledger["0.weight"].scheme, ledger["2.bias"].measured_mean
        (True, 'kaiming', 0.1)
    """
    block = parse_init(init)
    scope = Scope(block, "init", "", outermost=True)
    subjects = [Subject(facts.name, facts, facts.name, (scope,), None) for facts in describe(module)]
    decided, found = assign(subjects, [scope], Origins.empty())
    kept = {item.path for item in decided if item.initializer.values_from == "existing"}
    problems = {problem.path: problem for problem in _unwritable(module, kept)}
    found = [problem for problem in found if problem.path not in problems]
    if problems or found:
        raise ForgeError([*problems.values(), *found])
    return fill_module(module, decided, seed)


def fill_module(module: nn.Module, decided: Sequence[ParameterPlan], seed: int, *, fresh: bool = False) -> Ledger:
    """Fills the decided parameters of a module and measures what came out.

    Args:
        module: Holds a parameter at each decided path.
        decided: What to fill, and how.
        seed: Key of all random numbers.
        fresh: The memory holds nothing yet, so there is nothing to keep.

    Raises:
        ForgeError: a scheme keeps existing values, but the memory is fresh.
    """
    kept = [item for item in decided if item.initializer.values_from == "existing"]
    if fresh and kept:
        hint = "it is for `mf.initialize` on modules that hold values already"
        raise ForgeError(
            Problem(
                "MF026", item.rule.key, f"`{item.scheme}` keeps values, but {item.path} is new", hint, item.rule.place
            )
            for item in kept
        )
    slots = {path: (owner, name) for path, owner, name, _ in parameters(module)}
    tensors = {item.path: slots[item.path][0]._parameters[slots[item.path][1]].detach() for item in decided}  # pyright: ignore[reportOptionalMemberAccess]  # parameters() skips None
    drawn = [item for item in decided if item.initializer.values_from == "draw"]
    work = [job for item in drawn for job in _jobs(item, tensors[item.path], seed)]
    # Matrices first: they cannot be cut, so they must not be what the last thread is left with.
    _run(sorted(work, key=lambda job: -job.cost))
    _reset([item for item in decided if item.initializer.values_from == "module"], slots, seed)
    tallies: dict[str, list[Tally]] = {}
    for job in work:
        assert job.tally is not None, "every job has run"
        tallies.setdefault(job.path, []).append(job.tally)
    return Ledger(tuple(record(item, tensors[item.path], tallies.get(item.path)) for item in decided), seed)


# --- drawing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Region:
    """Rows that one fill serves; `fixed` are the flat spans inside it that keep a constant."""

    row: int
    start: int
    stop: int
    fill: Fill
    fixed: tuple[tuple[int, int, float], ...]


@dataclass(slots=True)
class _Job:
    """One draw: a chunk of an elementwise region, or a whole block."""

    path: str
    cost: int
    draw: Callable[[torch.Generator], Tally]
    tally: Tally | None = None

    def run(self, generator: torch.Generator) -> None:
        self.tally = self.draw(generator)


def _jobs(item: ParameterPlan, tensor: Tensor, seed: int) -> Iterator[_Job]:
    """The draws that fill a parameter; together they cover each of its elements once."""
    flat = tensor.view(-1) if tensor.is_contiguous() else None
    for region in _regions(item):
        if region.fill.elementwise and flat is not None:
            for index, start in enumerate(range(region.start, region.stop, CHUNK)):
                stop = min(start + CHUNK, region.stop)
                key = (seed, item.path, region.row, index)
                yield _Job(item.path, stop - start, _chunk_drawer(flat[start:stop], start, region, key))
        else:
            yield _Job(
                item.path,
                64 * (region.stop - region.start),
                _block_drawer(tensor, region, (seed, item.path, region.row)),
            )


def _regions(item: ParameterPlan) -> Iterator[_Region]:
    """Neighbouring blocks with equal elementwise fills are one region. Fixed rows beside or between them do not part
    it, so that the other values do not depend on which row is fixed."""
    row_size = prod(item.shape[1:])
    groups: list[list[tuple[Block, Fill]]] = []
    for pair in item.fills:
        if groups and _joins(groups[-1], *pair):
            groups[-1].append(pair)
        else:
            groups.append([pair])
    for group in groups:
        free = _free(group)
        start, stop = group[0][0].start, group[-1][0].stop
        spans = ((block.start * row_size, block.stop * row_size, block.fixed) for block, _ in group)
        fixed = tuple((a, b, value) for a, b, value in spans if value is not None)
        fill = group[0][1] if free is None else free
        yield _Region(start, start * row_size, stop * row_size, fill, () if free is None else fixed)


def _joins(group: Sequence[tuple[Block, Fill]], block: Block, fill: Fill) -> bool:
    if not (fill.elementwise and group[-1][1].elementwise):
        return False
    free = _free(group)
    return block.fixed is not None or free is None or free == fill


def _free(group: Sequence[tuple[Block, Fill]]) -> Fill | None:
    """The fill of the blocks that are not fixed, if there are any."""
    return next((fill for block, fill in group if block.fixed is None), None)


def _chunk_drawer(
    target: Tensor, start: int, region: _Region, key: tuple[Any, ...]
) -> Callable[[torch.Generator], Tally]:
    def draw(generator: torch.Generator) -> Tally:
        direct = target.dtype == torch.float32 and target.device.type == "cpu"
        values = target if direct else torch.empty(target.shape, dtype=torch.float32)
        if region.fill.std != 0:
            seed_(generator, *key)
        region.fill.draw_(values, generator)
        for fixed_start, fixed_stop, value in region.fixed:
            values[max(fixed_start - start, 0) : max(fixed_stop - start, 0)] = value
        if not direct:
            target.copy_(values)
        inside = [(max(a, start), min(b, start + len(target)), value) for a, b, value in region.fixed]
        left_out = [(b - a, value) for a, b, value in inside if b > a]
        return measure(target, region.fill, left_out)

    return draw


def _block_drawer(tensor: Tensor, region: _Region, key: tuple[Any, ...]) -> Callable[[torch.Generator], Tally]:
    def draw(generator: torch.Generator) -> Tally:
        rows = max(tensor.shape[0], 1) if tensor.ndim else 1
        row_size = tensor.numel() // rows
        stop = region.stop // row_size if row_size else tensor.shape[0]
        part = tensor[region.row : stop] if tensor.ndim else tensor
        values = torch.empty(part.shape, dtype=torch.float32)
        if region.fill.elementwise:
            for index, chunk in enumerate(values.view(-1).split(CHUNK)):
                region.fill.draw_(chunk, seed_(generator, *key, index))
        else:
            region.fill.draw_(values, seed_(generator, *key))
        part.copy_(values)
        return measure(part, region.fill, [])

    return draw


def _run(jobs: Sequence[_Job]) -> None:
    """Runs all jobs, on all cores. The first error ends the work and is raised."""
    pending = deque(jobs)
    errors: list[BaseException] = []

    def work() -> None:
        generator = torch.Generator()
        with torch.no_grad():
            while pending and not errors:
                try:
                    job = pending.popleft()
                except IndexError:
                    return
                try:
                    job.run(generator)
                except BaseException as error:
                    errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(min(len(jobs), os.cpu_count() or 1) - 1)]
    # Our threads are the parallelism: torch's own inside them would compete, and change the bits of factorisations.
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
    finally:
        torch.set_num_threads(num_threads)
    if errors:
        raise errors[0]


# --- the modules' own reset_parameters --------------------------------------------------------------------------------


def _reset(items: Sequence[ParameterPlan], slots: Mapping[str, tuple[nn.Module, str]], seed: int) -> None:
    """Runs `reset_parameters` of each owner once, keyed by its path; only the decided parameters are written."""
    owners: dict[int, tuple[nn.Module, str, list[str]]] = {}
    for item in items:
        owner, name = slots[item.path]
        owners.setdefault(id(owner), (owner, item.path.removesuffix(name), []))[2].append(name)
    for owner, path, names in owners.values():
        reset = reset_method(owner)
        assert reset is not None, "the rules refuse modules without one"
        with _scratch(owner, names), keyed_globals(seed, path, "reset_parameters"), torch.no_grad():
            reset()


@contextmanager
def _scratch(owner: nn.Module, names: Collection[str]) -> Generator[None]:
    """Lets its body write the named parameters of a module; what else it writes in or below it is lost."""
    before = [(module, dict(module._parameters), dict(module._buffers)) for module in owner.modules()]
    for module, weights, buffers in before:
        for name, weight in weights.items():
            if weight is not None and not (module is owner and name in names):
                module._parameters[name] = nn.Parameter(torch.empty_like(weight), requires_grad=False)
        module._buffers.update({name: value if value is None else value.clone() for name, value in buffers.items()})
    try:
        yield
        for name in names:
            written, weight = owner._parameters[name], before[0][1][name]
            if written is not weight:
                weight.copy_(written)  # pyright: ignore[reportOptionalMemberAccess, reportArgumentType]  # the rules saw it
    finally:
        for module, weights, buffers in before:
            module._parameters.update(weights)
            module._buffers.update(buffers)


# --- any module -------------------------------------------------------------------------------------------------------


def _unwritable(module: nn.Module, kept: Collection[str]) -> Iterator[Problem]:
    for path, owner, name, _ in parameters(module):
        weight = owner._parameters[name]
        assert weight is not None
        if weight.device.type == "meta":
            hint = "give it memory first: `module.to_empty(device=...)`"
            yield Problem("MF026", path, f"`{path}` is on the meta device: there is no memory to fill", hint)
        elif isinstance(owner, parametrize.ParametrizationList) and path not in kept:
            hint = "initialise before `parametrize`, or keep it: `params: {" + path + ": keep}`"
            yield Problem("MF026", path, f"`{path}` stands behind a parametrisation", hint)
