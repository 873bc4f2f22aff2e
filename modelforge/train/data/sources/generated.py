"""`Generated`: tests of memory, whose examples are a function of a seed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt, ValidationError

from modelforge.core.frozen import Node
from modelforge.core.words import plural
from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.data.registry import register_data
from modelforge.train.data.source import InputSettings, OneInput, Source, check, mistake


class Generated(Source):
    """Any number of examples; the `i`-th of a part is a function of `split_seed` and the part's size."""

    num_steps: PositiveInt
    """Length of a sequence."""
    num_train: PositiveInt = 10_000
    """Examples to train on."""
    num_val: PositiveInt = 1_000
    """Examples that choose the best checkpoint."""
    num_test: PositiveInt = 1_000
    """Examples that are kept for the last line."""
    split_seed: NonNegativeInt = 0
    """Key of the examples, apart from the run's seed: every run is tested on the same ones."""

    @abstractmethod
    def make(self, size: int, random: np.random.Generator) -> Arrays:
        """So many examples."""

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        sizes = (self.num_train, self.num_val, self.num_test)
        return Examples.of(
            self.make(size, np.random.default_rng((self.split_seed, part))) for part, size in enumerate(sizes)
        )


@register_data("adding")
class Adding(Generated, OneInput):
    """The adding problem: the sum of the two numbers of a sequence that are marked.

    A step is a number from [0, 1) and a mark; one mark lies in each half. The constant output 1 has a mean squared
    error of 1/6.
    Source: Hochreiter & Schmidhuber 1997, as in Arjovsky, Shah & Bengio 2016, arXiv:1511.06464.
    """

    target_kinds: ClassVar = ("number",)

    num_targets: Literal[1] = 1
    """Numbers to predict."""

    @check
    def _check_adding(self) -> Iterator[ValidationError]:
        if self.num_steps < 2:
            message = f"two numbers are marked, so `num_steps` must be at least 2, not {self.num_steps}"
            yield mistake("num_steps", message)
        yield from _check_shape(self, (self.num_steps, 2))
        least = self.task.min_examples(self)
        for name in ("num_train", "num_val", "num_test"):
            if getattr(self, name) < least:
                message = f"`{self.task.metric}` takes {least} examples at least, but `{name}` is {getattr(self, name)}"
                yield mistake(name, message)

    def make(self, size: int, random: np.random.Generator) -> Arrays:
        numbers = random.random((size, self.num_steps), np.float32)
        marks = np.zeros_like(numbers)
        half, rows = self.num_steps // 2, np.arange(size)
        for first, end in ((0, half), (half, self.num_steps)):
            marks[rows, random.integers(first, end, size)] = 1
        return Arrays(np.stack([numbers, marks], axis=2), (numbers * marks).sum(1, keepdims=True))


@register_data("copy")
class Copy(Generated, OneInput):
    """The copying memory problem: symbols, a long wait, a sign, and then the same symbols again.

    A step is one of the symbols, the blank or the sign, one-hot. At every step the target is a class: the blank (0),
    and at the end the symbols (1, 2, …). Without memory the cross entropy is at best length · ln(symbols) / num_steps;
    accuracy counts the symbols alone.
    Source: Hochreiter & Schmidhuber 1997, as in Arjovsky, Shah & Bengio 2016, arXiv:1511.06464.
    """

    target_kinds: ClassVar = ("class",)

    length: PositiveInt = 10
    """Symbols to remember."""
    num_classes: PositiveInt
    """The symbols and the blank."""

    @check
    def _check_copy(self) -> Iterator[ValidationError]:
        if self.num_steps < 2 * self.length + 1:
            least = f"`num_steps` must be at least {2 * self.length + 1}, not {self.num_steps}"
            symbols = f"{self.length} symbols are read and then predicted, with a sign between"
            yield mistake("num_steps", f"{symbols}: {least}")
        if self.num_classes < 3:
            yield mistake("num_classes", f"two symbols and the blank are 3 classes, but there are {self.num_classes}")
        yield from _check_shape(self, (self.num_steps, self.num_classes + 1))

    @property
    def positions(self) -> tuple[int, ...]:
        return (self.num_steps,)

    @property
    def ignored_class(self) -> int | None:
        return 0

    def make(self, size: int, random: np.random.Generator) -> Arrays:
        symbols = random.integers(1, self.num_classes, (size, self.length))
        steps = np.zeros((size, self.num_steps), np.int64)
        targets = np.zeros_like(steps)
        steps[:, : self.length] = symbols
        steps[:, -self.length - 1] = self.num_classes
        targets[:, -self.length :] = symbols
        return Arrays(np.eye(self.num_classes + 1, dtype=np.float32)[steps], targets)


class PairSettings(Node):
    """How a sequence and the one to predict are handed to the model."""

    source: InputSettings
    """The sequence to read."""
    target: InputSettings
    """The sequence to predict, one step late, so that each token is predicted from those before it."""


@register_data("reverse")
class Reverse(Generated):
    """A sequence of symbols, to be predicted in reverse order: the smallest problem for an encoder and a decoder.

    Symbols are 1, 2, …; 0 is the sign that starts the target. The model reads the sequence and, one step late, the
    target; it predicts a token at every step.
    """

    target_kinds: ClassVar = ("class",)

    input: PairSettings
    """How the two sequences are handed to the model."""
    vocab_size: PositiveInt
    """The symbols and the sign."""

    @check
    def _check_reverse(self) -> Iterator[ValidationError]:
        if self.vocab_size < 3:
            yield mistake("vocab_size", f"two symbols and the sign are 3 tokens, but there are {self.vocab_size}")
        for name, settings in self.inputs.items():
            if (settings.shape, settings.dtype) != ((self.num_steps,), "int64"):
                must = f"`shape` must be [{self.num_steps}] and `dtype` int64"
                yield mistake(f"input.{name}", f"a sequence has {plural(self.num_steps, 'token')}: {must}")

    @property
    def inputs(self) -> Mapping[str, InputSettings]:
        return {"source": self.input.source, "target": self.input.target}

    @property
    def positions(self) -> tuple[int, ...]:
        return (self.num_steps,)

    def make(self, size: int, random: np.random.Generator) -> Arrays:
        symbols = random.integers(1, self.vocab_size, (size, self.num_steps))
        target = symbols[:, ::-1].copy()
        late = np.pad(target[:, :-1], ((0, 0), (1, 0)))
        return Arrays((symbols, late), target)


def _check_shape(source: OneInput, shape: tuple[int, ...]) -> Iterator[ValidationError]:
    if source.input.shape != shape:
        yield mistake("input.shape", f"a sequence has shape {shape}, but `shape` is {source.input.shape}")
