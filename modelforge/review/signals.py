"""signal_changes: two predictions → the layers whose signal or gradient gets another order of magnitude."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, isfinite, log
from typing import Any, Literal

from modelforge.signal.predict import NodeSignal, Prediction

FACTOR = 2.0
"""The factor on an energy from which on it is reported, beyond what both sides may differ from draw to draw."""
What = Literal["signal", "gradient"]


@dataclass(frozen=True, slots=True)
class SignalChange:
    """The energy of what a layer gives, or of the gradient that reaches it, where that differs."""

    what: What
    path: str
    """Of the layer on the new side."""
    type: str
    old: float
    """E x² or E g² on the old side."""
    new: float

    @property
    def ratio(self) -> float:
        """New over old; infinite from 0."""
        return self.new / self.old if self.old else inf

    @property
    def size(self) -> float:
        """|ln ratio|; infinite from 0, and to 0."""
        return abs(log(self.ratio)) if self.new else inf

    def to_dict(self) -> dict[str, Any]:
        """The change as plain data."""
        return {"what": self.what, "path": self.path, "type": self.type, "old": self.old, "new": self.new}


def signal_changes(old: Prediction, new: Prediction, layers: Mapping[str, str]) -> tuple[SignalChange, ...]:
    """The layers whose predicted energy differs by more than `FACTOR` and the spread of both sides.

    Each kind comes in the order in which a change spreads: signals from the first layer on, gradients from the last.
    Left out is what is not known on either side.

    Args:
        old: What is predicted of the old side.
        new: What is predicted of the new side.
        layers: Paths on the new side → paths on the old side.

    Example:
        >>> import modelforge as mf
        >>> model = {"input": {"shape": [64]}, "layers": {"a": {"type": "Linear", "out_features": 64}}}
        >>> old, new = (mf.predict(mf.plan(mf.parse(model, {"scheme": "normal", "std": std}))) for std in (0.1, 0.5))
        >>> [(change.what, change.path, round(change.ratio)) for change in signal_changes(old, new, {"a": "a"})]
        [('signal', 'a', 25)]
    """
    pairs = [
        (old.by_path[before], node)
        for node in new.nodes
        if node.type != "input" and (before := layers.get(node.path, "")) in old.by_path
    ]
    forward = [_changed("signal", before, after) for before, after in pairs]
    backward = [_changed("gradient", before, after) for before, after in reversed(pairs)]
    return tuple(change for change in (*forward, *backward) if change is not None)


def _changed(what: What, old: NodeSignal, new: NodeSignal) -> SignalChange | None:
    sides = [_energy(what, old), _energy(what, new)]
    if None in sides:
        return None
    (before, one), (after, other) = (side for side in sides if side)
    change = SignalChange(what, new.path, new.type, before, after)
    expected = log(FACTOR) + one + other
    return change if before != after and isfinite(before + after) and change.size > expected else None


def _energy(what: What, node: NodeSignal) -> tuple[float, float] | None:
    """An energy and its spread."""
    if what == "signal":
        return node.signal and (node.signal.second, node.signal.spread)
    return node.gradient and (node.gradient.energy, node.gradient.spread)
