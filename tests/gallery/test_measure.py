"""A claim is measured variant by variant and seed by seed; its mistakes are found before anything trains."""

from __future__ import annotations

from unittest.mock import patch

import pytest

import modelforge as mf
from modelforge.gallery import subject
from modelforge.gallery.measure import measure
from tests.gallery.networks import EXPECT, folder


def test_each_seed_gives_a_number(tmp_path):
    asked = [
        {"quantity": {"type": "forward", "at": "act"}, "of": "he", "expected": 1.0, "spreads": 3, "reason": "by hand"},
        {
            "quantity": {"type": "forward", "at": "act"},
            "of": "twice",
            "over": "he",
            "expected": 4.0,
            "factor": 1.001,
            "reason": "the gain is doubled",
        },
    ]
    variants = {"he": {}, "twice": {"overrides": ["+init.gain=2.8284271"]}}
    conf = folder(tmp_path, {"variants": variants, "expect": asked})
    found = measure("small", conf, seeds=(0, 1))
    assert found.seeds == (0, 1)
    first, second = found.verdicts
    assert len(set(first.values)) == 2
    assert second.values == pytest.approx([4.0] * 2, rel=1e-5)
    assert found.ok


def test_all_variants_are_checked_before_one_trains(tmp_path):
    variants = {"here": {"overrides": ["optimizer.lr=fast"]}, "there": {"overrides": ["+init.gainn=1"]}}
    conf = folder(tmp_path, {"variants": variants, "expect": [EXPECT]})
    with patch.object(subject, "execute") as trained, pytest.raises(mf.ForgeError) as caught:
        measure("small", conf)
    assert {problem.key for problem in caught.value.problems} == {"optimizer.lr", "init.gainn"}
    assert not trained.called


def test_a_calibration_that_does_not_exist_is_found_before_anything_trains(tmp_path):
    conf = folder(tmp_path, {"variants": {"here": {}, "there": {"calibrate": "lsu"}}, "expect": [EXPECT]})
    with patch.object(subject, "execute") as trained, pytest.raises(mf.ForgeError) as caught:
        measure("small", conf)
    (problem,) = caught.value.problems
    assert (problem.key, problem.message) == ("claim.variants.there.calibrate", "unknown calibration `lsu`")
    assert problem.hint == "did you mean `lsuv`?"
    assert not trained.called
