"""The truncated normal law: its std is corrected exactly, and no value leaves its bounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from modelforge.inits.laws.truncated_normal import TruncatedNormal
from tests.inits.laws.test_law import draw


@pytest.mark.parametrize(
    ("truncate", "ratio"),
    [(1, 0.539560), (1.5, 0.742647), (2, 0.87962566103423978), (2.5, 0.954597), (3, 0.986578), (4, 0.999465)],
)
def test_truncation_is_corrected_exactly(truncate: float, ratio: float):
    law = TruncatedNormal.with_std(0.0, 1.0, truncate)
    assert 1 / law.sigma == pytest.approx(ratio, abs=1e-6)
    c, cut = truncate, stats.truncnorm(-truncate, truncate)
    closed_form = 1 - 2 * c * stats.norm.pdf(c) / (2 * stats.norm.cdf(c) - 1)
    assert 1 / law.sigma**2 == pytest.approx(closed_form, rel=1e-12)
    assert law.kurtosis == pytest.approx(cut.stats("k") + 3, rel=1e-9)


@pytest.mark.parametrize("truncate", [0.01, 0.999, 1.0, 2.0, 3.0, 20.0])
@pytest.mark.parametrize("std", [1e-44, 1e-30, 0.02, 1.0, 1e30, 1e36])
@pytest.mark.parametrize("mean", [0.0, 0.1, -1e5])
def test_truncated_values_never_leave_their_bounds(truncate: float, std: float, mean: float):
    law = TruncatedNormal.with_std(mean, std, truncate)
    values = draw(law, 5000).double()
    low, high = law.bounds
    nearest = np.float32(low)
    if any(low <= float(number) <= high for number in (nearest, np.nextafter(nearest, np.float32(np.inf)))):
        assert low <= values.min() <= values.max() <= high
    else:
        assert set(values.tolist()) == {float(np.float32(mean))}, "where no float32 lies within, it is the nearest"


def test_truncation_rejects_instead_of_piling_up():
    values = draw(TruncatedNormal.with_std(0.0, 1.0), 2**17)
    assert values.abs().eq(values.abs().max()).sum() < 4
