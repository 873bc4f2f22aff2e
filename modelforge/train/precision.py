"""`Arithmetic`: the numbers in which a run computes, by its `trainer.precision`, for its model after the training."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """The numbers in which a model computes."""

    weights: torch.dtype | None = None
    """What the whole model is converted to; None leaves it as it is."""
    products: torch.dtype | None = None
    """What autocast takes for products of matrices; None for that of the weights."""

    def products_on(self, device: torch.device) -> torch.dtype | None:
        """What autocast takes on a device; on the CPU no float16, in which torch lacks layers: as in Lightning."""
        return torch.bfloat16 if (self.products, device.type) == (torch.float16, "cpu") else self.products

    def rounding(self, model: nn.Module, device: torch.device) -> float:
        """The relative distance of neighbouring numbers among those in which a converted model computes."""
        kinds = {weight.dtype for weight in model.parameters() if weight.is_floating_point()}
        every = (torch.float32, self.products_on(device), *kinds)
        return max(torch.finfo(kind).eps for kind in every if kind is not None)

    @contextmanager
    def on(self, device: torch.device) -> Generator[None]:
        """Computes in these numbers in its body, as Lightning does in a step."""
        products, before = self.products_on(device), torch.get_default_dtype()
        torch.set_default_dtype(torch.float64 if self.weights == torch.float64 else before)
        try:
            with torch.autocast(device.type, products, enabled=products is not None):
                yield
        finally:
            torch.set_default_dtype(before)


BY_PRECISION: Mapping[str, Arithmetic] = MappingProxyType(
    {
        **dict.fromkeys(("64", "64-true"), Arithmetic(weights=torch.float64)),
        "bf16-true": Arithmetic(weights=torch.bfloat16),
        "16-true": Arithmetic(weights=torch.float16),
        **dict.fromkeys(("bf16", "bf16-mixed"), Arithmetic(products=torch.bfloat16)),
        **dict.fromkeys(("16", "16-mixed"), Arithmetic(products=torch.float16)),
    }
)


def arithmetic_of(trainer: Any) -> Arithmetic:
    """What the `trainer` section of a finished run says; float32, or the config's `dtype`, by default.

    Example:
        >>> arithmetic_of({"precision": "bf16-mixed"}).products, arithmetic_of({}) == Arithmetic()
        (torch.bfloat16, True)
    """
    given = trainer.get("precision") if isinstance(trainer, Mapping) else None
    return BY_PRECISION.get(str(given), Arithmetic())
