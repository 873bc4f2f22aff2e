"""The strings under fields."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge

from modelforge.core.docstrings import field_docs
from modelforge.core.frozen import Node


class Base(Node):
    """A base."""

    width: Annotated[int, Ge(1)]
    """How wide.

    In elements.
    """
    plain: int = 0
    depth: int = 0
    """How deep."""


class Derived(Base):
    depth: int = 1
    """How deep, here."""
    bias: bool = True
    "Whether there is one."


def test_of_each_field_and_of_what_is_inherited():
    assert field_docs(Base) == {"width": "How wide.\n\nIn elements.", "depth": "How deep."}
    assert field_docs(Derived) == {**field_docs(Base), "depth": "How deep, here.", "bias": "Whether there is one."}


def test_a_schema_has_them():
    properties = Derived.model_json_schema()["properties"]
    assert {name: field.get("description") for name, field in properties.items()} == {
        "width": "How wide.\n\nIn elements.",
        "plain": None,
        "depth": "How deep, here.",
        "bias": "Whether there is one.",
    }


def test_a_class_without_source_has_none():
    made = type("Made", (Node,), {"__annotations__": {"width": int}, "__module__": __name__})
    assert field_docs(made) == {}
