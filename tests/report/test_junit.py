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
    assert failure.text == "a <b> & \\x00 \\u202e\na.yaml:2"
    assert failure.get("message") == "a <b> & \\x00 \\u202e"
    assert last.find("failure") is None


def test_nothing_found_is_a_test_that_passes():
    (suite,) = ElementTree.fromstring(junit([], "conf"))
    assert (suite.get("tests"), suite.get("failures"), len(suite)) == ("1", "0", 1)


def test_the_schemas_of_xunit_and_surefire_accept_it():
    """By hand what junit-10.xsd (Jenkins) and surefire-test-report.xsd both require and allow."""
    found = [Annotation("MF014", "error", "wrong", "a.yaml", line) for line in (2, 9)] + [Annotation("y", "info", "z")]
    for report in (junit(found, "conf"), junit([], "conf")):
        root = ElementTree.fromstring(report)
        (suite,) = root
        assert (root.tag, suite.tag) == ("testsuites", "testsuite")
        assert root.keys() == ["name", "tests", "failures", "errors"]
        assert {*suite.keys()} == {"name", "tests", "errors", "failures", "skipped"}
        assert len({case.get("name") for case in suite}) == len(suite) == int(suite.get("tests", ""))
        for case in suite:
            assert (case.tag, {*case.keys()}) == ("testcase", {"name", "classname", "time"})
            assert [part.tag for part in case] in (["failure"], ["system-out"], [])
            assert all({*part.keys()} == {"message", "type"} for part in case.iter("failure"))
