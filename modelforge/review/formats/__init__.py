"""`FORMATS`: the forms in which a review is printed, by name: each a function of a `Document`, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType

from modelforge.report.formats import FORMATS as OF_FINDINGS
from modelforge.review.document import Document
from modelforge.review.formats.annotated import annotated, rules
from modelforge.review.formats.markdown import markdown
from modelforge.review.formats.phrases import sides


def _json(document: Document) -> str:
    return document.model_dump_json(indent=2) + "\n"


def _findings(name: str, document: Document) -> str:
    return OF_FINDINGS[name](annotated(document), rules(), " → ".join(sides(document)))


FORMATS: Mapping[str, Callable[[Document], str]] = MappingProxyType(
    {"markdown": markdown, "json": _json, **{name: partial(_findings, name) for name in OF_FINDINGS}}
)
"""All but `text`, which needs to know its terminal."""
