"""Limits: sizes that cannot be meant, and would cost hours or all memory. Each is checked before anything is allocated.

What exceeds one is the problem MF060. How many names a message lists is not a limit: that stands where it is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from modelforge.core.errors import Problem

# --- a model: about a thousand times the largest that exist, so that one that no machine can hold is still planned ---

MAX_SIZE = 10**10
"""The greatest side of an input, and the greatest whole number that a layer's argument may be."""
MAX_PARAMETERS = 10**14
"""Elements in all parameters of a model."""
MAX_LAYERS = 20_000
"""All copies and layers in layers counted; planning takes some seconds then."""
MAX_KINDS = 500
"""Layers that differ in their arguments or in what arrives: each is constructed, and run a few times."""
MAX_ENDS = 1_000
"""Inputs of a model, or outputs: each is a tensor of every trial run."""
MAX_RULES = 5_000
"""Entries of `params`, or of `types`, in one init block."""
MAX_COMPARISONS = 3_000_000
"""Of init blocks and globs with parameters: a thousand globs that begin and end with `*`, with 3,000 parameters."""
MAX_MATRICES = 1_000_000
"""Logical matrices and vectors in all parameters of a model (gates, projections, groups): each gets its own numbers."""
MAX_DEPTH = 64
"""Combinators and blocks inside one another: each level is a call of a function inside another."""
MAX_PARTS = {"times": 10_000, "groups": 100_000} | dict.fromkeys(
    ("num_layers", "num_encoder_layers", "num_decoder_layers"), 1_000
)
"""Arguments that count what a layer is made of: planning looks at each part."""
MAX_DIMENSIONS = 63
"""Of an example: a tensor has 64 at most, and the batch is one."""
MAX_ARGUMENT_VALUES = 10_000
"""In one argument of a block: a block that doubles a list in each use has a million after twenty."""
MAX_PLACEHOLDERS = 4
"""`*` and `{n}` in one rename: the time to match grows with a power of their number."""

# --- a config --------------------------------------------------------------------------------------------------------

MAX_NESTED = 150
"""Mappings and lists inside one another: `MAX_DEPTH` layers, each a mapping in a mapping, and what is around them."""
MAX_VALUES = 500_000
"""Values, each counted as often as it is there."""
MAX_TEXT = 10_000
"""Characters of a string, with its templates filled in."""
MAX_NAME = 100
"""Characters of the name of a layer, an input, an output, a block or an argument: it becomes part of file names."""
MAX_DIGITS = 300
"""Of a whole number; with more it would be no float, and beyond 4,300 Python does not write it down."""
MAX_EXPRESSION = 200
"""Characters of one `${calc:...}`: a parser of Python's reads it."""
MAX_CONDITION = 1_000
"""Characters of one condition of `sweep.where`: a parser of Python's reads it."""
MAX_RESULT = 2**63
"""What no number in a `${calc:...}` may exceed, on the way either: `9**9**9` takes all memory."""
MAX_ROUNDED = 20
"""What `round` may be asked for, before and behind the point."""
MAX_RESOLVED = 100_000
"""Values, or characters of one string, that interpolations make: `${a}${a}` twenty times over is a million."""
MAX_JUMPS = 100
"""Interpolations into values that are interpolations themselves (`${a.b}`, where `a` is `${c}`), on the way to one
value: `a: ${a.b}` has no end."""
MAX_JOBS = 100_000
"""Values of one key, and jobs of one multirun: each is composed."""

# --- files -----------------------------------------------------------------------------------------------------------

