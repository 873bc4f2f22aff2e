"""The logical parts of a parameter: rows, and what is known of their place in the network."""

from __future__ import annotations

import dataclasses
import pickle

import pytest
import torch

from modelforge.core.matrix import Activation, Attention, Branch, Context, Matrix


def test_rows_end_where_the_shape_says():
    assert Matrix((4, 8), 8, 4).stop == 4
    assert Matrix((4, 8), 8, 4, name="f", start=4).stop == 8
    assert Matrix((), 1, 1).stop == 1


def test_activations_of_one_name_are_equal():
    assert Activation("ReLU", torch.relu) == Activation("ReLU", torch.tanh)
    assert Activation("ReLU", torch.relu) != Activation("Tanh", torch.relu)
    assert len({Activation("ReLU", torch.relu), Activation("ReLU", torch.tanh)}) == 1


def test_an_attention_is_named_as_seen_from_outside():
    attention = Attention(("q", "k", "v"), num_heads=2, head_size=4, width=8)
    assert attention.below("encoder").path == "encoder"
    assert attention.below("attend").below("encoder").path == "encoder.attend"
    assert attention.path == ""


def test_a_matrix_is_a_frozen_value():
    one = Matrix((4, 8), 8, 4, context=Context(2, Branch(0, 2, ends=True)))
    assert one == pickle.loads(pickle.dumps(one))
    assert hash(one) == hash(dataclasses.replace(one))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.start = 3  # pyright: ignore[reportAttributeAccessIssue]  # that is the point


def test_a_matrix_at_another_place_is_the_same_but_for_its_name_and_start():
    one = Matrix((4, 8), 8, 4, "0", 0, addend=1, role="bias", context=Context(2), kind="convolution", stored=(8, 8))
    assert one.at("1", 4) == dataclasses.replace(one, name="1", start=4)


@pytest.mark.parametrize(
    ("one", "other", "repeats"),
    [
        ({"name": "0"}, {"name": "1", "start": 4}, True),
        ({"name": "0"}, {"name": "1", "start": 4, "fan_in": 9}, False),
        ({"name": "0"}, {"name": "1", "start": 4, "context": Context(2)}, False),
        ({"name": "0"}, {"name": "1", "start": 4, "kind": "matrix"}, False),
        ({"name": "q"}, {"name": "k", "start": 4}, False),  # its name says what it is
    ],
)
def test_groups_of_a_convolution_repeat_one_another(one, other, repeats):
    group = {"shape": (4, 8, 3), "fan_in": 24, "fan_out": 12, "kind": "convolution"}
    assert Matrix(**(group | other)).repeats(Matrix(**(group | one))) is repeats
