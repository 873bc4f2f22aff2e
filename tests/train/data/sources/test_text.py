"""Text: windows, alphabets, bytes, and files that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import modelforge as mf
from modelforge.train.data.read import read
from modelforge.train.data.registry import parse_source
from modelforge.train.data.source import Source

pytestmark = pytest.mark.usefixtures("book")


def text(**fields) -> Source:
    raw = {"type": "text", "task": "language_modelling", "context": 8, "vocab_size": 256, **fields}
    raw = {"num_outputs": raw["vocab_size"], **raw}
    return parse_source({**raw, "input": {"shape": [raw["context"]], "dtype": "int64"}})


def told(source: Source) -> list[tuple[str, str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        read(source)
    return [(problem.path, problem.message, problem.hint) for problem in caught.value.problems]


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
