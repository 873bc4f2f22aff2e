"""A range test starts where the training starts, and finds where the loss falls most steeply."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from torch import Tensor

from modelforge.core.errors import ForgeError
from modelforge.train.data.batches import Batch
from modelforge.train.learner import Learner
from modelforge.train.tuning import find_batch_size, find_rate


def test_the_first_step_is_that_of_the_training(config, train, tmp_path: Path):
    found = find_rate(config("optimizer.lr=1e-6"), lowest=1e-6, highest=1e-5, num_steps=20)
    train("optimizer.lr=1e-6", "trainer.log_every_n_steps=1", "trainer.max_epochs=1")
    rows = list(csv.DictReader((tmp_path / "run" / "steps.csv").read_text().splitlines()))
    smoothed = 0.02 * float(rows[0]["loss"]) / (1 - 0.98**2)  # as Lightning counts the first step
    assert found.losses[0] == pytest.approx(smoothed, rel=1e-6)


def test_the_suggestion_is_where_the_loss_falls_most_steeply(config):
    found = find_rate(config(), lowest=1e-5, highest=1.0, num_steps=60)
    assert found.rates[0] == pytest.approx(1e-5)
    assert np.allclose(np.diff(np.log10(found.rates[1:])), 5 / 60)  # Lightning's first interval is twice as long
    falls = np.gradient(found.losses[10:-1], found.rates[10:-1])
    assert found.suggestion == found.rates[10 + int(falls.argmin())]
    assert found.suggestion is not None
    assert 1e-4 < found.suggestion < 0.3


def test_groups_keep_their_ratio(config):
    """What learns at a rate of 0 might as well be frozen."""
    sgd, test = ("optimizer=sgd", "optimizer.weight_decay=0"), {"lowest": 1e-3, "highest": 0.1, "num_steps": 15}
    still = find_rate(config(*sgd, "optimizer.groups={hidden*.*: {lr: 0.0}}"), **test)
    frozen = find_rate(config(*sgd, "freeze=[hidden*.*]"), **test)
    assert still.rates == frozen.rates
    assert still.losses == pytest.approx(frozen.losses, rel=1e-6)
    assert still.losses != pytest.approx(find_rate(config(*sgd), **test).losses, rel=1e-3)


def test_what_the_range_cannot_be(config):
    for lowest, highest in ((1.0, 0.1), (0.0, 1.0), (1.0, float("inf"))):
        with pytest.raises(ForgeError, match="the learning rates must rise, from above 0"):
            find_rate(config(), lowest=lowest, highest=highest, num_steps=20)


def test_a_test_that_ends_at_once_suggests_nothing(config):
    found = find_rate(config(), lowest=1.0, highest=1e30, num_steps=100)
    assert found.suggestion is None


def test_the_largest_batch(config, monkeypatch: pytest.MonkeyPatch):
    assert find_batch_size(config()).size == 1257
    original = Learner.training_step

    def limited(self: Learner, batch: Batch, batch_idx: int) -> Tensor:
        if len(batch[1]) > 100:
            raise RuntimeError("CUDA out of memory. Tried to allocate more than there is")
        return original(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", limited)
    found = find_batch_size(config())
    assert (found.size, found.num_examples) == (64, 1257)
