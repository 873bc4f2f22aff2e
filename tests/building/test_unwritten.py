"""A scheme that does not write what it should is caught by the ledger."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.inits import Matrix, Matrixwise, Moments, registry


@pytest.mark.parametrize(
    "write",
    [lambda out: None, lambda out: torch.zeros_like(out), lambda out: out[:-1].zero_(), lambda out: out.resize_(9)],
    ids=["nothing", "elsewhere", "not all", "resized"],
)
@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
def test_what_was_not_written_fails(write: Callable[[Tensor], object]) -> None:
    @mf.register_initializer("forgetful")
    class Forgetful(Matrixwise):
        """Writes less than it should.

        Formula: none
        Source: this test
        """

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
            write(out)

    try:
        ledger = mf.initialize(nn.Linear(4, 4), "forgetful")
    finally:
        registry.unregister_initializer("forgetful")
    assert not ledger.ok
    assert [entry.path for entry in ledger.failures] == ["weight"]


def test_zeros_do_not_pass_for_a_few_random_values() -> None:
    @mf.register_initializer("silent")
    class Silent(Matrixwise):
        """Promises a spread and writes zeros.

        Formula: w = 0
        Source: this test
        """

        def moments(self, matrix: Matrix) -> Moments:
            return Moments(mean=0.0, std=0.1)

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
            out.zero_()

    try:
        ledgers = [mf.initialize(nn.Linear(1, rows, bias=False), "silent") for rows in (4, 64, 1000)]
    finally:
        registry.unregister_initializer("silent")
    assert not any(ledger.ok for ledger in ledgers)
