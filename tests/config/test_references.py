"""References in interpolations: what they point to before anything is resolved."""

from __future__ import annotations

from typing import Any

import pytest

from modelforge.config.references import (
    Cycle,
    Trail,
    absolute,
    follow,
    is_interpolation,
    keys_named,
    reference,
    references,
    split,
)

AT = ("model", "layers", "rnn")


@pytest.mark.parametrize(
    ("key", "path"),
    [("a.b", ("a", "b")), ("a[0].b", ("a", "0", "b")), ("a.[b]", ("a", "b")), ("", ()), ("a", ("a",))],
)
def test_a_key_is_split_at_dots_and_brackets(key: str, path: tuple[str, ...]):
    assert split(key) == path


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("seed", ("seed",)),
        (".seed", ("model", "layers", "seed")),
        ("..seed", ("model", "seed")),
        ("....seed", ("seed",)),
    ],
)
def test_dots_in_front_go_up(key: str, path: tuple[str, ...]):
    assert absolute(key, AT) == path


def test_references_are_found_in_a_text_but_not_those_of_resolvers():
    text = "a${x.y}b${ .z }${oc.env:HOME}\\${not}${calc:1+1}"
    assert references(text, AT) == (("x", "y"), ("model", "layers", "z"))
    assert reference(text, AT) is None
    assert reference(" ${x.y} ", AT) == ("x", "y")
    assert reference(3, AT) is None


def test_an_interpolation_is_a_text_with_a_brace():
    assert is_interpolation("a${x}")
    assert not is_interpolation("$x")
    assert not is_interpolation(["${x}"])


CONFIG: dict[str, Any] = {
    "data": {"shape": [8, 4], "kind.of": {"x": 1}},
    "model": {"input": "${data}", "width": "${model.input.shape.1}"},
}


@pytest.mark.parametrize(
    ("path", "end", "value", "rest"),
    [
        (("data", "shape", "1"), ("data", "shape", "1"), 4, ()),
        (("model", "input", "shape", "0"), ("data", "shape", "0"), 8, ()),
        (("model", "width"), ("data", "shape", "1"), 4, ()),
        (("data", "kind", "of", "x"), ("data", "kind.of", "x"), 1, ()),
        (("data", "shape", "2"), ("data", "shape"), [8, 4], ("2",)),
        (("model", "input", "none", "x"), ("data",), CONFIG["data"], ("none", "x")),
    ],
)
def test_a_path_is_followed_through_references(path, end, value: Any, rest):
    trail = follow(CONFIG, path)
    assert (trail.end, trail.value, trail.rest) == (end, value, rest)


def test_the_last_reference_may_be_left_alone():
    assert follow(CONFIG, ("model", "input"), last=False) == Trail(("model", "input"), "${data}")
    assert follow(CONFIG, ("model", "input")).jumps == (("model", "input"),)


@pytest.mark.parametrize("config", [{"a": "${a}"}, {"a": "${b}", "b": "${a}"}, {"a": {"x": "${a.x.y}"}}])
def test_a_circle_is_an_error(config: dict[str, Any]):
    with pytest.raises(Cycle) as caught:
        follow(config, ("a", "x") if isinstance(config["a"], dict) else ("a",))
    assert caught.value.paths


def test_keys_of_a_name_are_found_anywhere():
    assert keys_named("lr", {"lr": 1, "optimizer": {"lr": 2, "groups": [{"lr": 3}]}}) == ["lr", "optimizer.lr"]
    assert keys_named("lr", {}) == []
