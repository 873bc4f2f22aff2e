"""Phrases that several formats use: what was compared, where a change shows, and how a std differs."""

from __future__ import annotations

from collections.abc import Sequence

from modelforge.core.quoting import listed
from modelforge.core.words import number, plural
from modelforge.review.document import Change, Document, Effect, Spot
from modelforge.review.kinds import KINDS
from modelforge.review.revision import short

MAX_OPEN = 10
"""Changes of a section, and effects of a change, that are shown at once."""
MAX_NAMED = 3
"""Compositions and files that are named where there are many."""


def sides(document: Document) -> tuple[str, str]:
    """The names of both sides, hashes cut short."""
    return short(document.old), short(document.new)


def compared(document: Document) -> list[str]:
    """What was compared, and what was not, in a line each; nothing where there is no difference of any kind."""
    facts = document.compared
    if not facts.num_entries or (document.equal and not facts.num_changed_files):
        return []
    values = plural(facts.num_values, "value")
    if not facts.num_files:
        parameters = plural(facts.num_parameters, "parameter")
        return [f"compared: {parameters} and {values}" if facts.num_values else f"compared: {parameters}"]
    changed = facts.num_changed_files
    count = plural(facts.num_entries, "composition")
    names = some(facts.entries, facts.num_entries)
    differ = "differs" if changed == 1 else "differ"
    line = (
        f"compared: {plural(facts.num_files, 'file')}, of which {changed:,} {differ}; {count} ({names}) with {values}"
    )
    if changed and facts.num_unaffected:
        verb, them = "does" if facts.num_unaffected == 1 else "do", "it" if changed == 1 else "them"
        line += f"; {facts.num_unaffected} more {verb} not read {them}"
    lines = [line]
    reasons: dict[str, list[str]] = {}
    for one in document.not_compared:
        reasons.setdefault(one.reason, []).append(one.name)
    lines += [f"not compared: {listed(names, MAX_NAMED)} ({reason})" for reason, names in reasons.items()]
    if more := document.num_not_compared - len(document.not_compared):
        lines.append(f"not compared: {more:,} more")
    return lines


def some(labels: Sequence[str], total: int) -> str:
    """Labels in a row, of many the first.

    >>> some(["a", "b"], 2), some(["a", "b", "c", "d", "e"], 9)
    ('a and b', 'a, b, c and 6 more')
    """
    if total > MAX_NAMED + 1:
        return f"{listed([*labels[:MAX_NAMED]], MAX_NAMED, ', ').replace(' and ', ', ')} and {total - MAX_NAMED:,} more"
    return listed(labels, MAX_NAMED)


def in_entries(labels: Sequence[str], total: int, document: Document) -> str:
    """In which compositions; empty where only one was compared."""
    every = document.compared.num_entries
    if every <= 1 or not total:
        return ""
    return "in all compositions" if total == every else f"in {some(labels, total)}"


def spots(change: Change) -> str:
    """Where a change is, on both sides if it is an edit."""
    cause = change.cause
    if cause is None or cause.old_spot is None or cause.new_spot is None:
        return change.spot.words if change.spot else ""
    return fit(cause.old_spot, cause.new_spot)


def fit(old: Spot, new: Spot) -> str:
    """Two places in words; once where they are the same.

    >>> fit(Spot(words="a:2", file="a", line=2), Spot(words="a:3", file="a", line=3))
    'a:2 → 3'
    """
    if old.words == new.words:
        return new.words
    if old.file and old.file == new.file and " " not in old.words + new.words:
        return f"{old.words} → {new.line}"
    return f"{old.words} → {new.words}"


def name_of(change: Change) -> str:
    """The kind of a change in words."""
    return KINDS[change.kind].name


def edited(change: Change) -> str:
    """What was done to the key of a change's cause."""
    return change.title.removeprefix(change.cause.key).strip() if change.cause else ""


def std(effect: Effect) -> str:
    """The target std of a parameter on each side that has it.

    >>> std(Effect(mark="~", subject="parameter", name="w", old_std=0.25, new_std=0.35))
    '0.25 → 0.35'
    """
    known = [number(one) for one in (effect.old_std, effect.new_std) if one is not None]
    return " → ".join(dict.fromkeys(known))


def factor(effect: Effect) -> str:
    """New std over old std in words; empty where they are equal, or a side promises none.

    >>> factor(Effect(mark="~", subject="parameter", name="w", old_std=0.25, new_std=0.5, ratio=2.0))
    '×2'
    >>> factor(Effect(mark="~", subject="parameter", name="w", old_std=0.0, new_std=0.5))
    'from 0'
    """
    if effect.ratio is not None:
        return f"×{number(effect.ratio)}"
    return "from 0" if effect.mark == "~" and effect.old_std == 0 and effect.new_std else ""
