"""`TextFiles`: text to continue token by token; a token is a byte, a character or a piece of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, ValidationError

from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.words import plural
from modelforge.train.data.files import inside, matching, read_utf8
from modelforge.train.data.parts import Array, Examples, Rows, Text
from modelforge.train.data.refusals import fault, refusal, undeclared
from modelforge.train.data.registry import register_data
from modelforge.train.data.source import Bounded, Fraction, OneInput, check, mistake, new_data
from modelforge.train.data.vocabulary import Bytes, Characters, Pieces, Vocabulary, is_unicode, pieces, vocabulary_of

Cut = TypeVar("Cut", str, Array)


@register_data("text")
class TextFiles(Bounded, OneInput):
    """Windows of `context` tokens, each token to be predicted from those before it.

    The text is cut in three, the end for the test: neighbouring windows overlap in content, so that a random split
    would show a model what it is tested on.
    """

    reads: ClassVar = "files"
    target_kinds: ClassVar = ("token",)

    files: str | None = None
    """The files, as a glob such as `books/**/*.txt`; null for the English text of Python's own help."""
    level: Literal["bytes", "characters", "tokens"] = "bytes"
    """What a token is; `tokens` are those of a tokenizer."""
    tokenizer: str | None = None
    """A file `tokenizer.json`; null learns byte pairs from the training part."""
    vocab_size: PositiveInt = 256
    """The number of tokens: 256 bytes, the distinct characters of the text, or the most that a tokenizer has."""
    context: PositiveInt = 64
    """How many tokens a model reads at once."""
    val_fraction: Fraction = 0.1
    """Share of the text that chooses the best checkpoint."""
    test_fraction: Fraction = 0.1
    """Share of the text, at its end, that is kept for the last line."""
    sample: NonNegativeInt = 200
    """Tokens that the trained model writes at the end."""
    temperature: Annotated[NonNegativeFloat, Field(allow_inf_nan=False)] = 1.0
    """What the scores are divided by: 1 samples as trained, less prefers likelier tokens, 0 takes the likeliest."""

    @check
    def _check_text(self) -> Iterator[ValidationError]:
        if (self.input.shape, self.input.dtype) != ((self.context,), "int64"):
            must = f"`shape` must be [{self.context}] and `dtype` int64"
            yield mistake("input", f"a window has {plural(self.context, 'token')}: {must}")
        if self.val_fraction + self.test_fraction >= 1:
            yield mistake("val_fraction", "`val_fraction` and `test_fraction` leave nothing to train on")
        if self.level == "bytes" and self.vocab_size != 256:
            yield mistake("vocab_size", f"there are 256 bytes, but `vocab_size` is {self.vocab_size}")
        if self.level == "tokens" and self.tokenizer is None and self.vocab_size < 256:
            message = f"tokens are learnt from the 256 bytes, but `vocab_size` is {self.vocab_size}"
            yield mistake("vocab_size", message, "write a number above 256, such as 1024")
        if self.level != "tokens" and self.tokenizer is not None:
            message = f"`tokenizer` is `{self.tokenizer}`, but `level` is {self.level!r}"
            yield mistake("tokenizer", message, "write `data.level=tokens`")

    @property
    def positions(self) -> tuple[int, ...]:
        return (self.context,)

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        written, named = self._written(), f"`{self.files}`" if self.files else "the text"
        parts, vocabulary, num_bytes = self._cut(written, named)
        windows = [Windows(tokens, self.context) for tokens in parts]
        if short := [part for part in windows if not len(part)]:
            least = f"each of its three parts needs more than {plural(self.context, 'token')}, and one has"
            message = f"{named} is too short: {least} {len(short[0].tokens)}"
            raise ForgeError([fault("context", message, "bring more text, or write a smaller `data.context=...`")])
        train, val, test = windows
        text = Text(train.tokens, vocabulary, self.sample, self.temperature, num_bytes / len(test.tokens))
        return Examples(train, val, test, text=text, fitted=vocabulary.fitted)

    def raw(self, path: Path) -> str:
        """The text of a file, or of all files in a folder."""
        paths = inside(path) if path.is_dir() else matching(str(path))
        return "\n".join(read_utf8(paths, "files", self.max_bytes))

    def encode(self, raw: Any, fitted: Mapping[str, Any], *, labelled: bool = False) -> Windows | Beginnings:
        """A text in windows, of which the last ends where the text does; see `Source.encode`.

        Args:
            raw: The text.
            fitted: What was learnt at training time.
            labelled: Whether to give the tokens one further on as well; the end of the text that fills no window is
                left out then, so that no token counts twice, with a warning.

        Raises:
            ForgeError: it is too short, or has a character that the text to train on had not.
        """
        if not isinstance(raw, str) or not is_unicode(raw):
            what = "a text with half of a surrogate pair" if isinstance(raw, str) else type(raw).__name__
            raise new_data(f"the new data must be one text, but is {what}")
        try:
            tokens = (vocabulary_of(fitted) or Bytes()).encode(raw)
        except Refusal as error:
            raise new_data(str(error)) from None
        given, size = plural(len(tokens), "token"), f"`context`, {self.context}"
        if len(tokens) < self.context + labelled:
            least = f"more than {size}" if labelled else f"at least {size}"
            raise new_data(f"the text has {given}, but must have {least}")
        if not labelled:
            return Beginnings(tokens, self.context)
        windows = Windows(tokens, self.context)
        if left := len(tokens) - 1 - len(windows) * self.context:
            verb = "is" if left == 1 else "are"
            message = f"the last {left} of {given} {verb} left out: fewer than {size}, fill no window"
            windows = replace(windows, warnings=(Problem("MW201", "data.files", message, severity="warning"),))
        return windows

    def _cut(self, written: str, named: str) -> tuple[list[Array], Vocabulary, int]:
        """The tokens of the three parts, what they are, and the bytes of the last part; pieces are of the first."""
        if self.level == "tokens":
            train, val, test = _three_parts(written, self.val_fraction, self.test_fraction)
            if self.tokenizer is None:
                vocabulary: Vocabulary = Pieces.byte_pairs(pieces(train), self.vocab_size)
            else:
                vocabulary = Pieces.stored(self.tokenizer, "tokenizer")
            if vocabulary.size > self.vocab_size:
                where = f"`{self.tokenizer}`"
                raise ForgeError([undeclared("vocab_size", "token", vocabulary.size, self.vocab_size, where)])
            return [vocabulary.encode(part) for part in (train, val, test)], vocabulary, len(test.encode())
        vocabulary = Characters.of(written) if self.level == "characters" else Bytes()
        if vocabulary.size != self.vocab_size:
            unit = "different character"
            raise ForgeError([undeclared("vocab_size", unit, vocabulary.size, self.vocab_size, named)])
        parts = _three_parts(vocabulary.encode(written), self.val_fraction, self.test_fraction)
        last = parts[2] if self.level == "bytes" else vocabulary.decode(parts[2].tolist()).encode()
        return parts, vocabulary, len(last)

    def _written(self) -> str:
        if self.files is not None:
            written = "\n".join(read_utf8(matching(self.files), "files", self.max_bytes))
            if not written:
                raise refusal("files", f"the files that match `{self.files}` are empty")
            return written
        try:
            from pydoc_data.topics import topics
        except ModuleNotFoundError:
            raise refusal("files", "this Python comes without the text of its help", "write `data.files=...`") from None
        return "\n".join(topics[name] for name in sorted(topics))


