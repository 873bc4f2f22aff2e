"""Vocabularies: bytes, characters and pieces, and that what was fitted gives the same one back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import modelforge as mf
from modelforge.core.errors import Refusal
from modelforge.train.data import vocabulary
from modelforge.train.data.vocabulary import Bytes, Characters, Pieces, Vocabulary, vocabulary_of

TEXT = "Æther and æther again.\n\n  Again, and again: 123 + 456.\n" * 20


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vocabulary, "PIECE", 50)


def every() -> list[Vocabulary]:
    return [Bytes(), Characters.of(TEXT), Pieces.byte_pairs([TEXT], 300)]


@pytest.mark.parametrize("place", range(3))
def test_a_text_is_the_same_behind_its_tokens(place: int):
    pytest.importorskip("tokenizers", reason="the extra `text`")
    kept = every()[place]
    tokens = kept.encode(TEXT)
    assert kept.decode(tokens.tolist()) == TEXT
    assert int(tokens.max()) < kept.size
    again = vocabulary_of(json.loads(json.dumps(kept.fitted)))
    assert type(again) is type(kept)
    assert (again.size, again.unit) == (kept.size, kept.unit)
    assert np.array_equal(again.encode(TEXT), tokens)


def test_units_and_sizes():
    characters = Characters(("a", "ä"))
    assert (characters.unit, characters.size, characters.decode([0, 1, 0])) == ("character", 2, "aäa")
    assert (Bytes().unit, Bytes().size, Bytes().decode("ä".encode())) == ("byte", 256, "ä")
    assert Bytes().decode([255, 104]) == "\ufffdh"


@pytest.mark.parametrize("text", ["cab", "aä", "b", "a\U0001f600", "A"])
def test_a_character_that_was_not_seen_is_refused(text: str):
    with pytest.raises(Refusal) as caught:
        Characters(("a",)).encode(text)
    stranger = next(sign for sign in text if sign != "a")
    number = text.index(stranger) + 1
    message = f"the character {stranger!r}, number {number} of the text, does not occur in the training text"
    assert str(caught.value) == message


@pytest.mark.usefixtures("small_pieces")
def test_a_long_text_is_read_in_parts():
    pytest.importorskip("tokenizers", reason="the extra `text`")
    parts = list(vocabulary.pieces(TEXT))
    assert len(parts) > 5
    assert "".join(parts) == TEXT
    assert all(part.endswith("\n") for part in parts)
    assert list(vocabulary.pieces("")) == []
    kept = Pieces.byte_pairs([TEXT], 280)
    assert kept.decode(kept.encode(TEXT).tolist()) == TEXT


def test_pieces_do_not_depend_on_the_run():
    pytest.importorskip("tokenizers", reason="the extra `text`")
    assert len({Pieces.byte_pairs([TEXT], 300).state for _ in range(3)}) == 1
    assert len({Pieces.words(TEXT.splitlines(), 8).state for _ in range(3)}) == 1
    assert Pieces.byte_pairs([TEXT], 270).size == 270
    assert Pieces.byte_pairs([TEXT], 10_000).size < 1_000


def test_words_are_padded_and_cut():
    pytest.importorskip("tokenizers", reason="the extra `text`")
    kept = Pieces.words(["the cat", "the dog", "The cat!"], 5)
    assert kept.size == 5
    the, cat = kept.tokenizer.token_to_id("the"), kept.tokenizer.token_to_id("cat")
    texts = ["CAT the", "", "the zebra the the", "ﬁne"]
    rows = kept.padded(texts, 3, padding=0, left=False)
    assert rows.tolist() == [[cat, the, 0], [0, 0, 0], [the, 1, the], [1, 0, 0]]
    assert kept.padded(texts[:2], 3, padding=0, left=True).tolist() == [[0, cat, the], [0, 0, 0]]


@pytest.mark.parametrize("side", ["left", "right"])
def test_what_stands_around_a_text_is_never_cut_off(side: str):
    library = pytest.importorskip("tokenizers", reason="the extra `text`")
    words = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "a": 4, "b": 5}
    tokenizer = library.Tokenizer(library.models.WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = library.pre_tokenizers.Whitespace()
    tokenizer.post_processor = library.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_truncation(4, direction="left", stride=1)  # what the file says does not count
    tokenizer.enable_padding(length=9, pad_id=1)
    kept = Pieces(tokenizer.to_str())
    assert kept.num_special == 2
    rows = kept.padded(["a b a b a b", "b", "", "a b a"], 5, padding=0, left=side == "left").tolist()
    short = [[0, 0, 2, 5, 3], [0, 0, 0, 2, 3]] if side == "left" else [[2, 5, 3, 0, 0], [2, 3, 0, 0, 0]]
    assert rows == [[2, 4, 5, 4, 3], *short, [2, 4, 5, 4, 3]]
    assert kept.encode("a b a b a b").tolist() == [4, 5, 4, 5, 4, 5]


def test_texts_are_read_in_blocks(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("tokenizers", reason="the extra `text`")
    texts = ["the cat " * number for number in range(7)]
    kept = Pieces.words(texts, 5)
    whole = kept.padded(texts, 4, padding=0, left=False)
    monkeypatch.setattr(vocabulary, "NUM_TEXTS", 3)
    assert np.array_equal(kept.padded(texts, 4, padding=0, left=False), whole)
    assert kept.padded([], 4, padding=0, left=False).shape == (0, 4)


def test_a_tokenizer_in_a_file(tmp_path: Path):
    library = pytest.importorskip("tokenizers", reason="the extra `text`")
    tokenizer = library.Tokenizer.from_str(Pieces.words(["a b"], 4).state)
    tokenizer.enable_padding(length=9)
    tokenizer.enable_truncation(1)
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    kept = Pieces.stored(str(tmp_path / "tokenizer.json"), "tokenizer")
    assert kept.encode("a b a").tolist() == [2, 3, 2]
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(mf.ForgeError) as caught:
        Pieces.stored(str(tmp_path / "other.json"), "tokenizer")
    (problem,) = caught.value.problems
    assert problem.key == "data.tokenizer"
    assert problem.message.startswith(f"`{tmp_path}/other.json` holds no tokenizer: ")
