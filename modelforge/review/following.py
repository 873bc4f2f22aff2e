"""following: the compositions of a review → what follows from all edits together: costs, old checkpoints, warnings."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from math import inf
from typing import Any

import yaml

from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.core.words import magnitude, plural, printable
from modelforge.linting.subject import Unknown
from modelforge.review.change import labels_of, of_compositions, of_kind
from modelforge.review.consequences import Consequences
from modelforge.review.costs import Cost, Costs
from modelforge.review.document import MAX_EFFECTS, MAX_FOLLOWS, Change, Effect
from modelforge.review.groups import grouped
from modelforge.review.old_checkpoint import OldCheckpoint
from modelforge.review.review import EntryDiff, Review
from modelforge.review.rows import bounded, spot, value_rows
from modelforge.review.signal_words import signals
from modelforge.review.values import exact
from modelforge.review.verdict import percent

RULES = (("rename", "rename"), ("skip", "name to skip"))
"""Keys of a `weights` section, and what to call one of their rules."""
MAX_UNKNOWN = 3
"""Layers of unknown cost that a title names."""


def following(review: Review) -> Iterator[Change]:
    """What follows from all edits together, equal in several compositions once."""
    for find in (_costs, _checkpoint, _findings):
        yield from _once(review, find)
    yield from _training(review)
    yield from signals(review)


def _once(review: Review, find: Callable[[EntryDiff], Sequence[Change]]) -> Iterator[Change]:
    found: dict[str, tuple[Change, list[str]]] = {}
    for entry in review.entries:
        for change in find(entry):
            found.setdefault(exact(change.model_dump()), (change, []))[1].append(entry.label)
    for change, labels in found.values():
        yield change.model_copy(update={"entries": labels_of(labels), "num_entries": len(labels)})


def _of(entry: EntryDiff) -> Consequences | None:
    return entry.consequences if entry.diff is not None and not entry.diff.equal else None


def _costs(entry: EntryDiff) -> list[Change]:
    facts = _of(entry)
    costs = facts.costs if facts else None
    if costs is None or not costs.layers:
        return []
    words = [(layer.path, _cost_words(layer.old, layer.new)) for layer in costs.layers]
    rows = [Effect(mark="~", subject="layer", name=bounded(path), words=word) for path, word in words]
    if not (title := _total_words(costs)):
        return []
    return [of_kind("costs-changed", title, title, **_rows(rows))]


def _total_words(costs: Costs) -> str:
    """What the models cost, with the layers that the bytes lack; empty where nothing differs."""
    if not costs.unknown:
        return _cost_words(costs.old, costs.new)
    old, new = (replace(cost, activations=size) for cost, size in zip((costs.old, costs.new), costs.known, strict=True))
    lacks = f"bytes of activations are not known of {listed(costs.unknown, MAX_UNKNOWN, quote='`')}"
    return "; ".join(filter(None, (_cost_words(old, new), lacks)))


def _rows(rows: Sequence[Effect]) -> dict[str, Any]:
    """The fields of a change with these effects, equal ones of copies together."""
    groups = grouped(rows, lambda row: row.name, lambda row: (row.mark, row.words))
    effects = [group.first.model_copy(update={"name": group.label, "copies": group.count}) for group in groups]
    return {"effects": tuple(effects[:MAX_EFFECTS]), "num_effects": len(rows)}


def _cost_words(old: Cost, new: Cost) -> str:
    """`parameters 36 → 46 (+28 %), FLOPs 64 → 84 (+31 %)`."""
    names = {"parameters": "parameters", "flops": "FLOPs", "activations": "bytes of activations"}
    pairs = {words: (getattr(old, name), getattr(new, name)) for name, words in names.items()}
    return ", ".join(f"{words} {_grown(*pair)}" for words, pair in pairs.items() if pair[0] != pair[1] or None in pair)


def _grown(old: int | None, new: int | None) -> str:
    """
    >>> _grown(36, 46), _grown(17802, 17792), _grown(None, 3)
    ('36 → 46 (+28 %)', '17,802 → 17,792 (-0.056 %)', '? → 3')
    """
    if old is None or new is None:
        return " → ".join("?" if size is None else magnitude(size) for size in (old, new))
    share = f" ({percent(new / old - 1)})" if old else ""
    pair = (magnitude(old), magnitude(new))
    return " → ".join(pair if pair[0] != pair[1] else (f"{old:,}", f"{new:,}")) + share


def _checkpoint(entry: EntryDiff) -> list[Change]:
    facts = _of(entry)
    checkpoint = facts.checkpoint if facts else None
    if checkpoint is None or (checkpoint.num_keys == len(checkpoint.loads) and not checkpoint.missing):
        return []
    rows = list(_keys(checkpoint))
    key = exact([title := loads(checkpoint), [row.name for row in rows]])
    return [of_kind("checkpoint-keys", key, title, follows=remedy(checkpoint), **_rows(rows))]


def _keys(checkpoint: OldCheckpoint) -> Iterator[Effect]:
    """The keys that do not load as they are."""
    found = [(">", old, f"is now {new}") for old, new in checkpoint.renamed.items()]
    found += [("~", name, "has another shape") for name in checkpoint.reshaped]
    found += [("-", name, "has no place in the new model") for name in checkpoint.lost]
    found += [("+", name, "is missing there") for name in checkpoint.missing if name not in checkpoint.reshaped]
    for mark, name, words in found:
        yield Effect(mark=mark, subject="key", name=bounded(name), words=bounded(words))


def loads(checkpoint: OldCheckpoint) -> str:
    """`old checkpoint: 41 of 44 keys load`."""
    renamed = f", {len(checkpoint.renamed):,} more by renames" if checkpoint.renamed else ""
    return f"old checkpoint: {len(checkpoint.loads):,} of {plural(checkpoint.num_keys, 'key')} load{renamed}"


def remedy(checkpoint: OldCheckpoint) -> str:
    """The `weights` section that loads what fits."""
    if not checkpoint.fits:
        return "nothing in it fits the new model"
    if not checkpoint.weights:
        return ""
    written = yaml.safe_dump({**checkpoint.weights}, default_flow_style=True, sort_keys=False, width=inf).strip()
    words = printable(f"`weights: {written}` loads what fits")
    if len(words) <= MAX_FOLLOWS:
        return words
    sizes = " and ".join(plural(len(rules), noun) for key, noun in RULES if (rules := checkpoint.weights.get(key)))
    return f"a `weights` section with {sizes} loads what fits"


def _findings(entry: EntryDiff) -> list[Change]:
    facts = _of(entry)
    if facts is None:
        return []
    return [
        *(_finding("new", problem) for problem in facts.new_findings),
        *(_finding("gone", problem) for problem in facts.old_findings),
        *(_unjudged(problem) for problem in facts.unjudged_findings),
        *([] if facts.unknown is None else [_unknown(facts.unknown)]),
    ]


def _finding(how: str, problem: Problem) -> Change:
    kind = f"{'note' if problem.severity == 'note' else 'finding'}-{how}"
    words = f"{problem.code}: {problem.message}"
    mark = "+" if how == "new" else "-"
    return of_kind(kind, f"{problem.code} {problem.key}", words, mark=mark, spot=spot(problem.place))


def _unjudged(problem: Problem) -> Change:
    words = f"{problem.code} no longer judges: {problem.message}"
    return of_kind("finding-unjudged", f"{problem.code} {problem.key}", words, mark="~", spot=spot(problem.place))


def _unknown(unknown: Unknown) -> Change:
    words = unknown.words
    return of_kind("signal-unknown", words, words, mark="~")


def _training(review: Review) -> Iterator[Change]:
    """What the trainings come to in numbers, in all compositions together."""
    rows: dict[Effect, dict[str, None]] = {}
    for entry in review.entries:
        for row in value_rows(entry.effective):
            rows.setdefault(row, {})[entry.label] = None
    if rows:
        names = list(dict.fromkeys(row.name for row in rows))
        title = f"{', '.join(names)} {'differs' if len(names) == 1 else 'differ'}"
        key = exact([[row.name, row.words] for row in rows])
        yield of_kind("training-effective", key, title, **of_compositions(rows))
