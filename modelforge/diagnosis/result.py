"""result: `Diagnosis`, the whole document: how one network starts, or several side by side."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from modelforge.core.shown import Shown
from modelforge.diagnosis.document import FORMAT_VERSION, Data, Start, Text
from modelforge.diagnosis.text import text
from modelforge.report.table import to_text


class Diagnosis(Shown, Data):
    """How networks start; prints as `modelforge diagnose` does."""

    format_version: str = FORMAT_VERSION
    version: str
    """Of modelforge."""
    title: Text
    starts: Annotated[tuple[Start, ...], Field(min_length=1)]
    """One config, or several side by side."""

    @property
    def first(self) -> Start:
        """The only config, or the first of several."""
        return self.starts[0]

    def to_dict(self) -> dict[str, Any]:
        """The diagnosis as plain data; what is not known is left out."""
        return self.model_dump(mode="json", exclude_none=True, exclude_defaults=False)

    def __str__(self) -> str:
        return to_text(text(self.starts))

    def _brief(self) -> str:
        return ", ".join(f"{start.label} {start.cause.verdict}" for start in self.starts)


def diagnosis_schema() -> dict[str, Any]:
    """The JSON Schema of a diagnosis."""
    return Diagnosis.model_json_schema(mode="serialization")
