"""Compiled loops: the same bits as NumPy, and what they measure of the values that they draw."""

from __future__ import annotations

import math
from dataclasses import fields

import numpy as np
import pytest
import torch

from modelforge.building import checksum
from modelforge.core.rng import Key
from modelforge.inits.laws import drawing
from modelforge.inits.laws import transforms as words
from modelforge.inits.laws.law import Law, Normal, Uniform
from modelforge.inits.laws.seen import BLOCK, every
from tests.inits.laws.test_transforms import LAWS


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("size", [0, 1, 2, 4095, 4096, 4097, 100_001])
def test_compiled_loops_give_the_same_bits(law: Law, size: int, monkeypatch: pytest.MonkeyPatch):
    compiled = pytest.importorskip("modelforge.inits.laws.compiled", reason="Numba is an extra")
    values = []
    for module in (None, compiled):
        monkeypatch.setattr(drawing, "loaded", lambda module=module: module)
        out = torch.full((size,), torch.nan)
        law.draw_(out, Key(0, "law"))
        values.append(out)
    assert torch.equal(*values)


def test_every_compiled_loop_agrees_and_is_used():
    compiled = pytest.importorskip("modelforge.inits.laws.compiled", reason="Numba is an extra")
    assert {*compiled._LOOPS} == {words.uniform, words.normal}
    assert all(compiled.loop(transform) is made for transform, made in compiled._LOOPS.items())


def test_loops_have_vectors_of_512_bits_where_the_processor_has_them():
    compiled = pytest.importorskip("modelforge.inits.laws.compiled", reason="Numba is an extra")
    features = pytest.importorskip("llvmlite.binding", reason="the `fast` extra").get_host_cpu_features()
    if not features.get("avx512f"):
        pytest.skip("the processor has no AVX-512")

    @compiled.numba.njit
    def double(values: np.ndarray) -> None:
        compiled._wide()
        for index in range(len(values)):
            values[index] *= 2

    double(np.ones(1, np.float32))
    assert all("zmm" in text for text in double.inspect_asm().values())


def test_a_loop_that_gives_other_bits_is_not_used():
    compiled = pytest.importorskip("modelforge.inits.laws.compiled", reason="Numba is an extra")

    def off(state: np.ndarray, out: np.ndarray, numbers: tuple[np.float32, ...], *bounds: np.float32) -> None:
        compiled._loop_normal(state, out, numbers, *bounds)
        out[-1] = np.nextafter(out[-1], np.float32(9))

    assert compiled._agrees(words.normal, compiled._loop_normal)
    assert not compiled._agrees(words.normal, off)


@pytest.mark.parametrize("law", [Normal(0.2, 0.5), Normal(-1000.0, 0.01), Uniform(3.0, 4.0)], ids=repr)
@pytest.mark.parametrize("size", [1, 1023, 2048, 5001, 200_003])
def test_what_compiled_loops_see_is_what_is_there(law: Law, size: int, monkeypatch: pytest.MonkeyPatch):
    compiled = pytest.importorskip("modelforge.inits.laws.compiled", reason="Numba is an extra")
    out = torch.empty(size)
    seen = law.draw_(out, Key(0, "seen"))
    again = compiled.look(out.numpy(), law.mean, law.std)
    assert seen is not None
    assert all(np.array_equal(getattr(seen, name.name), getattr(again, name.name)) for name in fields(seen))
    assert (seen.sums.count, seen.sums.least, seen.sums.greatest) == (size, float(out.min()), float(out.max()))
    off = out.double().numpy() - law.mean
    assert seen.sums.first == pytest.approx(off.sum(), rel=1e-6, abs=1e-6 * law.std * size)
    assert seen.sums.second == pytest.approx(off @ off, rel=1e-6)
    z = np.concatenate(np.split(off, range(BLOCK, size, BLOCK))[:: every(size)]) / law.std
    assert (seen.sums.sampled, seen.sums.third) == (len(z), pytest.approx((z**3).sum(), rel=1e-9, abs=1e-9 * size))
    assert seen.sums.fourth == pytest.approx((z**4).sum(), rel=1e-9)
    for first in (0, 3 * BLOCK):
        monkeypatch.setattr(checksum, "loaded", lambda: compiled)
        found = checksum.checksum_of_seen(seen, first), checksum.checksum(out, first)
        monkeypatch.setattr(checksum, "loaded", lambda: None)
        assert {*found} == {checksum.checksum(out, first)}
    assert checksum.checksum_of_seen(seen, 5) is None


@pytest.mark.parametrize(
    "values",
    [[1, math.nan], [-math.nan, 2], [-1, -2, -0.5], [3, 4, 1], [-0.0, 1], [math.inf, -1], [-math.inf], [-3e38, 3e38]],
)
def test_compiled_extremes_are_those_of_numbers(values: list[float]):
    compiled = pytest.importorskip("modelforge.inits.laws.compiled", reason="Numba is an extra")
    seen = compiled.look(np.array(values, dtype=np.float32), 0.0, 1.0)
    if any(map(math.isnan, values)):
        assert any(map(math.isnan, (seen.sums.least, seen.sums.greatest)))
        assert math.isnan(seen.sums.first)
    else:
        assert (seen.sums.least, seen.sums.greatest) == pytest.approx((min(values), max(values)))
