"""Bounds: sizes that cannot be meant, and would cost planning itself hours or all memory.

A thousand times what the largest models have; so a model that no machine can hold is still planned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic_core import PydanticCustomError

from modelforge.core.complaints import wrong
from modelforge.core.errors import Problem

MAX_SIZE = 10**10
"""The greatest side of an input, and the greatest whole number that a layer's argument may be."""
MAX_PARAMETERS = 10**14
"""Elements in all parameters of a model."""
MAX_LAYERS = 20_000
"""All copies counted; planning takes some seconds then."""
MAX_KINDS = 500
"""Layers that differ in their arguments or in what arrives: each is constructed, and run a few times."""
MAX_ENDS = 1_000
"""Inputs of a model, or outputs."""
MAX_RULES = 5_000
"""Entries of `params`, or of `types`, in one init block."""
MAX_BLOCKS = 1_000_000
"""Logical matrices and vectors in all parameters of a model: gates, projections, groups of a convolution."""
MAX_DEPTH = 64
"""Combinators inside one another."""
MAX_PARTS = {"times": 10_000, "groups": 100_000} | dict.fromkeys(
    ("num_layers", "num_encoder_layers", "num_decoder_layers"), 1_000
)
"""Arguments that count what a layer is made of: planning looks at each part."""
MAX_NESTED = 150
"""Mappings and lists inside one another in a config: `MAX_DEPTH` layers, each a mapping in a mapping, and what is
around and in them."""
MAX_VALUES = 500_000
"""Values of a config, each counted as often as it is there."""
MAX_TEXT = 10_000
"""Characters of a text."""
MAX_NAME = 100
"""Characters of the name of a layer, an input, an output, a block or an argument: it becomes part of file names."""
MAX_DIGITS = 300
"""Of a whole number; with more it would be no float, and beyond 4,300 Python does not write it down."""
MAX_DIMENSIONS = 63
"""Of an example: a tensor has 64 at most, and the batch is one."""

_MOST = 10**MAX_DIGITS
_UNPRINTABLE = re.compile("[\0\ud800-\udfff]")


def unfit(config: Mapping[Any, Any], key: str = "") -> list[Problem]:
    """What no config can hold, before anything is read in it: it is too deep or too large, or a number or a text in it
    is nothing that can be computed with, printed or name a file."""
    problems: list[Problem] = []
    left = MAX_VALUES
    # By hand: what is too deep to be read is too deep for a function that calls itself.
    open_values: list[tuple[str, Iterator[tuple[Any, Any]]]] = [(key, iter(config.items()))]
    while open_values:
        here, items = open_values[-1]
        name, value = next(items, (_END, None))
        if name is _END:
            open_values.pop()
            continue
        left -= 1
        if left < 0:
            return [Problem("MF060", key, f"a config holds at most {MAX_VALUES:,} values, and this holds more")]
        at = f"{here}.{name}" if here else f"{name}" if _is_sound(name) else ""
        if found := fault(name) or fault(value):
            problems.append(Problem(found[0], at if _is_sound(name) else here, *found[1:]))
        elif isinstance(value, Mapping | list | tuple):
            if len(open_values) >= MAX_NESTED:
                message = f"mappings and lists are at most {MAX_NESTED} deep, and this is deeper"
                return [*problems, Problem("MF060", at.partition(".")[0], message)]
            open_values.append((at, iter(value.items() if isinstance(value, Mapping) else enumerate(value))))
    return problems


_END = object()


def fault(value: Any) -> tuple[str, str, str] | None:
    """Of a value or a name: code, message and hint, if it can be in no config."""
    if isinstance(value, str):
        if len(value) > MAX_TEXT:
            return "MF060", f"a text has at most {MAX_TEXT:,} characters, and this has {len(value):,}", ""
        if (not value.isascii() or "\0" in value) and (found := _UNPRINTABLE.search(value)):
            what = "a null character" if found[0] == "\0" else f"a lone surrogate, `\\u{ord(found[0]):04x}`"
            return "MF062", f"a text holds {what}, which no file name and no terminal takes", "leave it out"
    elif isinstance(value, int) and abs(value) >= _MOST:
        return "MF062", f"a whole number has at most {MAX_DIGITS} digits, and this has more", ""
    return None


def _is_sound(name: Any) -> bool:
    return fault(name) is None


def too_large(most: int, sizes: Sequence[int]) -> PydanticCustomError:
    """The error of sizes of which one is more than it may be."""
    return wrong("MF060", f"must be at most {most:,}, but is {max(sizes):,}")
