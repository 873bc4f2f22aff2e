"""left_behind: what stays of an init block whose `scheme` alone an override changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from modelforge.config.origins import Origins
from modelforge.core.errors import Place, Problem
from modelforge.core.paths import parent
from modelforge.core.quoting import listed
from modelforge.inits import registry
from modelforge.language.init import InitSpec

MAX_NAMED = 10
"""Fields that a message names."""


def left_behind(blocks: Iterable[tuple[str, InitSpec]], origins: Origins) -> Iterator[Problem]:
    """Warnings about fields that were written for another scheme, and that the new one has too.

    Args:
        blocks: Init blocks with the keys that they stand at.
        origins: Where values were written.
    """
    if not any(assignment.path[-1:] == ("scheme",) for assignment in origins.assignments):
        return
    for key, block in dict(blocks).items():
        place = origins.place(f"{key}.scheme")
        if block.scheme is None or not _is_override(place):
            continue
        defaults = {name: field.default for name, field in registry.get(block.scheme).model_fields.items()}
        kept = [name for name, value in block.fields.items() if defaults.get(name) != value]
        kept += [*block.roles, *(name for name in ("types", "params") if getattr(block, name))]
        kept = [name for name in kept if not _is_override(origins.place(f"{key}.{name}"))]
        if kept:
            assert place is not None
            named = listed(kept, MAX_NAMED, quote="`")
            message = f"`{place.override}` changes the scheme alone: {named} stay as they were"
            yield Problem("MW110", f"{key}.scheme", message, in_place_of(key, block.scheme))


def explained(problem: Problem, origins: Origins) -> Problem:
    """A problem with a field that a scheme does not have: where an override changed the scheme alone, it says so."""
    block = parent(problem.key)
    place = origins.place(f"{block}.scheme") if problem.code == "MF021" and block else None
    if place is None or place.override is None or _is_override(problem.place):
        return problem
    scheme = place.override.partition("=")[2]
    return replace(problem, hint=f"`{place.override}` changes the scheme alone; {in_place_of(block, scheme)}")


def in_place_of(key: str, scheme: str) -> str:
    """How a block with another scheme is given in place of one."""
    if key == "init":
        return f"to replace the whole block: `init={{scheme: {scheme}, ...}}`"
    return f"to replace the whole block: `~{key}` and `+{key}={{scheme: {scheme}, ...}}`"


def _is_override(place: Place | None) -> bool:
    return place is not None and place.override is not None
