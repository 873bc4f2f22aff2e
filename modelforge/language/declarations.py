"""declarations: what a model section declares for its layers (`blocks`, `args`, `sizes`), and what is wrong with it."""

from __future__ import annotations

import keyword
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from modelforge.config.templates import is_template, names_of
from modelforge.core.errors import Problem
from modelforge.core.quoting import quoted
from modelforge.core.suggestions import did_you_mean
from modelforge.language import registry
from modelforge.language.layer import NAME

RESERVED = frozenset({"type", "inputs", "init", "when", "index"})
"""What an argument cannot be called: uses of blocks have these keys themselves, and `index` counts copies."""
MODEL_KEYS = frozenset({"input", "layers", "outputs", "tie", "init", "lint", "blocks", "args", "size", "sizes"})
"""What every model may have; the arguments that it declares may stand beside them."""
_BLOCK_KEYS = frozenset({"args", "layers", "init"})
MISSING = "???"
"""The default of an argument that has none."""


def misdeclared(section: Mapping[str, Any]) -> Iterator[Problem]:
    """All that is wrong with the declarations of a model section, before anything uses them."""
    blocks, declared = section.get("blocks", {}), section.get("args")
    if isinstance(blocks, Mapping):
        for name, block in blocks.items():
            yield from _in_block(str(name), block)
    else:
        message = f"`blocks` must be a mapping from name to block, but is {quoted(blocks)}"
        yield Problem("MF014", "model.blocks", message)
    declared = {} if declared is None else declared
    yield from _in_arguments(declared, "model.args")
    declared = declared if isinstance(declared, Mapping) else {}
    yield from _in_sizes(section, declared)
    for name in beside(section, declared):
        if declared[name] != MISSING:
            message = f"`args` gives `{name}` a value, and so does `model.{name}`"
            yield Problem(
                "MF018", f"model.args.{name}", message, f"set `model.{name}`, and write `{name}: ???` in `args`"
            )


def beside(section: Mapping[str, Any], declared: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments of a model that are set beside `args`, as those of a block are where it is used."""
    return {name: section[name] for name in declared if name in section and name not in MODEL_KEYS}


def _in_block(name: str, block: Any) -> Iterator[Problem]:
    key = f"model.blocks.{name}"
    if not NAME.fullmatch(name) or name.isdigit():
        message = f"`{name}` cannot name a block: use letters, digits and underscores"
        yield Problem("MF016", key, message, part="key")
    elif name in registry.LAYERS:
        yield Problem("MF016", key, f"`{name}` cannot name a block: it is a layer type already", part="key")
    if not isinstance(block, Mapping):
        yield Problem("MF014", key, f"a block must be a mapping, but is {quoted(block)}", "write `layers:` below it")
        return
    for other in [other for other in block if other not in _BLOCK_KEYS]:
        hint = did_you_mean(other, _BLOCK_KEYS)
        yield Problem("MF015", f"{key}.{other}", f"a block has no `{other}`", hint, part="key")
    if "layers" not in block:
        yield Problem("MF011", key, f"the block `{name}` has no `layers`", "add `layers: ...`", part="key")
    yield from _in_arguments(block.get("args", {}), f"{key}.args")


def _in_arguments(arguments: Any, key: str) -> Iterator[Problem]:
    if not isinstance(arguments, Mapping):
        yield Problem("MF014", key, f"`args` must be a mapping from name to default, but is {quoted(arguments)}")
        return
    for name in map(str, arguments):
        if not name.isidentifier() or name in RESERVED or keyword.iskeyword(name):
            hint = f"reserved names: {', '.join(sorted(RESERVED))}" if name in RESERVED else ""
            yield Problem("MF016", f"{key}.{name}", f"`{name}` cannot name an argument", hint, part="key")


def _in_sizes(section: Mapping[str, Any], declared: Mapping[str, Any]) -> Iterator[Problem]:
    sizes, size = section.get("sizes"), section.get("size")
    if sizes is None:
        if size is not None:
            message = f"the model has no `sizes`, so `{size}` means nothing"
            yield Problem("MF018", "model.size", message, part="key")
        return
    if not isinstance(sizes, Mapping) or not all(isinstance(values, Mapping) for values in sizes.values()):
        yield Problem("MF014", "model.sizes", "`sizes` must be a mapping from name to arguments")
        return
    named = {str(name): values for name, values in sizes.items()}
    if size is None:
        hint = f"write `size: {next(iter(named), '...')}`"
        yield Problem("MF018", "model.sizes", "the model has `sizes`, and no `size` that chooses", hint, part="key")
    elif str(size) not in named:
        yield Problem("MF018", "model.size", f"the model has no size `{size}`", did_you_mean(size, named))
    for other, values in named.items():
        for name in [name for name in values if name not in declared]:
            message, hint = f"the model has no argument `{name}`", f"declare it: `args: {{{name}: '???'}}`"
            yield Problem("MF018", f"model.sizes.{other}.{name}", message, hint, part="key")


def unread(declared: Mapping[str, Any], rest: Any) -> Iterator[Problem]:
    """The arguments of a model that neither its layers nor the other arguments read.

    Args:
        declared: The arguments with their defaults.
        rest: All else of the section that may read them.
    """
    read = names_of([rest, declared])
    for name in [name for name in declared if name not in read]:
        hint = f"remove it, or use it: `${{arg:{name}}}`"
        yield Problem("MF018", f"model.args.{name}", f"nothing reads the argument `{name}`", hint, part="key")


def alone(blocks: Mapping[str, Mapping[str, Any]], used: Collection[str]) -> Iterator[Problem]:
    """What is wrong in the blocks that no layer uses, whatever a use would say: unknown types and arguments."""
    types = {*registry.names(), *blocks}
    for name, block in blocks.items():
        if name not in used:
            yield from _alone(block, f"model.blocks.{name}", {*block.get("args", {}), "index"}, types)


def _alone(value: Any, key: str, arguments: Collection[str], types: Collection[str]) -> Iterator[Problem]:
    if isinstance(value, Mapping):
        kind = value.get("type")
        if isinstance(kind, str) and not is_template(kind) and kind not in types:
            hint = registry.explain_absence(kind)
            yield Problem("MF010", f"{key}.type", f"unknown layer type `{kind}`", hint)
        for name, item in value.items():
            yield from _alone(item, f"{key}.{name}", arguments, types)
        return
    for name in sorted(names_of(value).difference(arguments)):
        yield Problem("MF019", key, f"there is no argument `{name}` here", did_you_mean(name, arguments))
