"""fill_module: decided parameters → their values, each filled once, and the ledger that proves it."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import prod
from types import MappingProxyType

import torch
from torch import Tensor, nn

from modelforge.building.checksum import checksum_of
from modelforge.building.draw import draw
from modelforge.building.ledger import Ledger, record
from modelforge.building.load import load
from modelforge.building.shards import Shard, shard_of
from modelforge.building.tally import Tally, gather, measure, measure_whole
from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.matrix import Matrix
from modelforge.core.paths import around, is_below
from modelforge.core.rng import keyed_globals, preserved_globals
from modelforge.inits.fills import FilePart, Fill
from modelforge.modules.hooks import reset_method
from modelforge.modules.parametrised import Parametrised
from modelforge.planning.assign import ParameterPlan

KEEP = "initialise before it is parametrised, or keep its values: `params: {{{}: keep}}`"


def fill_module(
    module: nn.Module,
    decided: Sequence[ParameterPlan],
    seed: int,
    parametrised: Mapping[str, Parametrised] | None = None,
    buffers: Mapping[str, FilePart] = MappingProxyType({}),
) -> Ledger:
    """Fills the decided parameters of a module and measures what came out.

    Args:
        module: Holds a parameter at each decided path.
        decided: What to fill, and how.
        seed: Key of all random numbers.
        parametrised: Parameters that stand for tensors which the module computes, by path; see `plain`.
        buffers: Buffers whose values are in files, by path.

    Raises:
        ForgeError: a parametrisation changes the values that were drawn; also, after others were written, a parameter
            that `torch` should fill and that no `reset_parameters` writes as a whole.
    """
    parametrised = parametrised or {}
    named = dict(module.named_parameters(remove_duplicate=False))
    weights = {item.path: named[item.path] for item in decided}
    if changed := [_other_shape(item, weights) for item in decided if weights[item.path].shape != item.shape]:
        raise ForgeError(changed)
    shards = {path: shard_of(weight.detach()) for path, weight in weights.items()}

    def from_(source: str, *, computed: bool) -> list[ParameterPlan]:
        found = [item for item in decided if item.initializer.values_from == source]
        return [item for item in found if (item.path in parametrised) == computed]

    with preserved_globals():
        # Computed ones first: a refusal comes when values are assigned, and must leave everything as it was.
        drawn = from_("draw", computed=True)
        tallies = draw(drawn, shards, seed)
        tallies |= _assign(drawn, parametrised, shards, seed, tallies)
        stored = from_("file", computed=True)
        loaded = load([*stored, *from_("file", computed=False)], shards, buffers, module)
        tallies |= _assign(stored, parametrised, shards, seed)
        tallies |= draw(from_("draw", computed=False), shards, seed)
        reset = from_("module", computed=True)
        _reset(module, [*reset, *from_("module", computed=False)], weights, seed)
        tallies |= _assign(reset, parametrised, shards, seed)
    for item in decided:
        if item.path not in tallies:
            tallies[item.path] = [measure_whole(item.fills, shards[item.path].exchanged(item.transposed))]
    tallies = gather(tallies, shards)
    aliases = aliases_of(module)
    entries = (record(item, shards[item.path].local.dtype, tallies[item.path], aliases[item.path]) for item in decided)
    return Ledger(tuple(map(loaded.judge, entries)), seed, loaded.buffers)


def _other_shape(item: ParameterPlan, weights: Mapping[str, Tensor]) -> Problem:
    message = f"`{item.path}` has shape {tuple(weights[item.path].shape)}, but was planned as {item.shape}"
    return Problem("MF094", item.key, message, "its layer was defined again since: plan the model again")


# --- parametrised tensors ---------------------------------------------------------------------------------------------


def _assign(
    items: Sequence[ParameterPlan],
    parametrised: Mapping[str, Parametrised],
    shards: Mapping[str, Shard],
    seed: int,
    drawn: Mapping[str, Sequence[Tally]] = MappingProxyType({}),
) -> dict[str, list[Tally]]:
    """Writes values of parametrised tensors through their parametrisations, and measures the result.

    What was measured of rows as they were drawn stays: the result is equal to them up to rounding.

    Raises:
        ForgeError: a parametrisation changes the values; then none of them is written.
    """
    before = [(parametrised[item.path], parametrised[item.path].state()) for item in items]
    tallies: dict[str, list[Tally]] = {}
    problems: list[Problem] = []
    for item in items:
        try:
            # Some parametrisations draw what a value leaves open.
            with keyed_globals(seed, item.path, "right_inverse"):
                values = parametrised[item.path].assign(shards[item.path].local)
        except Refusal as refusal:
            message = f"`{item.scheme}` cannot fill {item.path} {item.shape}: {refusal}"
            key = item.key if item.rule.default else item.rule.key
            problems.append(Problem("MF094", key, message, KEEP.format(item.path), item.rule.place))
        else:
            made = shard_of(values).exchanged(item.transposed)
            measured = [_measure_matrix(made, matrix, fill) for matrix, fill in item.fills]
            rows = [Tally(one.fill, rows=one.rows) for one in drawn.get(item.path, ())]
            tallies[item.path] = [replace(measured[0], checksum=checksum_of(made)), *measured[1:], *rows]
    if problems:
        for tensor, state in before:
            tensor.restore(state)
        raise ForgeError(problems)
    return tallies


def _measure_matrix(values: Shard, matrix: Matrix, fill: Fill) -> Tally:
    row_size = prod(matrix.shape[1:])
    return measure(values.memory(matrix.start * row_size, matrix.stop * row_size), fill)


# --- the modules' own reset_parameters --------------------------------------------------------------------------------


def _reset(module: nn.Module, items: Sequence[ParameterPlan], weights: Mapping[str, Tensor], seed: int) -> None:
    """Runs the `reset_parameters` around the given parameters, children before parents, as constructors do.

    Each run is keyed by its module's path and may write the given parameters in or below its module; what it writes
    elsewhere is lost. The values are made on the CPU, in float64 for parameters of float64, else in float32.

    Raises:
        ForgeError: no run writes all of a parameter.
    """
    if not items:
        return
    resets = {path: (owner, reset) for path, owner in module.named_modules() if (reset := reset_method(owner))}
    groups: dict[str, list[ParameterPlan]] = {}
    for item in items:
        outermost = next(path for path in around(item.path) if path in resets)
        groups.setdefault(outermost, []).append(item)
    for outermost, group in groups.items():
        written = {item.path: _unwritten(weights[item.path]) for item in group}
        outer = dict.fromkeys(path for item in group for path in around(item.path) if path in resets)
        # A module's path is shorter than those of its children.
        for path in sorted((path for path in outer if is_below(path, outermost)), key=len, reverse=True):
            inside = {id(weights[name]): values for name, values in written.items() if is_below(name, path)}
            owner, reset = resets[path]
            key = f"{path}." if path else ""
            with torch.no_grad(), _scratch(owner, inside), keyed_globals(seed, key, "reset_parameters"):
                reset()
        if problems := [_no_value(item, left) for item in group if (left := _num_unwritten(written[item.path]))]:
            raise ForgeError(problems)
        for name, values in written.items():
            shard_of(weights[name].detach()).write(values.view(-1), 0)


@contextmanager
def _scratch(owner: nn.Module, written: Mapping[int, Tensor]) -> Generator[None]:
    """Lets its body write the values `written`, by the ids of parameters, and nothing else in or below a module."""
    before = [(module, dict(module._parameters), dict(module._buffers)) for module in owner.modules()]
    shared: dict[int, nn.Parameter] = {}
    for module, weights, buffers in before:
        for name, weight in weights.items():
            if weight is not None:
                if id(weight) not in shared:
                    values = written[id(weight)] if id(weight) in written else _copy(weight)
                    shared[id(weight)] = nn.Parameter(values, requires_grad=False)
                module._parameters[name] = shared[id(weight)]
        module._buffers.update({name: None if value is None else _copy(value) for name, value in buffers.items()})
    try:
        yield
        for module, weights, _ in before:
            for name, weight in weights.items():
                now = module._parameters.get(name)
                # Some modules make new parameters instead of writing into the old ones.
                if weight is not None and id(weight) in written and now is not None and now is not shared[id(weight)]:
                    written[id(weight)].copy_(now)
    finally:
        for module, weights, buffers in before:
            for table, old in ((module._parameters, weights), (module._buffers, buffers)):
                table.clear()
                table.update(old)  # pyright: ignore[reportArgumentType, reportCallIssue]  # each its own


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().to("cpu", _made_in(tensor), copy=True)


def _made_in(tensor: Tensor) -> torch.dtype:
    return torch.float32 if tensor.is_floating_point() and tensor.dtype != torch.float64 else tensor.dtype


def _unwritten(weight: Tensor) -> Tensor:
    """Memory for values, marked so that it shows whether it was written."""
    dtype = _made_in(weight)
    value = float("nan") if dtype.is_floating_point or dtype.is_complex else 0
    return torch.full(weight.shape, value, dtype=dtype, device="cpu")


def _num_unwritten(written: Tensor) -> int:
    return int(written.isnan().sum())


def _no_value(item: ParameterPlan, left: int) -> Problem:
    what = "writes it" if left == prod(item.shape) else f"writes {left:,} of its {prod(item.shape):,} values"
    message = f"`{item.scheme}` cannot fill {item.path} {item.shape}: no `reset_parameters` around it {what}"
    return Problem("MF026", item.rule.key, message, "choose a scheme that draws", item.rule.place)


def aliases_of(module: nn.Module) -> dict[str, tuple[str, ...]]:
    """For the first name of each parameter its other names."""
    names: dict[int, list[str]] = {}
    for name, weight in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(weight), []).append(name)
    return {first: tuple(others) for first, *others in names.values()}
