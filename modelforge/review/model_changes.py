"""`Changes`: what differs between two plans, as data: in the whole model, by layer and by parameter."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any, Literal

from modelforge.core.errors import Place
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import LayerPlan
from modelforge.planning.unreached import BARE, Unreached, unreached_words
from modelforge.review.values import ValueChange

Kind = Literal["added", "removed", "changed"]


@dataclass(frozen=True, slots=True)
class LayerDiff:
    """A layer of one side only, or one that differs: in type, arguments, what it reads, its result, or its output."""

    path: str
    kind: Kind
    old: LayerPlan | None
    new: LayerPlan | None
    changes: tuple[ValueChange, ...] = ()
    place: Place | None = None
    """Where the layer was written, if it is only on one side, or has another name."""
    old_path: str = ""
    """Its path on the old side, where it has another name there, or stands elsewhere."""
    moved: bool = False
    """Whether it stands in another layer than before."""

    @property
    def differs_itself(self) -> bool:
        """Whether it differs in more than the shape of what it gives on."""
        return self.kind != "changed" or bool(self.old_path) or any(one.name != "output" for one in self.changes)

    @property
    def type(self) -> str:
        """Its type, on the new side if it is there."""
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
            "old_path": self.old_path or None,
            "moved": self.moved,
        }


@dataclass(frozen=True, slots=True)
class ParameterDiff:
    """A parameter of one side only, or one with other initial values."""

    path: str
    kind: Kind
    old: ParameterPlan | None
    new: ParameterPlan | None
    changes: tuple[ValueChange, ...] = ()
    """`shape`, `dtype`, `scheme`, its fields, resolved numbers (`gain`, `fan_in`, ...), `mean`, `std`, `rule`."""
    old_path: str = ""
    """Its path on the old side, where it has another name there: what is drawn goes by the path."""

    @property
    def shown(self) -> ParameterPlan:
        """The new side, or else the old."""
        parameter = self.new or self.old
        assert parameter is not None
        return parameter

    @property
    def causes(self) -> tuple[ValueChange, ...]:
        """The changes that others follow from."""
        effects = {"shape", "dtype", "mean", "std", "fan_in", "fan_out"}
        # A value that a config writes is a cause, whatever its name: a `std` in an init block.
        return tuple(c for c in self.changes if c.name not in effects or c.old_place or c.new_place)

    @property
    def std_changed(self) -> bool:
        """Whether both sides have it, with different target stds."""
        return any(change.name == "std" for change in self.changes)

    @property
    def ratio(self) -> float | None:
        """New target std over the old one; None where a side promises none."""
        old, new = self.old.std if self.old else None, self.new.std if self.new else None
        if old is None or new is None:
            return None
        return new / old if old else (1.0 if not new else inf)

    def change(self, name: str) -> ValueChange | None:
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
            "old_path": self.old_path or None,
        }


@dataclass(frozen=True)
class Changes:
    """What a change does to a model, as data."""

    totals: tuple[ValueChange, ...]
    """In the whole model: `seed`, `inputs`, `result` (the layer whose output it is), `output`, `results` (by name),
    `ties`, `buffers` (that a file fills), `dtype` (of buffers), `num_parameters`."""
    layers: tuple[LayerDiff, ...]
    parameters: tuple[ParameterDiff, ...]
    num_unchanged: int
    """Parameters of both sides that have the same initial values."""
    left: tuple[Unreached, ...] = ()
    """Parameters of the new side that a bare `init` block does not reach."""
    reads: tuple[tuple[str, str], ...] = ()
    """Pairs of layers of the new side by path, the second of which reads the first, where one of them differs."""
    old_reads: tuple[tuple[str, str], ...] = ()
    """The same of the old side, with the paths of the new one where that has the layer."""

    @property
    def left_out(self) -> str:
        """Those parameters in words, where the `init` block differs itself; else empty."""
        std: float | None = None
        differs = False
        for item in self.parameters:
            one, other = item.old, item.new
            if one and other and one.initializer != other.initializer and {one.rule.key, other.rule.key} & BARE:
                differs = True
                std = getattr(other.initializer, "std", None) if item.change("std") else std
        return unreached_words(self.left, std) if differs else ""

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
