"""jacobian: the singular values of what a small change of the input does to the output, at one batch.

Where examples do not see one another, the Jacobian has a block for each, and a block is measured. A small one is
computed whole, row by row; of a large one the largest singular values are estimated by randomised subspace iteration
(Halko, Martinsson & Tropp 2011) with products from both sides.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.attention import SDPBackend, sdpa_kernel

from modelforge.core.errors import ForgeError
from modelforge.core.rng import Key
from modelforge.core.torch_state import without_onednn

MAX_OUTPUTS = 1024
"""Outputs of a block up to which it is computed whole."""
MAX_ELEMENTS = 1 << 24
"""Elements of a block up to which it is computed whole."""
MAX_BLOCKS = 4
"""Examples whose blocks are computed."""
NUM_PROBES = 8
"""Random directions of an estimate; half as many singular values are given."""
NUM_ITERATIONS = 3

Function = Callable[[Sequence[Tensor] | None], tuple[Sequence[Tensor], Tensor]]
"""Runs the network; gets the values of its inputs, or None for those of the batch; gives its inputs and an output."""


@dataclass(frozen=True, slots=True)
class Jacobian:
    """Singular values of the derivative of the first output with respect to the input."""

    shape: tuple[int, int]
    """Outputs and inputs of a block."""
    num_blocks: int
    """Examples that were measured; 1 where examples see one another, and the block is the whole batch's."""
    method: Literal["exact", "stochastic"]
    singular_values: tuple[float, ...]
    """Largest first, each a mean over blocks and seeds. Of a stochastic estimate the first few; empty where the
    derivative is not finite, or has no forward mode."""
    mean_square: float
    """Of all singular values: the squared Frobenius norm divided by their number."""

    @property
    def largest(self) -> float | None:
        """The largest singular value, if it is known."""
        return self.singular_values[0] if self.singular_values else None

    def to_dict(self) -> dict[str, Any]:
        """The Jacobian as plain data."""
        return {
            "shape": [*self.shape],
            "num_blocks": self.num_blocks,
            "method": self.method,
            "singular_values": [*self.singular_values],
            "mean_square": self.mean_square,
        }


def mean_of(found: Sequence[Jacobian]) -> Jacobian | None:
    """The mean over blocks and seeds of one network; None where nothing was measured."""
    if not found:
        return None
    first = found[0]
    length = min(len(one.singular_values) for one in found)
    values = [math.fsum(one.singular_values[index] for one in found) / len(found) for index in range(length)]
    square = math.fsum(one.mean_square for one in found) / len(found)
    return Jacobian(first.shape, first.num_blocks, first.method, tuple(values), square)


def jacobian_of(function: Function, seed: int) -> Jacobian | None:
    """The Jacobian of one block; None where the output does not depend on the inputs."""
    block = _Block(function)
    num_outputs, num_inputs = block.shape
    if not (num_outputs and num_inputs and block.output.requires_grad):
        return None
    least = min(block.shape)
    if num_outputs <= MAX_OUTPUTS and num_outputs * num_inputs <= MAX_ELEMENTS:
        rows = [block.transposed(row) for row in torch.eye(num_outputs, dtype=torch.float64)]
        matrix = torch.stack(rows)
        if not bool(matrix.isfinite().all()):
            return Jacobian(block.shape, 1, "exact", (), math.nan)
        values = torch.linalg.svdvals(matrix)
        return Jacobian(block.shape, 1, "exact", tuple(values.tolist()), float(values.square().sum()) / least)
    generator = Key(seed, "jacobian").generator()
    probes = torch.randn(min(NUM_PROBES, least), num_outputs, generator=generator, dtype=torch.float64)
    images = torch.stack([block.transposed(probe) for probe in probes])
    square = float(images.square().sum()) / len(probes) / least
    largest = _largest(block, images) if math.isfinite(square) else ()
    return Jacobian(block.shape, 1, "stochastic", largest, square)


def _largest(block: _Block, images: Tensor) -> tuple[float, ...]:
    """The largest singular values, from what random directions become."""
    try:
        for _ in range(NUM_ITERATIONS):
            inputs, _ = torch.linalg.qr(images.T)
            outputs, _ = torch.linalg.qr(torch.stack([block.times(column) for column in inputs.T], dim=1))
            images = torch.stack([block.transposed(column) for column in outputs.T])
    except (RuntimeError, ForgeError):  # some operations have no forward-mode derivative
        return ()
    return tuple(torch.linalg.svdvals(images).tolist()[: max(NUM_PROBES // 2, 1)])


class _Block:
    """A network near one batch as a matrix, by its products with vectors."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._inputs, self.output = function(None)
        self.shape = self.output.numel(), sum(value.numel() for value in self._inputs)

    def transposed(self, cotangent: Tensor) -> Tensor:
        """The transposed Jacobian times a vector of outputs."""
        given = cotangent.to(self.output.device, self.output.dtype).view(self.output.shape)
        found = torch.autograd.grad(self.output, self._inputs, given, retain_graph=True, materialize_grads=True)
        return torch.cat([gradient.detach().double().flatten().cpu() for gradient in found])

    def times(self, tangent: Tensor) -> Tensor:
        """The Jacobian times a vector of inputs."""
        sizes = [value.numel() for value in self._inputs]
        parts = tangent.split(sizes)
        with ExitStack() as stack:
            stack.enter_context(torch.no_grad())
            stack.enter_context(forward_ad.dual_level())
            # Fused attention and fused recurrences have no forward-mode derivatives; their plain forms have.
            stack.enter_context(sdpa_kernel(SDPBackend.MATH))
            stack.enter_context(without_onednn())
            stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            duals = [
                forward_ad.make_dual(value.detach(), part.to(value.device, value.dtype).view(value.shape))
                for value, part in zip(self._inputs, parts, strict=True)
            ]
            _, output = self._function(duals)
            found = forward_ad.unpack_dual(output).tangent
        return torch.zeros(self.shape[0], dtype=torch.float64) if found is None else found.double().flatten().cpu()
