"""Laws: what is drawn follows the law, stays within its bounds, and does not depend on how much is drawn."""

from __future__ import annotations

import copy
import math
import pickle
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from modelforge.core.errors import Refusal
from modelforge.core.rng import CHUNK, Key
from modelforge.inits.fills import Moments
from modelforge.inits.laws.law import Constant, Law, Normal, Uniform
from modelforge.inits.laws.transforms import normal_quantiles
from modelforge.inits.laws.truncated_normal import TruncatedNormal
from modelforge.inits.schemes.recurrent import Chrono, UniformGate

LAWS: list[Law] = [
    Constant(0.3),
    Uniform(-0.1, 0.3),
    Normal(0.0, 0.02),
    Normal(-3.0, 0.5),
    TruncatedNormal.with_std(0.0, 0.02),
    TruncatedNormal.with_std(1.0, 0.5, truncate=1.5),
    TruncatedNormal.with_std(0.0, 1.0, truncate=1.0),
    TruncatedNormal.with_std(0.0, 1.0, truncate=0.5),
    TruncatedNormal.with_std(0.0, 1.0, truncate=1e-6),
    TruncatedNormal.with_std(0.0, 1.0, truncate=5.0),
    TruncatedNormal.with_std(0.0, 1.0, truncate=100.0),
]
RANDOM = [law for law in LAWS if law.std]


def draw(law: Law, size: int, *key: int | str) -> torch.Tensor:
    out = torch.full((size,), torch.nan)
    law.draw_(out, Key(0, "law", *key))
    return out


@pytest.mark.parametrize("law", RANDOM, ids=repr)
def test_values_follow_the_law(law: Law):
    values = draw(law, 50_000).double().numpy()
    assert stats.kstest(values, law.cdf).pvalue > 1e-3


@pytest.mark.parametrize("law", RANDOM, ids=repr)
def test_moments_are_as_stated(law: Law):
    n = 2 * CHUNK
    values = draw(law, n).double()
    deviations = (values - law.mean) / law.std
    assert abs(deviations.mean().item()) < 4 / math.sqrt(n)
    # Var of the mean square is (kurtosis - 1) / n.
    assert abs(deviations.square().mean().item() - 1) < 4 * math.sqrt((law.kurtosis - 1) / n)
    eighth = deviations.pow(8).mean().item()
    assert abs(deviations.pow(4).mean().item() - law.kurtosis) < 5 * math.sqrt((eighth - law.kurtosis**2) / n)


@pytest.mark.parametrize("law", RANDOM, ids=repr)
def test_cdf_and_moments_agree(law: Law):
    x = np.linspace(law.mean - 9 * law.std, law.mean + 9 * law.std, 400_001)
    mass = np.diff(law.cdf(x))
    middle = ((x[1:] + x[:-1]) / 2 - law.mean) / law.std
    assert mass.sum() == pytest.approx(1, abs=1e-12)
    assert mass @ middle == pytest.approx(0, abs=1e-9)
    assert mass @ middle**2 == pytest.approx(1, abs=1e-4)
    assert mass @ middle**4 == pytest.approx(law.kurtosis, abs=1e-3)


def test_cdf_of_a_constant_is_a_step():
    assert Constant(0.3).cdf(np.array([0.2, 0.3, 0.4])).tolist() == [0, 1, 1]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_n_values_are_the_first_n_of_more(law: Law):
    longest = draw(law, 2200)
    for n in [*range(71), 2047, 2048, 2049]:
        assert torch.equal(draw(law, n), longest[:n]), f"{n} values are not a prefix of 2200"


@pytest.mark.parametrize("law", LAWS, ids=repr)
@pytest.mark.parametrize("n", [4096, 32768, 65536 + 16, 3 * 32768 - 1])
def test_long_draws_are_prefixes_too(law: Law, n: int):
    assert torch.equal(draw(law, n), draw(law, CHUNK)[:n])


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_draws_are_deterministic_and_keyed(law: Law):
    assert torch.equal(draw(law, 100, "a"), draw(law, 100, "a"))
    assert torch.equal(draw(law, 100, "a"), draw(law, 100, "b")) == (law.std == 0)


