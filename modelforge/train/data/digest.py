"""digest: examples → one text, equal where all that was looked at is equal."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from modelforge.train.data.parts import Arrays, Examples, Part

HANDLING = frozenset({"batch_size", "num_workers"})
"""Settings of data that say how it is dealt out, and leave the examples as they are."""
NUM_ROWS = 1_000
"""Examples of a part that are hashed where it does not lie in memory as it is."""


def digest(examples: Examples) -> str:
    """SHA-256 of the lengths of all parts, their inputs and their targets.

    Of parts that are made or decoded when they are read, `NUM_ROWS` evenly spaced examples are hashed.

    Example:
        >>> parts = [Arrays(np.zeros((2, 3), np.float32), np.zeros(2, np.int64))] * 3
        >>> digest(Examples.of(parts)) == digest(Examples.of(parts))
        True
    """
    found = hashlib.sha256()
    for part in (examples.train, examples.val, examples.test):
        found.update(f"{len(part)};".encode())
        for array in _arrays(part):
            found.update(f"{array.dtype} {array.shape};".encode())
            found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def settings_hash(section: Mapping[str, Any]) -> str:
    """SHA-256 of the settings in a `data` section that say which examples there are.

    Example:
        >>> settings_hash({"type": "csv", "batch_size": 8}) == settings_hash({"type": "csv"})
        True
    """
    settings = {key: value for key, value in section.items() if key not in HANDLING}
    return hashlib.sha256(json.dumps(settings, default=str, sort_keys=True).encode()).hexdigest()


def _arrays(part: Part) -> list[np.ndarray]:
    if isinstance(part, Arrays):
        inputs, targets = part.inputs, part.targets
    else:
        inputs, targets = part.batch(np.unique(np.linspace(0, max(len(part) - 1, 0), NUM_ROWS).astype(np.int64)))
    return [*(inputs if isinstance(inputs, tuple) else (inputs,)), targets]
