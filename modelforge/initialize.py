"""initialize: decided parameters → values, each filled once, and the ledger that proves it."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize

from modelforge.cascade import Scope, Subject
from modelforge.config.origins import Origins
from modelforge.draw import draw
from modelforge.errors import ForgeError, Problem
from modelforge.layers.hooks import reset_method
from modelforge.ledger import Ledger, record
from modelforge.rng import keyed_globals, preserved_globals
from modelforge.rules import ParameterPlan, assign
from modelforge.shapes import describe, parameters
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
        ForgeError: parameters that nothing covers, `params` and `types` that match nothing, schemes that cannot serve
            a shape, parameters that cannot be written: without memory, not yet materialised, expanded, parametrised.
            Nothing is written then. Also, after others were written, a parameter that `torch` should fill and that no
            `reset_parameters` writes.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> ledger = initialize(net, {"scheme": "kaiming", "bias": {"scheme": "constant", "value": 0.1}})
        >>> ledger.ok, ledger["0.weight"].scheme, round(ledger["2.bias"].measured_mean, 6)
        (True, 'kaiming', 0.1)
    """
    block = parse_init(init)
    if lazy := [_uninitialised(path) for path, weight in module.named_parameters() if is_lazy(weight)]:
        raise ForgeError(lazy)
    scope = Scope(block, "init", "", outermost=True)
    subjects = [Subject(facts.name, facts, facts.name, (scope,), None) for facts in describe(module)]
    decided, found = assign(subjects, [scope], Origins.empty())
    kept = {item.path for item in decided if item.initializer.values_from == "existing"}
    problems = {problem.path: problem for problem in _unwritable(module, kept)}
    found = [problem for problem in found if problem.path not in problems]
    if problems or found:
        raise ForgeError([*problems.values(), *found])
    return fill_module(module, decided, seed)


def fill_module(module: nn.Module, decided: Sequence[ParameterPlan], seed: int) -> Ledger:
    """Fills the decided parameters of a module and measures what came out.

    Args:
        module: Holds a parameter at each decided path.
        decided: What to fill, and how.
        seed: Key of all random numbers.

    Raises:
        ForgeError: a parameter that `torch` should fill and that no `reset_parameters` writes.
    """
    found = {path: (owner, name) for path, owner, name, _ in parameters(module)}
    slots = [_Slot(item, *found[item.path]) for item in decided]
    tensors = {slot.item.path: slot.weight.detach() for slot in slots}
    with preserved_globals():
        tallies = draw([item for item in decided if item.initializer.values_from == "draw"], tensors, seed)
        _reset(module, [slot for slot in slots if slot.item.initializer.values_from == "module"], seed)
    return Ledger(tuple(record(item, tensors[item.path], tallies.get(item.path)) for item in decided), seed)


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
    what it writes elsewhere is lost. The values are made on the CPU in float32, whatever the parameters are.

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
            slot.weight.detach().copy_(written[id(slot.weight)])


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
    return tensor.detach().to("cpu", torch.float32 if tensor.is_floating_point() else None, copy=True)


def _unwritten(weight: Tensor) -> Tensor:
    """Memory for values that shows whether it was written."""
    dtype = torch.float32 if weight.is_floating_point() else weight.dtype
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


def _uninitialised(path: str) -> Problem:
    hint = "run the module once on an example: lazy layers take their shapes from it"
    return Problem("MF026", path, f"`{path}` has no shape yet: its lazy layer has not run", hint)


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
        elif path not in kept and _is_expanded(weight):
            hint = "give each element its own: `nn.Parameter(weight.detach().contiguous())`"
            yield Problem("MF026", path, f"`{path}` is expanded: several elements share one place in memory", hint)


def _is_expanded(weight: Tensor) -> bool:
    return any(size > 1 and step == 0 for size, step in zip(weight.shape, weight.stride(), strict=True))
