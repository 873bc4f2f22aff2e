"""junit: annotations → a JUnit report, in which each finding is a test that fails, or is skipped where it is no error.

There is no standard; this is the form that Jenkins, GitLab and CircleCI read.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from modelforge.core.quoting import printable
from modelforge.report.annotations import Annotation


def junit(annotations: Sequence[Annotation], suite: str) -> str:
    """The findings as tests; one that passes where there is none.

    Args:
        annotations: What was found: errors and warnings fail, the rest passes.
        suite: What to call the tests together.
    """
    failed = [one for one in annotations if one.severity != "info"]
    count = {"tests": str(max(len(annotations), 1)), "failures": str(len(failed)), "errors": "0", "skipped": "0"}
    root = ElementTree.Element("testsuites", {"name": "modelforge", **count})
    tests = ElementTree.SubElement(root, "testsuite", {"name": _xml(suite), **count})
    for one in annotations:
        _add(tests, one)
    if not annotations:
        ElementTree.SubElement(tests, "testcase", {"name": "nothing found", "classname": "modelforge"})
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _add(tests: ElementTree.Element, one: Annotation) -> None:
    place = f"{one.file}:{one.line}" if one.line else one.file
    names = {"name": _xml(f"{one.code} {one.identity}"), "classname": f"modelforge.{one.code}"}
    places = {"file": _xml(one.file), "line": str(one.line)} if one.line else {}
    case = ElementTree.SubElement(tests, "testcase", {**names, **places})
    if one.severity == "info":
        ElementTree.SubElement(case, "system-out").text = _xml(one.message)
        return
    failure = ElementTree.SubElement(case, "failure", {"message": _xml(one.message), "type": one.severity})
    failure.text = _xml("\n".join(filter(None, (one.message, place))))


def _xml(text: str) -> str:
    """A text that XML can hold: controls as their escapes, and no lone surrogate."""
    return printable(text, "\n").encode("utf-8", "backslashreplace").decode()
