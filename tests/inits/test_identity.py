"""Identities: what goes in comes out, channel by channel, for every kind of convolution."""

from __future__ import annotations

from math import prod
from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge import inits
from modelforge.building.checksum import checksum, checksum_of_seen
from modelforge.building.tally import measure
from modelforge.core.errors import Refusal
from modelforge.core.rng import Key
from modelforge.inits import Matrix


def draw(scheme: str, block: Matrix, **fields: Any) -> torch.Tensor:
    out = torch.full(block.shape, torch.nan)
    inits.create({"scheme": scheme, **fields}).resolve(block).draw_(out, Key(0))
    return out


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (5, 3), (3, 5), (1, 4), (1, 1)])
def test_matrices_are_as_much_of_an_identity_as_fits(rows: int, columns: int):
    block = Matrix(shape=(rows, columns), fan_in=columns, fan_out=rows)
    assert torch.equal(draw("eye", block), torch.eye(rows, columns))
    assert torch.equal(draw("identity", block, gain=0.5), 0.5 * torch.eye(rows, columns))


def test_moments_are_those_of_the_values():
    fill = inits.create({"scheme": "eye", "gain": 2.0}).resolve(Matrix(shape=(2, 4), fan_in=4, fan_out=2))
    # 2 of 8 values are 2: mean 1/2, variance 3/4, fourth moment (2·1.5⁴ + 6·0.5⁴) / 8 = 21/16.
    assert (fill.mean, fill.std, fill.promise.kurtosis) == (
        0.5,
        pytest.approx(0.75**0.5),
        pytest.approx(21 / 16 / 0.75**2),
    )
    assert (fill.promise.exact_std, fill.promise.deterministic) == (True, True)
    only = inits.create({"scheme": "eye", "gain": 0.3}).resolve(Matrix(shape=(1, 1), fan_in=1, fan_out=1))
    assert (only.mean, only.std) == (0.3, 0.0)


def layer(cls: Any, **arguments: Any) -> nn.Module:
    module = cls(bias=False, **arguments)
    assert mf.initialize(module, "dirac").ok
    return module


@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize(
    ("convolution", "transposed", "sizes"),
    [
        (nn.Conv1d, nn.ConvTranspose1d, (7,)),
        (nn.Conv2d, nn.ConvTranspose2d, (7, 5)),
        (nn.Conv3d, nn.ConvTranspose3d, (4, 3, 5)),
    ],
)
def test_convolutions_pass_everything_on(convolution: Any, transposed: Any, sizes: tuple[int, ...], groups: int):
    x = torch.randn(2, 6, *sizes, generator=Key(0).generator())
    for cls in (convolution, transposed):
        module = layer(cls, in_channels=6, out_channels=6, kernel_size=3, padding=1, groups=groups)
        assert torch.equal(module(x), x)


