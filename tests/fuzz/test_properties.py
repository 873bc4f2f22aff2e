"""Properties of the scan, the parser and the planner: an answer or coded problems, for all that hypothesis makes."""

from __future__ import annotations

from functools import cache
from random import Random

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modelforge.config.nodes import compose as compose_nodes
from modelforge.config.scan import Scan
from modelforge.core.quoting import printable
from tests.fuzz import targets
from tests.fuzz.strange import TEXTS

QUICK = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LINES = st.sampled_from(
    ["a: 1", "b: &x [1]", "c: *x", "<<: *x", "<<: {d: 1}", "  e: ${a}", "- f", "? g", "{h: [}]",
     "i: !!python/name:os.x",
     "---", "...", "%YAML 1.2", "j: |", "k: '${oc.env:A}'", "# \u202e", "l: \u200b", "_target_: m",
     "hydra: {run: {dir: n}}",
     "defaults: [o@p: q]", "\tr: 1", "s: 0x1f", "t: 1:2:3", "", "u: ~", "# @package _global_", "v: \x85", "\ufeff"]
)  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.sampled_from(TEXTS),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)


@cache
def scanned() -> list[bytes]:
    return targets.seeds("scan")


@cache
def small() -> list[bytes]:
    return [data for data in targets.seeds("parse") if len(data) < 1_000]


@QUICK
@given(st.binary(max_size=300))
@example(b"# \n {<<: text}\n")
@example(b"\xef\xbb\xbfa: 1")
@example(b"a: &a {b: *a}")
def test_bytes_are_scanned(data: bytes):
    targets.scan(data)


@QUICK
@given(st.lists(LINES, max_size=12).map("\n".join))
def test_lines_are_scanned(text: str):
    targets.scan(text.encode("utf-8", "replace"))


@QUICK
@given(st.deferred(lambda: st.sampled_from(scanned())), st.integers(0, 2**32))
def test_nearly_good_files_are_scanned(data: bytes, seed: int):
    targets.scan(targets.mutated(data, Random(seed), is_model=False))


@QUICK
@given(st.dictionaries(st.text(max_size=10), VALUES, max_size=5))
def test_what_the_scan_lets_through_is_seen_as_it_is(values: dict[str, object]):
    text = yaml.safe_dump(values, allow_unicode=True)
    if Scan().file(text.encode("utf-8", "replace"), "config.yaml", "config.yaml"):
        return
    root = compose_nodes(text)
    assert root is None or isinstance(root, yaml.MappingNode)
    assert printable(text, "\n\t\ufe0e\ufe0f") == text or not text.isprintable()


@QUICK
@given(VALUES)
def test_any_values_are_parsed(values: object):
    targets.judged({"input": {"shape": [4]}, "layers": {"a": values}}, "parse")


@QUICK
@given(st.deferred(lambda: st.sampled_from(small())), st.integers(0, 2**32), st.booleans())
@example(
    b"input: {shape: [0], dtype: int64}\nlayers: {a: {type: Embedding, num_embeddings: 2, embedding_dim: 2}}", 0, True
)
def test_nearly_good_models_are_planned(data: bytes, seed: int, near: bool):
    values, random = yaml.safe_load(data), Random(seed)
    if isinstance(values, dict):
        targets.judged(targets.nearly(values, random) if near else targets.mutate.tree(values, random), "plan")


@pytest.mark.parametrize("target", targets.TARGETS)
def test_every_good_input_has_an_answer(target: str):
    for data in scanned() if target == "scan" else small()[:20]:
        targets.TARGETS[target](data)
