"""What follows from the difference of two plans."""

from __future__ import annotations

import json

import modelforge as mf
from modelforge.linting.subject import Training
from modelforge.review.consequences import consequences
from modelforge.review.diff import diff

HEAD = {"type": "Linear", "out_features": 4}


def plan(init: object, **layers: object) -> mf.Plan:
    return mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers}, init=init))


def test_warnings_come_and_go():
    old, new = plan("xavier", a=HEAD, b=HEAD), plan({"scheme": "constant", "value": 0.1}, a=HEAD, b=HEAD)
    found, back = consequences(old, new, diff(old, new)), consequences(new, old, diff(new, old))
    assert {problem.code for problem in found.new_findings} == {"MW101"}
    assert found.old_findings == ()
    assert back.old_findings == found.new_findings


def test_costs_are_counted_where_layers_differ():
    old, new = plan("xavier", a=HEAD), plan("zeros", a=HEAD)
    assert consequences(old, new, diff(old, new)).costs is None
    wide = plan("xavier", a={**HEAD, "out_features": 5})
    assert consequences(old, wide, diff(old, wide)).costs is not None


def test_a_signal_that_vanishes():
    old, new = plan("xavier", a=HEAD), plan("zeros", a=HEAD)
    found = consequences(old, new, diff(old, new))
    assert [(change.what, change.path) for change in found.signal] == [("signal", "a")]
    assert json.loads(json.dumps(found.to_dict()))["signal"][0]["new"] == 0.0


def stack(times: int, act: str) -> dict[str, object]:
    return {"type": "Repeat", "times": times, "layers": {"up": {"type": "Linear", "out_features": 8}, "act": act}}


def test_a_second_note_of_one_kind_about_one_block_is_new():
    old = plan("xavier", relus=stack(20, "ReLU"), head=HEAD)
    longer = plan("xavier", relus=stack(30, "ReLU"), head=HEAD)
    both = plan("xavier", gelus=stack(20, "GELU"), relus=stack(30, "ReLU"), head=HEAD)
    found = consequences(old, longer, diff(old, longer))
    assert (found.new_findings, found.old_findings) == ((), ()), "a note with other numbers is the same"
    (note,) = consequences(old, both, diff(old, both)).new_findings
    assert note.code == "MW120"
    assert "GELU" in note.message
    (gone,) = consequences(both, old, diff(both, old)).old_findings
    assert gone == note


def test_a_note_that_depends_on_the_training_is_found_on_either_side():
    old, new = plan("xavier", head=HEAD), plan({"scheme": "normal", "std": 3.0}, head=HEAD)
    classes, others = (Training("Adam", by_width=False, num_classes=number) for number in (4, None))
    found = diff(old, new)
    trained = consequences(old, new, found, trained=(classes, classes))
    assert [problem.code for problem in trained.new_findings] == ["MW138"]
    assert consequences(old, new, found).new_findings == ()
    assert consequences(old, new, found, trained=(classes, others)).new_findings == ()
