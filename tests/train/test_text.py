"""Text: windows, what a token is, the table of pairs, models that look ahead, and text of a model's own."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.core.words import digits
from modelforge.train.data.read import read
from modelforge.train.data.registry import parse_source
from modelforge.train.data.source import Source
from modelforge.train.tasks.language_modelling import looks_ahead
from modelforge.train.text.bigram import Bigram
from modelforge.train.text.sample import write

SMALL = ("data.context=8", "model.layers.rnn.hidden_size=16", "data.sample=20")


def text(**fields) -> Source:
    raw = {"type": "text", "task": "language_modelling", "context": 8, "vocab_size": 256, **fields}
    raw = {"num_outputs": raw["vocab_size"], **raw}
    return parse_source({**raw, "input": {"shape": [raw["context"]], "dtype": "int64"}})


def told(source: Source) -> list[tuple[str, str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        read(source)
    return [(problem.path, problem.message, problem.hint) for problem in caught.value.problems]


@pytest.fixture(autouse=True)
def book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "book.txt"
    path.write_text("Æther and æther again.\n" * 40, encoding="utf-8")
    return path


def test_targets_are_the_tokens_one_further_on(book: Path):
    examples = read(text(files="*.txt"))
    inputs, targets = examples.train.batch(np.arange(len(examples.train)))
    assert inputs.shape == targets.shape == (len(examples.train), 8)
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])
    assert bytes(inputs.ravel().tolist()) == book.read_bytes()[: inputs.size]
    assert examples.text is not None
    assert examples.text.unit == "byte"


def test_the_parts_lie_one_behind_the_other():
    examples = read(text(files="book.txt"))
    whole = Path("book.txt").read_bytes()
    parts = [bytes(part.tokens.tolist()) for part in (examples.train, examples.val, examples.test)]
    assert b"".join(parts) == whole
    assert [len(part) for part in parts] == [800, 100, 100]


def test_characters_have_an_alphabet():
    letters = sorted(set(Path("book.txt").read_text(encoding="utf-8")))
    examples = read(text(files="book.txt", level="characters", vocab_size=len(letters)))
    assert examples.text is not None
    assert examples.text.alphabet == tuple(letters)
    assert examples.text.decode(examples.train.batch(np.arange(1))[0][0]) == "Æther an"
    assert told(text(files="book.txt", level="characters", vocab_size=9)) == [
        (
            "data.vocab_size",
            "`book.txt` has 14 different characters, but `vocab_size` is 9",
            "write `data.vocab_size=14`",
        )
    ]


def test_without_files_it_is_the_help_of_python():
    examples = read(text())
    assert len(examples.train.tokens) > 100_000
    assert b"Python" in bytes(examples.train.tokens.tolist())


def test_files_that_cannot_be_read(book: Path):
    (book.parent / "latin.txt").write_bytes("na\u00efve".encode("latin-1"))
    (book.parent / "empty.md").write_text("")
    expected = {
        "latin.txt": ("data.files", "`latin.txt` is not UTF-8: byte 2 is 0xef", "convert it, or leave it out"),
        "*.rst": ("data.files", "no file matches `*.rst`", "see from which folder this runs, and the ending"),
        "*.md": ("data.files", "the files that match `*.md` are empty", ""),
    }
    for pattern, problem in expected.items():
        assert told(text(files=pattern)) == [problem]
    assert told(text(files="book.txt", context=500))[0] == (
        "data.context",
        "`book.txt` is too short: each of its three parts needs more than 500 tokens, and one has 100",
        "bring more text, or write a smaller `data.context=...`",
    )


def test_a_name_that_exists_is_no_glob(book: Path):
    book.rename(book.parent / "[x].txt")
    assert len(read(text(files="[x].txt")).train.tokens) == 800
    (book.parent / "x.txt").write_text("other " * 100)
    assert len(read(text(files="[x].txt")).train.tokens) == 800
    (book.parent / "[x].txt").unlink()
    assert len(read(text(files="[x].txt")).train.tokens) == 480


def test_text_that_is_no_regular_file_or_too_large(book: Path):
    os.mkfifo("pipe")
    Path("device").symlink_to("/dev/zero")
    for name, what in (("pipe", "a named pipe"), ("device", "a device")):
        expected = ("data.files", f"`{name}` is {what}, not a file", "write `data.files=...`")
        assert told(text(files=name)) == [expected]
    with Path("sparse.txt").open("wb") as file:
        file.truncate(2_000_000_000)
    assert told(text(files="sparse.txt"))[0][1] == (
        "`sparse.txt` takes 2,000,000,000 bytes, but `max_bytes` is 1,073,741,824"
    )
    assert told(text(files="*.txt", max_bytes=1000))[0][1].startswith("the text takes 2,000,001,000 bytes")


def test_pairs_that_were_never_seen_cost_finitely_much():
    tokens = np.array([0, 1, 2] * 100)
    model = Bigram.fit(tokens, 5)
    assert model.bits(tokens[:-1], tokens[1:]) < 0.05
    assert 5 < model.bits(np.array([0]), np.array([4])) < 30
    chances = [2 ** -model.bits(np.array([0]), np.array([after])) for after in range(5)]
    assert sum(chances) == pytest.approx(1)


def test_of_random_tokens_no_pair_says_anything():
    tokens = np.random.default_rng(0).integers(0, 8, 20_000)
    assert Bigram.fit(tokens[:10_000], 8).bits(tokens[10_000:-1], tokens[10_001:]) == pytest.approx(3, abs=0.02)


class Reader(nn.Module):
    """A model of text that reads in one direction, or in both."""

    def __init__(self, *, both: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embed = nn.Embedding(5, 4)
        self.rnn = nn.GRU(4, 4, batch_first=True, bidirectional=both)
        self.head = nn.Linear(8 if both else 4, 5)

    def forward(self, tokens):
        return self.head(self.rnn(self.embed(tokens))[0])


def test_a_model_that_looks_ahead_is_found():
    tokens = torch.tensor([[1, 2, 3, 4]])
    assert looks_ahead(Reader(both=False), tokens, 5) is None
    assert looks_ahead(Reader(both=True), tokens, 5) is not None


def test_such_a_model_is_not_trained(train):
    result = train("model=char_lstm", "data.files=book.txt", *SMALL, "+model.layers.rnn.bidirectional=true")
    (problem,) = result.status.error
    assert problem["code"] == "MF050"
    assert problem["message"].startswith("the model looks ahead: its output at position ")


def test_writing_is_a_function_of_its_seed():
    model = Reader(both=False).train()
    prompt = torch.tensor([1, 2, 3])
    first, again, other = (write(model, prompt, 30, temperature=1.0, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    assert set(first) <= set(range(5))
    cold = write(model, prompt, 30, temperature=0, seed=0)
    assert cold == write(model, prompt, 30, temperature=1e-6, seed=5)
    assert model.training


def test_a_run_compares_and_writes(train, tmp_path: Path, capsys):
    result = train("model=char_lstm", "data.files=book.txt", *SMALL)
    assert result.exit_code == 0
    metrics = result.status.metrics
    assert set(metrics) == {"val/bits", "test/bits", "test/loss", "test/bigram_bits"}
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
    assert metrics["test/bits"] < 1 < metrics["test/bigram_bits"] + 1
