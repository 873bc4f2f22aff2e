"""Upsampling: transposed convolutions that interpolate, and PixelShuffle that repeats."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from pydantic import ValidationError
from torch import nn

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.core.rng import Key, split
from modelforge.inits import Matrix
from tests.inits.catalogue.upsampling import transposed
from tests.inits.matrices import MATRICES

# --- bilinear ---------------------------------------------------------------------------------------------------------


def kernel(num_taps: int, stride: int) -> list[float]:
    block = transposed(1, 1, num_taps, strides=stride)
    out = torch.empty(block.shape)
    inits.create({"scheme": "bilinear"}).resolve(block).draw_(out, Key(0))
    return out[0, 0].tolist()


def test_tents():
    assert kernel(1, 1) == [1]
    assert kernel(2, 1) == [0.5, 0.5]
    assert kernel(3, 2) == [0.5, 1, 0.5]
    assert kernel(4, 2) == [0.25, 0.75, 0.75, 0.25]
    assert kernel(5, 3) == pytest.approx([1 / 3, 2 / 3, 1, 2 / 3, 1 / 3])
    assert kernel(8, 4) == [0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125]


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize(
    ("cls", "mode", "num_axes"),
    [(nn.ConvTranspose1d, "linear", 1), (nn.ConvTranspose2d, "bilinear", 2), (nn.ConvTranspose3d, "trilinear", 3)],
)
def test_it_interpolates_as_torch_does(cls: Any, mode: str, num_axes: int, stride: int, groups: int):
    module = cls(4, 4, 2 * stride, stride=stride, padding=stride // 2, groups=groups, bias=False)
    assert mf.initialize(module, "bilinear").ok
    x = torch.randn(2, 4, *[5] * num_axes, generator=Key(0).generator())
    inner = (..., *[slice(stride, -stride)] * num_axes)
    expected = F.interpolate(x, scale_factor=stride, mode=mode, align_corners=False)
    assert torch.allclose(module(x)[inner], expected[inner], atol=1e-5)


def test_a_kernel_may_be_odd():
    module = nn.ConvTranspose1d(1, 1, 3, stride=2, padding=1, bias=False)
    assert mf.initialize(module, "bilinear").ok
    assert module(torch.tensor([[[1.0, 3.0, 7.0]]])).tolist() == [[[1, 2, 3, 5, 7]]]


@pytest.mark.parametrize(
    ("block", "reason", "hint"),
    [
        (
            transposed(4, 4, 3, 3, strides=9),
            "a kernel of (3, 3) interpolates by a stride of (2, 2), not by one of 9 in all",
            "for a stride of s, `kernel_size` is 2·s - s % 2",
        ),
        (
            MATRICES["convolution"],
            "`bilinear` fills transposed convolutions, and this is none",
            "a plain convolution starts as the identity by `dirac`",
        ),
        (
            MATRICES["square"],
            "`bilinear` fills transposed convolutions, and this is none",
            "a plain convolution starts as the identity by `dirac`",
        ),
        (
            Matrix(shape=(4,), fan_in=4, fan_out=4),
            "`bilinear` needs a matrix, but this is a vector of 4: it has no inputs and outputs to pair",
            "give it a scheme for vectors, as in `bias: {scheme: zeros}`",
        ),
    ],
)
def test_what_does_not_interpolate_is_refused(block: Matrix, reason: str, hint: str):
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": "bilinear"}).resolve(block)
    assert (caught.value.reason, caught.value.hint) == (reason, hint)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (
            {"kernel_size": 4, "stride": (1, 4)},
            "a kernel of (4, 4) interpolates by a stride of (2, 2), not by one of (1, 4)",
        ),
        (
            {"kernel_size": (3, 8), "stride": (4, 2)},
            "a kernel of (3, 8) interpolates by a stride of (2, 4), not by one of (4, 2)",
        ),
        (
            {"kernel_size": 4, "stride": 2, "dilation": (1, 2)},
            "a kernel of (4, 4) interpolates by a stride of (2, 2) without gaps, not with a dilation of (1, 2)",
        ),
    ],
    ids=str,
)
def test_each_axis_has_its_stride(options: dict[str, Any], reason: str):
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(nn.ConvTranspose2d(3, 3, **options), "bilinear")
    (problem,) = caught.value.problems
    assert problem.message.endswith(f": {reason}")
    assert mf.initialize(nn.ConvTranspose2d(3, 3, (3, 8), stride=(2, 4), groups=3), "bilinear").ok


# --- ICNR -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("factor", [2, 3])
def test_pixel_shuffle_starts_as_nearest_neighbours(factor: int, groups: int):
    module = nn.Conv2d(4, 6 * factor**2, 3, padding=1, groups=groups, bias=False)
    assert mf.initialize(module, {"scheme": "icnr", "upscale_factor": factor}).ok
    weight, x = (
        module.weight.detach().double(),
        torch.randn(2, 4, 5, 7, dtype=torch.float64, generator=Key(0).generator()),
    )
    shuffled = F.pixel_shuffle(F.conv2d(x, weight, padding=1, groups=groups), factor)
    small = F.conv2d(x, weight[:: factor**2], padding=1, groups=groups)
    assert torch.allclose(shuffled, F.interpolate(small, scale_factor=factor, mode="nearest"), rtol=1e-12, atol=1e-12)
    assert len(weight[:, 0, 0, 0].unique()) == 6


@pytest.mark.parametrize("name", ["convolution", "transposed convolution"])
def test_kernels_follow_the_law_of_kaiming(name: str):
    block = MATRICES[name]
    fields: dict[str, Any] = {"gain": "GELU", "mode": "fan_avg", "distribution": "truncated_normal", "truncate": 1.5}
    fill = inits.create({"scheme": "icnr", "upscale_factor": 2, **fields}).resolve(block)
    same = inits.create({"scheme": "kaiming", **fields}).resolve(block)
    assert (fill.mean, fill.std, fill.promise.kurtosis, fill.promise.copies) == (
        same.mean,
        same.std,
        same.promise.kurtosis,
        4,
    )
    assert fill.numbers == {"upscale_factor": 2} | {k: v for k, v in same.numbers.items() if k not in ("low", "high")}
    out, expected = torch.empty(block.shape), torch.empty(4, 8, 5, 5)
    fill.draw_(out, Key(0))
    same.draw_(expected, split(Key(0).generator()))
    kernels = out.transpose(0, 1) if block.input_first else out
    assert torch.equal(kernels, expected.repeat_interleave(4, dim=0))


@pytest.mark.parametrize(
    ("block", "factor", "reason", "hint"),
    [
        (
            MATRICES["convolution"],
            3,
            "16 output channels are not divisible by 9 = `upscale_factor`²",
            "PixelShuffle needs r² channels for each that it makes",
        ),
        (
            MATRICES["square"],
            2,
            "`icnr` fills convolutions of images, as PixelShuffle reads them, and this is none",
            "use `kaiming`",
        ),
        (
            Matrix(shape=(4,), fan_in=4, fan_out=4),
            2,
            "`icnr` needs a matrix, but this is a vector of 4: fans are not defined for it",
            "give it a scheme for vectors, as in `bias: {scheme: zeros}`",
        ),
    ],
)
def test_what_pixel_shuffle_cannot_read_is_refused(block: Matrix, factor: int, reason: str, hint: str):
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": "icnr", "upscale_factor": factor}).resolve(block)
    assert (caught.value.reason, caught.value.hint) == (reason, hint)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Field required"),
        ({"upscale_factor": 1}, "should be greater than or equal to 2"),
        ({"upscale_factor": 2.5}, "should be a valid integer"),
        ({"upscale_factor": 2, "truncate": 1.0}, "must be left out, as `distribution` is `normal`"),
    ],
)
def test_wrong_fields(fields: dict[str, Any], message: str):
    with pytest.raises(ValidationError, match=message):
        inits.create({"scheme": "icnr", **fields})


def test_models_are_built_with_both():
    layers = {
        "grow": {
            "type": "Conv2d",
            "out_channels": 12,
            "kernel_size": 3,
            "init": {"scheme": "icnr", "upscale_factor": 2},
        },
        "shuffle": {"type": "PixelShuffle", "upscale_factor": 2},
        "up": {"type": "ConvTranspose2d", "out_channels": 3, "kernel_size": 4, "stride": 2, "init": "bilinear"},
    }
    model = mf.build(mf.parse({"input": {"shape": [8, 6, 6]}, "layers": layers}, init="zeros"))
    assert model.ledger.ok
    assert model.ledger["up.weight"].scheme == "bilinear"
