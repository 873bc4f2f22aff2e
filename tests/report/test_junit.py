"""JUnit reports: one test a finding."""

from __future__ import annotations

from xml.etree import ElementTree

from modelforge.report.annotations import Annotation
from modelforge.report.junit import junit


def test_errors_and_warnings_fail_and_the_rest_passes():
    found = [
        Annotation("MF014", "error", "a <b> & \x00 \u202e", "a.yaml", 2),
        Annotation("MW101", "warning", "x"),
        Annotation("y", "info", "z"),
    ]
    root = ElementTree.fromstring(junit(found, "conf"))
    (suite,) = root
    assert (suite.get("tests"), suite.get("failures")) == ("3", "2")
    first, _, last = suite
    failure = first.find("failure")
    assert failure is not None
    assert (first.get("file"), first.get("line")) == ("a.yaml", "2")
    assert failure.get("message") == "a <b> & \\x00 \\u202e"
    assert last.find("failure") is None


def test_nothing_found_is_a_test_that_passes():
    (suite,) = ElementTree.fromstring(junit([], "conf"))
    assert (suite.get("tests"), suite.get("failures"), len(suite)) == ("1", "0", 1)
