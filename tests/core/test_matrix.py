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
