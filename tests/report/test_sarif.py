"""SARIF 2.1.0: what code scanning asks of a log."""

from __future__ import annotations

import json
import re

from modelforge.report.annotations import Annotation
from modelforge.report.sarif import sarif

FOUND = [
    Annotation("MF014", "error", "wrong", "conf/a b.yaml", 3, 5),
    Annotation("MF001", "error", "of no file"),
    Annotation("MF015", "warning", "of a whole file", "conf/b.yaml"),
    Annotation("MF014", "info", "again", "conf/b.yaml", 1),
]


def test_only_findings_with_a_line_are_results():
    log = json.loads(sarif(FOUND, {"MF014": "wrong type or value"}))
    assert (log["version"], log["$schema"]) == ("2.1.0", "https://json.schemastore.org/sarif-2.1.0.json")
    (run,) = log["runs"]
    assert [result["message"]["text"] for result in run["results"]] == ["wrong", "again"]
    assert run["tool"]["driver"]["rules"] == [{"id": "MF014", "shortDescription": {"text": "wrong type or value"}}]


def test_each_result_has_what_the_standard_requires():
    (run,) = json.loads(sarif(FOUND, {}))["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", run["tool"]["driver"]["semanticVersion"])
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"none", "note", "warning", "error"}
        assert result["message"]["text"]
        (place,) = result["locations"]
        physical = place["physicalLocation"]
        assert re.fullmatch(r"[\w./%-]+", physical["artifactLocation"]["uri"])
        assert physical["region"]["startLine"] >= 1
        assert re.fullmatch(r"[0-9a-f]{12}", result["partialFingerprints"]["modelforge/v1"])


def test_nothing_found_is_a_log_without_results():
    assert json.loads(sarif([], {}))["runs"][0]["results"] == []
