"""Models of conf/model are those that `transformers` has: with the same values the same outputs and gradients.

Values go through a file that the original saves, and through conf/weights. So do its gradients and its buffers, saved
as if they were values: then what is compared has our names.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from tests.zoo.originals import ORIGINALS, Original

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")


@pytest.fixture(params=ORIGINALS)
def original(request: pytest.FixtureRequest) -> Original:
    return ORIGINALS[request.param]


def perturbed(model: nn.Module) -> nn.Module:
    """The model with no value left that all models have: biases are not 0, and norms not 1."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, value in (*model.named_parameters(), *model.named_buffers()):
            if value.is_floating_point() and "inv_freq" not in name:
                noise = torch.randn(value.shape, generator=generator)
                value.add_(0.1 * (noise.abs() if name.endswith("running_var") else noise * value.std().clamp(0.5, 1)))
    return model


def logits(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    made: Any = model(**batch)
    return made.logits


def outputs(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    made = model(*batch.values())
    return made if isinstance(made, Tensor) else next(iter(made.values()))


def loss(made: Tensor) -> Tensor:
    """A number to which every output matters, each otherwise."""
    weights = torch.randn(made.shape, generator=torch.Generator().manual_seed(3))
    return (made * weights).sum() / weights.norm()


def saved(model: Any, path: Path) -> Path:
    model.save_pretrained(path)
    return path


def as_values(model: nn.Module) -> nn.Module:
    """A copy of the model whose parameters are its gradients."""
    twin = copy.deepcopy(model)
    for there, value in zip(twin.parameters(), model.parameters(), strict=True):
        assert value.grad is not None
        there.data = value.grad.clone()
    return twin


@pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])
def test_outputs_gradients_and_buffers_are_equal(original: Original, training: bool, tmp_path: Path):
    theirs = perturbed(original.make()).train(training)
    ours = mf.build(original.load(saved(theirs, tmp_path / "values"))).train(training)
    assert ours.ledger.ok
    assert {entry.scheme for entry in ours.ledger} == {"pretrained"}
    assert sum(value.numel() for value in ours.parameters()) == sum(value.numel() for value in theirs.parameters())
    batch = original.inputs()
    expected, made = logits(theirs, batch), outputs(ours, batch)
    torch.testing.assert_close(made, expected, rtol=1e-5, atol=1e-5 * float(expected.detach().std()))
    loss(expected).backward()
    loss(made).backward()
    stored = mf.build(original.load(saved(as_values(theirs), tmp_path / "gradients")))
    least = 1e-3 * torch.cat([value.detach().flatten() for value in stored.parameters()]).norm()
    for (name, value), there in zip(ours.named_parameters(), stored.parameters(), strict=True):
        assert value.grad is not None
        # What is 0 but for rounding, as the gradients of keys' biases are, has no relative error.
        assert (value.grad - there).detach().norm() < 1e-4 * there.detach().norm().clamp(least), name
    for name, buffer in ours.named_buffers():
        torch.testing.assert_close(buffer, stored.get_buffer(name), msg=name)
