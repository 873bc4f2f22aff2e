"""Identities for recurrent matrices, and spread biases of gates."""

from __future__ import annotations

from types import MappingProxyType

from modelforge.inits import Matrix
from tests.inits.case import Case


def _gates(size: int) -> MappingProxyType[str, Matrix]:
    return MappingProxyType(
        {f"{name} of {size}": Matrix(shape=(size,), fan_in=size, fan_out=size, name=name) for name in "fizo"}
    )


SQUARES = MappingProxyType(
    {f"{n} units": Matrix(shape=(n, n), fan_in=n, fan_out=n, name=name) for n, name in ((64, "i"), (1, "n"), (7, ""))}
)
NO_UNITS = MappingProxyType({"no units": Matrix(shape=(0, 0), fan_in=0, fan_out=0)})
SECOND = MappingProxyType({"second bias": Matrix(shape=(64,), fan_in=64, fan_out=64, name="f", addend=1)})

CASES = [
    Case({"scheme": "irnn"}, SQUARES, NO_UNITS),
    Case({"scheme": "irnn", "alpha": 0.01}, SQUARES, NO_UNITS),
    Case({"scheme": "chrono", "max_time": 784}, _gates(1000), _gates(0)),
    Case({"scheme": "chrono", "max_time": 2.5}, _gates(500), {}),
    Case({"scheme": "chrono", "max_time": 1e30}, SECOND, {}),
    Case({"scheme": "uniform_gate"}, _gates(1000) | _gates(65), _gates(0)),
]
