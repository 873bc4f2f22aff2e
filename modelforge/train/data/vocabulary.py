"""`Vocabulary`: between a text and the numbers of its tokens, which are bytes, characters, or learnt pieces."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from modelforge.core.errors import Refusal
from modelforge.core.quoting import sentence
from modelforge.train.data.files import existing, extra
from modelforge.train.data.refusals import refusal

PADDING, UNKNOWN = "[PAD]", "[UNK]"
"""Tokens 0 and 1 of vocabularies of words."""
PIECE = 2**20
"""Characters that a tokenizer reads at once, up to the next end of a line."""
NUM_TEXTS = 1000
"""Texts that it reads at once."""


class Vocabulary(ABC):
    """What a token is, and which there are."""

    unit: ClassVar[str]
    """What a token is, in words."""

    @property
    @abstractmethod
    def size(self) -> int:
        """How many different tokens there can be."""

    @property
    @abstractmethod
    def fitted(self) -> Mapping[str, Any]:
        """What was learnt from the training text, as plain data, which `vocabulary_of` reads."""

    @abstractmethod
    def encode(self, text: str) -> NDArray[Any]:
        """The tokens of a text.

        Raises:
            Refusal: a part of it is not a token.
        """

    @abstractmethod
    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens."""


class Bytes(Vocabulary):
    """Each byte of UTF-8 is a token.

    >>> Bytes().encode("hé").tolist(), Bytes().decode([104, 105])
    ([104, 195, 169], 'hi')
    """

    unit: ClassVar = "byte"

    @property
    def size(self) -> int:
        return 256

    @property
    def fitted(self) -> Mapping[str, Any]:
        return {"alphabet": None}

    def encode(self, text: str) -> NDArray[Any]:
        return np.frombuffer(text.encode(), np.uint8)

    def decode(self, tokens: Iterable[int]) -> str:
        """The text of tokens; bytes that are not UTF-8 become the replacement character."""
        return bytes(tokens).decode(errors="replace")


@dataclass(frozen=True)
class Characters(Vocabulary):
    """Each character is a token.

    >>> Characters.of("abba").encode("ba").tolist(), Characters(("a", "b")).decode([0, 1])
    ([1, 0], 'ab')
    """

    unit: ClassVar = "character"

    alphabet: tuple[str, ...]
    """All characters, sorted."""

    @classmethod
    def of(cls, text: str) -> Characters:
        """The characters of a text."""
        return cls(tuple(sorted(set(text))))

    @property
    def size(self) -> int:
        return len(self.alphabet)

    @property
    def fitted(self) -> Mapping[str, Any]:
        return {"alphabet": list(self.alphabet)}

    def encode(self, text: str) -> NDArray[Any]:
        known, codes = (np.frombuffer(one.encode("utf-32-le"), np.uint32) for one in ("".join(self.alphabet), text))
        places = np.minimum(np.searchsorted(known, codes), len(known) - 1)
        if len(strangers := np.flatnonzero(known[places] != codes)):
            first = int(strangers[0])
            raise Refusal(
                f"the character {text[first]!r}, number {first + 1:,} of the text, does not occur in the training text"
            )
        return places.astype(np.uint32)

    def decode(self, tokens: Iterable[int]) -> str:
        return "".join(self.alphabet[token] for token in tokens)


