"""Text: windows, alphabets, bytes, and files that cannot be read."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

import modelforge as mf
from modelforge.train.data.files import matching
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
    return [(problem.key, problem.message, problem.hint) for problem in caught.value.problems]


def test_targets_are_the_tokens_one_further_on(book: Path):
    examples = read(text(files="*.txt"))
    inputs, targets = examples.train.batch(np.arange(len(examples.train)))
    assert inputs.shape == targets.shape == (len(examples.train), 8)
    assert np.array_equal(inputs[:, 1:], targets[:, :-1])
    assert bytes(inputs.ravel().tolist()) == book.read_bytes()[: inputs.size]
    assert examples.text is not None
    assert examples.text.vocabulary.unit == "byte"


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
    assert examples.fitted == {"alphabet": letters}
    assert examples.text.vocabulary.decode(examples.train.batch(np.arange(1))[0][0]) == "Æther an"
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


# --- tokens and new texts ---------------------------------------------------------------------------------------------


def test_pieces_are_learnt_from_the_training_part(book: Path):
    pytest.importorskip("tokenizers", reason="the extra `text`")
    written = "first half of it, " * 60 + "something else: zyx " * 10
    book.write_text(written, encoding="utf-8")
    examples = read(text(files="book.txt", level="tokens", vocab_size=270))
    assert examples.text is not None
    kept = examples.text.vocabulary
    assert kept.size <= 270
    parts = [kept.decode(part.tokens.tolist()) for part in (examples.train, examples.val, examples.test)]
    assert "".join(parts) == written
    assert [len(part) for part in parts] == [1024, 128, 128]
    assert len(examples.train.tokens) < 1024 / 3
    assert kept.encode("zyx").tolist() == [kept.tokenizer.token_to_id(sign) for sign in "zyx"]
    assert examples.text.bytes_per_token == 128 / len(examples.test.tokens)


def test_a_tokenizer_in_a_file_has_its_own_number_of_tokens(book: Path):
    library = pytest.importorskip("tokenizers", reason="the extra `text`")
    tokenizer = library.Tokenizer(library.models.WordLevel({"[UNK]": 0, "æther": 1, "and": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = library.pre_tokenizers.Whitespace()
    tokenizer.save("tokenizer.json")
    examples = read(text(files="book.txt", level="tokens", tokenizer="tokenizer.json", vocab_size=4, context=2))
    assert examples.train.batch(np.arange(1))[0].tolist() == [[0, 2]]
    assert told(text(files="book.txt", level="tokens", tokenizer="tokenizer.json", vocab_size=2)) == [
        ("data.vocab_size", "`tokenizer.json` has 3 tokens, but `vocab_size` is 2", "write `data.vocab_size=3`")
    ]
    assert told(text(files="book.txt", level="tokens", tokenizer="none.json"))[0][0] == "data.tokenizer"


@pytest.mark.parametrize(
    ("fields", "where", "message"),
    [
        (
            {"level": "tokens", "vocab_size": 100},
            "vocab_size",
            "tokens are learnt from the 256 bytes, but `vocab_size` is 100",
        ),
        ({"tokenizer": "x.json"}, "tokenizer", "`tokenizer` is `x.json`, but `level` is 'bytes'"),
        ({"vocab_size": 100}, "vocab_size", "there are 256 bytes, but `vocab_size` is 100"),
    ],
)
def test_settings_that_contradict_each_other(fields: dict, where: str, message: str):
    with pytest.raises(ValidationError) as caught:
        text(**fields)
    assert [(detail["loc"], detail["msg"]) for detail in caught.value.errors()] == [((where,), message)]


@pytest.mark.parametrize(
    "fields", [{}, {"level": "characters", "vocab_size": 14}, {"level": "tokens", "vocab_size": 262}], ids=str
)
def test_the_raw_text_of_the_test_part_is_encoded_as_the_run_tested_on_it(book: Path, fields: dict):
    pytest.importorskip("tokenizers", reason="the extra `text`")
    source = text(files="book.txt", **fields)
    examples = read(source)
    assert examples.text is not None
    (book.parent / "test.txt").write_text(examples.text.vocabulary.decode(examples.test.tokens.tolist()))
    raw = source.raw(book.parent / "test.txt")
    encoded = source.encode(raw, json.loads(json.dumps(examples.fitted)), labelled=True)
    rows = np.arange(len(examples.test))
    assert len(encoded) == len(examples.test)
    for one, other in zip(encoded.batch(rows), examples.test.batch(rows), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    ("number", "starts", "left"),
    [(8, [0], None), (9, [0, 1], 0), (16, [0, 8], 7), (17, [0, 8, 9], 0), (30, [0, 8, 16, 22], 5)],
)
def test_the_last_window_of_a_new_text_ends_where_it_does(book: Path, number: int, starts: list[int], left: int | None):
    source = text(files="book.txt")
    fitted, raw = read(source).fitted, "".join(map(chr, range(40, 40 + number)))
    new = source.encode(raw, fitted)
    inputs, targets = new.batch(np.arange(len(new)))
    assert isinstance(inputs, np.ndarray)
    assert inputs.tolist() == [[*range(40 + start, 48 + start)] for start in starts]
    assert (targets.shape, targets.any()) == (inputs.shape, False)
    if left is not None:
        known = source.encode(raw, fitted, labelled=True)
        assert len(known) == (number - 1) // 8
        found = [problem.message for problem in getattr(known, "warnings", ())]
        message = f"the last {left} of {number} tokens are left out: fewer than `context`, 8, fill no window"
        assert found == ([message] if left else [])


def test_new_text_that_cannot_be_encoded(book: Path):
    source = text(files="book.txt", level="characters", vocab_size=14)
    fitted = read(source).fitted

    def refused(raw: str) -> str:
        with pytest.raises(mf.ForgeError) as caught:
            source.encode(raw, fitted)
        return caught.value.problems[0].message

    assert refused("and again!" * 9) == "the character '!', number 10 of the text, does not occur in the training text"
    assert refused("and") == "the text has 3 tokens, but must have at least `context`, 8"
    with pytest.raises(mf.ForgeError, match="the text has 8 tokens, but must have more than `context`, 8"):
        source.encode("and agai", fitted, labelled=True)
    (book.parent / "more").mkdir()
    for name in ("b.txt", "a.txt"):
        (book.parent / "more" / name).write_text(name)
    assert source.raw(book.parent / "more") == "a.txt\nb.txt"


def test_a_run_says_how_many_bits_a_byte_takes(train, book: Path, capsys):
    pytest.importorskip("tokenizers", reason="the extra `text`")
    small = ("model=char_lstm", f"data.files={book}", "data.context=8", "model.layers.rnn.hidden_size=16")
    result = train(*small, "data.level=tokens", "data.vocab_size=280", "data.sample=5")
    assert result.exit_code == 0, result.status.error
    metrics = result.status.metrics
    assert metrics["test/bits_per_byte"] < metrics["test/bits"] / 2
    assert " per byte  ·  " in capsys.readouterr().out.splitlines()[-1]
    result = train(*small, "data.sample=0", folder="plain")
    assert result.status.metrics["test/bits_per_byte"] == result.status.metrics["test/bits"]
    assert " per byte" in capsys.readouterr().out.splitlines()[-1]


def test_a_run_predicts_from_raw_text_what_it_reported(train, book: Path, tmp_path: Path):
    pytest.importorskip("tokenizers", reason="the extra `text`")
    small = ("model=char_lstm", f"data.files={book}", "data.context=8", "model.layers.rnn.hidden_size=16")
    result = train(*small, "data.level=tokens", "data.vocab_size=280", "data.sample=0")
    assert result.exit_code == 0, result.status.error
    run = mf.load_run(tmp_path / "run")
    assert run.evaluate().metrics["bits"] == pytest.approx(result.status.metrics["test/bits"], rel=1e-6)
    written = book.read_text(encoding="utf-8")
    (tmp_path / "test.txt").write_text(written[-round(0.1 * len(written)) :], encoding="utf-8")
    found = run.evaluate({"files": str(tmp_path / "test.txt")})
    assert found.metrics["bits"] == pytest.approx(result.status.metrics["test/bits"], rel=1e-6)
    predicted = run.predict("Æther and æther again.\n" * 3)
    assert all(isinstance(piece, str) for piece in predicted["prediction"])


def test_the_name_of_a_folder_of_new_text_is_no_pattern(book: Path):
    for name in ("tx[1]", "tx1"):
        (book.parent / name / "deeper").mkdir(parents=True)
        (book.parent / name / "deeper" / "a.txt").write_text(f"of {name}")
    source = text(files="*.txt")
    assert source.raw(book.parent / "tx[1]") == "of tx[1]"
    ((_, _, hint),) = told(text(files="tx[1]"))
    assert hint == "of all files in it: `data.files=tx[[]1]/**`"
    assert len(matching("tx[[]1]/**")) == 1
    (book.parent / "empty[a]").mkdir()
    with pytest.raises(mf.ForgeError, match=r"`.*empty\[a\]` holds no file"):
        source.raw(book.parent / "empty[a]")
