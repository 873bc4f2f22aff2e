"""documented: a `Review` → its `Document`: each edit once, with what follows from it in every composition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.planning.unreached import START
from modelforge.review.acceptances import Acceptances
from modelforge.review.change import cause_of, labels_of, of_compositions, of_kind
from modelforge.review.changed_files import REVIEW
from modelforge.review.diff_words import MARKS
from modelforge.review.document import (
    MAX_CHANGES,
    MAX_EFFECTS,
    MAX_LABELS,
    Change,
    Compared,
    Document,
    Effect,
    NotCompared,
    Picture,
    Spot,
)
from modelforge.review.drafts import Draft, drafts
from modelforge.review.explained import explained
from modelforge.review.following import following
from modelforge.review.kinds import RANK, SECTIONS
from modelforge.review.model_changes import Changes
from modelforge.review.option_names import label_of
from modelforge.review.pictures import picture
from modelforge.review.review import EntryDiff, FileNote, Review
from modelforge.review.revision import short
from modelforge.review.rows import bounded, spot
from modelforge.review.titles import follows, head, kind_of
from modelforge.review.value_words import arrow, list_edit, pair
from modelforge.review.values import ABSENT, ValueChange, exact
from modelforge.review.verdict import MAX_NAMED, verdict

ORDER = list(SECTIONS)
MAX_NOTES = 20
MAX_PICTURES = 3
SIDES = {"old": "on the old side", "new": "on the new side"}


def documented(review: Review, acceptances: Acceptances | None = None) -> Document:
    """The review as a reader or a program gets it.

    Args:
        review: What was compared, and what differs.
        acceptances: The changes that are accepted, from the folder's `review.yaml`.
    """
    given = acceptances or Acceptances()
    edited = drafts(review)
    found = [*map(_change, edited), *_left(review), *_entries(review), *following(review), *_files(review)]
    found = given.applied(found)
    found += given.unused(found)[0]
    found.sort(key=lambda change: (ORDER.index(change.section), -RANK[change.severity]))
    missing = list(_not_compared(review))
    return Document(
        old=bounded(review.old),
        new=bounded(review.new),
        overrides=labels_of(review.overrides),
        equal=review.equal,
        verdict=bounded(verdict(review, edited, found)),
        changes=tuple(found[:MAX_CHANGES]),
        num_changes=len(found),
        compared=_compared(review),
        not_compared=tuple(missing[:MAX_LABELS]),
        num_not_compared=len(missing),
        pictures=tuple(_pictures(review))[:MAX_PICTURES],
        notes=tuple(map(bounded, [*review.notes, *_notes(review)][:MAX_NOTES])),
    )


def documented_failure(old: str, new: str, problems: Sequence[Problem]) -> Document:
    """What stands in the way of a review, as a document without a comparison."""
    first = problems[0].message if problems else "nothing is known of it"
    found = [
        of_kind(
            "broken-side",
            problem.message,
            "; ".join(filter(None, (f"{problem.code}: {problem.message}", problem.hint))),
            mark="!",
            spot=spot(problem.place),
        )
        for problem in problems[:MAX_CHANGES]
    ]
    return Document(
        old=bounded(old),
        new=bounded(new),
        equal=False,
        verdict=bounded(f"cannot be compared: {first}"),
        changes=tuple(found),
        num_changes=len(found),
        compared=Compared(entries=(), num_entries=0),
    )


def documented_diff(changes: Changes, old: str = "old", new: str = "new") -> Document:
    """The difference of two plans as a document.

    Args:
        changes: What differs.
        old: What to call the old side.
        new: What to call the new side.
    """
    entry = EntryDiff("the model", "changed", diff=changes)
    causes = explained(changes, entry.label)
    return documented(
        Review(
            old=old,
            new=new,
            overrides=(),
            notes=(),
            files=(),
            num_files=0,
            entries=(entry,),
            num_unaffected=0,
            causes=causes,
        )
    )


def _where(edit: ValueChange | None) -> Spot | None:
    return spot(edit.new_place or edit.old_place) if edit else None


def _change(draft: Draft) -> Change:
    """An edit that compositions show."""
    kind, edit = kind_of(draft), _edit(draft)
    key, how = head(draft)
    rows = [effect.model_copy(update={"entries": labels_of(labels)}) for effect, labels in draft.shown()]
    labels = list(draft.labels)
    differs = edit is not None and not (edit.old is ABSENT and edit.new is ABSENT)
    return of_kind(
        kind,
        key if draft.edit else _identity(draft),
        f"{key} {how}".strip(),
        edit,
        cause=cause_of(edit, key) if edit and differs else None,
        follows=bounded(follows(draft)),
        mark=_mark(draft),
        spot=_where(edit) or next((found for one in draft.edits if (found := _where(one.change))), None),
        effects=tuple(rows[:MAX_EFFECTS]),
        num_effects=sum(row.copies for row in rows),
        num_redrawn=draft.num_redrawn,
        entries=labels_of(labels),
        num_entries=len(labels),
    )


def _identity(draft: Draft) -> str:
    """What several edits that work together are recognized by, values included; or what no edit explains."""
    values = [one.change for one in draft.edits] or [*draft.values.values()]
    paths = [] if draft.edits else sorted({*draft.layers, *draft.parameters})
    return exact([*paths, *([one.name, one.old, one.new] for one in values)], sort=True)


def _edit(draft: Draft) -> ValueChange | None:
    """The edit, or the option that it chooses at its place."""
    edit, choice = draft.edit.change if draft.edit else None, draft.choice
    if edit is None or choice is None:
        return edit
    return replace(choice, old_place=edit.old_place, new_place=edit.new_place)


def _mark(draft: Draft) -> str:
    edit = draft.edit
    if edit is None or edit.kind == "override":
        return "~"
    return {"added": "+", "removed": "-", "renamed": ">", "moved": ">"}.get(edit.how, "~")


def _left(review: Review) -> Iterator[Change]:
    """Parameters that a changed `init` block does not reach, once for equal words."""
    found: dict[str, list[str]] = {}
    for entry in review.entries:
        if entry.diff is not None and entry.diff.left_out:
            found.setdefault(entry.diff.left_out, []).append(entry.label)
    if len(found) == 1:
        ((words, labels),) = found.items()
        yield of_kind("init-unreached", words, words, entries=labels_of(labels), num_entries=len(labels))
    elif found:
        rows = {
            Effect(
                mark="~", subject="value", name="not reached", words=bounded(words.removeprefix(START).strip())
            ): labels
            for words, labels in found.items()
        }
        yield of_kind("init-unreached", exact([*found]), f"{START} some parameters", **of_compositions(rows))


def _entries(review: Review) -> Iterator[Change]:
    """Options of one side only, and compositions that a side cannot compose or plan."""
    for entry in review.entries:
        if entry.was:
            names = f"{entry.label}, was {entry.was}"
            place = _file_of(entry, review)
            found = of_kind(_option(entry, "renamed"), names, names, mark=">", spot=place)
            yield found.model_copy(update={"entries": labels_of([entry.label]), "num_entries": 1})
        # Of one that is planned on neither side the values are compared.
        if entry.broken == "both" or (not entry.broken and entry.kind == "changed"):
            continue
        if not entry.broken:
            words = f"{entry.label} {entry.kind}{_size(entry)}{_like(entry, review)}"
            place = _file_of(entry, review)
            found = of_kind(_option(entry, entry.kind), entry.label, words, mark=MARKS[entry.kind], spot=place)
            yield found.model_copy(update={"entries": labels_of([entry.label]), "num_entries": 1})
    yield from _wrong(review)


def _wrong(review: Review) -> Iterator[Change]:
    """What a side cannot compose or plan, with the first of the problems; compositions of equal problems are one."""
    alike: dict[tuple[str, str], list[EntryDiff]] = {}
    for entry in review.entries:
        if entry.problems and (entry.broken in ("old", "new") or (not entry.broken and entry.kind == "added")):
            alike.setdefault(_stopped(entry, review), []).append(entry)
    for (kind, words), found in alike.items():
        labels = [entry.label for entry in found]
        named = labels[0] if len(labels) == 1 else plural(len(labels), "composition")
        change = of_kind(kind, words, f"{named} {words}", mark="!", spot=spot(found[0].problems[0].place))
        yield change.model_copy(update={"entries": labels_of(labels), "num_entries": len(labels)})


def _stopped(entry: EntryDiff, review: Review) -> tuple[str, str]:
    """The kind of the change that stops a composition, and what is so, without its name."""
    first, more = entry.problems[0], len(entry.problems) - 1
    meant = f"; {first.hint.partition('?')[0]}?" if first.hint.startswith("did you mean") else ""
    why = first.message + (f" (and {plural(more, 'more problem')})" if more else "")
    side = SIDES[entry.broken or "new"]
    if review.lacks_plugins and entry.unknown_names:
        return "needs-plugins", f"cannot be planned {side} without the project's plugins: {why}{meant}"
    kind = f"broken-{entry.broken}" if entry.broken else "new-unplanned"
    return kind, f"cannot be {'planned' if entry.num_values else 'composed'} {side}: {why}"


def _option(entry: EntryDiff, how: str) -> str:
    """The kind of change of an option that comes, goes, or gets another name."""
    return f"{'model' if entry.label.startswith('model=') else 'option'}-{how}"


def _file_of(entry: EntryDiff, review: Review) -> Spot | None:
    """The file of an option that is added, removed or renamed."""
    return next((_file(note) for note in review.files if note.file.path == entry.file), None)


def _like(entry: EntryDiff, review: Review) -> str:
    """The removed option that a new one is similar to."""
    path = next((note.file.like for note in review.files if note.file.path == entry.file), "")
    return f", similar to {label_of(path)}, which is removed" if path and entry.kind == "added" else ""


def _size(entry: EntryDiff) -> str:
    if entry.plan is None:
        return ""
    return f": {plural(len(entry.plan.layers), 'layer')}, {plural(entry.plan.num_parameters, 'parameter')}"


def _files(review: Review) -> Iterator[Change]:
    """Files that were not compared, and edits that no composition shows."""
    for note in review.files:
        path = note.file.path
        if note.equal:
            continue
        if note.reason:
            kind = "file-not-compared" if note.file.kind == "changed" else f"file-{note.file.kind}"
            yield of_kind(kind, path, f"{path}: {note.reason}", mark=MARKS[note.file.kind], spot=_file(note))
        for edit in note.edits if not note.reason else ():
            ordered = isinstance(edit.old, list) and isinstance(edit.new, list) and _is_order(edit.old, edit.new)
            words = "in another order" if ordered else list_edit(edit.old, edit.new)
            words = words or " → ".join(one or "-" for one in pair(edit.old, edit.new))
            title = f"{path}: {edit.name} {words}: without effect on any composition"
            yield of_kind("edit-without-effect", f"{path} {edit.name}", title, edit, spot=_where(edit))


def _is_order(old: Sequence[object], new: Sequence[object]) -> bool:
    """Whether two lists hold the same items."""
    return sorted(map(exact, old)) == sorted(map(exact, new))


def _file(note: FileNote) -> Spot:
    content = note.file.new or note.file.old
    if content is None:
        return Spot(words=bounded(note.file.path))
    shown = bounded(content.document.file)
    return Spot(words=shown, file=shown, line=1)


def _pictures(review: Review) -> Iterator[Picture]:
    """The changed part of each network, equal ones once."""
    found: dict[str, tuple[Picture, list[str]]] = {}
    for entry in review.entries:
        drawn = picture(entry.diff) if entry.diff is not None else None
        if drawn is not None:
            found.setdefault(drawn.model_dump_json(), (drawn, []))[1].append(entry.label)
    for drawn, labels in found.values():
        name = listed(labels, MAX_NAMED) if len(review.entries) > 1 else ""
        yield drawn.model_copy(update={"entry": bounded(name)})


def _notes(review: Review) -> Iterator[str]:
    """What was compared without plugins, and files that say the same, where others do not."""
    if review.lacks_plugins and any(entry.unknown_names for entry in review.entries):
        other = short(review.old)
        yield f"compared without the project's plugins: `modelforge diff {other}`, in a checkout of the other, has them"
    same = [
        note.file.path
        for note in review.files
        if note.equal
        and note.file.is_config
        and note.file.path != REVIEW
        and not (note.rewritten or note.file.reordered)
    ]
    if same and not review.equal:
        yield f"only formatting, comments or the order of keys differ in {listed(same, MAX_NAMED)}"
    for note in review.files:
        for edit in note.rewritten:
            words = arrow(*pair(edit.old, edit.new))
            yield f"the same value in all compositions: {edit.name} {words} ({note.file.path})"


def _compared(review: Review) -> Compared:
    default = review.default.diff
    labels = [entry.label for entry in review.entries]
    return Compared(
        entries=labels_of(labels),
        num_entries=len(labels),
        num_unaffected=review.num_unaffected,
        num_files=review.num_files,
        num_changed_files=sum(note.counted for note in review.files),
        num_values=sum(entry.num_values for entry in review.entries),
        num_parameters=default.num_unchanged + len(default.parameters) if default else 0,
    )


def _not_compared(review: Review) -> Iterator[NotCompared]:
    for note in review.not_compared:
        yield NotCompared(name=bounded(note.file.path), reason=bounded(note.reason))
    for label, why in review.alone.items():
        yield NotCompared(name=bounded(label), reason=bounded(f"it cannot be composed alone: {why}"))
    for entry in review.entries:
        if entry.broken == "both":
            reason = f"neither side can be planned: {entry.problems[0].message}"
            if review.lacks_plugins and entry.unknown_names:
                reason += ", and the project's plugins are not imported"
            yield NotCompared(name=bounded(entry.label), reason=bounded(reason))