@pytest.mark.parametrize(("low", "high"), [(-0.1, 0.1), (-1.0, 1e-3), (0.1, 0.1000001), (-1e37, 1e37), (5e-46, 3e-45)])
def test_uniform_values_never_leave_their_bounds(low: float, high: float):
    values = draw(Uniform(low, high), 2**17).double()
    assert low <= values.min() <= values.max() <= high


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_shapes_do_not_matter_and_parameters_can_be_filled(law: Law):
    weight = torch.nn.Parameter(torch.empty(3, 5, 7))
    law.draw_(weight, Key(0, "law"))
    assert torch.equal(weight.detach().view(-1), draw(law, 105))
    law.draw_(torch.empty(0, 5), Key(0, "law"))


def test_only_float32_and_float64_are_drawn():
    with pytest.raises(AssertionError, match=r"values are drawn in float32 or float64, not torch\.bfloat16"):
        Normal(0.0, 1.0).draw_(torch.empty(3, dtype=torch.bfloat16), Key(0))


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_laws_are_values(law: Law):
    assert pickle.loads(pickle.dumps(law)) == law == copy.deepcopy(law)
    assert hash(law) == hash(copy.deepcopy(law))


# --- float64 ----------------------------------------------------------------------------------------------------------

DOUBLES: list[Law] = [
    *RANDOM,
    TruncatedNormal.between(0.0, 1.0, -1.0, 3.0),
    TruncatedNormal.between(0.0, 1.0, 3.0, 4.0),
    TruncatedNormal.between(0.0, 1.0, -4.0, -3.5),
    Chrono(max_time=100.0).spread(8, 1),
    UniformGate().spread(64, -1),
]


def doubles(law: Law, size: int) -> torch.Tensor:
    out = torch.full((size,), torch.nan, dtype=torch.float64)
    law.draw_(out, Key(0, "law"))
    return out


@pytest.mark.parametrize("law", DOUBLES, ids=repr)
def test_values_in_float64_are_those_in_float32_with_more_digits(law: Law):
    values, single = doubles(law, 50_000), draw(law, 50_000)
    # What float32 rounds, and the 2⁻³² of a word that stands for an interval, which tails stretch.
    reach = law.std if law.bounds is None else law.bounds[1] - law.bounds[0]
    assert (values - single).abs().max() <= 1e-4 * reach + 1e-7 * abs(law.mean)
    assert ((values - single).abs() <= 2e-6 * reach + 1e-6 * values.abs()).double().mean() > 0.999
    assert stats.kstest(values.numpy(), law.cdf).pvalue > 1e-3
    assert len(values.unique()) == len(values)
    if law.bounds is not None:
        assert law.bounds[0] <= values.min()
        assert values.max() <= law.bounds[1]
    part = torch.empty(70, dtype=torch.float64)
    law.draw_(part, Key(0, "law"))
    assert torch.equal(part, values[:70])


def test_digits_of_float64_are_all_used():
    """The low bits of uniform values are as good as any, but for the last that rounding makes."""
    whole = (doubles(Uniform(0.5, 1.0), 20_000) * 2**53).long()
    for bit in range(4, 16):
        share = float(((whole >> bit) & 1).double().mean())
        assert abs(share - 0.5) < 5 * 0.5 / math.sqrt(20_000)


def test_normal_values_in_float64_are_quantiles_to_full_precision():
    x = torch.linspace(-0.999999, 0.999999, 20_001, dtype=torch.float64).numpy()
    z = normal_quantiles(x, 1 - np.abs(x))
    np.testing.assert_allclose(z, stats.norm.ppf((1 + x) / 2), rtol=1e-9, atol=1e-15)
    # Far out, where 1 - |x| alone knows.
    tail = np.array([2.0**-40, 2.0**-60])
    np.testing.assert_allclose(normal_quantiles(1 - tail, tail), stats.norm.isf(tail / 2), rtol=1e-12)


@pytest.mark.parametrize("value", [0.1, 1 / 3, -2.7])
def test_constants_are_what_they_say(value: float):
    assert doubles(Constant(value), 3).tolist() == [value] * 3


def test_a_law_that_contradicts_itself_is_refused():
    @dataclass(frozen=True)
    class Wide:
        """A normal law that says it is twice as wide."""

        mean: float = 0.0
        std: float = 2.0
        kurtosis: float = 3.0
        bounds: None = None

        def cdf(self, x: Any) -> Any:
            return Normal(0.0, 1.0).cdf(x)

        def draw_(self, out: torch.Tensor, key: Key) -> None:
            Normal(0.0, 1.0).draw_(out, key)

    with pytest.raises(Refusal, match=r"its law states mean 0 and std 2, but by its `cdf` it has mean \S+ and std 1"):
        Moments.of(Wide())
