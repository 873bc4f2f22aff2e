"""Networks that several tests of signals predict and measure."""

from __future__ import annotations

from typing import Any

import modelforge as mf
from tests.signal.measured import WIDEST, measured, misses


def chain(*layers: Any, shape: list[int], init: Any, dtype: str = "float32") -> mf.ModelSpec:
    """Layers that follow one another."""
    named = {f"{_type(layer).lower()}{number}": layer for number, layer in enumerate(layers)}
    return mf.parse({"input": {"shape": shape, "dtype": dtype}, "layers": named}, init=init)


def _type(layer: Any) -> str:
    return layer if isinstance(layer, str) else layer["type"]


def mlp(activation: Any, depth: int, width: int, init: Any) -> mf.ModelSpec:
    """`depth` linear layers of one width, an activation after each."""
    return chain(*[{"type": "Linear", "out_features": width}, activation] * depth, shape=[width], init=init)


def check(
    spec: mf.ModelSpec,
    *,
    seeds: int = 6,
    batch: int = 16,
    training: bool = True,
    widest: float = WIDEST,
    spare: float = 0.0,
) -> mf.Plan:
    """Compares everything that is predicted of a network with what a few draws of it do."""
    plan = mf.plan(spec)
    prediction = mf.predict(plan, batch_size=batch, training=training)
    assert not prediction.unknown
    wrong = misses(
        prediction, measured(plan, spec, seeds=seeds, batch=batch, training=training), widest=widest, spare=spare
    )
    assert not wrong, "\n".join(wrong)
    return plan
