"""sarif: annotations → SARIF 2.1.0, which code scanning services read. Only findings with a line are results there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from modelforge._version import __version__
from modelforge.core.quoting import printable
from modelforge.report.annotations import Annotation, located

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {"info": "note", "warning": "warning", "error": "error"}


def sarif(annotations: Sequence[Annotation], rules: Mapping[str, str]) -> str:
    """The findings that name a line, as a SARIF log.

    Args:
        annotations: All findings; those without a line are left out.
        rules: What each code means, in one sentence.
    """
    found = located(annotations)
    codes = list(dict.fromkeys(one.code for one in found))
    driver = {
        "name": "modelforge",
        "semanticVersion": _semantic(__version__),
        "rules": [{"id": code, "shortDescription": {"text": rules.get(code, code)}} for code in codes],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(one, codes.index(one.code)) for one in found],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _result(one: Annotation, rule: int) -> dict[str, Any]:
    region = {"startLine": one.line} | ({"startColumn": one.column} if one.column else {})
    place = {"artifactLocation": {"uri": quote(one.file)}, "region": region}
    return {
        "ruleId": one.code,
        "ruleIndex": rule,
        "level": _LEVELS[one.severity],
        "message": {"text": printable(one.message)},
        "locations": [{"physicalLocation": place}],
        "partialFingerprints": {"modelforge/v1": one.identity},
    }


def _semantic(version: str) -> str:
    """A version with the three numbers that SARIF asks for.

    >>> _semantic("0.9.0.dev1"), _semantic("1.2.3")
    ('0.9.0', '1.2.3')
    """
    return ".".join([*version.split("."), "0", "0"][:3])
