"""The examples of docs/signal.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import modelforge as mf
from modelforge.layers.register import unregister_layer
from modelforge.signal.rule import unregister_signal

PAGE = Path(__file__).parents[2] / "docs" / "signal.md"


def test_the_examples_run(capsys):
    first, second = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(first, {})
    signal, gradient = map(float, capsys.readouterr().out.split()[:2])
    assert (signal, gradient) == pytest.approx((2.0**-29, 2.0**-30))
    try:
        exec(second, {"__name__": "example"})
        plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": {"halved": "Half"}}))
        assert mf.predict(plan).node("halved").signal.second == 0.25
    finally:
        unregister_signal("Half")
        unregister_layer("Half")
