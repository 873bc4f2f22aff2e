"""Combinators: which child reads what, and how they are written."""

from __future__ import annotations

import pytest

from modelforge.language import registry
from modelforge.language.combinators import Combinator
from tests.layers.rows import ROWS
from tests.layers.test_contract import parsed


@pytest.mark.parametrize("name", [name for name in registry.names() if registry.get(name).kind == "combinator"])
def test_a_combinator_wires_its_children(name):
    for index in range(len(ROWS[name])):
        spec = parsed(name, index).layers["layer"]
        assert isinstance(spec, Combinator)
        children = list(spec.wire())
        names = [child.name for child in children]
        assert len(set(names)) == len(names)
        for position, child in enumerate(children):
            assert set(child.reads or ()) <= {"input", *names[:position]}
