"""The digits: pixels as numbers or as tokens, in the shapes of a digit."""

from __future__ import annotations

import re

import numpy as np
import pytest
from pydantic import ValidationError
from sklearn.datasets import load_digits

from modelforge.train.data.split import split
from tests.train.tables import digits

PIXELS, LABELS = load_digits(return_X_y=True)


TOKENS = {"input": {"shape": [64], "dtype": "int64"}, "vocab_size": 17}


def test_pixels_lie_around_zero_in_a_range_of_one():
    inputs = digits().read().train.inputs
    assert abs(inputs.astype(np.float64).mean()) < 1e-7
    assert inputs.max() - inputs.min() == pytest.approx(1, abs=1e-6)


def test_rows_are_the_same_images():
    images, rows = digits().read(), digits(input={"shape": [8, 8]}).read()
    assert np.array_equal(images.test.inputs[:, 0], rows.test.inputs)


def test_pixels_as_tokens():
    source = digits(**TOKENS)
    train = source.read().train
    assert train.inputs.dtype == np.int64
    assert np.array_equal(train.inputs, PIXELS[split(source, 1797, LABELS)[0]])
    assert (train.inputs.min(), train.inputs.max()) == (0, 16)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"vocab_size": 17}, "`vocab_size` must be null where pixels are numbers, but is 17"),
        (TOKENS | {"vocab_size": None}, "`vocab_size` must be 17, the grey levels of a pixel, but is null"),
        (TOKENS | {"task": "autoencoding"}, "pixels that are made again are numbers: `dtype` must be 'float32'"),
    ],
)
def test_pixels_are_tokens_or_numbers(fields, message):
    with pytest.raises(ValidationError, match=re.escape(message)):
        digits(**fields)


@pytest.mark.parametrize("shape", [[4, 16], [2, 32], [2, 2, 2, 8], [9, 8], [8], []])
def test_a_shape_that_is_not_that_of_a_digit(shape: list[int]):
    must = "`shape` must be [8, 8] or [64], with ones where they are needed"
    with pytest.raises(ValidationError, match=re.escape(f"an image of digits has 8 x 8 pixels: {must}, not {shape}")):
        digits(input={"shape": shape})


@pytest.mark.parametrize("shape", [[64], [64, 1], [8, 8], [1, 8, 8], [8, 8, 1]])
def test_shapes_of_a_digit(shape: list[int]):
    assert digits(input={"shape": shape}).read().train.inputs.shape == (1257, *shape)
