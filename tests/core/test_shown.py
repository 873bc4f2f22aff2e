"""Values in a notebook."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import torch
import yaml

import modelforge as mf


class Printer:
    """What IPython gives to `_repr_pretty_`."""

    def __init__(self) -> None:
        self.said = ""

    def text(self, text: str) -> None:
        self.said += text


HEAD = {"type": "Linear", "out_features": 2}
LINTED = {"input": {"shape": [4]}, "layers": {"up": {"type": "Linear", "out_features": 8}, "head": HEAD}}


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
        "spec": spec,
        "diagnosis": mf.diagnose(plan, measure=False),
        "diagnoses": mf.diagnose({"a": plan, "b": plan}, measure=False),
        "calibrated": mf.calibrate(model, torch.randn(9, 4, generator=torch.Generator().manual_seed(0))),
        "initialized": mf.initialize(torch.nn.Linear(2, 2), "xavier"),
        "findings": mf.lint(mf.parse(LINTED, init={"scheme": "constant", "value": 1.0})),
    }


@pytest.mark.parametrize("name", values())
def test_a_notebook_shows_what_print_does(name: str):
    value, printer = values()[name], Printer()
    # As IPython looks for it: in the class that comes first, before it knows what to do with a dict.
    cls = next(cls for cls in type(value).__mro__ if cls is dict or "_repr_pretty_" in cls.__dict__)
    cls._repr_pretty_(value, printer, False)
    assert printer.said == str(value)
    assert printer.said != repr(value)


@pytest.mark.parametrize("name", [name for name in values() if name not in ("config", "problem", "findings")])
def test_a_repr_is_one_line(name: str):
    shown = repr(values()[name])
    assert shown.startswith(f"<{type(values()[name]).__name__}: ")
    assert len(shown) < 80
    assert "\n" not in shown


def test_what_a_reader_sees():
    plan, spec = values()["plan"], values()["spec"]
    assert (repr(plan), repr(spec)) == ("<Plan: 1 layer, 10 parameters>", "<ModelSpec: 1 layer, seed 0>")
    assert mf.parse(yaml.safe_load(str(spec))) == spec
    assert str(values()["diagnosis"]).startswith("Nothing vanishes or explodes")
    assert str(values()["findings"]).startswith("warning[MW101]")
    assert str(mf.lint(plan)) == "nothing found"
    assert mf.lint(plan) == ()
