"""A compiled model trains like the plain one, under the same names, and goes on to the bit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from modelforge.train.data.batches import Batch
from modelforge.train.learner import Learner
from tests.train.runs import last
from tests.train.test_resume import assert_equal


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(last(folder), weights_only=True)["state_dict"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_a_compiled_model(train, tmp_path: Path):
    train(folder="plain")
    train("trainer.compile=true", "callbacks=ema", folder="whole")
    train("trainer.compile=true", "callbacks=ema", "trainer.max_epochs=1", folder="half")
    train("trainer.compile=true", "callbacks=ema", f"ckpt={last(tmp_path / 'half')}", folder="whole2")
    assert_equal(tmp_path / "whole", tmp_path / "whole2")
    plain = weights(tmp_path / "plain")
    trained = torch.load(last(tmp_path / "whole"), weights_only=True)["modelforge_averaging"]["trained"]
    assert [name for name in plain if name.startswith("model.")] == list(trained)
    for name, value in trained.items():
        torch.testing.assert_close(value, plain[name], rtol=1e-3, atol=1e-4)
    train("trainer.max_epochs=3", f"ckpt={last(tmp_path / 'whole')}", folder="uncompiled")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*torch.jit.*:DeprecationWarning")
def test_where_a_compiled_model_diverges(train, monkeypatch: pytest.MonkeyPatch):
    original = Learner.training_step

    def broken(self: Learner, batch: Batch, batch_idx: int) -> torch.Tensor:
        if batch_idx == 3:
            self.model.hidden2.weight.data.fill_(float("inf"))
        return original(self, batch, batch_idx)

    monkeypatch.setattr(Learner, "training_step", broken)
    (problem,) = train("trainer.compile=true").status.error
    assert problem["path"] == "model.layers.hidden2"
    assert "`weight` of layer `hidden2` is no longer finite" in problem["message"]
