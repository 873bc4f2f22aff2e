"""Types that the fields of several schemes share, and the law that a `distribution` means."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from modelforge.core.complaints import wrong
from modelforge.core.quoting import quoted
from modelforge.inits.laws.law import Constant, Law, Normal, Uniform
from modelforge.inits.laws.truncated_normal import TruncatedNormal

# Ten times below the largest float32, so that nothing drawn with these numbers overflows.
LIMIT = 1e37

Real = Annotated[float, Field(ge=-LIMIT, le=LIMIT)]
NonNegative = Annotated[float, Field(ge=0, le=LIMIT)]
Positive = Annotated[float, Field(gt=0, le=LIMIT)]


def _keeps_something(value: Any) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and value <= 0:
        hint = "values are truncated at this many sigma from the mean: at 0, nothing would be left"
        raise wrong("MF092", f"must be greater than 0, but is {quoted(value)}", hint)
    return value


Truncate = Annotated[Positive, BeforeValidator(_keeps_something)]

FanMode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo"]
Distribution = Literal["uniform", "normal", "truncated_normal"]


def centred(std: float, distribution: Distribution = "normal", truncate: float = 2.0) -> Law:
    """The law with mean 0 and this std; a constant where that is 0."""
    if not std:
        return Constant(0.0)
    match distribution:
        case "uniform":
            return Uniform(-math.sqrt(3) * std, math.sqrt(3) * std)
        case "normal":
            return Normal(0.0, std)
        case "truncated_normal":
            return TruncatedNormal.with_std(0.0, std, truncate)
