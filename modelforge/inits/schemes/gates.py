"""Biases of LSTM and GRU gates, by the gates' names."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from modelforge.core.errors import Refusal
from modelforge.core.matrix import Block
from modelforge.inits.base import Elementwise
from modelforge.inits.fields import Real
from modelforge.inits.laws.law import Constant, Law
from modelforge.inits.registry import register_initializer

_LSTM = MappingProxyType({"i": "input", "f": "forget", "g": "cell", "o": "output"})
_GRU = MappingProxyType({"r": "reset", "z": "update", "n": "new"})


@register_initializer("gates")
class Gates(Elementwise):
    """A constant bias for each gate of an LSTM or GRU; the two biases of torch's layers add up to it.

    Formula: b_ih + b_hh = the value of the gate (all in b_ih; b_hh = 0)
    Source: Gers, Schmidhuber and Cummins, Learning to forget, 2000; Jozefowicz, Zaremba and Sutskever, ICML 2015, for
        `forget: 1`
    """

    input: Real = 0.0
    """LSTM: input gate."""
    forget: Real = 0.0
    """LSTM: forget gate; 1 lets memory last from the start."""
    cell: Real = 0.0
    """LSTM: candidate cell state."""
    output: Real = 0.0
    """LSTM: output gate."""
    reset: Real = 0.0
    """GRU: reset gate."""
    update: Real = 0.0
    """GRU: update gate; 1 lets the state last from the start."""
    new: Real = 0.0
    """GRU: candidate state (of its two biases, the one outside the reset gate)."""

    def law(self, block: Block) -> Law:
        """The gate's value, or 0 for the second of two biases that are added."""
        total = self._total(block)
        return Constant(0.0 if block.addend else total)

    def numbers(self, block: Block) -> dict[str, Any]:
        """The gate and the sum of its biases."""
        return {"gate": gate_of(block, "gates"), "total": self._total(block)}

    def _total(self, block: Block) -> float:
        gate = gate_of(block, "gates")
        gates = (_LSTM if block.name in _LSTM else _GRU).values()
        for field in type(self).model_fields:
            if field in self.model_fields_set and field not in gates:
                known = ", ".join(f"`{gate}`" for gate in gates)
                raise Refusal(f"this layer has no `{field}` gate", f"its gates are {known}")
        return float(getattr(self, gate))


def gate_of(block: Block, scheme: str) -> str:
    """The name of the gate whose bias the block is.

    Raises:
        Refusal: it belongs to no gate, or is a weight.
    """
    gate = {**_LSTM, **_GRU}.get(block.name)
    if gate is None:
        reason = f"`{scheme}` fills the biases of LSTM and GRU, but this parameter has no gates"
        raise Refusal(reason, "use `constant`")
    if len(block.shape) != 1:
        raise Refusal(f"`{scheme}` fills biases, but this is a weight", "move it below `bias:`")
    return gate
