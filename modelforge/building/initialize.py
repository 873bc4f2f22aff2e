"""initialize: decided parameters → values, each filled once, and the ledger that proves it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from modelforge.building.aliasing import overlaps_itself, shared
from modelforge.building.checksum import checksum_of
from modelforge.building.draw import draw
from modelforge.building.ledger import Ledger, record
from modelforge.building.shards import Shard, shard_of
from modelforge.building.stored import load
from modelforge.building.tally import Tally, gather, measure, measure_whole
from modelforge.config.origins import Origins
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Block, Context
from modelforge.core.rng import check_seed, keyed_globals, preserved_globals
from modelforge.inits.fills import Fill
from modelforge.language.parse import parse_init
from modelforge.modules.hooks import reset_method
from modelforge.modules.parameters import layouts
from modelforge.modules.parametrised import CannotAssign, Parametrised, plain
from modelforge.modules.structure import is_known
from modelforge.planning.assign import ParameterPlan, assign
from modelforge.planning.precedence import FROZEN, Scope, Subject
from modelforge.planning.stored import Target, locate, stored_buffers
from modelforge.planning.study import ParameterFacts, describe, num_branches, parameters


def initialize(module: nn.Module, init: Mapping[str, Any] | str, *, seed: int = 0) -> Ledger:
    """Fills every parameter of any module, in place, exactly once: what `Module.apply` is used for.

    Args:
        module: Any `nn.Module` with real memory. Roles, logical blocks and residual branches come from its modules'
            classes; for those that modelforge does not know, name parameters in `params`, or see `register_layout`,
            `register_inside` and `register_branches` in `modelforge.layers`. A parameter with several names (tied
            weights) is filled once, as its first name in `named_parameters` says; in `params` each name will do. What a
            parametrisation makes (`torch.nn.utils.parametrizations`) counts as the parameter, and is written through
            its `right_inverse`. A frozen parameter (`requires_grad=False`, as of a fixed table) keeps its values unless
            `params` names it or they come from a file; the ledger then shows `keep`.
        init: An init block, as in YAML: a scheme with its fields, and blocks for roles, `types` and `params`.
        seed: Key of all random numbers. The same seed and paths give the same values.

    Returns:
        The ledger: for each parameter what filled it, what was promised, and what was measured; `.warnings` holds what
        may be meant otherwise, and is printed below the table.

    Raises:
        ForgeError: parameters that nothing covers, `params` and `types` that match nothing, schemes that cannot serve
            a shape, parameters that cannot be written: without memory, not yet materialised, expanded, computed by a
            parametrisation that makes something else of what was drawn; a module that is frozen as a whole. Nothing is
            written then. Also, after others
            were written, a parameter that `torch` should fill and that no `reset_parameters` writes.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> ledger = initialize(net, {"scheme": "kaiming", "bias": {"scheme": "constant", "value": 0.1}})
        >>> ledger.ok, ledger["0.weight"].scheme, round(ledger["2.bias"].measured_mean, 6)
        (True, 'kaiming', 0.1)
    """
    if not isinstance(module, nn.Module):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
        raise TypeError(f"initialize takes an nn.Module, but gets a {type(module).__name__}")
    if not isinstance(init, Mapping | str):  # pyright: ignore[reportUnnecessaryIsInstance]  # as above
        raise TypeError(f"initialize takes an init block or the name of a scheme, but gets a {type(init).__name__}")
    seed = check_seed(seed)
    block = parse_init(init)
    if lazy := [_uninitialised(path) for path, weight in module.named_parameters() if is_lazy(weight)]:
        raise ForgeError(lazy)
    scope = Scope(block, "init", "", outermost=True)
    with plain(module) as parametrised:
        decided, found = assign(list(_subjects(module, scope, parametrised)), [scope], Origins.empty())
        if decided and not found and all(item.rule.key == FROZEN for item in decided) and block.scheme != "keep":
            raise ForgeError([_nothing_to_fill()])
        ties = {name: first for first, others in _aliases(module).items() for name in others}
        located = locate(decided, partial(_names, module), ties=ties)
        found += located.problems
        kept = {item.path for item in decided if item.initializer.values_from == "existing"}
        refused = (*_sharing(module, kept), *_unwritable(module, kept, parametrised))
        problems = {problem.path: problem for problem in refused}
        warnings = tuple(problem for problem in found if problem.severity == "warning")
        found = [problem for problem in found if problem.path not in problems and problem not in warnings]
        if problems or found:
            raise ForgeError([*problems.values(), *found])
        ledger = fill_module(module, located.parameters, seed, parametrised, located.buffers)
        return replace(ledger, warnings=warnings)


def fill_module(
    module: nn.Module,
    decided: Sequence[ParameterPlan],
    seed: int,
    parametrised: Mapping[str, Parametrised] | None = None,
    buffers: Sequence[Target] = (),
) -> Ledger:
    """Fills the decided parameters of a module and measures what came out.

    Args:
        module: Holds a parameter at each decided path.
        decided: What to fill, and how.
        seed: Key of all random numbers.
        parametrised: Those that only stand for what the module computes, by path; see `plain`.
        buffers: Those whose values are in files.

    Raises:
        ForgeError: a parametrisation that makes something else of what was drawn; also, after others were written, a
            parameter that `torch` should fill and that no `reset_parameters` writes.
    """
    parametrised = parametrised or {}
    slots = [_Slot(item, *_owner(module, item.path)) for item in decided]
    shards = {slot.item.path: shard_of(slot.weight.detach()) for slot in slots}
    drawn = [item for item in decided if item.initializer.values_from == "draw"]
    reset = [slot for slot in slots if slot.item.initializer.values_from == "module"]
    stored = [item for item in decided if item.initializer.values_from == "file"]
    with preserved_globals():
        # These first: whether values can be assigned shows when they are, and what is refused must leave all as it was.
        computed = [item for item in drawn if item.path in parametrised]
        tallies = draw(computed, shards, seed)
        tallies |= _assign(computed, parametrised, shards, seed, tallies)
        loaded = load(stored, shards, buffers, module)
        tallies |= _assign([item for item in stored if item.path in parametrised], parametrised, shards, seed)
        tallies |= draw([item for item in drawn if item.path not in parametrised], shards, seed)
        _reset(module, reset, seed)
        computed = [slot.item for slot in reset if slot.item.path in parametrised]
        tallies |= _assign(computed, parametrised, shards, seed)
    for item in decided:
        if item.path not in tallies:
            tallies[item.path] = [measure_whole(item.fills, shards[item.path].exchanged(item.transposed))]
    tallies = gather(tallies, shards)
    aliases = _aliases(module)
    entries = (record(item, shards[item.path].local.dtype, tallies[item.path], aliases[item.path]) for item in decided)
    return Ledger(tuple(map(loaded.judge, entries)), seed, loaded.buffers)


def _owner(module: nn.Module, path: str) -> tuple[nn.Module, str]:
    """The module that holds a parameter, and its name there; of tied ones each name leads to it."""
    owner, _, name = path.rpartition(".")
    return module.get_submodule(owner), name


# --- parametrised tensors ---------------------------------------------------------------------------------------------


def _assign(
    items: Sequence[ParameterPlan],
    parametrised: Mapping[str, Parametrised],
    shards: Mapping[str, Shard],
    seed: int,
    drawn: Mapping[str, Sequence[Tally]] = MappingProxyType({}),
) -> dict[str, list[Tally]]:
    """Writes what was made for parametrised tensors through their parametrisations, and measures what comes out.

    What was seen of rows as they were drawn stays: what comes out is that, up to rounding.

    Raises:
        ForgeError: parametrisations that make something else of it; none of them is written then.
    """
    before = [(parametrised[item.path], parametrised[item.path].state()) for item in items]
    tallies: dict[str, list[Tally]] = {}
    problems: list[Problem] = []
    for item in items:
        try:
            # Some complete what they are given by random numbers.
            with keyed_globals(seed, item.path, "right_inverse"):
                values = parametrised[item.path].assign(shards[item.path].local)
        except CannotAssign as refusal:
            message = f"`{item.scheme}` cannot fill {item.path} {item.shape}: {refusal}"
            key = item.key if item.rule.default else item.rule.key
            problems.append(Problem("MF094", key, message, _KEEP.format(item.path), item.rule.place))
        else:
            made = shard_of(values).exchanged(item.transposed)
            measured = [_measure_block(made, block, fill) for block, fill in item.fills]
            rows = [Tally(shift=one.shift, rows=one.rows, fill=one.fill) for one in drawn.get(item.path, ())]
            tallies[item.path] = [replace(measured[0], checksum=checksum_of(made)), *measured[1:], *rows]
    if problems:
        for tensor, state in before:
            tensor.restore(state)
        raise ForgeError(problems)
    return tallies


_KEEP = "initialise before it is parametrised, or keep its values: `params: {{{}: keep}}`"


def _measure_block(values: Shard, block: Block, fill: Fill) -> Tally:
    row_size = prod(block.shape[1:])
    return measure(values.memory(block.start * row_size, block.stop * row_size), fill)


# --- the modules' own reset_parameters --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Slot:
    """Where a decided parameter is: its plan, its module, and its local name."""

    item: ParameterPlan
    owner: nn.Module
    name: str

    @property
    def weight(self) -> Tensor:
        weight = self.owner._parameters[self.name]
        assert weight is not None, "parameters() skips None"
        return weight


def _reset(module: nn.Module, slots: Sequence[_Slot], seed: int) -> None:
    """Runs the `reset_parameters` around the given parameters, children before parents, as constructors do.

    Each run is keyed by its module's path and may write those of the given parameters that are in or below its module;
    what it writes elsewhere is lost. The values are made on the CPU, in float64 for parameters that are, else in
    float32.

    Raises:
        ForgeError: a parameter that none of them writes.
    """
    resets = {path: (owner, reset) for path, owner in module.named_modules() if (reset := reset_method(owner))}
    groups: dict[str, list[_Slot]] = {}
    for slot in slots:
        outermost = next(path for path in _prefixes(slot.item.path) if path in resets)
        groups.setdefault(outermost, []).append(slot)
    for outermost, group in groups.items():
        written = {id(slot.weight): _unwritten(slot.weight) for slot in group}
        around = dict.fromkeys(path for slot in group for path in _prefixes(slot.item.path) if path in resets)
        # A module's path is shorter than those of its children.
        for path in sorted((path for path in around if _below(path, outermost)), key=len, reverse=True):
            inside = {id(slot.weight): written[id(slot.weight)] for slot in group if _below(slot.item.path, path)}
            owner, reset = resets[path]
            key = f"{path}." if path else ""
            with torch.no_grad(), _scratch(owner, inside), keyed_globals(seed, key, "reset_parameters"):
                reset()
        if problems := [_no_value(slot) for slot in group if _is_unwritten(written[id(slot.weight)])]:
            raise ForgeError(problems)
        for slot in group:
            shard_of(slot.weight.detach()).write(written[id(slot.weight)].view(-1), 0)


@contextmanager
def _scratch(owner: nn.Module, written: Mapping[int, Tensor]) -> Generator[None]:
    """Lets its body write, of all that is in or below a module, `written`: for the ids of parameters, their values."""
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
                # Some make new parameters instead of writing into the old ones.
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
    """Memory for values that shows whether it was written."""
    dtype = _made_in(weight)
    value = float("nan") if dtype.is_floating_point or dtype.is_complex else 0
    return torch.full(weight.shape, value, dtype=dtype, device="cpu")


def _is_unwritten(written: Tensor) -> bool:
    return written.numel() > 0 and bool(written.isnan().all())


def _no_value(slot: _Slot) -> Problem:
    item = slot.item
    message = f"`{item.scheme}` cannot fill {item.path} {item.shape}: no `reset_parameters` around it writes it"
    return Problem("MF026", item.rule.key, message, "choose a scheme that draws", item.rule.place)


def _prefixes(path: str) -> list[str]:
    """Paths of the modules around a parameter, outermost first."""
    return ["", *(path[:index] for index, letter in enumerate(path) if letter == ".")]


def _below(path: str, prefix: str) -> bool:
    return not prefix or path == prefix or path.startswith(f"{prefix}.")


# --- any module -------------------------------------------------------------------------------------------------------


def _subjects(module: nn.Module, scope: Scope, parametrised: Mapping[str, Parametrised]) -> Iterator[Subject]:
    count = num_branches(module)
    aliases, known, weights = _aliases(module), layouts(module), dict(module.named_parameters())
    for facts in describe(module):
        context = partial(_context, module, count, facts)
        roles = {name: known[name].role if name in known else None for name in aliases[facts.name]}
        behind = parametrised[facts.name].originals if facts.name in parametrised else (weights[facts.name],)
        # Whole numbers cannot be trained anyway: that says nothing of them.
        frozen = any(not weight.requires_grad and weight.is_floating_point() for weight in behind)
        yield Subject(facts.name, facts, facts.name, (scope,), None, context, FrozenDict(roles), frozen)


def _aliases(module: nn.Module) -> dict[str, tuple[str, ...]]:
    """For the first name of each parameter its other names."""
    names: dict[int, list[str]] = {}
    for name, weight in module.named_parameters(remove_duplicate=False):
        names.setdefault(id(weight), []).append(name)
    return {first: tuple(others) for first, *others in names.values()}


def _names(module: nn.Module) -> dict[str, tuple[int, ...] | None]:
    """All names in a checkpoint of a module; buffers with their shapes."""
    names = dict.fromkeys(name for name, _ in module.named_parameters(remove_duplicate=False))
    return {**names, **{name: tuple(value.shape) for name, value in stored_buffers(module)}}


def _context(module: nn.Module, num_branches: int, facts: ParameterFacts) -> Context | None:
    """As much as the classes inside say of the graph; None where a class around a kernel says nothing: it may add."""
    around = [path for path in _prefixes(facts.name) if path != facts.owner]
    kernel = facts.layout.role in ("weight", "recurrent")
    if kernel and facts.branch is None and not all(is_known(module.get_submodule(path)) for path in around):
        return None
    return Context(num_branches, facts.branch) if num_branches else None


def _nothing_to_fill() -> Problem:
    message = "every parameter is frozen (`requires_grad=False`), and so kept: there is nothing to fill"
    return Problem("MF029", "init", message, "`module.requires_grad_()` first, or name parameters in `params`")


def _uninitialised(path: str) -> Problem:
    hint = "run the module once on an example: lazy layers take their shapes from it"
    return Problem("MF094", path, f"`{path}` has no shape yet: its lazy layer has not run", hint)


def _unwritable(
    module: nn.Module, kept: Collection[str], parametrised: Mapping[str, Parametrised]
) -> Iterator[Problem]:
    uses = Counter(id(weight) for item in parametrised.values() for weight in item.originals)
    uses.update(id(weight) for weight in module.parameters())
    for path, owner, name, _ in parameters(module):
        weight = owner._parameters[name]
        assert weight is not None
        item = parametrised.get(path)
        behind = item.originals if item is not None else (weight,)
        if weight.device.type == "meta":
            hint = "give it memory first: `module.to_empty(device=...)`"
            yield Problem("MF094", path, f"`{path}` is on the meta device: there is no memory to fill", hint)
        elif path in kept:
            continue
        elif any(overlaps_itself(_local(original)) for original in behind):
            hint = "give each element its own: `nn.Parameter(weight.detach().contiguous())`"
            yield Problem("MF094", path, f"`{path}` overlaps itself: several elements share one place in memory", hint)
        elif item is not None and item.refusal:
            yield Problem("MF094", path, f"`{path}` is parametrised: {item.refusal}", _KEEP.format(path))
        elif item is not None and any(uses[id(original)] > 1 for original in behind):
            message = f"`{path}` is parametrised, and what it is computed from is also used elsewhere"
            yield Problem("MF094", path, message, _KEEP.format(path))
        elif item is not None and any(shard_of(original.detach()).distributed for original in behind):
            message = f"`{path}` is parametrised and sharded: its parts cannot be computed alone"
            yield Problem("MF094", path, message, _KEEP.format(path))


def _local(weight: Tensor) -> Tensor:
    return shard_of(weight.detach()).local


def _sharing(module: nn.Module, kept: Collection[str]) -> Iterator[Problem]:
    """Parameters that are not one, but lie in the same memory: whoever is written last would change the others."""
    locals_ = {path: _local(weight) for path, weight in module.named_parameters() if weight.device.type != "meta"}
    for path, other in shared({path: local for path, local in locals_.items() if not overlaps_itself(local)}):
        if path not in kept or other not in kept:
            hint = "where they are to be one, make them one parameter: `head.weight = embed.weight`; else copy one"
            yield Problem("MF094", other, f"`{other}` shares memory with `{path}`", hint)
