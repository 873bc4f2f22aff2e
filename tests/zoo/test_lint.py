"""The models that ship have no findings but those that docs/lint/README.md explains."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import modelforge as mf
from modelforge.config import compose
from modelforge.linting.lint import examine
from modelforge.train.settings import training_of

ROOT = Path(__file__).parents[2]
EXPLAINED = set(
    re.findall(r"^\| `(\w+)` \| (MW\d+) \|", (ROOT / "docs" / "lint" / "README.md").read_text("utf-8"), re.M)
)


@pytest.mark.slow
@pytest.mark.parametrize("model", sorted(path.stem for path in (ROOT / "conf" / "model").glob("*.yaml")))
def test_a_model_with_its_own_init_is_clean_or_explained(model: str):
    config = compose(ROOT / "conf", [f"model={model}"])
    found = examine(mf.plan(mf.parse(config)), training_of(config.values))
    assert {(model, one.code) for one in (*found.planned, *found.problems)} == {
        it for it in EXPLAINED if it[0] == model
    }
