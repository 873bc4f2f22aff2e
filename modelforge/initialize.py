"""initialize: decided parameters → values, each filled once, and the ledger that proves it."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize

from modelforge.config.origins import Origins
from modelforge.draw import draw
from modelforge.errors import ForgeError, Problem
from modelforge.ledger import Ledger, record
from modelforge.rng import keyed_globals
from modelforge.rules import ParameterPlan, Scope, Subject, assign
from modelforge.shapes import describe, float32_default, parameters, reset_method
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
        >>> ledger.ok, ledger["0.weight"].scheme, round(ledger["2.bias"].measured_mean, 6)
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
    with float32_default():
        tallies = draw([item for item in decided if item.initializer.values_from == "draw"], tensors, seed)
        _reset([item for item in decided if item.initializer.values_from == "module"], slots, seed)
    return Ledger(tuple(record(item, tensors[item.path], tallies.get(item.path)) for item in decided), seed)


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
                weight.detach().copy_(written)  # pyright: ignore[reportOptionalMemberAccess, reportArgumentType]  # the rules saw it
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