@dataclass(frozen=True)
class Pieces(Vocabulary):
    """Tokens of a tokenizer of Hugging Face's `tokenizers`."""

    unit: ClassVar = "token"

    state: str
    """The tokenizer in JSON, as the library writes it."""

    @classmethod
    def stored(cls, path: str, key: str) -> Pieces:
        """The tokenizer in a file.

        Raises:
            ForgeError: there is none.
        """
        library, found = _tokenizers(), existing(path, key=key)
        try:
            return cls(library.Tokenizer.from_file(str(found)).to_str())
        except Exception as error:  # the library raises plain ones
            message = f"`{path}` holds no tokenizer: {sentence(error)}"
            raise refusal(key, message, "it must be a `tokenizer.json` of `tokenizers`") from None

    @classmethod
    def byte_pairs(cls, texts: Iterable[str], size: int, special: Sequence[str] = ()) -> Pieces:
        """The most frequent sequences of bytes, at most `size`, behind special tokens; every text consists of them.

        Source: Sennrich, Haddow & Birch 2016, arXiv:1508.07909; of bytes as in GPT-2, Radford et al. 2019.
        """
        library = _tokenizers()
        of_bytes = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer = library.Tokenizer(library.models.BPE())
        tokenizer.pre_tokenizer, tokenizer.decoder = of_bytes, library.decoders.ByteLevel()
        trainer = library.trainers.BpeTrainer(
            vocab_size=size, initial_alphabet=of_bytes.alphabet(), special_tokens=[*special], show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str())

    @classmethod
    def words(cls, texts: Iterable[str], size: int) -> Pieces:
        """The most frequent words and signs, in small letters, at most `size` with the padding and the unknown word."""
        library = _tokenizers()
        tokenizer = library.Tokenizer(library.models.WordLevel(unk_token=UNKNOWN))
        tokenizer.normalizer = library.normalizers.Sequence(
            [library.normalizers.NFKC(), library.normalizers.Lowercase()]
        )
        tokenizer.pre_tokenizer = library.pre_tokenizers.Whitespace()
        trainer = library.trainers.WordLevelTrainer(
            vocab_size=size, special_tokens=[PADDING, UNKNOWN], show_progress=False
        )
        tokenizer.train_from_iterator(texts, trainer)
        return cls(tokenizer.to_str())

    @cached_property
    def tokenizer(self) -> Any:
        """The tokenizer, which neither pads nor cuts."""
        made = self._read()
        made.no_padding()
        made.no_truncation()
        return made

    @property
    def size(self) -> int:
        return self.tokenizer.get_vocab_size()

    @property
    def fitted(self) -> Mapping[str, Any]:
        return {"tokenizer": json.loads(self.state)}

    def encode(self, text: str) -> NDArray[Any]:
        found = self.tokenizer.encode_batch(list(pieces(text)), add_special_tokens=False)
        return np.concatenate([np.array(one.ids, np.uint32) for one in found] or [np.zeros(0, np.uint32)])

    @property
    def num_special(self) -> int:
        """The tokens that stand around each text, such as `[CLS]` and `[SEP]`."""
        return self.tokenizer.num_special_tokens_to_add(is_pair=False)

    def padded(self, texts: Sequence[str], length: int, *, padding: int, left: bool) -> NDArray[np.int64]:
        """Tokens of texts `(texts, length)`: the first of each, filled up with a token at one side.

        Args:
            texts: The texts.
            length: More than `num_special`: what stands around a text is never cut off.
            padding: The token to fill up with.
            left: Whether to fill up on the left.
        """
        cutting = self._read()
        cutting.enable_truncation(length)
        cutting.enable_padding(direction="left" if left else "right", pad_id=padding, length=length)
        rows = np.empty((len(texts), length), np.int64)
        for start in range(0, len(texts), NUM_TEXTS):
            found = cutting.encode_batch_fast(texts[start : start + NUM_TEXTS])
            rows[start : start + NUM_TEXTS] = [one.ids for one in found]
        return rows

    def decode(self, tokens: Iterable[int]) -> str:
        return self.tokenizer.decode([int(token) for token in tokens])

    def _read(self) -> Any:
        made = _tokenizers().Tokenizer.from_str(self.state)
        made.encode_special_tokens = True  # where a text holds `[PAD]`, it is text
        return made


def vocabulary_of(fitted: Mapping[str, Any]) -> Vocabulary | None:
    """The vocabulary that was fitted to a training text; None for tokens that are of no text.

    >>> type(vocabulary_of({"alphabet": None})).__name__, vocabulary_of({})
    ('Bytes', None)
    """
    if state := fitted.get("tokenizer"):
        return Pieces(json.dumps(state))
    if "alphabet" not in fitted:
        return None
    return Characters(tuple(fitted["alphabet"])) if fitted["alphabet"] else Bytes()


def is_unicode(text: str) -> bool:
    """Whether a text can be written in UTF-8: it has no half of a surrogate pair.

    >>> is_unicode("é"), is_unicode("\\ud800")
    (True, False)
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def pieces(text: str) -> Iterator[str]:
    """A text in parts, each of which ends with a line.

    >>> list(pieces("one\\ntwo\\n"))
    ['one\\ntwo\\n']
    """
    start = 0
    while start < len(text):
        end = text.find("\n", start + PIECE) + 1 or len(text)
        yield text[start:end]
        start = end


def _tokenizers() -> Any:
    return extra("tokenizers", "text in tokens", "text")
