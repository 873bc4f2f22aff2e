"""Every model of conf/model learns: a few steps on fixed batches of its own data bring the loss down."""

from __future__ import annotations

from functools import cache

import pytest
import torch

import modelforge as mf
from modelforge.config.compose import compose
from modelforge.config.folder import options
from modelforge.core.torch_state import one_thread
from modelforge.train.data.batches import Batch, Batched, read_by
from modelforge.train.data.parts import Examples
from modelforge.train.data.source import Source
from modelforge.train.prepare import prepare

SMALLER = {
    "vgg": ["model.args.hidden=128"],
    # its own data is a file of the user's
    "bag_of_words": ["data=digits_pixels", "model.layers.words.padding_idx=null"],
}
LARGE = ("resnet", "vgg", "vit", "mobilenet_v2")
NUM_ROUNDS = 6


@cache
def examples(source: Source) -> Examples:
    return source.read()


def batches(source: Source) -> list[Batch]:
    """Two batches of eight training examples."""
    dealt = Batched(examples(source).train)
    return [dealt.__getitems__(list(range(first, first + 8))) for first in (0, 8)]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in options("conf", "model")]
)
def test_a_few_steps_bring_the_loss_down(name: str):
    job = prepare(compose("conf", [f"model={name}", *SMALLER.get(name, [])]))
    model, task, given = mf.build(job.plan, seed=0), job.settings.data.task, batches(job.settings.data)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    losses: list[float] = []
    with one_thread(), torch.random.fork_rng():
        torch.manual_seed(0)
        for _ in range(NUM_ROUNDS):
            total = 0.0
            for batch in given:
                optimizer.zero_grad()
                loss = task.loss(read_by(model, batch[0]), batch)
                loss.backward()
                optimizer.step()
                total += loss.item()
            losses.append(total)
    assert losses[-1] < losses[0], losses
