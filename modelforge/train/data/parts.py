"""`Examples`: what a source gives, in three parts. NumPy only; `batches` makes tensors of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from modelforge.core.errors import Problem
from modelforge.core.tensors import mapped
from modelforge.train.data.vocabulary import Vocabulary

Array = NDArray[Any]
Rows = NDArray[np.int64]
TargetKind = Literal["class", "labels", "number", "token", "input"]
"""What there is to predict: one class of several, any number of labels, numbers, the next token, the input itself."""
Inputs = Array | tuple[Array, ...]
"""What a model with one input reads, or a model with several, in their order."""


class Part(Protocol):
    """Examples that are read a batch at a time."""

    def __len__(self) -> int: ...

    def batch(self, rows: Rows) -> tuple[Inputs, Array]:
        """The inputs and the targets of some examples, one row each."""
        ...


@dataclass(frozen=True)
class Arrays:
    """Examples that lie in memory as the model takes them."""

    inputs: Inputs
    targets: Array
    warnings: tuple[Problem, ...] = ()
    """What the user should know of new data, such as categories that training did not have."""

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, rows: Rows) -> tuple[Inputs, Array]:
        return mapped(lambda array: array[rows], self.inputs), self.targets[rows]


def all_targets(part: Part) -> Array:
    """The targets of all examples, one row each."""
    targets = getattr(part, "targets", None)  # of many parts known without a batch
    return part.batch(np.arange(len(part)))[1] if targets is None else targets


@dataclass(frozen=True)
class Text:
    """The tokens to train on, and what they are."""

    tokens: Array
    vocabulary: Vocabulary
    num_sampled: int = 0
    """Tokens that the trained model is to write."""
    temperature: float = 1.0
    """What the scores of these are divided by."""
    bytes_per_token: float = 1.0
    """Of the test part, in UTF-8."""


@dataclass(frozen=True)
class Examples:
    """Three disjoint parts of what a source holds."""

    train: Part
    val: Part
    test: Part
    warnings: tuple[Problem, ...] = ()
    """What the user should know, such as files that were left out."""
    fitted: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What was measured on the data, as plain data: scales, names of classes, an alphabet."""
    text: Text | None = None
    """The text that the examples are windows of, if they are."""
    places: Mapping[str, Sequence[Any]] = field(default_factory=dict[str, Sequence[Any]])
    """Where the examples of the test part come from: their `file`, or their `row` in a table, counted from 1."""

    @classmethod
    def of(
        cls, parts: Iterable[Part], warnings: Iterable[Problem] = (), fitted: Mapping[str, Any] | None = None
    ) -> Examples:
        """The examples of the parts for training, validation and test."""
        train, val, test = parts
        return cls(train, val, test, tuple(warnings), fitted or {})
