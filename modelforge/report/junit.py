"""junit: annotations → a JUnit report, in which each finding is a test that fails, or passes where it is a note.

There is no standard: this is what the schemas of Jenkins' xUnit plugin and of Surefire have in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree

from modelforge.core.quoting import printable
from modelforge.report.annotations import Annotation, identified


def junit(annotations: Sequence[Annotation], suite: str) -> str:
    """The findings as tests; one that passes where there is none.

    Args:
        annotations: What was found: errors and warnings fail, the rest passes.
        suite: What to call the tests together.
    """
    failed = [one for one in annotations if one.severity != "info"]
    count = {"tests": str(max(len(annotations), 1)), "failures": str(len(failed)), "errors": "0"}
    root = ElementTree.Element("testsuites", {"name": "modelforge", **count})
    tests = ElementTree.SubElement(root, "testsuite", {"name": _xml(suite), **count, "skipped": "0"})
    for one, identity in identified(annotations):
        _add(tests, one, identity)
    if not annotations:
        _case(tests, "nothing found", "modelforge")
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _case(tests: ElementTree.Element, name: str, group: str) -> ElementTree.Element:
    return ElementTree.SubElement(tests, "testcase", {"name": _xml(name), "classname": group, "time": "0"})


def _add(tests: ElementTree.Element, one: Annotation, identity: str) -> None:
    place = f"{one.file}:{one.line}" if one.line else one.file
    case = _case(tests, f"{one.code} {identity}", f"modelforge.{one.code}")
    words = _xml("\n".join(filter(None, (one.message, place))))
    if one.severity == "info":
        ElementTree.SubElement(case, "system-out").text = words
        return
    ElementTree.SubElement(case, "failure", {"message": _xml(one.message), "type": one.severity}).text = words


def _xml(text: str) -> str:
    """A text that XML can hold: controls as their escapes, and no lone surrogate."""
    return printable(text, "\n").encode("utf-8", "backslashreplace").decode()
