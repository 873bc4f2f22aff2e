"""`FORMATS`: the forms of a diagnosis, each a function of the document and of nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType

from modelforge.diagnosis.formats.markdown import markdown
from modelforge.diagnosis.formats.page import page
from modelforge.diagnosis.formats.png import png
from modelforge.diagnosis.result import Diagnosis


def as_json(diagnosis: Diagnosis) -> str:
    """The diagnosis as JSON, of which `diagnosis_schema` has the schema."""
    return json.dumps(diagnosis.to_dict(), ensure_ascii=True, separators=(",", ":")) + "\n"


FORMATS: Mapping[str, Callable[[Diagnosis], str | bytes]] = MappingProxyType(
    {"json": as_json, "html": page, "markdown": markdown, "png": png}
)
