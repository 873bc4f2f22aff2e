"""Keyed randomness: distinct keys, equal streams for equal keys, and a global state that is left alone."""

from __future__ import annotations

import itertools
import sys

import numpy as np
import pytest
import torch

from modelforge.core import rng

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
    streams = {key: draw(rng.Key(*key).generator()) for key in KEYS}  # pyright: ignore[reportArgumentType]  # of mixed types
    for one, other in itertools.combinations(KEYS, 2):
        assert not set(streams[one]) & set(streams[other]), f"keys {one} and {other} share values"


def test_different_keys_give_different_words():
    streams = {key: {*next(rng.Key(*key).words(64)).tolist()} for key in KEYS}  # pyright: ignore[reportArgumentType]  # of mixed types
    for one, other in itertools.combinations(KEYS, 2):
        assert not streams[one] & streams[other], f"keys {one} and {other} share words"


def test_word_i_does_not_depend_on_how_many_are_drawn():
    longest = np.concatenate([*rng.Key(3, "rnn.weight").words(100_000)])
    for count in [0, 1, 2, 3, 64, 32767, 32768, 32769, 65537, 99_999]:
        pieces = [*rng.Key(3, "rnn.weight").words(count), np.empty(0, dtype=np.int32)]
        assert np.array_equal(np.concatenate(pieces), longest[:count])


def test_words_are_numpys_sfc64():
    key = rng.Key(0, "head.weight", 0)
    stream = np.random.SFC64(1)
    state = {"state": key.state()}
    stream.state = {"bit_generator": "SFC64", "state": state, "has_uint32": 0, "uinteger": 0}
    drawn = stream.random_raw(3)
    assert next(key.words(6)).view(np.uint32).tolist() == [
        half for word in drawn for half in (word & 0xFFFFFFFF, word >> 32)
    ]


def test_all_bits_of_words_are_fair_and_independent():
    words = np.concatenate([*rng.Key(0, "fair").words(1 << 18)]).view(np.uint32)
    bits = np.unpackbits(words.view(np.uint8).reshape(-1, 4), axis=1).astype(np.float64) * 2 - 1
    error = 1 / np.sqrt(len(bits))
    assert np.abs(bits.mean(0)).max() < 5 * error
    assert np.abs(bits.T @ bits / len(bits) - np.eye(32)).max() < 5.5 * error
    assert np.abs((bits[1:] * bits[:-1]).mean(0)).max() < 5 * error


def test_integers_of_other_types_are_the_same_key():
    assert draw(rng.Key(np.int64(7), "a").generator()) == draw(rng.Key(7, "a").generator())  # pyright: ignore[reportArgumentType]  # an integer all the same


def test_an_integer_of_any_length_is_a_seed():
    longest = 10 ** (sys.get_int_max_str_digits() + 1)
    assert draw(rng.Key(longest).generator()) != draw(rng.Key(-longest).generator())


def test_a_float_is_no_seed():
    with pytest.raises(TypeError, match="'float' object cannot be interpreted as an integer"):
        rng.Key(1.0).generator()  # pyright: ignore[reportArgumentType]  # that is the point


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
    words = rng.Key(0, "head.weight", 0).generator()
    integers = torch.randint(0, 2**31, (3,), generator=words).tolist()
    assert integers == [1200221420, 1813887712, 516383999]
    assert next(rng.Key(0, "head.weight", 0).words(3)).tolist() == [111434816, 1720173906, 73043738]


def test_normals_are_normal():
    scipy_stats = pytest.importorskip("scipy.stats", reason="a development dependency only")
    first_of_each = [torch.randn(16, generator=rng.Key(0, "weight", i).generator())[0].item() for i in range(2000)]
    assert scipy_stats.kstest(first_of_each, "norm").pvalue > 1e-3


def test_keyed_globals_keys_the_global_generator_and_puts_it_back():
    torch.manual_seed(3)
    expected = torch.randn(4)
    torch.manual_seed(3)
    with rng.keyed_globals(1, "a"):
        inside = torch.randn(16)
    assert torch.equal(torch.randn(4), expected)
    assert tuple(inside.tolist()) == draw(rng.Key(1, "a").generator())


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
    draw(rng.Key(1, "a").generator())
    assert torch.equal(torch.get_rng_state(), before)


def test_keys_work_below_a_meta_device():
    with torch.device("meta"):
        generator = rng.Key(1, "a").generator()
    assert draw(generator) == draw(rng.Key(1, "a").generator())


def test_seeds_that_are_derived_do_not_meet():
    assert rng.Key(0, "step", 1_000_003).integer() != rng.Key(1, "step", 0).integer()
    assert len({rng.narrow(seed) for seed in (0, 1, 2**32 - 1, 2**32, 2**32 + 1, -1, 2**64)}) == 7
    with rng.preserved_globals():
        drawn = []
        for key in (rng.Key(0, "step", 0), rng.Key(2**32, "step", 0), rng.Key(0, "step", 0)):
            key.seed_globals()
            drawn.append(torch.rand(3).tolist())
    assert drawn[0] == drawn[2] != drawn[1]
