"""`Changes`: what differs between two plans, as data: of the whole, layer by layer, parameter by parameter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from modelforge.core.errors import Place
from modelforge.linting.defaults import BARE, Left, left_words
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import LayerPlan

Kind = Literal["added", "removed", "changed"]

TOTALS: Mapping[str, str] = {"results": "outputs", "ties": "tie", "buffers": "layers"}
"""Where what is told of the whole model is written, by the name it is told under."""


@dataclass(frozen=True, slots=True)
class Change:
    """One fact that differs; None where a side has no such fact, places where it was written."""

    name: str
    old: Any
    new: Any
    old_place: Place | None = None
    new_place: Place | None = None

    def to_dict(self) -> dict[str, Any]:
        """The change as plain data."""
        places = {
            "old_place": self.old_place.to_dict() if self.old_place else None,
            "new_place": self.new_place.to_dict() if self.new_place else None,
        }
        return {"name": self.name, "old": self.old, "new": self.new, **places}


@dataclass(frozen=True, slots=True)
class LayerDiff:
    """A layer that is only on one side, or differs: in type, arguments, what it reads, its result, or its output."""

    path: str
    kind: Kind
    old: LayerPlan | None
    new: LayerPlan | None
    changes: tuple[Change, ...] = ()
    place: Place | None = None
    """Where the layer was written, if it is only on one side."""

    @property
    def type(self) -> str:
        """Its type, the new one if that changed."""
        layer = self.new or self.old
        assert layer is not None
        return layer.type

    def to_dict(self) -> dict[str, Any]:
        """The difference as plain data."""
        return {
            "path": self.path,
            "kind": self.kind,
            "old": self.old.to_dict() if self.old else None,
            "new": self.new.to_dict() if self.new else None,
            "changes": [change.to_dict() for change in self.changes],
            "place": self.place.to_dict() if self.place else None,
        }


@dataclass(frozen=True, slots=True)
class ParameterDiff:
    """A parameter that is only on one side, or starts differently."""

    path: str
    kind: Kind
    old: ParameterPlan | None
    new: ParameterPlan | None
    changes: tuple[Change, ...] = ()
    """`shape`, `dtype`, `scheme`, its fields, resolved numbers (`gain`, `fan_in`, ...), `mean`, `std`, `rule`."""

    @property
    def shown(self) -> ParameterPlan:
        """The new side, or else the old."""
        parameter = self.new or self.old
        assert parameter is not None
        return parameter

    @property
    def causes(self) -> tuple[Change, ...]:
        """What was decided differently, apart from what follows from it."""
        effects = {"shape", "dtype", "mean", "std", "fan_in", "fan_out"}
        # What was written is a cause, whatever its name: a `std` in an init block.
        return tuple(c for c in self.changes if c.name not in effects or c.old_place or c.new_place)

    @property
    def std_changed(self) -> bool:
        """Whether both sides have it, and with different target standard deviations."""
        return any(change.name == "std" for change in self.changes)

    @property
    def ratio(self) -> float | None:
        """New over old target standard deviation; None where a side promises none."""
        old, new = self.old.std if self.old else None, self.new.std if self.new else None
        if old is None or new is None:
            return None
        return new / old if old else (1.0 if not new else inf)

    def change(self, name: str) -> Change | None:
        """The change of that name, if there is one."""
        return next((change for change in self.changes if change.name == name), None)

    def to_dict(self) -> dict[str, Any]:
        """The difference as plain data."""
        return {
            "path": self.path,
            "kind": self.kind,
            "old": self.old.to_dict() if self.old else None,
            "new": self.new.to_dict() if self.new else None,
            "std_ratio": self.ratio,
            "changes": [change.to_dict() for change in self.changes],
        }


@dataclass(frozen=True)
class Changes:
    """What a change does to a model, as data."""

    totals: tuple[Change, ...]
    """Of the whole: `seed`, `inputs`, `result` (the layer whose output it is), `output`, `results` (by name), `ties`,
    `buffers` (those that a file fills), `num_parameters`."""
    layers: tuple[LayerDiff, ...]
    parameters: tuple[ParameterDiff, ...]
    num_unchanged: int
    """Parameters that both sides have, and that start alike."""
    left: tuple[Left, ...] = ()
    """What a bare `init` block does not reach, on the new side."""

    @property
    def left_out(self) -> str:
        """In words what `init` does not reach, where it differs itself; else empty."""
        std: float | None = None
        differs = False
        for item in self.parameters:
            one, other = item.old, item.new
            if one and other and one.initializer != other.initializer and {one.rule.key, other.rule.key} & BARE:
                differs = True
                std = getattr(other.initializer, "std", None) if item.change("std") else std
        return left_words(self.left, std) if differs else ""

    @property
    def equal(self) -> bool:
        """Whether both sides build the same model with the same values."""
        return not (self.totals or self.layers or self.parameters)

    def to_dict(self) -> dict[str, Any]:
        """The diff as plain data."""
        return {
            "equal": self.equal,
            "totals": [change.to_dict() for change in self.totals],
            "layers": [layer.to_dict() for layer in self.layers],
            "parameters": [parameter.to_dict() for parameter in self.parameters],
            "num_unchanged_parameters": self.num_unchanged,
            "left_by_init": [one.to_dict() for one in self.left],
        }
