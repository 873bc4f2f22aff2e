"""`Digits`: scikit-learn's handwritten digits, as pictures, as rows or as 64 values one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import PositiveInt, ValidationError

from modelforge.core.errors import Refusal
from modelforge.train.data.declared import as_array, as_type
from modelforge.train.data.parts import Arrays, Examples, Part
from modelforge.train.data.registry import register_data
from modelforge.train.data.source import SplitSource, check, mistake, new_data
from modelforge.train.data.split import PARTS, missing, split

SIZE = 1797
"""Examples that scikit-learn ships."""
NUM_LEVELS = 17
"""Grey levels, from 0 for blank to 16."""


@register_data("digits")
class Digits(SplitSource):
    """1,797 grey images of 8 x 8 pixels; pixels lie within a range of 1 around 0, the training part's mean.

    As `int64`, a pixel is a token, one of 17 grey levels.
    """

    target_kinds: ClassVar = ("class", "input")
    known_size: ClassVar = SIZE

    num_classes: PositiveInt
    """The number of classes: 10."""
    vocab_size: PositiveInt | None = None
    """The number of tokens, where pixels are tokens: 17."""

    @check
    def _check_digits(self) -> Iterator[ValidationError]:
        if tuple(size for size in self.input.shape if size > 1) not in ((8, 8), (64,)):
            must = "`shape` must be [8, 8] or [64], with ones where they are needed"
            given = list(self.input.shape)
            yield mistake("input.shape", f"an image of digits has 8 x 8 pixels: {must}, not {given}")
        if self.num_classes != 10:
            yield mistake("num_classes", f"digits has 10 classes, but `num_classes` is {self.num_classes}")
        yield from self._check_tokens()
        num_train, *held_out = self.num_examples(SIZE)
        for name, number in zip(("val_fraction", "test_fraction"), held_out, strict=True):
            if number < self.num_classes:
                few = f"{number} of {SIZE:,} examples, and its part needs one of each class: {self.num_classes}"
                yield mistake(name, f"`{name}` is too small: it takes {few}")
        if 0 < num_train < self.num_classes:  # none at all is a fault of any split
            few = f"{num_train} of {SIZE:,} examples to train on, and one of each class are {self.num_classes}"
            yield mistake("val_fraction", f"`val_fraction` and `test_fraction` leave {few}")

    def _check_tokens(self) -> Iterator[ValidationError]:
        tokens = self.input.dtype == "int64"
        if tokens and self.target_kind == "input":
            yield mistake("input.dtype", "pixels that are made again are numbers: `dtype` must be 'float32'")
        if self.vocab_size != (NUM_LEVELS if tokens else None):
            must = f"{NUM_LEVELS}, the grey levels of a pixel" if tokens else "null where pixels are numbers"
            given = "null" if self.vocab_size is None else self.vocab_size
            yield mistake("vocab_size", f"`vocab_size` must be {must}, but is {given}")

    def encode(self, raw: Any, fitted: Mapping[str, Any], *, labelled: bool = False) -> Part:
        """New images with pixels from 0 to 16; see `Source.encode`."""
        pixels, targets = raw if labelled else (raw, None)
        pixels = next(iter(pixels.values())) if isinstance(pixels, Mapping) and pixels else pixels
        try:
            pixels = as_type(as_array(pixels, "`input`"), np.float64, "`input`")
        except Refusal as error:
            raise new_data(str(error), "images are arrays of pixels from 0 to 16") from None
        if ((pixels < 0) | (pixels >= NUM_LEVELS)).any():
            raise new_data(
                f"pixels are from 0 to {NUM_LEVELS - 1}, but the new data has {pixels.min():g} to {pixels.max():g}"
            )
        if pixels.ndim > 1 and pixels[0:1].size in (0, 64):
            pixels = pixels.reshape(len(pixels), *self.input.shape)
        if scale := fitted["inputs"]:
            pixels = (pixels - scale["mean"]) / scale["std"]
        return super().encode((pixels, targets) if labelled else pixels, fitted, labelled=labelled)

    def read(self) -> Examples:
        """The examples, every class in each part by its share.

        Example:
            >>> section = {"type": "digits", "task": "classification", "input": {"shape": [8, 8]}}
            >>> examples = Digits.model_validate({**section, "num_classes": 10, "num_outputs": 10}).read()
            >>> len(examples.train), len(examples.test), examples.train.inputs.shape
            (1257, 270, (1257, 8, 8))
        """
        from sklearn.datasets import load_digits

        pixels, labels = map(np.asarray, load_digits(return_X_y=True))
        parts = split(self, SIZE, labels)
        tokens = self.input.dtype == "int64"
        shown = pixels if tokens else (pixels - pixels[parts[0]].mean()) / (NUM_LEVELS - 1)
        inputs = shown.reshape(SIZE, *self.input.shape).astype(self.input.dtype)
        targets = labels.astype(np.int64)
        names = range(self.num_classes)
        scale = None if tokens else {"mean": float(pixels[parts[0]].mean()), "std": NUM_LEVELS - 1}
        return Examples.of(
            (Arrays(inputs[part], targets[part]) for part in parts),
            missing(labels, parts, names, "digits") if self.target_kind == "class" else (),
            {"classes": [*names], "inputs": scale, "rows": dict(zip(PARTS, parts, strict=True))},
        )
