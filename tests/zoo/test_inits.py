"""How models of conf/model start: as their papers say, and as `transformers` starts its own, but for what is listed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from functools import cache
from math import prod, sqrt
from pathlib import Path

import pytest

import modelforge as mf
from modelforge.planning.assign import ParameterPlan
from tests.zoo.originals import ORIGINALS

Shape = tuple[int, ...]
Std = float | Callable[[Shape], float]


def he_fan_out(shape: Shape) -> float:
    return sqrt(2 / (shape[0] * prod(shape[2:])))


def lecun(shape: Shape) -> float:
    return 1 / sqrt(prod(shape[1:]))


def glorot(shape: Shape) -> float:
    return sqrt(2 / (shape[0] + shape[1]))


def of_torch(shape: Shape) -> float:
    """What `nn.Linear` draws: uniform below 1 / √fan_in."""
    return 1 / sqrt(3 * shape[1])


RESNET: Mapping[str, Std] = {
    "head.weight": 0.01,  # Goyal et al. 2017, section 5.1
    "*.conv.weight": he_fan_out,  # He et al. 2015, section 3.4, and the authors' code
    "*.bias": 0.0,
    "*.norm.weight": 0.0,
}
MOBILENET: Mapping[str, Std] = {
    "head.weight": 0.01,
    "*.depthwise.conv.weight": sqrt(2 / 9),  # each channel has a kernel of its own
    **RESNET,
}
PAPERS: Mapping[str, Mapping[str, Std]] = {
    # The first glob that matches counts. Norms start at 1 with all of them.
    "resnet_basic": RESNET,
    "resnet_bottleneck": RESNET,
    "mobilenet_v2": MOBILENET,  # its paper does not say; as in ResNet
    "mobilenet_v2_tensorflow": MOBILENET,
    "convnext": {
        "*.scale.weight": 0.0,  # 1e-6, Liu et al. 2022, table 5
        "*norm.weight": 0.0,
        "final.weight": 0.0,
        "*.weight": 0.02,  # table 5
        "*.bias": 0.0,
    },
    "vit": {
        "patches.weight": lecun,  # all of these: the authors' code
        "cls.weight": 0.0,
        "position.weight": 0.02,
        "head.*": 0.0,
        "*norm.*": 0.0,
        "*.mlp.*.bias": 1e-6,
        "*.bias": 0.0,
        "*.weight": glorot,
    },
    "bert": {
        "*norm*": 0.0,
        "*.bias": 0.0,
        "*.weight": 0.02,  # Devlin et al. 2018, the authors' code
    },
    "gpt2": {
        "*norm.*": 0.0,
        "*.bias": 0.0,
        "*.out_proj.weight": 0.02 / sqrt(2 * 2),  # Radford et al. 2019, section 2.3: 1 / √(residual layers)
        "*.mlp.down.weight": 0.02 / sqrt(2 * 2),
        "*.weight": 0.02,  # Radford et al. 2018, section 4.1; positions 0.01 in the code that was published
    },
    "t5": {
        "*norm.*": 0.0,
        "token.weight": 1.0,  # all of these: the authors' code
        "*.near.weight": lambda shape: 1 / sqrt(32),
        "*.q_proj.weight": lambda shape: 1 / sqrt(shape[1] * 8),
        "*.weight": lecun,
    },
    "llama": {
        "*norm.*": 0.0,
        "*.weight": 0.02,  # its papers do not say; that of the code that all use
    },
}

CODE: Mapping[str, Mapping[str, Std]] = {
    # Where the code of `transformers` starts otherwise.
    "resnet_basic": {
        # The default of `nn.Linear`, not chosen by anybody.
        "head.weight": of_torch,
        "head.bias": 1 / sqrt(3 * 512),
    },
    "resnet_bottleneck": {"head.weight": of_torch, "head.bias": 1 / sqrt(3 * 2048)},
    # For fine-tuning the code never needs what it starts from: 0.02 for all, whatever the network.
    "mobilenet_v2": {"*.conv.weight": 0.02, "head.weight": 0.02},
    "mobilenet_v2_tensorflow": {"*.conv.weight": 0.02, "head.weight": 0.02},
    "vit": {
        "patches.weight": 0.02,
        "cls.weight": 0.02,
        "head.weight": 0.02,
        **{f"*.{name}.bias": 0.0 for name in ("up", "down")},
        **{f"*.{name}.weight": 0.02 for name in ("?_proj", "out_proj", "up", "down")},
    },
}


@cache
def plan(name: str) -> mf.Plan:
    return ORIGINALS[name].plan()


def expected(table: Mapping[str, Std], item: ParameterPlan) -> float | None:
    found = next((std for glob, std in table.items() if fnmatchcase(item.path, glob)), None)
    return found(item.shape) if callable(found) else found


def mean(item: ParameterPlan) -> float:
    return 0.0 if item.role != "scale" else 1e-6 if item.path.endswith("scale.weight") else 1.0


@pytest.mark.parametrize("name", ORIGINALS)
def test_parameters_start_as_in_the_paper(name: str):
    for item in plan(name).parameters:
        assert item.std == pytest.approx(expected(PAPERS[name], item)), item.path
        assert item.mean == pytest.approx(mean(item)), item.path


@pytest.mark.parametrize("name", ORIGINALS)
def test_parameters_start_as_those_of_the_original(name: str, tmp_path: Path):
    original = ORIGINALS[name]
    original.make().save_pretrained(tmp_path)
    theirs = mf.build(original.load(tmp_path)).ledger
    exceptions = CODE.get(name, {})
    for item in plan(name).parameters:
        exception = expected(exceptions, item)
        std = item.std if exception is None else exception
        entry = theirs[item.path]
        assert std is not None
        assert exception != pytest.approx(item.std, rel=1e-3), f"{item.path} is no exception any more"
        assert entry.measured_mean is not None
        assert entry.measured_std is not None
        # Five standard errors; no law that is drawn from has heavier tails than the normal one.
        error = 5 * std / sqrt(prod(item.shape)) + 1e-9
        assert entry.measured_mean == pytest.approx(mean(item), abs=error), item.path
        assert entry.measured_std == pytest.approx(std, abs=error / sqrt(2)), item.path


def test_every_exception_is_one():
    for name, exceptions in CODE.items():
        for glob in exceptions:
            assert any(fnmatchcase(item.path, glob) for item in plan(name).parameters), (name, glob)
