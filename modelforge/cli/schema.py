"""schema: a kind of file → its JSON Schema."""

from __future__ import annotations

import json

from modelforge.cli.answer import Answer
from modelforge.language.schema import schema as schema_of


def schema(kind: str) -> Answer:
    """The schema, as JSON either way."""
    found = schema_of(kind)
    return Answer(found, f"{json.dumps(found, indent=2)}\n")
