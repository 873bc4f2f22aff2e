"""Formatting: what changes, what stays, and that a config means the same afterwards."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelforge.cli.fmt import group_of
from modelforge.config.compose import compose
from modelforge.config.document import Document
from modelforge.core.errors import ForgeError
from modelforge.language import parse
from modelforge.language.formatting import comments as comments_of
from modelforge.language.formatting import formatted
from modelforge.planning.plan import plan
from modelforge.review.diff import diff

ROOT = Path(__file__).parents[2]
SHIPPED = sorted((ROOT / "conf").rglob("*.yaml"))


def after(text: str, group: str = "model") -> str:
    return formatted(Document("file.yaml", dedent(text)), group)


@pytest.mark.parametrize("path", SHIPPED, ids=[path.relative_to(ROOT).as_posix() for path in SHIPPED])
def test_what_ships_is_formatted(path: Path):
    text = path.read_text(encoding="utf-8")
    assert formatted(Document(path.name, text), group_of(path)) == text


def test_keys_in_canonical_order():
    text = """\
    # about the model
    layers:
      a:
        init: {gain: 2, scheme: xavier}
        out_features: 3
        type: Linear
      b: ReLU
    init:
        params:
            z.*: {std: 1, scheme: normal}
            a.*: zeros
        bias: zeros
        gain: 1.5
        mode: fan_in
        scheme: kaiming
    input: {shape: [3]}
    """
    assert after(text) == dedent("""\
    # about the model
    input: {shape: [3]}
    layers:
      a:
        type: Linear
        out_features: 3
        init: {scheme: xavier, gain: 2}
      b: ReLU
    init:
      scheme: kaiming
      gain: 1.5
      mode: fan_in
      bias: zeros
      params:
        z.*: {scheme: normal, std: 1}
        a.*: zeros
    """)


def test_order_that_has_a_meaning_stays():
    text = "input:\n  z: {shape: [1]}\n  a: {shape: [1]}\nlayers:\n  z: ReLU\n  a: Tanh\noutputs: {z: z, a: a}\n"
    assert after(text) == text


def test_comments_move_with_their_key():
    text = """\
    scheme: kaiming
    # what is written above a key belongs to it
    # in two lines
    mode: fan_in    # and what is behind
    gain: 2

    # the end
    """
    assert after(text, "init") == dedent("""\
    scheme: kaiming
    gain: 2
    # what is written above a key belongs to it
    # in two lines
    mode: fan_in    # and what is behind

    # the end
    """)


def test_a_comment_of_what_is_inside_stays_inside():
    text = """\
    layers:
      a: {type: Linear, out_features: 2}
      # the last words about layers
    input:
      shape: [2]
      # about the shape
    """
    assert after(text) == dedent("""\
    input:
      shape: [2]
      # about the shape
    layers:
      a: {type: Linear, out_features: 2}
      # the last words about layers
    """)


@pytest.mark.parametrize(
    "text",
    [
        "a: 1e-3\nb: 0x1F\nc: .5\nd: 'no'\ne: no\nf: \"1\"\ng: ~\nh:\ni: null\nj: 1_000\n",
        "a: |\n  two\n    lines\n\nb: >-\n  folded\n  text\nc: 1\n",
        "a: ${data.input}\nb: \"${calc:'2 * width'}\"\nc: '???'\nd: ???\n",
        "a: [1, 2, [3]]\nb:\n  - 1\n  - x: 2\n    y: 3\n",
        "a: &x {gain: 1}\nb: *x\n",
        '"quoted key": 1\n? complex\n: 2\n',
        "a: {b: 1,\n    c: 2}\n",
        "é: 'ü'\nb: 日本\n",
    ],
)
def test_values_stay_as_they_are_written(text: str):
    group = "data"
    once = formatted(Document("file.yaml", text), group)
    assert Document("file.yaml", once).load() == Document("file.yaml", text).load()
    assert formatted(Document("file.yaml", once), group) == once


def test_line_ends_and_blanks():
    assert after("\ufeffinput:   {shape: [1]}   \r\nlayers:\r\n    a: ReLU\r\n\r\n\r\n") == (
        "input: {shape: [1]}\nlayers:\n  a: ReLU\n"
    )
    assert after("# only a comment\n\n") == "# only a comment\n"


@pytest.mark.parametrize(
    ("text", "says", "line"),
    [
        ("seed: 0\na: {\n  b: 1,   # why\n  c: 2}\n", "without losing the comment `# why`", 3),
        ("seed: 0\na: 1\t# why\n", "cannot be formatted: found character", 2),
    ],
)
def test_a_comment_that_formatting_would_lose_is_refused(text: str, says: str, line: int):
    with pytest.raises(ForgeError, match=says) as caught:
        formatted(Document("a.yaml", text), "")
    (problem,) = caught.value.problems
    assert (problem.code, problem.place and problem.place.line) == ("MF160", line)


def test_a_hash_in_a_text_is_no_comment():
    text = "a: 'x # y'\nb: \"z # '\"\nc: |\n  # text\nd: p#q # end\n"
    assert [*comments_of(Document("a.yaml", text))] == [("# end", 5)]
    assert formatted(Document("a.yaml", text), "") == text


def test_anchors_keep_their_names():
    text = "a: &first {b: 1}\nc: *first\nd: {<<: *first, e: &second [1]}\nf: *second\n"
    assert formatted(Document("a.yaml", text), "") == text


def test_what_is_no_config_is_refused_with_its_place():
    with pytest.raises(ForgeError, match=r"a\.yaml") as caught:
        formatted(Document("a.yaml", "a: [1\nb: 2\n"), "model")
    assert [problem.code for problem in caught.value.problems] == ["MF002"]


def shuffled(text: str, randomly: random.Random) -> str:
    """A file with its blank lines, comments and the room around colons changed, and fields of flow mappings swapped."""
    lines: list[str] = []
    for line in text.splitlines():
        indent = " " * (len(line) - len(line.lstrip()))
        if randomly.random() < 0.1 and line.strip():
            lines.append(f"{indent}# about what follows")
        if randomly.random() < 0.1:
            lines.append("")
        if ": {" in line and randomly.random() < 0.3:
            line = line.replace(": {", ":   {").replace("}", " }")
        lines.append(line + " " * randomly.randrange(3))
    return "\n".join(lines) + "\n"


@settings(deadline=None)
@given(st.sampled_from([path for path in SHIPPED if path.parent.name in ("model", "init")]), st.integers(0, 2**32))
def test_formatting_keeps_values_comments_and_order(path: Path, seed: int):
    text = shuffled(path.read_text(encoding="utf-8"), random.Random(seed))
    document = Document(path.name, text)
    once = formatted(document, path.parent.name)
    again = Document(path.name, once)
    assert formatted(again, path.parent.name) == once
    assert again.load() == document.load()
    assert sorted(comments(once)) == sorted(comments(text))
    layers = [Document(path.name, each).load().get("layers", {}) for each in (text, once)]
    assert [*layers[0]] == [*layers[1]]


def comments(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("#")]


@pytest.mark.parametrize("model", ["lstm", "resnet_small", "t5"])
def test_a_plan_stays_the_same(model: str, tmp_path: Path):
    shutil.copytree(ROOT / "conf", tmp_path / "conf")
    path = tmp_path / "conf" / "model" / f"{model}.yaml"
    before = plan(parse(compose(tmp_path / "conf", [f"model={model}"])))
    path.write_text(shuffled(path.read_text(encoding="utf-8"), random.Random(0)), encoding="utf-8")
    path.write_text(formatted(Document(path.name, path.read_text(encoding="utf-8")), "model"), encoding="utf-8")
    after = plan(parse(compose(tmp_path / "conf", [f"model={model}"])))
    assert diff(before, after).equal
