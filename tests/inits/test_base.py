"""Bases of schemes: what `resolve` makes of a law, of a method that fills, and of values that others make."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from modelforge.core.complaints import WrongField
from modelforge.core.errors import Refusal
from modelforge.core.rng import Key
from modelforge.inits import Elementwise, Fill, Law, Matrix, Matrixwise, Moments, Normal, Uniform
from modelforge.inits.base import Initializer, Undrawn

MATRIX = Matrix((3, 5), 5, 3)


class Ramp(Elementwise):
    """Uniform in [0, 1 / fan_in]."""

    factor: float = 1.0

    def law(self, matrix: Matrix) -> Law:
        return Uniform(0.0, self.factor / matrix.fan_in)


class Bell(Elementwise):
    """Standard normal."""

    def law(self, matrix: Matrix) -> Law:
        return Normal(0.0, 1.0)


class Ones(Matrixwise):
    """Ones, but for the first element."""

    def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
        out.fill_(1.0)
        out.view(-1)[0] = torch.rand((), generator=generator)

    def moments(self, matrix: Matrix) -> Moments:
        return Moments(1.0)

    def strays(self, values: Tensor, matrix: Matrix) -> int:
        return int(values.reshape(-1)[1:].ne(1).sum())


class Others(Undrawn):
    """Values of others."""


class Range(Undrawn):
    """Fields that must not contradict each other."""

    low: float = 0.0
    high: float = 1.0

    def conflicts(self) -> list[WrongField]:
        return [WrongField("high", "must be above `low`")] if self.high <= self.low else []


def test_an_elementwise_scheme_promises_its_law_with_bounds_and_fields():
    fill = Ramp(factor=2.0).resolve(MATRIX)
    assert fill.promise == Moments.of(Uniform(0.0, 0.4))
    assert dict(fill.numbers) == {"factor": 2.0, "low": 0.0, "high": 0.4}
    assert (fill.drawn_by, fill.elementwise) == (Uniform(0.0, 0.4), True)


def test_a_law_without_bounds_adds_no_numbers():
    assert dict(Bell().resolve(MATRIX).numbers) == {}


def test_a_matrixwise_scheme_draws_by_its_method_from_the_key():
    fill = Ones().resolve(MATRIX)
    out, again, other = torch.zeros(3, 5), torch.zeros(3, 5), torch.zeros(3, 5)
    for values, key in ((out, Key(0, "a")), (again, Key(0, "a")), (other, Key(0, "b"))):
        fill.draw_(values, key)
    assert out.view(-1)[1:].eq(1).all()
    assert torch.equal(out, again)
    assert out[0, 0] != other[0, 0]
    assert (fill.mean, fill.elementwise) == (1.0, False)


def test_what_contradicts_the_formula_is_counted_by_the_scheme():
    fill, values = Ones().resolve(MATRIX), torch.ones(3, 5)
    assert fill.strays(values) == 0
    values[1, 2] = 2.0
    assert fill.strays(values) == 1


def test_an_undrawn_scheme_promises_nothing():
    assert Others().resolve(MATRIX) == Fill()


@pytest.mark.parametrize("made", [None, 3, (0.0, 1.0)])
def test_moments_of_another_kind_are_refused(made: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Ones, "moments", lambda self, matrix: made)
    with pytest.raises(Refusal, match="its `moments` gives "):
        Ones().resolve(MATRIX)


def test_fields_that_contradict_each_other_are_named():
    assert Range(low=-1.0, high=0.0).high == 0.0
    with pytest.raises(ValidationError) as caught:
        Range(low=1.0, high=0.0)
    (detail,) = caught.value.errors()
    assert (detail["loc"], detail["msg"]) == (("high",), "must be above `low`")


def test_schemes_are_frozen_values_of_their_fields():
    assert Ramp(factor=2.0) == Ramp(factor=2.0)
    assert Ramp(factor=2.0) != Ramp()
    with pytest.raises(ValidationError, match="frozen"):
        Ramp().factor = 3.0
    with pytest.raises(TypeError, match="abstract"):
        Initializer()  # pyright: ignore[reportAbstractUsage]  # that is the point
