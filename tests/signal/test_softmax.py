"""Shares of one key, against draws."""

from __future__ import annotations

import pytest
import torch

from modelforge.signal.softmax import shares


@pytest.mark.parametrize(("std", "keys"), [(0.0, 5), (1.0, 2), (1.0, 8), (3.0, 100)])
def test_shares_as_drawn(std, keys):
    torch.manual_seed(0)
    drawn = torch.softmax(std * torch.randn(20_000, keys), 1).square().sum(1)
    tolerance = 4 * float(drawn.std()) / 20_000**0.5 + 1e-4
    assert shares(std**2, keys)[-1] == pytest.approx(float(drawn.mean()), abs=tolerance)


def test_one_key_has_it_all():
    assert shares(2.0, 4)[0] == pytest.approx(1.0, rel=1e-3)
