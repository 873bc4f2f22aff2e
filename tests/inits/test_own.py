"""Initializers of one's own that are wrong: a problem that says what must be, and never Python's own error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.inits import Elementwise, Matrix, Matrixwise, Normal, register_initializer, unregister_initializer
from modelforge.layers import unregister_layer

Law = Callable[[], Any]
Filling = Callable[[Tensor], Any]


@pytest.fixture
def own() -> Iterator[None]:
    """Forgets the scheme `own` afterwards."""
    yield
    unregister_initializer("own")


def problem_of(scheme: str = "own") -> mf.Problem:
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(nn.Linear(3, 2), scheme)
    [problem] = caught.value.problems
    assert problem.key == "init"
    return problem


@dataclass(frozen=True)
class Half:
    """A law without a distribution function."""

    mean: float = 0.0
    std: float = 1.0
    kurtosis: float = 3.0
    bounds: None = None

    def draw_(self, out: Tensor, key: Any) -> None:
        out.zero_()


@dataclass(frozen=True)
class Whole(Half):
    """A law."""

    def cdf(self, x: Any) -> Any:
        return Normal(0.0, 1.0).cdf(x)


@dataclass(frozen=True)
class Ragged(Half):
    """Its distribution function gives one number for all."""

    def cdf(self, x: Any) -> Any:
        return np.float64(0.5)


class Unhashed(Whole):
    """As a dataclass that is not frozen."""

    __hash__ = None  # pyright: ignore[reportAssignmentType]  # as Python sets it


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("law", "reason"),
    [
        (lambda: None, "gives None, which is not a law: it has no `mean`, `std`, `kurtosis`, `bounds`, `cdf`"),
        (lambda: 0.5, "its `law` gives 0.5, which is not a law: it has no `mean`"),
        (Half, "which is not a law: it has no `cdf`"),
        (lambda: Whole(std=-1.0), "the `std` of its law must be a finite number, not below 0, but is -1.0"),
        (lambda: Whole(mean=None), "the `mean` of its law must be a finite number, but is None"),
        (lambda: Whole(std=float("nan")), "the `std` of its law must be a finite number, not below 0, but is nan"),
        (lambda: Whole(bounds=3), "the `bounds` or the `cdf` of its law cannot be used: 'int' object is not iterable"),
        (Ragged, "the `bounds` or the `cdf` of its law cannot be used: "),
        (Unhashed, "its law, of class Unhashed, cannot be hashed"),
    ],
)
def test_what_is_no_law_is_refused(law: Law, reason: str):
    @register_initializer("own")
    class Own(Elementwise):
        """A law."""

        def law(self, matrix: Matrix) -> Any:
            return law()

    problem = problem_of()
    assert problem.code == "MF026"
    assert problem.message.startswith("`own` cannot fill weight (2, 3): ")
    assert reason in problem.message
    assert problem.hint


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("groups", [2, 3, 4])
def test_a_law_may_depend_on_the_group_of_a_convolution(groups: int):
    @register_initializer("own")
    class Own(Elementwise):
        """A law of the group's number and place."""

        def law(self, matrix: Matrix) -> Normal:
            return Normal(0.0, 1.0 + matrix.start if matrix.name in ("1", "3") else 0.5)

    conv = {"type": "Conv1d", "out_channels": 3 * groups, "kernel_size": 3, "groups": groups, "bias": False}
    spec = mf.parse({"input": {"shape": [groups, 9]}, "layers": {"conv": conv}}, init="own")
    fills = mf.plan(spec).parameters[0].fills
    assert [fill.std for _, fill in fills] == [0.5, 4.0, 0.5, 10.0][:groups]


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("filling", "reason"),
    [
        (lambda out: torch.zeros(2, 3), "its `fill` returns a Tensor"),
        (lambda out: [1.0], "its `fill` returns a list"),
        (lambda out: out.copy_(torch.zeros(5)), "its `fill` fails with RuntimeError: The size of tensor a (3) must"),
        (lambda out: out.nothing(), "its `fill` fails with AttributeError: 'Tensor' object has no attribute 'nothing'"),
    ],
)
def test_a_fill_that_fails_is_refused(filling: Filling, reason: str):
    @register_initializer("own")
    class Own(Matrixwise):
        """Values."""

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> Any:
            return filling(out)

    problem = problem_of()
    assert problem.code == "MF026"
    assert problem.message.startswith(f"`own` cannot fill weight (2, 3): {reason}")
    assert problem.hint.startswith("`fill` must write all of `out`, of shape (2, 3) and torch.float32, in place")


@pytest.mark.usefixtures("own")
def test_moments_must_be_moments():
    @register_initializer("own")
    class Own(Matrixwise):
        """Values."""

        def moments(self, matrix: Matrix) -> Any:
            return 0.0, 1.0

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
            out.zero_()

    assert "its `moments` gives (0.0, 1.0)" in problem_of().message


def test_a_scheme_that_was_unregistered_after_the_config_was_read():
    @register_initializer("own")
    class Own(Elementwise):
        """A law."""

        def law(self, matrix: Matrix) -> Normal:
            return Normal(0.0, 1.0)

    spec = mf.parse({"input": {"shape": [4]}, "layers": {"head": {"type": "Linear", "out_features": 2}}}, init="own")
    decided = mf.plan(spec)
    unregister_initializer("own")
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(spec)
    [problem] = caught.value.problems
    assert (problem.code, problem.key, problem.message) == ("MF020", "init.scheme", "unknown scheme `own`")
    assert mf.build(decided).ledger.ok


def test_a_layer_that_was_unregistered_after_the_config_was_read():
    class Own(nn.Module):
        """Gives what it gets."""

        def forward(self, x: Tensor) -> Tensor:
            return x

    mf.register_layer(Own, axes="... features")
    spec = mf.parse({"input": {"shape": [4]}, "layers": {"own": "Own"}})
    unregister_layer("Own")
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(spec)
    [problem] = caught.value.problems
    assert (problem.code, problem.key, problem.message) == ("MF010", "model.layers.own.type", "unknown layer `Own`")
