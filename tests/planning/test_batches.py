"""Batches: inputs of a trial by shape and dtype, and the changes that show what a layer does with them."""

from __future__ import annotations

import pytest
import torch

from modelforge.core.tensors import BATCH, TensorValue
from modelforge.planning.batches import (
    CHANGED,
    alike,
    changed,
    copied,
    has_integers,
    positive,
    random_values,
    times,
    with_gradient,
)
from modelforge.planning.forward import tensors_in

FLOATS, WHOLE = TensorValue((BATCH, 5)), TensorValue((BATCH, 5), "int64")
FLAGS = TensorValue((BATCH, 5), "bool")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64", "int64", "uint8", "bool"])
def test_values_have_the_shape_and_dtype_of_what_they_stand_for(dtype: str):
    made = random_values(TensorValue((2, BATCH, 5), dtype), 3, "both")
    assert (tuple(made.shape), made.dtype) == ((2, 3, 5), getattr(torch, dtype))


def test_whole_numbers_are_zeros_and_ones_or_one_of_them_alone():
    many = TensorValue((BATCH, 100), "int64")
    assert set(random_values(many, 3, "both").unique().tolist()) == {0, 1}
    assert random_values(many, 3, 0).eq(0).all()
    assert random_values(many, 3, 1).eq(1).all()
    assert random_values(FLAGS, 3, 0).all()


def test_a_state_keeps_its_nesting_and_what_is_not_given():
    made = random_values((FLOATS, (WHOLE, None)), 2, 1)
    assert made[1][1] is None
    assert [tensor.dtype for tensor in tensors_in(made)] == [torch.float32, torch.int64]


def test_only_floats_have_no_integers():
    assert not has_integers((FLOATS, None))
    assert has_integers((FLOATS, (None, WHOLE)))
    assert has_integers((FLAGS,))


@pytest.mark.parametrize("axis", [0, 1])
def test_exactly_one_example_changes(axis: int):
    value = TensorValue((BATCH, 5) if axis == 0 else (5, BATCH))
    one = random_values(value, 4, "both")
    rows = (one != changed(value, one)).any(1 - axis)
    assert rows.tolist() == [row == CHANGED for row in range(4)]


def test_a_changed_row_of_whole_numbers_is_the_other_of_both():
    one = torch.tensor([[0, 1], [0, 1], [1, 1]])
    assert changed(TensorValue((BATCH, 2), "int64"), one).tolist() == [[0, 1], [1, 0], [1, 1]]
    same = torch.ones(3, 2, dtype=torch.int64)
    assert torch.equal(changed(TensorValue((BATCH, 2), "int64"), same), same)


@pytest.mark.parametrize("value", [FLAGS, TensorValue((4, 5)), TensorValue((BATCH, BATCH))], ids=str)
def test_what_has_no_example_to_change_stays(value: TensorValue):
    one = random_values(value, 4, "both")
    assert changed(value, one) is one


def test_scaling_and_signs_are_for_floats_alone():
    batch = [torch.tensor([-1.0, 2.0]), torch.tensor([-1, 2]), None]
    assert [value.tolist() for value in times(3.0, batch)[:2]] == [[-3.0, 6.0], [-1, 2]]
    assert [value.tolist() for value in positive(batch)[:2]] == [[1.0, 2.0], [-1, 2]]
    assert times(3.0, batch)[2] is None


def test_a_copy_may_be_written_into_and_a_gradient_reaches_the_values():
    one = torch.ones(2)
    (copy,) = copied([one])
    copy.zero_()
    assert one.eq(1).all()
    whole, real = with_gradient((torch.ones(2, dtype=torch.int64), one))
    assert (whole.requires_grad, real.requires_grad, one.requires_grad) == (False, True, False)


def test_rounding_is_alike_and_another_value_is_not():
    one = torch.tensor([1e6, 1.0, float("nan")])
    assert alike(one, one + 1.0)
    assert not alike(one, one + 100.0)
    assert not alike(one, one[:2])
    assert not alike(torch.tensor([1]), torch.tensor([2]))
    assert alike(torch.zeros(0), torch.zeros(0))


def test_whole_numbers_without_elements_stay_as_they_are():
    value = TensorValue((BATCH, 0), "int64")
    assert changed(value, torch.zeros(2, 0, dtype=torch.int64)).shape == (2, 0)
