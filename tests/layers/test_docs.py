"""docs/layers.md says what the registry holds."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from modelforge.language import registry
from modelforge.layers.describe import describe

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_up_to_date():
    found = importlib.util.spec_from_file_location("make", DOCS / "make.py")
    assert found is not None
    assert found.loader is not None
    make = importlib.util.module_from_spec(found)
    found.loader.exec_module(make)
    assert (DOCS / "layers.md").read_text(encoding="utf-8") == make.layers(), "run `python docs/make.py`"


def test_a_description_is_plain_and_whole():
    assert describe("Conv1d")["fields"][:3] == [
        {"name": "in_channels", "type": "int", "required": False, "inferred": True, "default": None, "doc": ""},
        {"name": "out_channels", "type": "int", "required": True, "inferred": False, "default": None, "doc": ""},
        {
            "name": "kernel_size",
            "type": "int | list of 1 int",
            "required": True,
            "inferred": False,
            "default": None,
            "doc": "",
        },
    ]
    residual = describe("Residual")
    assert residual["kind"] == "combinator"
    assert [(field["name"], field["type"], field["default"]) for field in residual["fields"]] == [
        ("layers", "layers by name", None),
        ("shortcut", "layer | null", None),
        ("merge", "layer", "Add"),
    ]
    assert describe("LSTM")["fixed"] == {"batch_first": True}


@pytest.mark.parametrize("name", registry.names())
def test_every_layer_can_be_described(name):
    known = describe(name)
    assert known["summary"]
    assert {field["name"] for field in known["fields"]}.isdisjoint({"type", "inputs", "init", *known["without"]})
    for field in known["fields"]:
        assert "typing" not in field["type"]
        assert "Annotated" not in field["type"]