@dataclass(frozen=True)
class Windows:
    """A text in pieces of `context` tokens; the targets are the tokens one further on."""

    tokens: Array
    context: int
    warnings: tuple[Problem, ...] = ()
    """What the user should know of a new text."""

    def __len__(self) -> int:
        return max(0, len(self.tokens) - 1) // self.context

    def batch(self, rows: Rows) -> tuple[Array, Array]:
        windows = self.tokens[rows[:, None] * self.context + np.arange(self.context + 1)].astype(np.int64)
        return windows[:, :-1], windows[:, 1:]


@dataclass(frozen=True)
class Beginnings:
    """A text to go on from, in pieces of `context` tokens; the last one ends where the text does, and may overlap."""

    tokens: Array
    """At least `context`."""
    context: int

    def __len__(self) -> int:
        return -(-len(self.tokens) // self.context)

    def batch(self, rows: Rows) -> tuple[Array, Array]:
        """The pieces, and zeros: what follows is not known."""
        starts = np.minimum(rows * self.context, len(self.tokens) - self.context)
        inputs = self.tokens[starts[:, None] + np.arange(self.context)].astype(np.int64)
        return inputs, np.zeros_like(inputs)


def _three_parts(whole: Cut, val: float, test: float) -> list[Cut]:
    """A text, or its tokens, cut in three."""
    num_val, num_test = round(len(whole) * val), round(len(whole) * test)
    cuts = [0, len(whole) - num_val - num_test, len(whole) - num_test, len(whole)]
    return [whole[start:end] for start, end in pairwise(cuts)]
