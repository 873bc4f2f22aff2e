"""Annotations for GitHub and GitLab: nothing in a message may be another command."""

from __future__ import annotations

import json

import pytest

from modelforge.core.errors import Place, Problem
from modelforge.report.annotations import Annotation, github, gitlab


@pytest.mark.parametrize(
    ("one", "line"),
    [
        (
            Annotation("MF014", "error", "50%\r\n::error::x", "conf/a,b:c.yaml", 3, 5),
            "::error file=conf/a%2Cb%3Ac.yaml,line=3,col=5,title=MF014::50%25\\r%0A::error::x",
        ),
        (Annotation("MW101", "warning", "x"), "::warning title=MW101::x"),
        (Annotation("x", "info", "\u202e", "a.yaml"), "::notice file=a.yaml,title=x::\\u202e"),
    ],
)
def test_a_command_is_one_line(one: Annotation, line: str):
    assert github([one]) == f"{line}\n"


def test_a_problem_with_its_hint_and_place():
    problem = Problem("MF014", "a", "wrong", "write 1", Place("a.yaml", 2, 3))
    assert github([Annotation.of(problem)]) == "::error file=a.yaml,line=2,col=3,title=MF014::wrong (write 1)\n"
    assert Annotation.of(Problem("MF014", "a", "wrong", place=Place(override="a=1"))).file == ""


def test_gitlab_takes_findings_with_a_file():
    (item,) = json.loads(
        gitlab([Annotation("MF014", "error", "wrong", "a.yaml", 2), Annotation("MF001", "error", "x")])
    )
    assert item["location"] == {"path": "a.yaml", "lines": {"begin": 2}}
    assert (item["severity"], item["check_name"]) == ("critical", "MF014")


def test_gitlab_gets_what_its_report_must_have():
    """It shows one finding for each fingerprint."""
    found = [Annotation("MF014", "error", "wrong", "conf/a.yaml", line) for line in (2, 9)]
    found += [Annotation("MW101", "warning", "x", "b.yaml"), Annotation("y", "info", "z", "b")]
    items = json.loads(gitlab(found))
    assert len({item["fingerprint"] for item in items}) == len(items) == 4
    for item in items:
        assert {*item} == {"description", "check_name", "fingerprint", "severity", "location"}
        assert item["severity"] in {"info", "minor", "major", "critical", "blocker"}
        assert not item["location"]["path"].startswith(("./", "/"))
        assert item["location"]["lines"]["begin"] >= 1


def test_a_fingerprint_is_that_of_code_file_and_message():
    one, moved = (Annotation("MF014", "error", "wrong", "a.yaml", line) for line in (2, 9))
    assert one.identity == moved.identity != Annotation("MF014", "error", "other", "a.yaml").identity
    assert Annotation("x", "info", "y", fingerprint="0" * 12).identity == "0" * 12
