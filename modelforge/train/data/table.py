"""`Table`: sources of numbers with a target beside them, once they lie in arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from pydantic import PositiveInt

from modelforge.errors import ForgeError
from modelforge.train.data.labels import encode
from modelforge.train.data.parts import Array, Arrays, Examples
from modelforge.train.data.refusals import fault, undeclared
from modelforge.train.data.source import SplitSource
from modelforge.train.data.split import split


class Table(SplitSource):
    """Numbers and what to tell from them: a class, other numbers, or themselves."""

    tasks: ClassVar = ("classification", "regression", "autoencoding")

    num_classes: PositiveInt | None = None
    """Another name of `num_outputs`, for models that ask for it."""
    standardize: bool = True
    """Give every feature, and every target of a regression, mean 0 and deviation 1 over the training part."""


def examples(source: Table, inputs: Array, targets: Array | None, named: str) -> Examples:
    """Splits, encodes and scales what was read.

    Args:
        source: What was declared.
        inputs: One example a row.
        targets: A label, or a row of numbers, for each; None for an autoencoder.
        named: What to call the data.

    Raises:
        ForgeError: it is not what was declared, or too little.
    """
    problems = []
    labels = answers = None
    if targets is not None and source.task == "classification":
        labels, problems = encode(targets, source.num_outputs, named)
    elif targets is not None and source.task == "regression":
        answers = targets.reshape(len(targets), -1)
        if answers.shape[1] != source.num_outputs:
            problems.append(undeclared("num_outputs", "target", answers.shape[1], source.num_outputs, named))
    elif source.task != "autoencoding":
        problems.append(
            fault("target", f"{source.task} needs a target, but `target` is null", "write `data.target=...`")
        )
    if problems:
        raise ForgeError(problems)
    # Two examples: R² of one is not defined.
    parts = split(source, len(inputs), labels, at_least=1 if answers is None else 2)
    inputs = _scaled(inputs, parts[0], source.standardize)
    if answers is not None:
        answers = _scaled(answers, parts[0], source.standardize)
    told = labels if labels is not None else answers if answers is not None else inputs
    return Examples.of(Arrays(inputs[part], told[part]) for part in parts)


def _scaled(values: Array, train: Array, standardize: bool) -> Array:
    values = values.astype(np.float64)
    return (Scale.of(values[train])(values) if standardize else values).astype(np.float32)


@dataclass(frozen=True)
class Scale:
    """Takes off a mean and divides by a deviation; what is constant becomes zero."""

    mean: Array
    std: Array

    @classmethod
    def of(cls, values: Array) -> Scale:
        """That of these examples, for each place in one of them."""
        mean, std = values.mean(0), values.std(0)
        return cls(mean, np.where(std > 1e-12 * np.abs(mean), std, 1.0))

    def __call__(self, values: Array) -> Array:
        """The values on this scale."""
        return (values - self.mean) / self.std
