"""Language modelling: models that look ahead, a baseline of pairs, and text of the model's own."""

from __future__ import annotations

import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from modelforge.core.words import digits
from modelforge.train.metrics import mean_loss
from modelforge.train.tasks.language_modelling import LanguageModelling, looks_ahead
from tests.train.reader import Reader

pytestmark = pytest.mark.usefixtures("book")

SMALL = ("data.context=8", "model.layers.rnn.hidden_size=16", "data.sample=20")


def test_a_model_that_looks_ahead_is_found():
    tokens = torch.tensor([[1, 2, 3, 4]])
    assert looks_ahead(Reader(both=False), tokens, 5) is None
    assert looks_ahead(Reader(both=True), tokens, 5) is not None


@pytest.mark.parametrize("positions", [3, 4, 6, 7, 8, 15, 16])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_model_that_reads_in_blocks_is_found_where_the_last_token_is_in_none(size: int, positions: int):
    class Blocks(torch.nn.Module):
        """Gives at each position the sum of its block; the last positions, which fill none, give nothing."""

        def forward(self, tokens: torch.Tensor) -> torch.Tensor:
            whole = tokens.shape[1] // size * size
            sums = tokens[:, :whole].unflatten(1, (-1, size)).sum(-1).repeat_interleave(size, 1)
            padded = torch.nn.functional.pad(sums, (0, tokens.shape[1] - whole))
            return padded[..., None].double().expand(-1, -1, 5)

    found = looks_ahead(Blocks(), torch.arange(positions)[None] % 4, 5)
    assert (found is not None) is (size > 1)


def test_tokens_that_are_of_no_text_are_predicted_by_their_numbers():
    """They were taken for bytes: 68 was `D`, and 300 ended in a traceback."""
    outputs = torch.zeros(2, 3, 400)
    outputs[0, -1, 68] = outputs[1, -1, 300] = 9.0
    assert LanguageModelling().predictions(outputs, {})["prediction"].tolist() == [68, 300]
    assert LanguageModelling().predictions(outputs[:1], {"alphabet": None})["prediction"].tolist() == ["D"]


@pytest.mark.parametrize("scale", [0.0, 1e-9])
def test_initial_values_do_not_hide_that_it_looks_ahead(scale: float):
    tokens = torch.tensor([[1, 2, 3, 4]])
    for both in (False, True):
        model = Reader(both=both)
        with torch.no_grad():
            model.head.weight.mul_(scale)
        before = {name: value.clone() for name, value in model.state_dict().items()}
        state = torch.get_rng_state()
        assert (looks_ahead(model, tokens, 5) is not None) is both
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_values_that_are_never_trained_stay_for_the_check():
    class Masked(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mask = torch.nn.Parameter(torch.ones(4, 4).tril(), requires_grad=False)
            self.mix = torch.nn.Parameter(torch.zeros(4, 4))

        def forward(self, tokens):
            return ((self.mask * self.mix) @ tokens.float()[..., None]).expand(-1, -1, 5)

    tokens = torch.tensor([[1, 2, 3, 4]])
    assert looks_ahead(Masked(), tokens, 5) is None
    model = Masked()
    model.mask.fill_(1.0)
    assert looks_ahead(model, tokens, 5) == 0


def test_outputs_that_are_no_numbers_say_nothing_of_what_lies_ahead():
    model = Reader(both=False)
    torch.nn.init.constant_(model.head.bias, torch.nan)
    assert looks_ahead(model, torch.tensor([[1, 2, 3, 4]]), 5) is None


def test_tokens_that_are_missing_count_for_nothing():
    """A window of two tokens, one of none, and one of four are joined as one of six."""
    task, draw = LanguageModelling(), torch.Generator().manual_seed(0)
    scores, tokens = torch.randn(3, 4, 5, generator=draw), torch.tensor([[1, 2, -100, -100], [-100] * 4, [0, 3, 4, 2]])
    kept = tokens >= 0
    right = torch.nn.functional.cross_entropy(scores[kept], tokens[kept]).item()
    meter: Any = task.meter(SimpleNamespace(num_outputs=5))
    loss = mean_loss()
    for row in range(3):
        one = scores[row : row + 1], tokens[row : row + 1]
        task.count(meter, one[0], one)
        loss.update(task.loss(one[0], one), task.weight(one))
    assert loss.compute().item() == pytest.approx(right, rel=1e-6)
    assert meter.compute().item() == pytest.approx(right / math.log(2), rel=1e-6)


def test_such_a_model_is_not_trained(train):
    result = train("model=char_lstm", "data.files=book.txt", *SMALL, "+model.layers.rnn.bidirectional=true")
    (problem,) = result.status.error
    assert problem["code"] == "MF050"
    assert problem["message"].startswith("the model looks ahead: its output at position ")


def test_a_run_compares_and_writes(train, tmp_path: Path, capsys):
    result = train("model=char_lstm", "data.files=book.txt", *SMALL, "data.batch_size=5")  # the last batch is smaller
    assert result.exit_code == 0
    metrics = result.status.metrics
    assert set(metrics) == {"val/bits", "test/bits", "test/bits_per_byte", "test/loss", "test/bigram_bits"}
    assert metrics["test/bits"] == pytest.approx(metrics["test/loss"] / math.log(2), rel=1e-5)
    assert result.status.optimized_metric == "val/bits"
    assert result.metric == metrics["val/bits"]
    lines = capsys.readouterr().out.splitlines()
    told = (
        f"test bits per byte {digits(metrics['test/bits'])}  ·  {digits(metrics['test/bigram_bits'])} by a bigram model"
    )
    assert lines[-1].startswith(f"{told}  ·  ")
    assert "the model goes on from the beginning of the test:" in lines
    assert len((tmp_path / "run" / "sample.txt").read_text(encoding="utf-8")) > 20
    assert json.loads((tmp_path / "run" / "status.json").read_text())["optimized_metric"] == "val/bits"


def test_a_model_learns_what_is_always_the_same(train):
    more = ("trainer.max_epochs=15", "optimizer.lr=0.02")
    metrics = train("model=char_lstm", "data.files=book.txt", *SMALL, "data.batch_size=8", *more).status.metrics
    assert metrics["test/bits"] < 0.4 < metrics["test/bigram_bits"] < 0.5, "it reads more than the last letter"
