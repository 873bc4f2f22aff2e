"""`FORMATS`: the forms in which a review is printed, by name: each a function of a `Document`, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from modelforge.report.annotations import github, gitlab
from modelforge.report.junit import junit
from modelforge.report.sarif import sarif
from modelforge.review.document import Document
from modelforge.review.formats.annotated import annotated, rules
from modelforge.review.formats.markdown import markdown
from modelforge.review.formats.phrases import sides


def _json(document: Document) -> str:
    return document.model_dump_json(indent=2) + "\n"


FORMATS: Mapping[str, Callable[[Document], str]] = MappingProxyType(
    {
        "markdown": markdown,
        "json": _json,
        "github": lambda document: github(annotated(document)),
        "gitlab": lambda document: gitlab(annotated(document)),
        "sarif": lambda document: sarif(annotated(document), rules()),
        "junit": lambda document: junit(annotated(document), " → ".join(sides(document))),
    }
)
"""All but `text`, which needs to know its terminal."""
