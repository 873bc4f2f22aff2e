"""Pieces of JSON Schemas: what each of them accepts."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import Field

from modelforge.core.frozen import Node
from modelforge.core.json_schema import choice, closed, mapping, of_model, or_template, section


class Inner(Node):
    """Something inside."""

    size: int = Field(1, gt=0)


class Outer(Node):
    """A section of a config."""

    name: str
    """What it is called."""
    inner: Inner = Inner()
    sizes: tuple[int, ...] = ()


def accepts(schema: dict[str, Any], data: Any) -> bool:
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema).is_valid(data)


def test_a_model_has_no_references_left():
    found = of_model(Outer)
    assert "$ref" not in str(found)
    assert found["properties"]["inner"]["properties"]["size"]["exclusiveMinimum"] == 0


@pytest.mark.parametrize(
    ("data", "good"),
    [
        ({"name": "a", "inner": {"size": 2}, "sizes": [1, 2]}, True),
        ({"inner": {"size": "${data.size}"}, "sizes": ["${data.size}"], "name": "${data.name}"}, True),
        ({"name": None}, True),
        ({"name": "???"}, True),
        ({}, True),
        ({"sizes": None}, False),
        ({"inner": {"size": 0}}, False),
        ({"inner": {"sizes": 1}}, False),
        ({"names": "a"}, False),
        ({"name": 3}, False),
    ],
)
def test_a_section_takes_templates_and_leaves_what_is_required_to_others(data: Any, good: bool):
    assert accepts(section(Outer), data) == good


def test_the_documentation_of_a_field_stays():
    assert section(Outer)["properties"]["name"]["description"] == "What it is called."
    assert section(Outer)["description"] == "A section of a config."
    assert section(Outer, without=["name"])["properties"].keys() == {"inner", "sizes"}


def test_a_choice_by_a_key():
    kinds = {"a": closed({"type": {"const": "a"}, "x": {"type": "integer"}}, None), "b": closed({"type": {}}, None)}
    whole = {**choice("type", kinds, "One of them."), "$defs": kinds}
    assert [accepts(whole, data) for data in ("a", {"type": "a", "x": 1}, {"type": "b"}, {"type": "own", "z": 1})]
    assert not accepts(whole, {"type": "a", "y": 1})
    assert not accepts(whole, {"type": "b", "x": 1})
    assert not accepts(whole, {"x": 1})


def test_a_choice_that_a_file_may_leave_to_others():
    kinds = {"a": closed({"type": {"const": "a"}}, None)}
    whole = {**choice("type", kinds, "One of them.", short=False), "$defs": kinds}
    assert accepts(whole, {"type": "a"})
    assert accepts(whole, {"defaults": ["other"], "x": 1})
    assert not accepts(whole, {"x": 1})
    assert not accepts(whole, "a")


def test_a_field_without_a_type_takes_anything():
    assert or_template({"description": "Anything."}) == {"description": "Anything."}
    assert accepts(mapping({"type": "integer"}), {"own": 1})
    assert not accepts(mapping({"type": "integer"}), {"own": "x"})
