"""shared: examples → warnings about inputs that a model is tested on and was trained on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from modelforge.core.errors import Problem
from modelforge.core.words import plural
from modelforge.train.data.parts import Array, Arrays, Examples, Part, Rows
from modelforge.train.data.pictures import Pictures

MAX_SHOWN = 3
"""Pairs of equal examples that are named."""
CHUNK = 4_096
"""Examples that are hashed at once."""
WORD = 8
"""Bytes that are multiplied at once."""


def shared(examples: Examples) -> Iterator[Problem]:
    """A warning for each of validation and test, if inputs there are those of training examples, to the bit.

    Parts that are made or decoded when they are read are not compared, as this would read all of them.

    >>> parts = [Arrays(np.array([[1.0], [2.0]]), np.zeros(2)), Arrays(np.array([[3.0], [2.0]]), np.zeros(2))]
    >>> [problem.message for problem in shared(Examples.of([*parts, parts[0]]))][0]
    '1 of 2 validation examples has the inputs of a training example: example 2 those of example 2'
    """
    train = _inputs(examples.train)
    if not train:
        return
    known = _hashes(train)
    order = np.argsort(known, kind="stable")
    places = examples.fitted.get("rows", {})
    for name, part, word in (("val", examples.val, "validation"), ("test", examples.test, "test")):
        inputs = _inputs(part)
        if [(one.shape[1:], one.dtype) for one in inputs] != [(one.shape[1:], one.dtype) for one in train]:
            continue
        hashes = _hashes(inputs)
        first = order[np.minimum(np.searchsorted(known, hashes, sorter=order), len(known) - 1)]
        equal = [
            row for row in np.flatnonzero(known[first] == hashes).tolist() if _same(inputs, row, train, first[row])
        ]
        if equal:
            shown = [f"{_place(places, name, row)} those of {_place(places, 'train', first[row])}" for row in equal]
            more = f", and {len(equal) - MAX_SHOWN:,} more" if len(equal) > MAX_SHOWN else ""
            has = "has" if len(equal) == 1 else "have"
            yield Problem(
                "MW208",
                "data",
                f"{len(equal):,} of {plural(len(part), f'{word} example')} {has} the inputs of a training example: "
                f"{', '.join(shown[:MAX_SHOWN])}{more}",
                "remove repeated examples: what was learnt by heart counts as predicted. In a table, `group` keeps "
                "rows that belong together in one part",
                severity="warning",
            )


def _inputs(part: Part) -> tuple[Array, ...]:
    """What lies in memory of a part, one row for each example; nothing where it is read later."""
    if isinstance(part, Pictures):
        return (part.levels,) if isinstance(part.levels, np.ndarray) else ()
    if not isinstance(part, Arrays):
        return ()
    return part.inputs if isinstance(part.inputs, tuple) else (part.inputs,)


def _hashes(arrays: tuple[Array, ...]) -> Array:
    """A number of 64 bits for each row; equal rows have equal ones."""
    rows = len(arrays[0])
    found = np.zeros(rows, np.uint64)
    for array in arrays:
        width = array[:1].nbytes if rows else 0
        factors = np.random.default_rng(width).integers(0, 2**63, -(-width // WORD), np.uint64) * 2 + 1
        for start in range(0, rows, CHUNK):
            chunk = _bytes(array[start : start + CHUNK])
            words = np.pad(chunk, ((0, 0), (0, -width % WORD))).view(np.uint64)
            found[start : start + CHUNK] = found[start : start + CHUNK] * np.uint64(31) + words @ factors
    return found


def _bytes(rows: Array) -> Array:
    return np.ascontiguousarray(rows).reshape(len(rows), -1).view(np.uint8)


def _same(some: tuple[Array, ...], row: int, others: tuple[Array, ...], other: int) -> bool:
    return all(one[row].tobytes() == two[other].tobytes() for one, two in zip(some, others, strict=True))


def _place(places: dict[str, Rows], name: str, row: int) -> str:
    """Where an example is written, counted from 1."""
    return f"row {places[name][row] + 1}" if name in places else f"example {row + 1}"
