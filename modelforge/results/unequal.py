"""unequal: jobs of one table → what their results do not have in common though no setting says so, in sentences."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.results.sweep import Row
from modelforge.runs.environment import read

NUM_SHOWN = 4
"""Jobs that a sentence names of one kind."""
MAX_KINDS = 4


def unequal(rows: Iterable[Row]) -> tuple[str, ...]:
    """What rows with a result differ in: the config behind equal overrides, the data that equal settings gave, and the
    project's own modules.

    Runs of earlier versions, which did not note it, are not compared.
    """
    over = [row for row in rows if row.is_over and row.path]
    return (*_configs(over), *_sentences([(row, read(Path(row.path))) for row in over]))


def _configs(rows: Sequence[Row]) -> Iterator[str]:
    """The jobs of equal overrides whose configs differ: files were edited from one sweep to the next."""
    found: dict[frozenset[tuple[str, str]], dict[str, list[Row]]] = {}
    for row in rows:
        if row.config_hash and row.overrides:
            found.setdefault(frozenset(row.overrides.items()), {}).setdefault(row.config_hash, []).append(row)
    several = [[one.name for rows in kinds.values() for one in rows] for kinds in found.values() if len(kinds) > 1]
    if several:
        more = f", and so for {plural(len(several) - 1, 'other')}" if len(several) > 1 else ""
        names = listed(several[0], NUM_SHOWN)
        yield f"jobs of equal overrides had different configs, so they are no repetitions: {names}{more}"


def _sentences(known: Sequence[tuple[Row, Mapping[str, Any]]]) -> Iterator[str]:
    by_settings: dict[Hashable, dict[Hashable, list[Row]]] = {}
    codes: dict[Hashable, list[Row]] = {}
    for row, origin in known:
        if origin.get("data") and origin.get("data_settings"):
            by_settings.setdefault(str(origin["data_settings"]), {}).setdefault(str(origin["data"]), []).append(row)
        if "code" in origin:
            codes.setdefault(str(origin["code"]), []).append(row)
    for kinds in by_settings.values():
        if len(kinds) > 1:
            yield f"not all jobs were trained on the same data, though its settings are the same: {_named(kinds)}"
    if len(codes) > 1:
        yield f"not all jobs ran with the same version of the project's own modules: {_named(codes)}"


def _named(kinds: Mapping[Hashable, Sequence[Row]]) -> str:
    """The jobs of each kind, in the order of their numbers; those of the largest kind are `the others`."""
    ordered = [sorted(rows, key=lambda row: (row.number, row.folder)) for rows in kinds.values()]
    *small, _ = sorted(ordered, key=lambda rows: (len(rows), rows[0].number, rows[0].folder))
    texts = [f"{'job' if len(rows) == 1 else 'jobs'} {listed([row.name for row in rows], NUM_SHOWN)}" for rows in small]
    return f"it differs between {'; '.join([*texts[:MAX_KINDS], 'the others'])}"
