"""trial: a layer is run on the CPU on a few examples → what would go wrong in the first batch.

The meta device knows shapes; it does not know what torch's kernels refuse, which values come out, or which of them
depend on which. So each layer runs for real, in training and in evaluation, on two batches that differ in one example.

A layer that would take long runs at a smaller size: fewer channels, features or steps, as far as what it declares
permits that. One that is large even so (a table of 10⁹ rows, a picture of 10⁴ by 10⁴), or that the CPU has no kernels
for, is not tried. Values of integers are 0 and 1; what a layer does with others is not seen, and neither is what comes
of weights that training has changed.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from modelforge.core.errors import sentence
from modelforge.core.recent import Recent
from modelforge.core.rng import preserved_globals
from modelforge.core.tensors import Value, leaves, show
from modelforge.language import registry
from modelforge.language.registry import LayerType
from modelforge.planning.batches import (
    CHANGED,
    Batch,
    Integers,
    alike,
    changed,
    copied,
    has_integers,
    inner_tensors,
    positive,
    random_values,
    times,
    with_gradient,
)
from modelforge.planning.forward import (
    FEW,
    FewSteps,
    Misfit,
    Seen,
    complaint,
    construct,
    num_held,
    observe,
    scaled,
    tensors_in,
    values,
)
from modelforge.planning.smaller import Setting, shrunk

CHEAP, DEAR = 2.0**15, 2.0**24
"""Costs up to which a layer is tried as it is, and up to which it is tried at all."""
MORE = FEW + 7
"""Examples of another batch, which shows what grows with it."""
Mode = Literal["training", "evaluation"]
MODES: tuple[Mode, ...] = ("training", "evaluation")
Warned = tuple[str, str, str]
"""A warning: code, message, hint."""


@dataclass(frozen=True, slots=True)
class Outputs:
    """What came out of a run, its tensors, and the state of torch's generator behind it."""

    output: Any
    tensors: tuple[Tensor, ...]
    end: Tensor


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What comes out of a layer that passed, and warnings."""

    output: Value
    warnings: tuple[Warned, ...]


class _Broken(Exception):
    """A run failed; the cause says why."""

    def __init__(self, mode: Mode) -> None:
        super().__init__(mode)
        self.mode: Mode = mode


class _NotTried(Exception):
    """The CPU cannot say."""


class Trials:
    """Tries layers, each kind at each size once."""

    def __init__(self) -> None:
        self._known: Recent[_Verdict | Misfit | None] = Recent()

    def run(
        self, layer: LayerType, arguments: Mapping[str, Any], inputs: tuple[Value, ...], module: nn.Module
    ) -> tuple[Value, tuple[Warned, ...]]:
        """Runs a layer, which is given on the meta device: there, and on the CPU.

        Returns:
            What comes out, and warnings.

        Raises:
            Misfit: it fails, gives values that are not finite, or lets one example see another.
        """
        seen = observe(module, inputs)
        setting = Setting(layer, arguments, inputs)
        smaller = shrunk(layer, arguments, inputs)
        verdict: _Verdict | Misfit | None = None
        if smaller is not None and (layer.axes or seen.cost > CHEAP):
            verdict = self._known.get(_key(smaller), lambda: _judge_smaller(smaller, seen))
        if not isinstance(verdict, _Verdict):
            if seen.cost <= DEAR:
                verdict = self._known.get(_key(setting), lambda: _judge(setting))
            elif smaller is not None and not _can_run(smaller):  # it must not be that small
                verdict = None
        if isinstance(verdict, Misfit):
            raise verdict
        found = () if verdict is None else verdict.warnings
        if verdict is not None and (output := scaled(verdict.output, seen.output)) is not None:
            return output, found
        return values(seen.output, observe(module, inputs, FEW).output), found


def _key(setting: Setting) -> tuple[Any, ...]:
    return setting.layer.name, setting.layer.make, repr(setting.arguments), repr(setting.inputs)


def _judge(setting: Setting) -> _Verdict | Misfit | None:
    """What a trial shows; None where there can be none."""
    with preserved_globals(), warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        try:
            trial = _Trial(setting)
            try:
                return _Verdict(trial.value, tuple(trial.findings()))
            except _Broken as broken:
                raise trial.complaint(broken) from broken
        except Misfit as misfit:
            return misfit
        except _NotTried:
            return None


def _judge_smaller(setting: Setting, seen: Seen) -> _Verdict | Misfit | None:
    """The same for a layer in place of a larger one, which was seen and writes no less."""
    try:
        module = construct(setting.layer, setting.arguments)
        if replace(seen, held=num_held(module)).cost > DEAR and observe(module, setting.inputs).cost > DEAR:
            return None
    except Misfit:
        return None
    return _judge(setting)


def _can_run(setting: Setting) -> bool:
    """Whether the meta device has no complaint."""
    try:
        observe(construct(setting.layer, setting.arguments), setting.inputs)
    except Misfit:
        return False
    return True


# --- runs -------------------------------------------------------------------------------------------------------------


class _Trial:
    """One layer on the CPU."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.name = setting.layer.name
        torch.default_generator.manual_seed(0)
        with _marked_memory():
            self.module = construct(setting.layer, setting.arguments, "cpu")
        _scatter(self.module)
        self.buffers = [(buffer, buffer.clone()) for buffer in self.module.buffers()]
        self.declared = [inner for inner in self.module.modules() if isinstance(inner, registry.that_mix())]
        self.one, self.other, self.found, self.value = self._first_runs()

    def findings(self) -> Iterator[Warned]:
        """Warnings; what is worse is raised."""
        due = [value.of(FEW) for value in leaves(self.value)]
        for mode, outputs in self.found.items():
            if due != [tuple(value.shape) for value in outputs.tensors]:
                raise Misfit("MF043", f"{self.name} must give the same shapes in training and evaluation, but does not")
            yield from self._not_finite(mode, outputs)
        self._check_small_values()
        self._check_after_training()
        self._check_gradients()
        yield from self._not_finite_elsewhere()
        yield from self._mixing()

    def _first_runs(self) -> tuple[Batch, Batch, dict[Mode, Outputs], Value]:
        """Two batches that differ in one example, of values that the layer takes, and what it makes of the first."""
        failed: Exception | None = None
        for integers in ("both", 0, 1) if has_integers(self.setting.inputs) else (0,):
            one = [random_values(value, FEW, integers) for value in self.setting.inputs]
            try:
                found: dict[Mode, Outputs] = {mode: self._run(one, mode) for mode in MODES}
                more = self._run([random_values(value, MORE, integers) for value in self.setting.inputs], "training")
            except _Broken as broken:
                failed = failed or self.complaint(broken, integers)
                continue
            other = [changed(*pair) for pair in zip(self.setting.inputs, one, strict=True)]
            return one, other, found, values(more.output, found["training"].output, (MORE, FEW))
        assert failed is not None
        raise failed

    def _run(self, batch: Batch, mode: Mode, *, declared: bool = True, afresh: bool = True) -> Outputs:
        """What comes out; without what `declared` modules do in training, and from where the last run ended."""
        if afresh:
            for buffer, before in self.buffers:
                buffer.copy_(before)
        self.module.train(mode == "training")
        for inner in () if declared else self.declared:
            inner.eval()
        torch.default_generator.manual_seed(1)
        try:
            with FewSteps(2):
                output = self.module(*copied(batch))
        except (Exception, SystemExit) as error:
            raise _Broken(mode) from error
        return Outputs(output, tuple(tensors_in(output)), torch.default_generator.get_state())

    def complaint(self, broken: _Broken, integers: Integers = "both") -> Exception:
        """A run that failed, in words."""
        error, mode = broken.__cause__, broken.mode
        assert isinstance(error, Exception)
        if _is_unsupported(error):
            return _NotTried()

        def again() -> None:
            self.module.train(mode == "training")
            self.module(*[random_values(value, FEW + 2, integers) for value in self.setting.inputs])

        note = " in evaluation" if mode == "evaluation" else ""
        return complaint(error, self.module, self.setting.inputs, again, (FEW, FEW + 2), note)

    # --- values that are not finite -----------------------------------------------------------------------------------

    def _not_finite(self, mode: Mode, outputs: Outputs) -> Iterator[Warned]:
        if _is_finite(outputs):
            return
        beside = self._run(self.other, mode)
        if all(map(torch.equal, outputs.tensors, beside.tensors)) and not _has(inf, outputs):
            return  # a mask of -inf, the same for all that arrives
        if not _is_finite(self._run([*map(positive, self.one)], mode)):
            raise self._wild(f", in {mode}")
        message = f"{self.name} gives values that are not finite where negative ones arrive"
        yield "MW105", message, "put a layer in front that gives none, such as `ReLU`"

    def _check_small_values(self) -> None:
        """A number that is subtracted from a variance shows where that is small."""
        if _is_finite(self.found["evaluation"]):
            small = self._run([times(0.01, value) for value in self.one], "evaluation")
            if any(bool(value.isnan().any()) for value in small.tensors if value.is_floating_point()):
                raise self._wild(", where values are small")

    def _check_after_training(self) -> None:
        """What a module keeps of batches must leave evaluation finite, whatever their scale."""
        for factor in (0.01, 100.0) if self.buffers else ():
            self._run([times(factor, value) for value in self.one], "training")
            if not _is_finite(self._run(self.one, "evaluation", afresh=False)):
                raise self._wild(", in evaluation after training")

    def _check_gradients(self) -> None:
        """What comes out can be trained: backward runs, and its gradients are finite where values are."""
        if not _is_finite(self.found["training"]):
            return
        with torch.enable_grad():
            batch = [with_gradient(value) for value in self.one]
            outputs = [value for value in self._run(batch, "training").tensors if value.requires_grad]
            weights = [weight for weight in self.module.parameters() if weight.requires_grad]
            sources = [*weights, *(value for value in inner_tensors(batch) if value.requires_grad)]
            if not (outputs and sources):
                return
            try:
                ones = [*map(torch.ones_like, outputs)]
                gradients = torch.autograd.grad(outputs, sources, ones, allow_unused=True, materialize_grads=True)
            except Exception as error:
                if _is_unsupported(error):
                    return
                shown = " and ".join(map(show, self.setting.inputs))
                rest = f", backward: {sentence(error)}"
                raise Misfit("MF043", f"{self.name} cannot be trained on {shown}", self._hint(), rest=rest) from error
        # A sparse gradient has only the values of the rows that were looked up.
        dense = (value.coalesce().values() if value.is_sparse else value for value in gradients)
        if not all(bool(value.isfinite().all()) for value in dense):
            raise self._wild(", in its gradients")

    def _not_finite_elsewhere(self) -> Iterator[Warned]:
        if _is_finite(self.found["evaluation"]):
            for factor, arriving in ((0.0, "zeros"), (100.0, "large ones")):
                if not _is_finite(self._run([times(factor, value) for value in self.one], "evaluation")):
                    message = f"{self.name} gives values that are not finite where {arriving} arrive"
                    yield "MW105", message, self._hint()

    def _wild(self, when: str) -> Misfit:
        shown = " and ".join(map(show, self.setting.inputs))
        return Misfit("MF043", f"{self.name} gives values that are not finite on {shown}", self._hint(), rest=when)

    def _hint(self) -> str:
        """The arguments that were given."""
        fields = self.setting.layer.spec.model_fields
        own = {
            name: value
            for name, value in self.setting.arguments.items()
            if name in fields and name not in self.setting.layer.infer
        }
        own = {name: value for name, value in own.items() if fields[name].default != value}
        return f"look at {', '.join(f'`{name}: {value}`' for name, value in own.items())}" if own else ""

    # --- examples that see one another --------------------------------------------------------------------------------

    def _mixing(self) -> Iterator[Warned]:
        training, evaluation = self.found["training"], self.found["evaluation"]
        if self._differ("evaluation", evaluation):
            if self._mixes_without("evaluation"):
                raise self._mixes("")
            message = f"what {self.name} gives for an example depends on the others of its batch, in evaluation too"
            yield "MW106", message, "let it keep statistics of training for that, as batch norms do by default"
        if self.module in self.declared or all(map(torch.equal, training.tensors, evaluation.tensors)):
            return
        if self._differ("training", None if self.declared else training) and self._mixes_without("training"):
            raise self._mixes(" in training")

    def _differ(self, mode: Mode, first: Outputs | None) -> bool:
        """Whether what comes out for equal examples differs."""
        first = first or self._run(self.one, mode, declared=False)
        if not self._parted(first, self._run(self.other, mode, declared=False)):
            return False
        # Others than torch may have drawn, too.
        with _seeded():
            first = self._run(self.one, mode, declared=False)
        with _seeded():
            second = self._run(self.other, mode, declared=False)
        return self._parted(first, second)

    def _parted(self, first: Outputs, second: Outputs) -> bool:
        # Where a draw depends on values, only the first example's comes before all that could differ.
        kept = [row for row in range(FEW) if row != CHANGED] if torch.equal(first.end, second.end) else [0]
        rows = torch.tensor(kept)
        axes = [value.batch_axis for value in leaves(self.value)]
        return any(
            axis is not None and not alike(a.index_select(axis, rows), b.index_select(axis, rows))
            for axis, a, b in zip(axes, first.tensors, second.tensors, strict=True)
        )

    def _mixes_without(self, mode: Mode) -> bool:
        """Whether examples see one another, too, where the modules for which that is declared are left out."""
        if self.module in self.declared or not self.declared:
            return not self.declared
        places = [
            (parent, name)
            for parent in self.module.modules()
            for name, child in parent._modules.items()
            if child in self.declared
        ]
        for parent, name in places:
            parent._modules[name] = nn.Identity()
        try:
            return self._differ(mode, None)
        except Exception:  # they do more than pass on what arrives
            return False

    def _mixes(self, when: str) -> Misfit:
        message = f"an example must not depend on the others of its batch, but what {self.name} gives for it does{when}"
        hint = "dimensions count as torch's do: the batch is dimension 0, the example's own begin at 1"
        if "dim" in self.setting.layer.spec.model_fields and self.setting.arguments.get("dim") is None:
            hint = f"give `dim`: -1 is the last; {hint}"
        if when:
            hint = "where that is its purpose, as in a batch norm, register the layer with `mixes_batch=True`"
        return Misfit("MF044", message, hint)


