"""The names that torchvision gives a ResNet's tensors lead each to the parameter of its shape."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import modelforge as mf

CONF = Path(__file__).parents[2] / "conf"
SIZES = {18: (1, (2, 2, 2, 2)), 50: (4, (3, 4, 6, 3))}


def norm(name: str, width: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    yield from ((f"{name}.{part}", (width,)) for part in ("weight", "bias", "running_mean", "running_var"))
    yield f"{name}.num_batches_tracked", ()


def tensors(size: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Names and shapes, as they are published."""
    widen, depths = SIZES[size]
    yield "conv1.weight", (64, 3, 7, 7)
    yield from norm("bn1", 64)
    arrives = 64
    for stage, depth in enumerate(depths):
        inside, leaves = 64 * 2**stage, 64 * 2**stage * widen
        widths = (inside, inside, leaves) if widen > 1 else (inside, leaves)
        kernels = (1, 3, 1) if widen > 1 else (3, 3)
        for block in range(depth):
            at = f"layer{stage + 1}.{block}"
            before = arrives
            for index, (width, kernel) in enumerate(zip(widths, kernels, strict=True), 1):
                yield f"{at}.conv{index}.weight", (width, before, kernel, kernel)
                yield from norm(f"{at}.bn{index}", width)
                before = width
            if arrives != leaves:
                yield f"{at}.downsample.0.weight", (leaves, arrives, 1, 1)
                yield from norm(f"{at}.downsample.1", leaves)
            arrives = leaves
    yield "fc.weight", (1000, arrives)
    yield "fc.bias", (1000,)


@pytest.mark.parametrize("size", SIZES)
def test_every_tensor_has_its_place(size: int, tmp_path: Path):
    path = tmp_path / "resnet.pth"
    # One number in memory for each: a checkpoint of torch keeps how tensors lie.
    torch.save({name: torch.zeros(()).expand(shape) for name, shape in tensors(size)}, path)
    overrides = ["model=resnet", f"model.size={size}", "data.input.shape=[3,64,64]", "data.num_outputs=1000"]
    decided = mf.plan(mf.load(CONF, [*overrides, "weights=resnet_torchvision", f"weights.path={path}"]))
    assert {item.scheme for item in decided.parameters} == {"pretrained"}
    assert len(decided.parameters) + len(decided.buffers) == len(list(tensors(size)))
    names = {item.path: item.numbers["tensor"] for item in decided.parameters}
    assert names["stage3.rest.0.block.add.conv2.norm.bias"] == "layer3.1.bn2.bias"
    assert names["stage2.first.add.shortcut.conv.weight"] == "layer2.0.downsample.0.weight"
