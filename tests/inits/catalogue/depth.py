"""Depth-aware schemes, at the end of a branch, inside one, and outside."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from modelforge.inits import Branch, Context, Matrix
from tests.inits.case import Case
from tests.inits.matrices import EMPTY, MATRICES, VECTORS

END = Context(24, Branch(5, num_weights=3, ends=True), reads_input=False, gives_output=False)
INSIDE = Context(24, Branch(5, num_weights=3, ends=False), reads_input=False, gives_output=False)
OUTSIDE = Context(24, None, reads_input=True, gives_output=False)


def at(blocks: dict[str, Matrix], role: str = "weight", **contexts: Context) -> dict[str, Matrix]:
    """The blocks at each of these places."""
    return {
        f"{name} {where}": replace(block, context=context, role=role)
        for where, context in contexts.items()
        for name, block in blocks.items()
    }


FOR_MATRICES: list[dict[str, Any]] = [
    {"scheme": "gpt2"},
    {"scheme": "llama_depth", "std": 0.1},
    {"scheme": "mitchell"},
    {"scheme": "small_init"},
    {"scheme": "wang"},
    {"scheme": "deepnorm"},
    {"scheme": "deepnorm", "distribution": "uniform"},
    {"scheme": "t_fixup"},
    {"scheme": "t_fixup", "part": "decoder"},
    {"scheme": "fixup"},
]
SCALES: list[dict[str, Any]] = [
    {"scheme": "zero_gamma"},
    {"scheme": "rezero"},
    {"scheme": "layerscale"},
    {"scheme": "layerscale", "value": 1e-4},
]
VECTOR = {"vector": VECTORS["a vector of 8"]}

MATRIX = at(MATRICES, end=END, inside=INSIDE, outside=OUTSIDE)
EMPTY_MATRIX = at(EMPTY, end=END, inside=INSIDE, outside=OUTSIDE)
TABLE = at({"table": MATRICES["tall"]}, "embedding", outside=OUTSIDE)

CASES = [
    *(Case(config, MATRIX | TABLE, EMPTY_MATRIX) for config in FOR_MATRICES),
    *(Case(config, at(VECTOR, "scale", end=END, outside=OUTSIDE), {}) for config in SCALES),
]
