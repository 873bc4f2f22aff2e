"""Values in a notebook."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch

import modelforge as mf


class Printer:
    """What IPython gives to `_repr_pretty_`."""

    def __init__(self) -> None:
        self.said = ""

    def text(self, text: str) -> None:
        self.said += text


@cache
def values() -> dict[str, Any]:
    spec = mf.parse({"input": {"shape": [4]}, "layers": {"head": {"type": "Linear", "out_features": 2}}}, init="xavier")
    plan = mf.plan(spec)
    model = mf.build(plan)
    return {
        "plan": plan,
        "ledger": model.ledger,
        "verification": mf.verify(model, model.ledger),
        "prediction": mf.predict(plan),
        "solution": mf.solve(plan),
        "probe": mf.probe(model, torch.randn(3, 4, generator=torch.Generator().manual_seed(0))),
        "diff": mf.diff(spec, spec),
        "config": mf.from_module(model, torch.ones(1, 4)),
        "problem": mf.Problem("MF001", "model", "no"),
    }


@pytest.mark.parametrize("name", values())
def test_a_notebook_shows_what_print_does(name: str):
    value, printer = values()[name], Printer()
    # As IPython looks for it: in the class that comes first, before it knows what to do with a dict.
    cls = next(cls for cls in type(value).__mro__ if cls is dict or "_repr_pretty_" in cls.__dict__)
    cls._repr_pretty_(value, printer, False)
    assert printer.said == str(value)
    assert printer.said != repr(value)
