"""Init blocks as declared: a scheme with its fields, and blocks for roles, types and parameters."""

from __future__ import annotations

from modelforge.language.parse import parse_init
from tests.language.test_parse import told


def test_parse_init_stands_alone():
    block = parse_init({"scheme": "he", "mode": "fan_out", "bias": {"scheme": "ones"}, "params": {"x": "zeros"}})
    assert (block.scheme, dict(block.fields), list(block.roles), list(block.params)) == (
        "he",
        {"mode": "fan_out"},
        ["bias"],
        ["x"],
    )
    assert parse_init(block.model_dump()) == block
    assert told(lambda: parse_init({"scheme": "hee"}, path="here")) == [("MF020", "here.scheme")]