MAX_CHARACTERS = 1_000_000
"""Of a config file; 20,000 layers."""
MAX_FILE_BYTES = 16 * 2**20
"""Of a config file, before it is decoded."""
MAX_FILE_DEPTH = 50
"""How deep a config file may be nested: libyaml overruns the stack in the end, and OmegaConf uses 16 frames a level."""
MAX_ALIASED = 100_000
"""Nodes that the aliases of one config file may add; `&a [*b, *b]` twenty times over would be a million."""
MAX_NODES = 50_000
"""Keys, values, mappings and lists in all files that make one config: OmegaConf takes about 0.1 ms for each."""
MAX_INTERPOLATED = 100
"""Interpolations in one text, and brackets inside one another around them: OmegaConf's parser calls itself for each."""
MAX_CONFIGS = 300
"""How often the defaults lists of one config may ask for another one; those of a run here ask about forty times."""
MAX_FILES = 10_000
"""Files of a config folder that are looked through, and files and folders of one side of a review."""
MAX_COMPARED_BYTES = 2**20
"""Of a file that a review reads; larger ones are compared, but not read."""
MAX_REVISION_BYTES = 16 * 2**20
"""Of a git revision, in all files together."""
MAX_LISTING_BYTES = 400 * MAX_FILES
"""Of git's list of files: a crafted tree of a few objects can name more of them than any list would hold."""
MAX_CONFIG_BYTES = 10_000_000
"""Of a run's composed config, which is read whole: ten times the largest config file."""
MAX_STATUS_BYTES = 10_000_000
"""Of a run's status, which is read whole: overrides and metrics take some kilobytes."""
MAX_SWEEP_BYTES = 2**24
"""Of what is collected of a multirun: 100,000 jobs take 10 MB."""
MAX_SWEEP_FILE_BYTES = 2**27
"""Of a sweep's list of jobs: 100,000 jobs of ten overrides take 60 MB."""
MAX_LEDGER_BYTES = 64_000_000
"""Of a ledger in a file: as many as 40,000 parameters take."""
MAX_INDEX_BYTES = 100_000_000
"""Of the list of tensors in a file of weights: safetensors' own limit."""
MAX_ENTRIES = 200_000
"""Values and mappings in a checkpoint, each counted as often as a name leads to it."""
MAX_CHECKPOINT_DEPTH = 50
"""Mappings inside one another in a checkpoint."""
MAX_TENSOR_NAME = 500
"""Characters of a tensor's name in a file: it is printed, and matched with globs."""

# --- a stranger's configs, which are checked in a process of their own ------------------------------------------------

MAX_SCANNED_FILES = 2_000
"""Files and folders of a config folder."""
MAX_SCANNED_DEPTH = 10
"""Folders inside one another."""
MAX_SCANNED_BYTES = 8 * 2**20
"""Of all config files together."""
MAX_SCANNED_NODES = 100_000
"""Keys, values, mappings and lists in all config files; what aliases repeat counts each time."""
MAX_FORMULAS = 1_000
"""Interpolations that are more than a key or a template, in all config files: to parse one takes about 3 ms."""
MAX_KEY = 200
"""Characters of a key."""
MAX_STRANGERS_LAYERS = 5_000
MAX_STRANGERS_PARAMETERS = 5 * 10**11
MAX_ANSWER_BYTES = 16 * 2**20
"""Of what the process answers."""

_MOST = 10**MAX_DIGITS
_UNPRINTABLE = re.compile("[\0\ud800-\udfff]")


def unfit(config: Mapping[Any, Any]) -> list[Problem]:
    """What no config can hold, before anything is read in it: it is too deep or too large, or a number or a text in it
    is nothing that can be computed with, printed or name a file."""
    problems: list[Problem] = []
    left = MAX_VALUES
    # By hand: what is too deep to be read is too deep for a function that calls itself.
    open_values: list[tuple[str, Iterator[tuple[Any, Any]]]] = [("", iter(config.items()))]
    while open_values:
        here, items = open_values[-1]
        name, value = next(items, (_END, None))
        if name is _END:
            open_values.pop()
            continue
        left -= 1
        if left < 0:
            return [Problem("MF060", "", f"a config holds at most {MAX_VALUES:,} values, and this holds more")]
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
            return "MF062", f"a text holds {what}, which file names and terminals cannot hold", "leave it out"
    elif isinstance(value, int) and abs(value) >= _MOST:
        return "MF062", f"a whole number has at most {MAX_DIGITS} digits, and this has more", ""
    return None


def _is_sound(name: Any) -> bool:
    return fault(name) is None
