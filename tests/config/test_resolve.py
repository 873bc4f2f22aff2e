"""Interpolations: what they give, and those that lead nowhere."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from modelforge.config.compose import compose
from modelforge.config.resolve import resolve
from modelforge.core.errors import ForgeError
from tests.steps import steps

FILES = [
    (
        "unresolved, missing and cyclic",
        {
            "config.yaml": "defaults: [_self_, model: a]\n"
            "data:\n  num_classes: ???\n  shape: [8, 8]\none: ${two}\ntwo: x${one}\n",
            "model/a.yaml": "width: ???\nout: ${data.num_clases}\nclasses: ${data.num_classes}\nin: ${data.shape.x}\n",
        },
        """
        error[MF011]: `data.num_classes` must be given
          --> conf/config.yaml:3:16
           |
        3  |   num_classes: ???
           |                ^^^ as an override: `data.num_classes=...`
           = override key: data.num_classes

        error[MF003]: interpolations that lead back to themselves: `one` → `two` → `one`
          --> conf/config.yaml:5:6
           |
        5  | one: ${two}
           |      ^^^^^^
           = override key: one

        error[MF011]: `model.width` must be given
          --> conf/model/a.yaml:1:8
           |
        1  | width: ???
           |        ^^^ as an override: `model.width=...`
           = override key: model.width

        error[MF003]: `${data.num_clases}` leads nowhere: `data` has no key `num_clases`
          --> conf/model/a.yaml:2:6
           |
        2  | out: ${data.num_clases}
           |      ^^^^^^^^^^^^^^^^^^ did you mean `num_classes`?
           = override key: model.out

        error[MF003]: `${data.shape.x}` leads nowhere: `data.shape` is a list of 2 and has no item `x`
          --> conf/model/a.yaml:4:5
           |
        4  | in: ${data.shape.x}
           |     ^^^^^^^^^^^^^^^
           = override key: model.in
        """,
    ),
    (
        "an interpolation to what it is part of",
        {"config.yaml": "a:\n  b: {c: '${a}'}\n"},
        """
        error[MF003]: `${a}` refers to `a`, which it is part of
          --> conf/config.yaml:2:10
           |
        2  |   b: {c: '${a}'}
           |          ^^^^^^
           = override key: a.b.c
        """,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "text"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_interpolations_that_lead_nowhere(write, fails, files, text):
    root = write(files)
    fails(lambda: compose(root), text)


def test_long_chains_are_fine(write):
    root = write({"config.yaml": "a0: x\n" + "".join(f"a{n}: ${{a{n - 1}}}\n" for n in range(1, 300))})
    assert compose(root).values["a299"] == "x"


CHAINS: dict[str, Callable[[int], dict[str, Any]]] = {
    "forwards": lambda n: {f"a{i}": f"${{a{i + 1}}}" for i in range(n)} | {f"a{n}": 1},
    "backwards": lambda n: {"a0": 1} | {f"a{i}": f"${{a{i - 1}}}" for i in range(1, n)},
    "circle": lambda n: {f"a{i}": f"${{a{(i + 1) % n}}}" for i in range(n)},
    "inside": lambda n: (
        {"a0": {"x": 1}}
        | {f"a{i}": f"${{a{i - 1}}}" for i in range(1, n)}
        | {f"b{i}": f"${{a{i}.x}}" for i in range(n)}
    ),
    "broken": lambda n: {f"a{i}": f"${{no{i}}}" for i in range(n)},
}


@pytest.mark.parametrize("kind", CHAINS)
def test_the_steps_of_resolving_grow_with_the_number_of_interpolations(kind, monkeypatch):
    monkeypatch.setattr("modelforge.config.resolve.MAX_PROBLEMS", 0)  # no hints: there are at most 300

    def run(size: int) -> None:
        with suppress(ForgeError):
            resolve(CHAINS[kind](size))

    few, more, most = (steps(lambda size=size: run(size)) for size in (50, 150, 350))
    assert most - more < 2.2 * (more - few)


def test_references_into_references_have_an_end():
    with pytest.raises(ForgeError) as caught:
        resolve({"a": "${a.b}"})
    [problem] = caught.value.problems
    assert (problem.code, problem.key) == ("MF060", "a")
    assert problem.message == "more than 100 interpolations lead into values that are interpolations themselves"


def test_what_resolvers_give(write):
    lines = ["a: {b: 1, c: '${a.b}'}", "keys: ${oc.dict.keys:a}", "values: ${oc.dict.values:a}",
             "near: {x: 2, y: '${oc.select:.x}', z: '${oc.select:none,7}'}", "made: '${oc.create:{p: ${a.b}}}'",
             "read: \"${oc.decode:'[1, 2]'}\"", "text: 'b=${oc.select:a.b}'"]  # fmt: skip
    assert compose(write({"config.yaml": "\n".join(lines)})).values == {
        "a": {"b": 1, "c": 1},
        "keys": ["b", "c"],
        "values": [1, 1],
        "near": {"x": 2, "y": 2, "z": 7},
        "made": {"p": 1},
        "read": [1, 2],
        "text": "b=1",
    }
