"""YAML nodes: keys as text, merge keys, and what aliases repeat."""

from __future__ import annotations

import pytest
import yaml

from modelforge.config.nodes import FLOAT, INT, STRING, TooDeep, children, compose, items, nodes, num_nodes, values
from modelforge.core.limits import MAX_FILE_DEPTH


def mapping(text: str) -> yaml.MappingNode:
    root = compose(text)
    assert isinstance(root, yaml.MappingNode)
    return root


def test_keys_are_the_text_they_are():
    assert list(items(mapping("on: 1\n0: 2\n2020-01-01: 3\nnull: 4\n"))) == ["on", "0", "2020-01-01", "null"]
    assert all(key.tag == STRING for key, _ in items(mapping("1: {2: 3}"))["1"][1].value)


@pytest.mark.parametrize(
    ("written", "tag"),
    [("1e-3", FLOAT), ("1_0E5", FLOAT), ("12", INT), ("2020-01-01", STRING), ("'1'", STRING), ("e3", STRING)],
)
def test_values_are_read_as_omegaconf_reads_them(written: str, tag: str):
    assert items(mapping(f"a: {written}"))["a"][1].tag == tag


def test_merge_keys_are_carried_out_and_own_keys_win():
    text = "base: &base {a: 1, b: 2}\nmore: &more {b: 3, c: 4}\nboth:\n  <<: [*base, *more]\n  c: 5\n"
    found = items(items(mapping(text))["both"][1])  # pyright: ignore[reportArgumentType]  # a mapping
    assert {name: value.value for name, (_, value) in found.items()} == {"a": "1", "b": "2", "c": "5"}


def test_what_aliases_repeat_is_counted_each_time_and_found_once():
    root = mapping("a: &a [1, 2]\nb: *a\n")
    assert num_nodes(root) == 1 + 2 + 3 + 3
    assert [node.value for node in nodes(root) if isinstance(node, yaml.ScalarNode)] == ["a", "1", "2", "b"]
    assert [node.value for node in values(root) if isinstance(node, yaml.ScalarNode)] == ["1", "2"]
    assert len([*children(root)]) == 4


def test_an_alias_within_itself_ends():
    root = mapping("a: &a\n  b: *a\n")
    assert num_nodes(root) == 4
    assert len([*nodes(root)]) == 4


def test_an_empty_file_has_no_root():
    assert compose("# nothing\n") is None
    assert num_nodes(None) == 0


def test_what_is_nested_too_deeply_is_refused_with_its_line():
    deepest = "[" * MAX_FILE_DEPTH + "]" * MAX_FILE_DEPTH
    assert compose(deepest) is not None
    with pytest.raises(TooDeep) as caught:
        compose("\n\n[" + deepest + "]")
    assert caught.value.line == 3
    with pytest.raises(yaml.MarkedYAMLError):
        compose("a: [")
