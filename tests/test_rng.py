"""Keyed randomness: distinct keys, equal streams for equal keys, and a global state that is left alone."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import torch

from modelforge import rng

KEYS: list[tuple[int | str, ...]] = [
    (1,),
    (2**32 + 1,),
    (-1,),
    (2**64 - 1,),
    (2**64 + 2**70,),
    (1, "a", "bc"),
    (1, "ab", "c"),
    (1, "abc"),
    (1, "a", "bc", ""),
    (1, "abc", 0),
    (1, "abc", "0"),
    (1, "s3:abc"),
    (11, "abc"),
    (1, 1, "abc"),
    (1, "ä"),
    (1, "a\u0308"),
    (1, "\udc80"),
]


def draw(generator: torch.Generator) -> tuple[float, ...]:
    return tuple(torch.randn(16, generator=generator).tolist())


def test_different_keys_give_different_streams():
    streams = {key: draw(rng.generator(*key)) for key in KEYS}  # pyright: ignore[reportArgumentType]  # of mixed types
    for one, other in itertools.combinations(KEYS, 2):
        assert not set(streams[one]) & set(streams[other]), f"keys {one} and {other} share values"


def test_equal_keys_give_equal_streams_whatever_was_drawn_before():
    used = torch.Generator()
    torch.randn(5, generator=used)
    assert draw(rng.seed_(used, 3, "rnn.weight", 7)) == draw(rng.generator(3, "rnn.weight", 7))


def test_integers_of_other_types_are_the_same_key():
    assert draw(rng.generator(np.int64(7), "a")) == draw(rng.generator(7, "a"))  # pyright: ignore[reportArgumentType]  # an integer all the same


def test_an_integer_of_any_length_is_a_seed():
    longest = 10 ** (sys.get_int_max_str_digits() + 1)
    assert draw(rng.generator(longest)) != draw(rng.generator(-longest))


def test_a_float_is_no_seed():
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        rng.generator(1.0)  # pyright: ignore[reportArgumentType]  # that is the point


def test_seed_returns_the_generator_it_was_given():
    generator = torch.Generator()
    assert rng.seed_(generator, 0) is generator


def mt19937_words(seed: int) -> np.ndarray:
    words = [seed]
    for i in range(1, 624):
        words.append((1812433253 * (words[-1] ^ words[-1] >> 30) + i) & 0xFFFFFFFF)
    return np.array(words, dtype="<u4")


@pytest.mark.parametrize("kind", ["normal_", "uniform_"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_layout_of_the_state_is_what_torch_reads(kind: str, dtype: torch.dtype):
    generator = torch.Generator().set_state(rng._blob(mt19937_words(5)))
    theirs = torch.Generator().manual_seed(5)
    values = [getattr(torch.empty(2000, dtype=dtype), kind)(generator=generator) for generator in (generator, theirs)]
    assert torch.equal(*values), "this torch release lays out the state of its CPU generator differently: see rng._blob"
    size = len(theirs.get_state())
    ours = len(rng._EMPTY)
    assert size == ours, f"this torch release has a generator state of {size} bytes, not {ours}"


def test_values_that_were_drawn_once_are_drawn_for_ever():
    # Golden values: a change here changes every model that anyone ever initialised.
    words = rng.generator(0, "head.weight", 0)
    integers = torch.randint(0, 2**31, (3,), generator=words).tolist()
    assert integers == [1200221420, 1813887712, 516383999]


def test_normals_are_normal():
    scipy_stats = pytest.importorskip("scipy.stats")  # a development dependency only
    first_of_each = [torch.randn(16, generator=rng.generator(0, "weight", i))[0].item() for i in range(2000)]
    assert scipy_stats.kstest(first_of_each, "norm").pvalue > 1e-3


def test_keyed_globals_keys_the_global_generator_and_puts_it_back():
    torch.manual_seed(3)
    expected = torch.randn(4)
    torch.manual_seed(3)
    with rng.keyed_globals(1, "a"):
        inside = torch.randn(16)
    assert torch.equal(torch.randn(4), expected)
    assert tuple(inside.tolist()) == draw(rng.generator(1, "a"))


@pytest.mark.parametrize("context", [lambda: rng.keyed_globals(1, "a"), rng.preserved_globals])
def test_the_global_state_is_put_back_after_an_error(context):
    before = torch.get_rng_state()

    def fail() -> None:
        with context():
            torch.randn(4)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.equal(torch.get_rng_state(), before)


def test_preserved_globals_does_not_key():
    torch.manual_seed(3)
    expected = torch.randn(4)
    torch.manual_seed(3)
    with rng.preserved_globals():
        assert torch.equal(torch.randn(4), expected)
    assert torch.equal(torch.randn(4), expected)


def test_keys_do_not_touch_the_global_state():
    before = torch.get_rng_state()
    draw(rng.generator(1, "a"))
    assert torch.equal(torch.get_rng_state(), before)


def test_keys_work_below_a_meta_device():
    with torch.device("meta"):
        generator = rng.generator(1, "a")
    assert draw(generator) == draw(rng.generator(1, "a"))
