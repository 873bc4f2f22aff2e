"""The claims that are shipped can be read, and say what they must."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from modelforge.gallery.claim import Claim, load_claim, names, overrides_of
from modelforge.gallery.measure import measure
from modelforge.gallery.subject import Subject

CONF = Path(__file__).parents[2] / "conf"
NAMES = names(CONF)
FAST = ("why_sqrt2", "recurrent")
"""Claims that train nothing."""


@pytest.mark.parametrize("name", NAMES)
def test_a_claim_is_whole(name):
    text = (CONF / "experiment" / "gallery" / f"{name}.yaml").read_text(encoding="utf-8")
    claim = Claim.model_validate(yaml.safe_load(text)["claim"])
    assert len(claim.seeds) >= 3
    assert claim.pictures
    used = {expectation.of for expectation in claim.expect} | {expectation.over for expectation in claim.expect}
    assert claim.variants.keys() <= used, "a variant of which nothing is expected"
    assert f"#   modelforge gallery {name}\n" in text


def test_the_gallery_answers_what_it_promises():
    assert len(NAMES) >= 10


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_variant_of_a_claim_can_be_trained(name, tmp_path):
    for settings in load_claim(name, CONF).variants.values():
        subject = Subject(CONF, (*overrides_of(name), *settings.overrides), tmp_path)
        assert not [problem for problem in subject.job.warnings if problem.severity == "error"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAST)
def test_a_claim_without_training_holds(name):
    result = measure(name, CONF)
    assert result.ok, [verdict.to_dict() for verdict in result.verdicts if not verdict.ok]


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("name", [name for name in NAMES if name not in FAST])
def test_a_claim_with_training_holds(name):
    result = measure(name, CONF)
    assert result.ok, [verdict.to_dict() for verdict in result.verdicts if not verdict.ok]