# --- surroundings ---------------------------------------------------------------------------------------------------


@contextmanager
def _marked_memory() -> Generator[None]:
    """Memory that is not written yet holds NaN."""
    flags = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    fills = torch._C._get_deterministic_fill_uninitialized_memory()
    torch._C._set_deterministic_algorithms(True, warn_only=True)
    torch._C._set_deterministic_fill_uninitialized_memory(True)
    try:
        yield
    finally:
        torch._C._set_deterministic_algorithms(flags[0], warn_only=flags[1])
        torch._C._set_deterministic_fill_uninitialized_memory(fills)


@contextmanager
def _seeded() -> Generator[None]:
    """Python's and NumPy's generators start at the same place, and are put back."""
    before = random.getstate(), np.random.get_state()
    random.seed(1)
    np.random.seed(1)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])


def _scatter(module: nn.Module) -> None:
    """Values that hide nothing: no zeros that multiply, and none where a constructor wrote none."""
    for weight in (*module.parameters(), *module.buffers()):
        if not weight.is_floating_point() or weight.dtype.itemsize < 2:
            continue
        weight.copy_(torch.where(weight.isnan(), 0.0, weight))
        if isinstance(weight, nn.Parameter):
            weight.add_(torch.randn(weight.shape).to(weight.dtype), alpha=0.1)


def _is_unsupported(error: Exception) -> bool:
    """Whether the machine lacks something, not the layer: a kernel for the CPU, or memory."""
    text = str(error).lower()
    lacks = "not implemented for", "cuda", "gpu", "triton", "allocate memory", "enough memory"
    return isinstance(error, NotImplementedError) or any(word in text for word in lacks)


def _is_finite(outputs: Outputs) -> bool:
    return all(bool(value.isfinite().all()) for value in outputs.tensors if value.is_floating_point())


def _has(number: float, outputs: Outputs) -> bool:
    return any(bool((value == number).any()) for value in outputs.tensors)
