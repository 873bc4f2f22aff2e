"""`LedgerEntry`: a row of a ledger, with the rule that filled a parameter, its targets, and the measured values."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Annotated, Any

from pydantic import Field, NonNegativeInt

from modelforge.building.tolerances import Verdict
from modelforge.core.errors import Place
from modelforge.core.frozen import FrozenDict, plain


@dataclass(frozen=True, slots=True)
class Calibrated:
    """What a calibration did to one parameter; where it works by channel, in the channel farthest from the target."""

    method: str
    left: str = ""
    """Why the parameter was not calibrated; empty where it was."""
    factors: tuple[float, float] = (1.0, 1.0)
    """Least and greatest factor over the channels of the weight, equal where it has one factor."""
    passes: int = 0
    """The number of corrections."""
    mean_before: float | None = None
    """Mean of its layer's output for the batch; None where it was not calibrated."""
    mean_after: float | None = None
    variance_before: float | None = None
    variance_after: float | None = None
    """Measured after all layers were calibrated."""
    tolerance: float | None = None

    @property
    def factor(self) -> float:
        """The factor of the whole weight; the geometric mean of the extremes where channels differ."""
        low, high = self.factors
        return low if low == high else sqrt(low * high)

    def to_dict(self) -> dict[str, Any]:
        """The record as plain data."""
        return {name: plain(getattr(self, name)) for name in Calibrated.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One parameter: the rule that filled it, and whether its values are as promised."""

    path: str
    shape: tuple[NonNegativeInt, ...]
    """As it is stored."""
    dtype: str
    role: str | None
    scheme: str
    rule: str
    """Override key of the block that won."""
    place: Place | None
    numbers: FrozenDict[str, Any]
    """Resolved numbers: gain, fans, bounds."""
    matrices: tuple[str, ...]
    target_mean: float | None
    target_std: float | None
    measured_mean: float | None
    """Over all elements that a scheme decides; None for an empty parameter."""
    measured_std: float | None
    """About the measured mean, or about `centre`."""
    mean_tolerance: float | None
    """How far the mean of a sample of this size may lie from the target."""
    std_tolerance: float | None
    verdict: Verdict
    """`unpromised` where the scheme states no target (the module's own values)."""
    transposed: tuple[int, int] | None = None
    """The dimensions that are exchanged in how it is stored; None where outputs come first."""
    aliases: tuple[str, ...] = ()
    """Other names of the same parameter, where weights are tied."""
    calibration: Calibrated | None = None
    """What `mf.calibrate` did to it afterwards; the verdict includes that."""
    reason: str = ""
    """Why the verdict is `fail`, in words."""
    centre: float | None = None
    """The value about which `measured_std` is, if not the measured mean: the target of a scheme that fixes the std."""
    digest: Annotated[str, Field(pattern="^([0-9a-f]{16})?$")] = ""
    """A checksum of the values as they are stored, 64 bits, by which `mf.verify` sees an edit; no seal against forgery.
    """

    def to_dict(self) -> dict[str, Any]:
        """The entry as plain data."""
        return {name: plain(getattr(self, name)) for name in LedgerEntry.__dataclass_fields__}
