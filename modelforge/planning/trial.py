"""trial: a layer runs on the CPU on a few examples, in training and in evaluation.

The meta device knows shapes; it does not know what torch's kernels refuse, which values come out, or which of them
depend on which. Values of integers are 0 and 1; what a layer does with others is not tried, nor what weights that
training has changed give.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from modelforge.core.quoting import sentence
from modelforge.core.tensors import Value, show
from modelforge.language import registry
from modelforge.modules.untouched import random_state_beside_torch
from modelforge.planning.batches import (
    Batch,
    Integers,
    changed,
    copied,
    has_integers,
    random_values,
    with_gradient,
)
from modelforge.planning.forward import FEW, FewSteps, Misfit, complaint, construct, tensors_in, values
from modelforge.planning.smaller import TrialCase

MORE = FEW + 7
"""Examples of another batch, which shows what grows with it."""
Mode = Literal["training", "evaluation"]
MODES: tuple[Mode, ...] = ("training", "evaluation")


@dataclass(frozen=True, slots=True)
class Outputs:
    """The output of a run, its tensors, and the state of torch's generator after it."""

    output: Any
    tensors: tuple[Tensor, ...]
    end: Tensor

    @property
    def finite(self) -> bool:
        """Whether all values are finite."""
        return all(bool(value.isfinite().all()) for value in self.tensors if value.is_floating_point())


class Broken(Exception):
    """A run failed; the cause says why."""

    def __init__(self, mode: Mode) -> None:
        super().__init__(mode)
        self.mode: Mode = mode


class NotTried(Exception):
    """The CPU cannot run the layer."""


class Trial:
    """One layer on the CPU.

    Raises:
        Misfit: the layer is refused on all values that it could be given.
        NotTried: the CPU cannot run it.
    """

    def __init__(self, case: TrialCase) -> None:
        self.case = case
        self.name = case.layer.name
        torch.default_generator.manual_seed(0)
        with _marked_memory():
            self.module = construct(case.layer, case.arguments, "cpu")
        _scatter(self.module)
        self.buffers = [(buffer, buffer.clone()) for buffer in self.module.buffers()]
        self.declared = [inner for inner in self.module.modules() if isinstance(inner, registry.that_mix())]
        """Modules that may let examples see one another in training."""
        self.one, self.other, self.found, self.value = self._first_runs()
        """Two batches that differ in one example, and the outputs and the value of the first."""

    def _first_runs(self) -> tuple[Batch, Batch, dict[Mode, Outputs], Value]:
        failed: Exception | None = None
        inputs = self.case.inputs
        for integers in ("both", 0, 1) if has_integers(inputs) else (0,):
            one = random_values(inputs, FEW, integers)
            try:
                found: dict[Mode, Outputs] = {mode: self.run(one, mode) for mode in MODES}
                more = self.run(random_values(inputs, MORE, integers), "training")
            except Broken as broken:
                failed = failed or self.complaint(broken, integers)
                continue
            return one, changed(inputs, one), found, values(more.output, found["training"].output, (MORE, FEW))
        assert failed is not None
        raise failed

    def run(self, batch: Batch, mode: Mode, *, declared: bool = True, afresh: bool = True) -> Outputs:
        """Runs the layer.

        Args:
            batch: The inputs.
            mode: The mode of the layer.
            declared: Whether `declared` modules run in that mode too; else in evaluation.
            afresh: Whether buffers start as constructed; else as the last run left them.

        Raises:
            Broken: the layer fails.
        """
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
            raise Broken(mode) from error
        return Outputs(output, tuple(tensors_in(output)), torch.default_generator.get_state())

    def gradients(self) -> list[Tensor]:
        """The gradients of the first batch and of the weights; none where nothing can be trained.

        Raises:
            Misfit: backward fails.
        """
        with torch.enable_grad():
            batch = with_gradient(self.one)
            outputs = [value for value in self.run(batch, "training").tensors if value.requires_grad]
            weights = [weight for weight in self.module.parameters() if weight.requires_grad]
            sources = [*weights, *(value for value in tensors_in(batch) if value.requires_grad)]
            if not (outputs and sources):
                return []
            ones = [*map(torch.ones_like, outputs)]
            try:
                found = torch.autograd.grad(outputs, sources, ones, allow_unused=True, materialize_grads=True)
            except Exception as error:
                if _is_unsupported(error):
                    return []
                rest = f", backward: {sentence(error)}"
                raise Misfit("MF043", f"{self.name} cannot be trained on {self.shown}", self.hint, rest=rest) from error
        # A sparse gradient has only the values of the rows that were looked up.
        return [value.coalesce().values() if value.is_sparse else value for value in found]

    @property
    def shown(self) -> str:
        """The inputs in words."""
        return " and ".join(map(show, self.case.inputs))

    @property
    def hint(self) -> str:
        """A hint at the arguments that were given."""
        fields, layer = self.case.layer.spec.model_fields, self.case.layer
        own = [
            f"`{name}: {value}`"
            for name, value in self.case.arguments.items()
            if name in fields and name not in layer.infer and fields[name].default != value
        ]
        return f"look at {', '.join(own)}" if own else ""

    def complaint(self, broken: Broken, integers: Integers = "both") -> Exception:
        """A run that failed, in words."""
        error, mode = broken.__cause__, broken.mode
        assert isinstance(error, Exception)
        if _is_unsupported(error):
            return NotTried()

        def again() -> None:
            self.module.train(mode == "training")
            self.module(*random_values(self.case.inputs, FEW + 2, integers))

        note = " in evaluation" if mode == "evaluation" else ""
        return complaint(error, self.module, self.case.inputs, again, (FEW, FEW + 2), note)


@contextmanager
def _marked_memory() -> Generator[None]:
    """New memory holds NaN until it is written."""
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
def seeded() -> Generator[None]:
    """Python's and NumPy's generators start at the same place; afterwards they are as before."""
    with random_state_beside_torch():
        random.seed(1)
        np.random.seed(1)
        yield


def _scatter(module: nn.Module) -> None:
    """Moves weights off values that hide faults: zeros that multiply, and memory that no constructor wrote."""
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
