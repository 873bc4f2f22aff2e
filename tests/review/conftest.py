"""Plans of small models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import modelforge as mf


@pytest.fixture
def plan() -> Callable[..., mf.Plan]:
    """A plan of `layers` on a vector of 8."""

    def make(init: Any = "orthogonal", shape: tuple[int, ...] = (8,), seed: int = 0, **layers: Any) -> mf.Plan:
        return mf.plan(mf.parse({"input": {"shape": list(shape)}, "layers": layers}, init=init, seed=seed))

    return make
