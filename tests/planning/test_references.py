"""References: the names in reach, what each reference reads, and what is said of wrong ones."""

from __future__ import annotations

import pytest

import modelforge as mf
from modelforge.core.errors import Problem
from modelforge.core.tensors import BATCH, TensorValue
from modelforge.planning.references import Flow, Names, Read, References, bundle


def flow(maker: str, *shape: int) -> Flow:
    return Flow(TensorValue((BATCH, *shape)), (maker,), f"model.layers.{maker}")


PAIR = Flow((TensorValue((BATCH, 8)), (TensorValue((1, BATCH, 4)), TensorValue((1, BATCH, 5)))), ("rnn",), "rnn")


def read(reference: str, scope: Names, siblings: tuple[str, ...] = (), **more: set[str]) -> Read | Problem:
    """What a reference of the layer `here` reads, or the one problem of it."""
    references = References({}, [], **more)
    found = references.read(reference, "key", "here", scope, siblings)
    if found is not None:
        assert not references.problems
        return found
    (problem,) = references.problems
    return problem


def test_names_around_are_captured_by_every_scope_in_between():
    outside = Names({"x": flow("x", 4)})
    middle = Names({"y": flow("y", 5)}, outside)
    inside = Names({"z": flow("z", 6)}, middle)
    assert inside.known() == ["z", "y", "x"]
    assert "x" in inside
    assert "w" not in inside
    assert inside.find("x") == flow("x", 4)
    assert (list(inside.captured), list(middle.captured), list(outside.captured)) == (["x"], ["x"], [])
    assert outside.read == {"x"}
    assert not {"y", "z"} & (inside.read | middle.read)


def test_a_near_name_hides_one_from_around_and_captures_nothing():
    inside = Names({"x": flow("near", 5)}, Names({"x": flow("far", 4)}))
    assert inside.find("x") == flow("near", 5)
    assert not inside.captured


def test_a_bundle_is_the_tuple_of_its_flows_with_each_maker_once():
    one, other = flow("a", 4), Flow(TensorValue((BATCH, 5)), ("b", "a"), "b")
    both = bundle([one, other])
    assert both.value == (one.value, other.value)
    assert (both.makers, both.key) == (("a", "b"), one.key)
    assert both.at((1,)) == other
    assert both.at((0,)).makers == ("a",)


def test_a_part_of_an_output_has_the_makers_of_the_whole():
    assert PAIR.at((1, 0)) == Flow(TensorValue((1, BATCH, 4)), ("rnn",), "rnn")


@pytest.mark.parametrize(
    ("reference", "found"), [("rnn", Read("rnn", (0,))), ("rnn.1.0", Read("rnn", (1, 0))), ("x", Read("x"))]
)
def test_a_plain_reference_means_the_first_tensor(reference: str, found: Read):
    assert read(reference, Names({"rnn": PAIR, "x": flow("x", 4)})) == found


def test_a_read_is_written_as_a_config_has_it():
    assert [str(item) for item in (Read("x"), Read("rnn", (1, 0)))] == ["x", "rnn.1.0"]


@pytest.mark.parametrize(
    ("reference", "code", "message", "hint"),
    [
        ("here", "MF031", "`here` cannot read itself", ""),
        ("later", "MF031", "`later` comes after `here`", "move `later` before `here`"),
        ("far", "MF030", "`far` cannot be read from here", "a layer can read the layers before it"),
        ("frist", "MF030", "there is no layer `frist` here", "did you mean `first`?"),
        ("first.1", "MF030", "`first` has no output `first.1`", "`first` gives (4,)"),
        ("rnn.2", "MF030", "`rnn` has no output `rnn.2`", "`rnn` gives ((8,), "),
    ],
)
def test_a_wrong_reference_is_explained(reference: str, code: str, message: str, hint: str):
    scope = Names({"first": flow("first", 4), "rnn": PAIR})
    found = read(reference, scope, ("here", "later"), known={"far", "first", "rnn"})
    assert isinstance(found, Problem)
    assert (found.code, found.key, found.message) == (code, "key", message)
    assert str(found.hint).startswith(hint)


def test_reading_a_layer_that_failed_is_no_second_problem():
    references = References({}, [])
    assert references.resolve(("broken",), "key", "here", Names({"broken": None}), ()) is None
    assert not references.problems


def test_a_first_layer_must_say_which_of_several_inputs_it_reads():
    references = References({name: TensorValue((BATCH, 4)) for name in ("left", "right")}, [])
    assert references.resolve(None, "key", "here", Names({}), ()) is None
    (problem,) = references.problems
    assert problem.message == "`here` does not say which of the model's 2 inputs it reads"
    assert problem.hint == "say which: `inputs: [left, right]`"


@pytest.mark.parametrize("inputs", ["norm", "head"])
def test_a_layer_that_is_left_out_is_named_as_such(inputs: str):
    layers = {"norm": {"type": "ReLU", "when": False}, "act": {"type": "ReLU", "inputs": inputs}}
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}))
    (problem,) = caught.value.problems
    left_out = "`norm` is left out of the model: its `when` is false"
    assert problem.message == (left_out if inputs == "norm" else "there is no layer `head` here")
