"""A document is checked when it is read: another job may have written it, and a stranger that job."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from modelforge.review.document import MAX_LABELS, MAX_TEXT, Document, document_schema

SMALL: dict[str, Any] = {
    "old": "main",
    "new": "HEAD",
    "equal": False,
    "verdict": "1 layer added",
    "compared": {"entries": ["the default"], "num_entries": 1},
    "changes": [
        {
            "fingerprint": "0123456789ab",
            "kind": "layer-added",
            "section": "model",
            "severity": "warning",
            "title": "head added",
            "effects": [{"mark": "+", "subject": "layer", "name": "head"}],
        }
    ],
    "pictures": [{"nodes": [{"name": "a"}, {"name": "b"}], "num_nodes": 2, "edges": [[0, 1]]}],
}


def changed(**fields: Any) -> dict[str, Any]:
    """The document with other fields of its change."""
    return {**SMALL, "changes": [{**SMALL["changes"][0], **fields}]}


def read(data: Any) -> Document:
    return Document.model_validate_json(json.dumps(data))


def test_it_comes_back_from_json():
    found = read(SMALL)
    assert found.format_version == "1.0"
    assert Document.model_validate_json(found.model_dump_json()) == found


@pytest.mark.parametrize(
    "poisoned",
    [
        {**SMALL, "extra": 1},
        {**SMALL, "format_version": "2.0"},
        {**SMALL, "verdict": "x" * (MAX_TEXT + 1)},
        {**SMALL, "notes": ["x"] * 21},
        {**SMALL, "overrides": ["x"] * (MAX_LABELS + 1)},
        {**SMALL, "equal": "perhaps"},
        {**SMALL, "compared": {"entries": [], "num_entries": -1}},
        {**SMALL, "pictures": [{"nodes": [], "num_nodes": 0, "edges": [[0, 1]]}]},
        changed(kind="<script>"),
        changed(fingerprint="../../etc"),
        changed(severity="fatal"),
        changed(section="other"),
        changed(mark="::"),
        changed(effects=[{"mark": "+", "subject": "layer", "name": "x"}] * 201),
        changed(effects=[{"mark": "+", "subject": "layer", "name": "x", "ratio": "NaN"}]),
        changed(accepted={"reason": "x"}),
        [],
        None,
    ],
)
def test_what_is_poisoned_is_refused(poisoned: Any):
    with pytest.raises(ValidationError):
        read(poisoned)


def test_its_schema_accepts_what_it_accepts():
    schema = document_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(json.loads(read(SMALL).model_dump_json()), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**SMALL, "extra": 1}, schema)


def test_accepted_changes_are_kept_apart():
    found = read(changed(accepted={"reason": "meant", "author": "me"}))
    assert found.of_section("model") == []
    assert [change.title for change in found.accepted] == ["head added"]
