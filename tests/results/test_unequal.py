"""What the results of one table do not have in common, though no setting says so."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from modelforge.results.collect import collect
from modelforge.results.document import document
from modelforge.results.grouping import group
from modelforge.results.page import page
from modelforge.results.report import as_text
from modelforge.results.significance import contrasts
from modelforge.runs.environment import ENVIRONMENT
from tests.results.sweeps import swept
from tests.runs.jobs import job

SAME = {"data": "a", "data_settings": "s", "code": None}


def sweep(root: Path, *origins: Mapping[str, object]) -> Path:
    """A sweep over gains, each job with an environment of its own."""
    swept(root, {("orthogonal", str(number + 1), 0): 0.5 for number in range(len(origins))})
    for number, origin in enumerate(origins):
        (next(root.glob(f"{number},*")) / ENVIRONMENT).write_text(json.dumps(SAME | origin))
    return root


def test_equal_origins_are_nothing_to_say(tmp_path: Path):
    assert collect(sweep(tmp_path / "a", {}, {}, {})).unequal == ()
    assert collect(sweep(tmp_path / "b", {"data": "a"}, {"data": "b", "data_settings": "t"})).unequal == ()
    assert collect(sweep(tmp_path / "c", {"data": None}, {"data_settings": None, "data": "b"})).unequal == ()


def test_other_data_of_equal_settings_is_said(tmp_path: Path):
    found = collect(sweep(tmp_path / "sweep", {}, {"data": "b"}, {}, {"data": "c"}, {"data": "c"}, {}))
    said = "not all jobs were trained on the same data, though its settings are the same"
    assert found.unequal == (f"{said}: it differs between job 1; jobs 3 and 4; the others",)
    grouped = group(found)
    compared = contrasts(grouped)
    assert document(grouped, compared).unequal == [*found.unequal]
    assert said in page(grouped, compared, tmp_path)
    assert said in str(as_text(grouped, compared, None, with_jobs=True).renderables[0].text)


def test_other_code_is_said_across_folders(tmp_path: Path):
    roots = sweep(tmp_path / "a", {"code": "x"}), sweep(tmp_path / "b", {"code": "y"}, {"code": "y"})
    (said,) = collect(*roots).unequal
    assert (
        said
        == "not all jobs ran with the same version of the project's own modules: it differs between job a/0; the others"
    )


def test_jobs_without_a_result_are_not_compared(tmp_path: Path):
    root = sweep(tmp_path / "sweep", {})
    job(root / "9,seed=9", "failed", ["seed=9"])
    (root / "9,seed=9" / ENVIRONMENT).write_text(json.dumps(SAME | {"data": "b"}))
    assert collect(root).unequal == ()


def test_equal_overrides_of_different_configs_are_said(tmp_path: Path):
    results = {("orthogonal", gain, 0): 0.5 for gain in ("1", "2")}
    roots = [swept(tmp_path / name, results, config_hash=name) for name in "ab"]
    (said,) = collect(*roots).unequal
    assert said == (
        "jobs of equal overrides had different configs, so they are no repetitions: a/0 and b/0, and so for 1 other"
    )
    assert collect(roots[0]).unequal == ()
    same = [swept(tmp_path / name, results, config_hash="same") for name in "cd"]
    assert collect(*same).unequal == ()
    old = swept(tmp_path / "e", results)
    assert collect(roots[0], old).unequal == (), "earlier versions did not note it"
