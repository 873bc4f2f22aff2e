"""Types that the fields of several schemes share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

# Ten times below the largest float32, so that nothing drawn with these numbers overflows.
LIMIT = 1e37

Real = Annotated[float, Field(ge=-LIMIT, le=LIMIT)]
NonNegative = Annotated[float, Field(ge=0, le=LIMIT)]
Positive = Annotated[float, Field(gt=0, le=LIMIT)]

FanMode = Literal["fan_in", "fan_out", "fan_avg", "fan_geo"]
Distribution = Literal["uniform", "normal", "truncated_normal"]
