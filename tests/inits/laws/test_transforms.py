"""Transforms of words: right to the last bits in the middle and in the tails, and the same bits compiled."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from modelforge.core.rng import Key
from modelforge.inits.laws import transforms as words
from modelforge.inits.laws.law import Law, Normal, Uniform
from modelforge.inits.laws.truncated_normal import TruncatedNormal

ENDS = np.array([-(2**31), -(2**31) + 1, -2, -1, 0, 1, 2**31 - 2, 2**31 - 1], dtype=np.int32)
LAWS: list[Law] = [
    Uniform(-0.1, 0.3),
    Normal(-3.0, 0.5),
    TruncatedNormal.with_std(1.0, 0.5, truncate=1.5),
    TruncatedNormal.with_std(0.0, 1.0, truncate=1e-6),
    TruncatedNormal.between(0.0, 1.0, -2.0, 2.0),
]


def all_sizes() -> np.ndarray:
    """Words whose magnitudes, and the distances of these to the greatest one, have all numbers of bits."""
    drawn = next(Key(0, "sizes").words(31 * 400))
    near_zero = drawn >> np.repeat(np.arange(31, dtype=np.int32), 400)
    far = np.where(near_zero < 0, ~near_zero, near_zero) ^ np.int32(2**31 - 1)
    return np.concatenate([drawn, near_zero, far, ~far, ENDS])


def quantiles(word: np.ndarray) -> np.ndarray:
    """Φ⁻¹ in float64, from the side on which it is exact."""
    magnitude = word.astype(np.int64) ^ (word.astype(np.int64) >> 31)
    x = (magnitude + 0.5) / 2**31
    tail = (2**31 - magnitude - 0.5) / 2**31
    z = torch.special.ndtri(torch.from_numpy(tail / 2)).neg().numpy()
    near = x < 1e-3
    z[near] = (np.sqrt(np.pi / 2) * x * (1 + np.pi * x**2 / 12))[near]
    return np.where(word < 0, -z, z)


def test_normal_values_are_the_quantiles_of_their_words():
    word = all_sizes()
    z = words.normal(word, words.normal_numbers(0.0, 1.0)).astype(np.float64)
    assert np.abs(z / quantiles(word) - 1).max() < 6e-7
    assert z.max() == -z.min() == pytest.approx(6.338, abs=1e-3), "tails reach as far as a word can"


def test_values_rise_with_their_words():
    word = np.sort(all_sizes())
    for numbers in (
        words.normal_numbers(0.0, 1.0),
        words.normal_numbers(0.0, 1.0, 0.95),
        words.normal_numbers(0, 1, 1e-4),
    ):
        z = words.normal(word, numbers).astype(np.float64)
        # Up to the accuracy of the arithmetic: neighbours may change places.
        assert np.diff(z).min() > -1e-6
    assert np.diff(words.uniform(word, words.uniform_numbers(0.0, 1.0))).min() >= 0


def test_the_mass_cuts_where_it_should():
    values = words.normal(ENDS, words.normal_numbers(0.0, 1.0, 0.9544997361036416))
    assert np.abs(values[[0, 1, -2, -1]]) == pytest.approx(2, rel=1e-6)


def test_portions_are_exact_and_never_reach_their_ends():
    portions = words.portions(ENDS)
    assert portions.tolist() == [(float(word) + 2**31 + 0.5) / 2**32 for word in ENDS.astype(object)]
    assert 0 < portions.min() < portions.max() < 1


def test_a_mirrored_word_is_a_mirrored_value():
    word = all_sizes()
    for transform, numbers in (
        (words.uniform, words.uniform_numbers(0, 1)),
        (words.normal, words.normal_numbers(0, 1)),
    ):
        np.testing.assert_allclose(transform(~word, numbers), -transform(word, numbers), rtol=1e-6)


def test_values_that_were_drawn_once_are_drawn_for_ever():
    # Golden values: a change here changes every model that anyone ever initialised.
    drawn = hashlib.sha256()
    for law in LAWS:
        out = torch.empty(1000)
        law.draw_(out, Key(0, "golden"))
        drawn.update(out.numpy().astype("<f4").tobytes())
    assert drawn.hexdigest()[:16] == "b4e95cbb963a9fb3"
