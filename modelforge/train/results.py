"""The final metrics → what the last line of a run says of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from modelforge.core.words import digits
from modelforge.train.data.source import Source
from modelforge.train.data.text import TextFiles


def results(source: Source, metrics: Mapping[str, float]) -> Iterator[str]:
    """The task's metric over the test part, in words; for text, that of a table of pairs as well.

    Example:
        >>> from modelforge.train.data.sources import parse_source
        >>> source = parse_source({"type": "npz", "task": "regression", "input": {"shape": [3]}, "num_outputs": 2})
        >>> list(results(source, {"test/r2": 0.5}))
        ['test R² 0.50000']
    """
    unit = source.level.removesuffix("s") if isinstance(source, TextFiles) else "token"
    words = {"accuracy": "accuracy", "r2": "R²", "bits": f"bits per {unit}", "mse": "mean squared error"}
    for name, word in words.items():
        if (value := metrics.get(f"test/{name}")) is not None:
            yield f"test {word} {digits(value)}"
    if (bits := metrics.get("test/bigram_bits")) is not None:
        yield f"{digits(bits)} by a bigram model"
