"""A scheme with its fields, and the matrices that it must serve."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from modelforge import inits
from modelforge.inits import Initializer, Matrix
from tests.inits.matrices import EMPTY, MATRICES


@dataclass(frozen=True)
class Case:
    """What the contract is tried on."""

    config: Mapping[str, Any]
    """The init block: `scheme` and fields."""
    matrices: Mapping[str, Matrix] = field(default_factory=lambda: MappingProxyType(MATRICES))
    """Blocks to fill, each large enough for statistics."""
    empty: Mapping[str, Matrix] = field(default_factory=lambda: MappingProxyType(EMPTY))
    """Blocks without elements."""

    @property
    def initializer(self) -> Initializer:
        return inits.create(self.config)

    @property
    def block(self) -> Matrix:
        """The first of its matrices."""
        return next(iter(self.matrices.values()))

    def __str__(self) -> str:
        fields = (f"{name}={value}" for name, value in self.config.items() if name != "scheme")
        return "-".join([self.config["scheme"], *fields])
