"""unused: what a model section declares and nothing speaks of. An argument is a mistake; a block is looked at as far as
that goes without a use."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from modelforge.config.templates import is_template, names_of
from modelforge.core.errors import Problem, did_you_mean
from modelforge.language import registry


def unread(declared: Mapping[str, Any], rest: Any) -> Iterator[Problem]:
    """The arguments of a model that neither its layers nor the other arguments read.

    Args:
        declared: The arguments with their defaults.
        rest: All else of the section that may speak of them.
    """
    read = names_of([rest, declared])
    for name in [name for name in declared if name not in read]:
        hint = f"remove it, or say where it counts: `${{arg:{name}}}`"
        yield Problem("MF018", f"model.args.{name}", f"nothing reads the argument `{name}`", hint, part="key")


def alone(blocks: Mapping[str, Mapping[str, Any]], used: Collection[str]) -> Iterator[Problem]:
    """What no use could mend in the blocks that have none: types and arguments that are not there."""
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
