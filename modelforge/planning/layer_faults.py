"""The faults of a layer on trial: what would go wrong in the first batch, or its output and warnings.

Each layer runs in training and in evaluation, on two batches that differ in one example. A layer that would take long
runs at a smaller size: fewer channels, features or steps, as far as its declaration permits that. A layer that is large
even so (a table of 10⁹ rows, a picture of 10⁴ by 10⁴), or that the CPU has no kernels for, is not tried.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import torch
from torch import nn

from modelforge.core.bounded_cache import Recent
from modelforge.core.rng import preserved_globals
from modelforge.core.tensors import Value, leaves
from modelforge.core.torch_state import without_onednn
from modelforge.language.registry import LayerType
from modelforge.planning.batches import CHANGED, alike, positive, times
from modelforge.planning.forward import FEW, MetaRun, Misfit, construct, num_held, observe, scaled, values
from modelforge.planning.smaller import TrialCase, shrunk
from modelforge.planning.trial import Broken, Mode, NotTried, Outputs, Trial, seeded

CHEAP, DEAR = 2.0**15, 2.0**24
"""Costs up to which a layer is tried as it is, and up to which it is tried at all."""
Warned = tuple[str, str, str]
"""A warning: code, message, hint."""


@dataclass(frozen=True, slots=True)
class Tried:
    """The output of a layer that passed its trial, and warnings."""

    output: Value
    warnings: tuple[Warned, ...]


class Trials:
    """Tries layers, each kind at each size once."""

    def __init__(self) -> None:
        self._known: Recent[Tried | Misfit | None] = Recent()

    def run(
        self, layer: LayerType, arguments: Mapping[str, Any], inputs: tuple[Value, ...], module: nn.Module
    ) -> Tried:
        """Runs a layer on the CPU, and `module`, which is the layer on the meta device, there.

        Raises:
            Misfit: it fails, gives values that are not finite, or lets one example see another.
        """
        seen = observe(module, inputs)
        case, smaller = TrialCase(layer, arguments, inputs), shrunk(layer, arguments, inputs)
        tried: Tried | Misfit | None = None
        if smaller is not None and (layer.axes or seen.cost > CHEAP):
            tried = self._found(smaller, lambda: _judge_smaller(smaller, seen))
        if not isinstance(tried, Tried):
            if seen.cost <= DEAR:
                tried = self._found(case, lambda: _judge(case))
            elif smaller is not None and not _can_run(smaller):  # it must not be that small
                tried = None
        if isinstance(tried, Misfit):
            raise tried
        if tried is not None and (output := scaled(tried.output, seen.output)) is not None:
            return Tried(output, tried.warnings)
        output = values(seen.output, observe(module, inputs, FEW).output)
        return Tried(output, () if tried is None else tried.warnings)

    def _found(self, case: TrialCase, judge: Callable[[], Tried | Misfit | None]) -> Tried | Misfit | None:
        return self._known.get((case.layer, repr(case.arguments), repr(case.inputs)), judge)


def _judge(case: TrialCase) -> Tried | Misfit | None:
    """What a trial finds; None where there can be none."""
    # oneDNN's transposed convolution with a stride of 1,000 takes minutes.
    with preserved_globals(), without_onednn(), warnings.catch_warnings(record=True) as heard, torch.no_grad():
        warnings.simplefilter("always")
        try:
            trial = Trial(case)
            try:
                found = tuple(_findings(trial))
                _check_axis(trial, heard)
                return Tried(trial.value, found)
            except Broken as broken:
                raise trial.complaint(broken) from broken
        except Misfit as misfit:
            return misfit
        except NotTried:
            return None


def _judge_smaller(case: TrialCase, run: MetaRun) -> Tried | Misfit | None:
    """What is found of a layer in place of a larger one, which was observed and writes no less."""
    try:
        module = construct(case.layer, case.arguments)
        if replace(run, held=num_held(module)).cost > DEAR and observe(module, case.inputs).cost > DEAR:
            return None
    except Misfit:
        return None
    return _judge(case)


def _can_run(case: TrialCase) -> bool:
    """Whether it runs on the meta device."""
    try:
        observe(construct(case.layer, case.arguments), case.inputs)
    except Misfit:
        return False
    return True


def _findings(trial: Trial) -> Iterator[Warned]:
    """Warnings about a layer.

    Raises:
        Misfit: what is worse than a warning.
    """
    due = [value.of(FEW) for value in leaves(trial.value)]
    for mode, outputs in trial.found.items():
        if due != [tuple(value.shape) for value in outputs.tensors]:
            raise Misfit("MF043", f"{trial.name} must give the same shapes in training and evaluation, but does not")
        yield from _not_finite(trial, mode, outputs)
    _check_small_values(trial)
    _check_after_training(trial)
    if trial.found["training"].finite and not all(bool(value.isfinite().all()) for value in trial.gradients()):
        raise _wild(trial, ", in its gradients")
    yield from _not_finite_elsewhere(trial)
    yield from _mixing(trial)


def _check_axis(trial: Trial, heard: Iterable[warnings.WarningMessage]) -> None:
    """Without a `dim`, torch normalises over the first of several axes of an example, and says so in a warning."""
    several = any(len(value.shape) > 2 for value in leaves(trial.case.inputs))
    if several and any("Implicit dimension choice" in str(warning.message) for warning in heard):
        hint, rest = "give `dim`: -1 is the last; dimensions of the example start at 1", ", and torch would choose one"
        raise Misfit("MF043", f"{trial.name} is given no `dim` for {trial.shown}", hint, rest=rest)


# --- values that are not finite ---------------------------------------------------------------------------------------


def _not_finite(trial: Trial, mode: Mode, outputs: Outputs) -> Iterator[Warned]:
    if outputs.finite:
        return
    beside = trial.run(trial.other, mode)
    has_inf = any(bool((value == inf).any()) for value in outputs.tensors)
    if all(map(torch.equal, outputs.tensors, beside.tensors)) and not has_inf:
        return  # a mask of -inf, the same for all inputs
    if not trial.run(positive(trial.one), mode).finite:
        raise _wild(trial, f", in {mode}")
    message = f"{trial.name} gives values that are not finite for negative inputs"
    yield "MW105", message, "put a layer in front that gives no negative values, such as `ReLU`"


def _check_small_values(trial: Trial) -> None:
    """A number that is subtracted from a variance shows where the variance is small."""
    if trial.found["evaluation"].finite:
        small = trial.run(times(0.01, trial.one), "evaluation")
        if any(bool(value.isnan().any()) for value in small.tensors if value.is_floating_point()):
            raise _wild(trial, ", where values are small")


def _check_after_training(trial: Trial) -> None:
    """Statistics that a module keeps of batches must leave evaluation finite, whatever their scale."""
    for factor in (0.01, 100.0) if trial.buffers else ():
        trial.run(times(factor, trial.one), "training")
        if not trial.run(trial.one, "evaluation", afresh=False).finite:
            raise _wild(trial, ", in evaluation after training")


def _not_finite_elsewhere(trial: Trial) -> Iterator[Warned]:
    if trial.found["evaluation"].finite:
        for factor, inputs in ((0.0, "zeros"), (100.0, "large inputs")):
            if not trial.run(times(factor, trial.one), "evaluation").finite:
                yield "MW105", f"{trial.name} gives values that are not finite for {inputs}", trial.hint


def _wild(trial: Trial, when: str) -> Misfit:
    return Misfit("MF043", f"{trial.name} gives values that are not finite on {trial.shown}", trial.hint, rest=when)


# --- examples that see one another ------------------------------------------------------------------------------------


def _mixing(trial: Trial) -> Iterator[Warned]:
    training, evaluation = trial.found["training"], trial.found["evaluation"]
    if _differ(trial, "evaluation", evaluation):
        if _mixes_without(trial, "evaluation"):
            raise _mixes(trial, "")
        message = f"the output of {trial.name} for an example depends on the rest of its batch, in evaluation too"
        yield "MW106", message, "let it keep running statistics for evaluation, as batch norms do by default"
    if trial.module in trial.declared or all(map(torch.equal, training.tensors, evaluation.tensors)):
        return
    if _differ(trial, "training", None if trial.declared else training) and _mixes_without(trial, "training"):
        raise _mixes(trial, " in training")


def _differ(trial: Trial, mode: Mode, first: Outputs | None) -> bool:
    """Whether outputs for equal examples differ."""
    first = first or trial.run(trial.one, mode, declared=False)
    if not _parted(trial, first, trial.run(trial.other, mode, declared=False)):
        return False
    # Generators other than torch's may have drawn, too.
    with seeded():
        first = trial.run(trial.one, mode, declared=False)
    with seeded():
        second = trial.run(trial.other, mode, declared=False)
    return _parted(trial, first, second)


def _parted(trial: Trial, first: Outputs, second: Outputs) -> bool:
    # Where the number of draws depends on values, only those for the first example are surely the same.
    kept = [row for row in range(FEW) if row != CHANGED] if torch.equal(first.end, second.end) else [0]
    rows = torch.tensor(kept)
    axes = [value.batch_axis for value in leaves(trial.value)]
    return any(
        axis is not None and not alike(a.index_select(axis, rows), b.index_select(axis, rows))
        for axis, a, b in zip(axes, first.tensors, second.tensors, strict=True)
    )


def _mixes_without(trial: Trial, mode: Mode) -> bool:
    """Whether examples see one another also without the modules for which that is declared."""
    if trial.module in trial.declared or not trial.declared:
        return not trial.declared
    for parent in [*trial.module.modules()]:
        for name, child in parent._modules.items():
            if child in trial.declared:
                parent._modules[name] = nn.Identity()
    try:
        return _differ(trial, mode, None)
    except Exception:  # such a module does more than pass on its input
        return False


def _mixes(trial: Trial, when: str) -> Misfit:
    message = f"the output for an example must not depend on the rest of its batch, but that of {trial.name} does{when}"
    hint = "dimension 0 is the batch; dimensions of the example start at 1"
    if "dim" in trial.case.layer.spec.model_fields and trial.case.arguments.get("dim") is None:
        hint = f"give `dim`: -1 is the last; {hint}"
    if when:
        hint = "where that is its purpose, as in a batch norm, register the layer with `mixes_batch=True`"
    return Misfit("MF044", message, hint)
