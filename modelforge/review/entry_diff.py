"""entry_diff: one composition of both sides → what differs between them."""

from __future__ import annotations

from modelforge.planning.plan import Plan
from modelforge.review.affected import Composition, Entry
from modelforge.review.changed_files import Presence
from modelforge.review.consequences import Known
from modelforge.review.diff import diff
from modelforge.review.review import EntryDiff
from modelforge.review.values import exchanged_layers, flat, value_changes


def entry_diff(
    entry: Entry,
    kind: Presence,
    old: Composition,
    new: Composition,
    known: Known,
    default: Composition | None = None,
) -> EntryDiff:
    """What differs in one composition.

    Args:
        entry: What was composed.
        kind: Whether its option is on both sides.
        old: It on the old side.
        new: It on the new side.
        known: What follows from differences that were seen before.
        default: The default composition on the new side, which has a plan; None where this is the default.
    """
    shared = len({*flat(old.values), *flat(new.values)})
    if kind != "changed":
        here = new if kind == "added" else old
        if here.config is None:
            side = "new" if kind == "added" else "old"
            return EntryDiff(entry.label, kind, broken=side, problems=here.problems)
        decided = here.decided if entry.label.startswith("model=") or _is_new_model(kind, here, default) else None
        plan = decided if isinstance(decided, Plan) and entry.label.startswith("model=") else None
        return EntryDiff(entry.label, kind, shared, plan=plan, problems=decided if isinstance(decided, tuple) else ())
    if old.config is None or new.config is None:
        side = "old" if old.config is None else "new"
        return EntryDiff(entry.label, kind, broken=side, problems=new.problems or old.problems)
    values = tuple(value_changes(old.values, new.values, old.config.origins.place, new.config.origins.place))
    if default is not None and old.plans_like(new):
        return EntryDiff(entry.label, kind, shared, values, same_model=True)
    before, after = old.decided, new.decided
    if isinstance(before, Plan) and isinstance(after, Plan):
        found = diff(before, after)
        if found.equal:
            return EntryDiff(entry.label, kind, shared, values, found)
        return EntryDiff(entry.label, kind, shared, values, found, consequences=known(old, new, found))
    problems = [side for side in (after, before) if not isinstance(side, Plan)]
    side = "both" if len(problems) == 2 else "old" if isinstance(after, Plan) else "new"
    if side == "both":
        values += tuple(exchanged_layers(old.values, new.values, old.config.origins.place, new.config.origins.place))
    return EntryDiff(entry.label, kind, shared, values, broken=side, problems=problems[0])


def _is_new_model(kind: Presence, here: Composition, default: Composition | None) -> bool:
    """Whether an added option has another plan than the default, which no reviewer has seen."""
    return kind == "added" and not here.unset and default is not None and not here.plans_like(default)
