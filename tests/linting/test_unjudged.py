"""What cannot be predicted is not judged, and that is said."""

from __future__ import annotations

from typing import Any

import modelforge as mf
from modelforge.linting.lint import examine
from modelforge.review.consequences import consequences
from modelforge.review.diff import diff

DENSE = {"type": "Linear", "out_features": 64}
DEEP = {"deep": {"type": "Repeat", "times": 20, "layers": {"dense": DENSE, "act": "Sigmoid"}}, "head": DENSE}
MEAN = {"scheme": "uniform", "low": 0.0, "high": 0.2}


def plan(init: Any, lint: Any = None, **layers: Any) -> mf.Plan:
    model = {"input": {"shape": [64]}, "layers": layers or DEEP, **({} if lint is None else {"lint": lint})}
    return mf.plan(mf.parse(model, init=init))


def test_the_rules_that_could_not_look_are_named():
    found = examine(plan(MEAN)).unjudged
    assert {"MW123", "MW124", "MW126"} <= found.keys()
    assert "MW101" not in found
    assert found["MW123"].path == "deep.0.act"
    assert found["MW123"].words.startswith("nothing is predicted from `deep.0.act` on: all units share a sum")


def test_where_all_is_predicted_all_is_judged():
    assert examine(plan("xavier")).unjudged == {}


def test_a_gradient_that_is_not_known_is_no_judgement():
    layers = {"a": DENSE, "r": "ReLU", "drop": {"type": "DropPath", "p": 0.2}, "b": DENSE, "g": "GELU", "c": DENSE}
    decided = plan("xavier", **layers)
    assert not mf.predict(decided).unknown
    assert [node.path for node in mf.predict(decided).lost][-1] == "b"
    found = examine(decided).unjudged
    assert set(found) == {"MW124"}
    assert found["MW124"].words.startswith("nothing is predicted of gradients from `b` back: unknown before")


def test_an_entry_of_ignore_may_be_needed_by_what_is_not_judged():
    ignore = {"ignore": {"MW123": {"*": "meant"}, "MW101": {"*": "meant"}}}
    codes = [problem.message for problem in mf.lint(plan(MEAN, ignore)) if problem.code == "MW199"]
    assert [message[:7] for message in codes] == ["`MW101`"]


def test_a_note_is_gone_only_where_the_new_side_is_judged():
    old, new, good = plan("xavier"), plan(MEAN), plan("orthogonal")
    assert [problem.code for problem in mf.lint(old)] == ["MW124"]
    found = consequences(old, new, diff(old, new))
    assert [problem.code for problem in found.unjudged_findings] == ["MW124"]
    assert "MW124" not in {problem.code for problem in found.old_findings}
    assert found.unknown is not None
    assert found.unknown.path == "deep.0.act"
    back = consequences(new, old, diff(new, old))
    assert (back.unjudged_findings, back.unknown) == ((), None)
    assert consequences(old, good, diff(old, good)).unjudged_findings == ()