@pytest.mark.parametrize("groups", [1, 2, 3])
@pytest.mark.parametrize("num_outputs", [6, 12])
def test_values_are_torch_s(num_outputs: int, groups: int):
    module = layer(nn.Conv2d, in_channels=6, out_channels=num_outputs, kernel_size=(4, 3), groups=groups)
    expected = nn.init.dirac_(torch.empty(num_outputs, 6 // groups, 4, 3), groups)
    assert torch.equal(module.get_parameter("weight"), expected)


@pytest.mark.parametrize("num_outputs", [2, 9])
@pytest.mark.parametrize("cls", [nn.Conv1d, nn.ConvTranspose1d])
def test_channels_without_a_partner_are_dropped_or_zero(cls: Any, num_outputs: int):
    x = torch.randn(2, 6, 7, generator=Key(0).generator())
    y = layer(cls, in_channels=6, out_channels=num_outputs, kernel_size=3, padding=1)(x)
    shared = min(6, num_outputs)
    assert torch.equal(y[:, :shared], x[:, :shared])
    assert not y[:, shared:].any()


@pytest.mark.parametrize(
    ("scheme", "shape", "reason", "hint"),
    [
        ("eye", (4, 4, 3), "`eye` fills matrices, but this is the kernel of a convolution", "use `dirac`"),
        ("dirac", (4, 4), "`dirac` fills kernels of convolutions, but this is a matrix", "use `eye`"),
        (
            "eye",
            (4,),
            "`eye` needs a matrix, but this is a vector of 4: it has no inputs and outputs to pair",
            "give it a scheme for vectors, as in `bias: {scheme: zeros}`",
        ),
        (
            "dirac",
            (),
            "`dirac` needs a matrix, but this is a single number: it has no inputs and outputs to pair",
            "give it a scheme for vectors, as in `bias: {scheme: zeros}`",
        ),
    ],
)
def test_what_has_another_scheme_is_refused(scheme: str, shape: tuple[int, ...], reason: str, hint: str):
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": scheme}).resolve(Matrix(shape=shape, fan_in=4, fan_out=4))
    assert (caught.value.reason, caught.value.hint) == (reason, hint)


def test_models_are_built_with_them():
    layers = {
        "conv": {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "init": "dirac"},
        "flat": "Flatten",
        "head": {"type": "Linear", "out_features": 5, "init": {"scheme": "identity", "gain": 0.5}},
    }
    model = mf.build(mf.parse({"input": {"shape": [4, 5, 5]}, "layers": layers}, init="zeros"))
    assert model.ledger.ok
    assert {model.ledger[path].scheme for path in ("conv.weight", "head.weight")} == {"dirac", "eye"}


def test_gates_are_identities_each():
    lstm = nn.LSTM(4, 4)
    assert mf.initialize(lstm, {"scheme": "xavier", "recurrent": "eye"}).ok
    for gate in lstm.get_parameter("weight_hh_l0").chunk(4):
        assert torch.equal(gate, torch.eye(4))


@pytest.mark.parametrize(("scheme", "shape"), [("eye", (4, 4)), ("dirac", (4, 4, 3))])
def test_the_gain_that_was_resolved_is_shown_as_a_number(scheme: str, shape: tuple[int, ...]):
    matrix = Matrix(shape=shape, fan_in=4, fan_out=4, activations=())
    assert inits.create({"scheme": scheme, "gain": "auto"}).resolve(matrix).numbers["gain"] == 1.0
    named = inits.create({"scheme": scheme, "gain": "relu"}).resolve(matrix).numbers
    assert named == {"gain": pytest.approx(2**0.5), "activation": "relu"}


@pytest.mark.parametrize(
    ("block", "shape"),
    [
        ({"scheme": "eye"}, (5, 5)),
        ({"scheme": "eye", "gain": 0.3}, (40, 70)),
        ({"scheme": "eye", "gain": 2.0}, (70, 40)),
        ({"scheme": "dirac"}, (48, 32, 3, 3)),
        ({"scheme": "dirac", "gain": 0.7}, (3, 8, 5)),
        ({"scheme": "eye"}, (1, 1)),
    ],
    ids=repr,
)
def test_what_is_known_of_an_identity_is_what_is_there(block: dict[str, Any], shape: tuple[int, ...]):
    fill = inits.create(block).resolve(Matrix(shape, prod(shape[1:]), shape[0]))
    out = torch.full(shape, 7.0)
    seen = fill.draw_(out, Key(0))
    assert seen is not None
    assert fill.strays(out) == 0
    measured = measure([out], fill).sums
    assert (seen.sums.count, seen.sums.least, seen.sums.greatest) == (out.numel(), measured.least, measured.greatest)
    z = ((out.double() - fill.mean) / (fill.std or 1.0)).flatten()
    first, second, third, fourth = (float((z**power).sum()) for power in (1, 2, 3, 4))
    assert seen.sums.first == pytest.approx((fill.std or 1.0) * first, abs=1e-9 * out.numel())
    assert seen.sums.second == pytest.approx((fill.std or 1.0) ** 2 * second, rel=1e-9)
    assert (seen.sums.third, seen.sums.fourth) == (pytest.approx(third, rel=1e-9), pytest.approx(fourth, rel=1e-9))
    assert checksum_of_seen(seen, 0) == checksum(out)


def test_a_zero_with_a_sign_is_a_stray():
    fill = inits.create({"scheme": "eye"}).resolve(Matrix((4, 4), 4, 4))
    out = torch.eye(4)
    out[2, 1] = -0.0
    assert fill.strays(out) == 1
