"""`TextFiles`: text to continue token by token; a token is a byte or a character."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt, model_validator

from modelforge.core.errors import ForgeError
from modelforge.core.words import plural
from modelforge.train.data.files import matching, read_utf8
from modelforge.train.data.parts import Array, Examples, Rows, Text
from modelforge.train.data.refusals import fault, refusal, undeclared
from modelforge.train.data.registry import register_data
from modelforge.train.data.source import Bounded, Fraction, OneInput, mistake


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
    level: Literal["bytes", "characters"] = "bytes"
    """What a token is."""
    vocab_size: PositiveInt = 256
    """The number of tokens: 256 bytes, or the distinct characters of the text."""
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

    @model_validator(mode="after")
    def _check_text(self) -> TextFiles:
        if (self.input.shape, self.input.dtype) != ((self.context,), "int64"):
            must = f"`shape` must be [{self.context}] and `dtype` int64"
            raise mistake("input", f"a window has {plural(self.context, 'token')}: {must}")
        if self.val_fraction + self.test_fraction >= 1:
            raise mistake("val_fraction", "`val_fraction` and `test_fraction` leave nothing to train on")
        if self.level == "bytes" and self.vocab_size != 256:
            raise mistake("vocab_size", f"there are 256 bytes, but `vocab_size` is {self.vocab_size}")
        return self

    @property
    def positions(self) -> tuple[int, ...]:
        return (self.context,)

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        written = self._written()
        alphabet = tuple(sorted(set(written))) if self.level == "characters" else ()
        named = f"`{self.files}`" if self.files else "the text"
        if alphabet and len(alphabet) != self.vocab_size:
            problem = undeclared("vocab_size", "different character", len(alphabet), self.vocab_size, named)
            raise ForgeError([problem])
        tokens = _numbered(written) if alphabet else np.frombuffer(written.encode(), np.uint8)
        num_val, num_test = round(len(tokens) * self.val_fraction), round(len(tokens) * self.test_fraction)
        cuts = [len(tokens) - num_val - num_test, len(tokens) - num_test]
        parts = [Windows(part, self.context) for part in np.split(tokens, cuts)]
        if short := [part for part in parts if not len(part)]:
            least = f"each of its three parts needs more than {plural(self.context, 'token')}, and one has"
            message = f"{named} is too short: {least} {len(short[0].tokens)}"
            raise ForgeError([fault("context", message, "bring more text, or write a smaller `data.context=...`")])
        train, val, test = parts
        text = Text(train.tokens, alphabet, self.sample, self.temperature)
        return Examples(train, val, test, text=text, fitted={"alphabet": alphabet or None})

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

    def __len__(self) -> int:
        return max(0, len(self.tokens) - 1) // self.context

    def batch(self, rows: Rows) -> tuple[Array, Array]:
        windows = self.tokens[rows[:, None] * self.context + np.arange(self.context + 1)].astype(np.int64)
        return windows[:, :-1], windows[:, 1:]


def _numbered(written: str) -> Array:
    """The index of every character in the sorted alphabet."""
    codes = np.frombuffer(written.encode("utf-32-le"), np.uint32)
    return np.unique(codes, return_inverse=True)[1].astype(np.uint32)
