"""A review in words, for the terminal and for Markdown: what was compared, the values that differ, and the files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from modelforge.core.quoting import listed as in_a_row
from modelforge.core.words import cut, plural, printable, value
from modelforge.review.diff_words import MARKS, both_places
from modelforge.review.model_changes import Changes
from modelforge.review.review import EntryDiff, FileNote, Review
from modelforge.review.revision import short
from modelforge.review.values import ABSENT, Change, exact

Section = Literal["model", "training", "other values"]
SECTIONS: Mapping[str, Section] = {
    **dict.fromkeys(("model", "init", "weights", "seed", "dtype"), "model"),
    **dict.fromkeys(
        ("optimizer", "scheduler", "freeze", "trainer", "data", "num_threads", "ckpt", "optimized_metric"), "training"
    ),
}
MAX_NAMED = 3
"""Compositions and files that are named where there are many."""
MAX_ROWS = 10
"""Values of one section of a config that are listed one by one, where another file was chosen for the section."""


@dataclass(frozen=True)
class Row:
    """One value that differs, in one composition or equally in several."""

    section: Section
    name: str
    words: str
    place: str
    labels: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Models:
    """The difference of two models, in one composition or equally in several."""

    labels: list[str]
    diff: Changes


@dataclass(frozen=True)
class FileLine:
    """A file that differs, and its edits that have no effect: key, change and place of each."""

    mark: str
    path: str
    words: str
    edits: tuple[tuple[str, str, str], ...]


def sides(review: Review) -> tuple[str, str]:
    """The names of both sides, hashes cut short."""
    return short(review.old), short(review.new)


def verdict(review: Review) -> str:
    """Whether anything differs, and how much was compared; empty where differences follow."""
    if not review.equal:
        return "" if any(not entry.equal for entry in review.entries) else "files differ, but no composition does"
    size = _size(review.default)
    if review.files:
        return f"no semantic change: {_formatting(review)}"
    if review.num_files:
        return f"no difference: all {plural(review.num_files, 'file')} are the same, and so are {size} of the default"
    return f"no difference: {size} are the same"


def _formatting(review: Review) -> str:
    """The files that differ although they say the same."""
    kinds = {
        "in formatting, comments or the order of keys": [n.file.path for n in review.files if n.file.is_config],
        "but composition does not read such files": [n.file.path for n in review.files if not n.file.is_config],
    }
    return "; ".join(f"{listed(paths)} {_differ(len(paths))} {how}" for how, paths in kinds.items() if paths)


def _differ(number: int) -> str:
    return "differs" if number == 1 else "differ"


def compared(review: Review) -> list[str]:
    """What was compared, in one line or more; nothing where there is no difference of any kind."""
    if review.equal and not review.files:
        return []
    if not review.num_files:
        return [f"compared: {_size(review.default)}"]
    number, values = len(review.files), sum(entry.num_values for entry in review.entries)
    names = listed([entry.label for entry in review.entries])
    count = plural(len(review.entries), "composition")
    lines = [
        f"compared: {plural(review.num_files, 'file')}, of which {number:,} {_differ(number)}; "
        f"{count} ({names}) with {plural(values, 'value')}"
    ]
    if review.files and review.num_unaffected:
        verb, them = "does" if review.num_unaffected == 1 else "do", "it" if number == 1 else "them"
        lines[0] += f"; {review.num_unaffected} more {verb} not read {them}"
    if review.alone:
        lines.append(f"not compared, because they cannot be composed alone: {listed(review.alone)}")
    if unplanned := [entry for entry in review.entries if entry.broken == "both"]:
        labels = listed([entry.label for entry in unplanned])
        why = printable(unplanned[0].problems[0].message)
        lines.append(f"compared without a model, which neither side can plan: {labels} ({why})")
    return lines


def _size(entry: EntryDiff) -> str:
    """How much was compared in one composition."""
    values = plural(entry.num_values, "composed value")
    if entry.diff is None:
        return values
    return f"{plural(entry.diff.num_unchanged + len(entry.diff.parameters), 'parameter')} and {values}"


def sections(review: Review) -> dict[Section, list[Row]]:
    """The values that differ by section, in a fixed order; equal changes of several compositions are one row."""
    found: dict[tuple[Any, ...], Row] = {}
    for entry in review.entries:
        for key, row in _rows(entry):
            found.setdefault(key, row).labels.append(entry.label)
    every: dict[Section, list[Row]] = {"model": [], "training": [], "other values": []}
    for row in found.values():
        every[row.section].append(row)
    return {section: members for section, members in every.items() if members}


def models(review: Review) -> list[Models]:
    """The differences of the models, equal ones once."""
    found: dict[str, Models] = {}
    for entry in review.entries:
        if entry.diff is None:
            continue
        # The seed is among the values: one for all compositions.
        shown = replace(entry.diff, totals=tuple(change for change in entry.diff.totals if change.name != "seed"))
        if not shown.equal:
            data = shown.to_dict()
            key = exact([data[part] for part in ("totals", "layers", "parameters")])
            found.setdefault(key, Models([], shown)).labels.append(entry.label)
    return list(found.values())


def arrivals(review: Review) -> Iterator[tuple[str, str, str]]:
    """Mark, label and words of compositions of one side only, and of those that a side cannot compose or plan."""
    sides = {"old": "on the old side", "new": "on the new side", "both": "on either side"}
    for entry in review.entries:
        why = printable(entry.problems[0].message) if entry.problems else ""
        if entry.kind != "changed":
            size = ""
            if entry.plan is not None:
                layers, parameters = plural(len(entry.plan.layers), "layer"), entry.plan.num_parameters
                size = f": {layers}, {plural(parameters, 'parameter')}"
            failed = "" if not why else f", but cannot be {'composed' if entry.broken else 'planned'}: {why}"
            yield MARKS[entry.kind], entry.label, f"{entry.kind}{size}{failed}"
        elif entry.broken and not (entry.broken == "both" and entry.num_values):
            # A model that neither side can plan is no change: `compared` names it.
            what = "cannot be planned" if entry.num_values else "cannot be composed"
            yield "!", entry.label, f"{what} {sides[entry.broken]}: {why}"


def files(review: Review) -> list[FileLine]:
    """The files that differ, unless they all say the same."""
    return [
        FileLine(
            MARKS[note.file.kind],
            printable(note.file.path),
            printable(_file_words(note)),
            tuple((printable(edit.name), _edit(edit), _place(edit)) for edit in note.edits),
        )
        for note in (() if review.equal else review.files)
    ]


def where_labels(labels: Sequence[str], review: Review) -> str:
    """In which compositions; empty where only one was compared."""
    everywhere = [entry.label for entry in review.entries if entry.kind == "changed"]
    if len(everywhere) == 1:
        return ""
    return "in all compositions" if len(labels) == len(everywhere) else f"in {listed(labels)}"


def listed(names: Sequence[str]) -> str:
    """Names in a row; of many the first."""
    return in_a_row(names, MAX_NAMED)


def _rows(entry: EntryDiff) -> Iterator[tuple[tuple[Any, ...], Row]]:
    """The values that differ, each with a key by which equal changes of other compositions are found.

    Left out are values of the model whose place the model's own section shows. Where another option was chosen, many
    values follow from that: they are counted.
    """
    placed = set(_placed(entry.diff)) if entry.diff else set[str]()
    by_section: dict[str, list[Change]] = {}
    for change in entry.values:
        by_section.setdefault(change.path[0], []).append(change)
    for change in by_section.pop("choices", []):
        group, words = change.path[-1], pair(change.old, change.new)
        if (number := len(by_section.get(group, ()))) > MAX_ROWS:
            del by_section[group]
            words += f", {number} values differ"
        yield (change.path, words), Row(_section(group.partition("/")[0]), group, words, "")
    for section, changes in by_section.items():
        for change in changes:
            place = _place(change)
            if section == "seed" or _section(section) != "model" or not place or place not in placed:
                words = pair(change.old, change.new) + (", so every drawn value changes" if section == "seed" else "")
                yield (change.path, exact([change.old, change.new])), Row(_section(section), change.name, words, place)


def _section(name: str) -> Section:
    return SECTIONS.get(name, "other values")


def _placed(diff: Changes) -> Iterator[str]:
    """The places that the diff of two models shows."""
    items = [*diff.layers, *diff.parameters]
    yield from map(_place, (*diff.totals, *(change for item in items for change in item.changes)))


def _place(change: Change) -> str:
    return both_places(change.old_place, change.new_place)


def _edit(edit: Change) -> str:
    """An edit; of a list such as `defaults`, the items that were removed and added."""
    if isinstance(edit.old, list) and isinstance(edit.new, list):
        removed = [f"- {brief(item)}" for item in edit.old if item not in edit.new]
        added = [f"+ {brief(item)}" for item in edit.new if item not in edit.old]
        if removed or added:
            return ", ".join([*removed, *added])
    return pair(edit.old, edit.new)


def pair(old: Any, new: Any) -> str:
    """`0.001 → 0.01`; values that differ in type alone as JSON writes them.

    >>> pair(0.001, 0.01), pair(1, 1.0), pair("1", 1), pair(ABSENT, None)
    ('0.001 → 0.01', '1 → 1.0', '"1" → 1', '- → null')
    """
    words = [brief(item) for item in (old, new)]
    if words[0] == words[1]:
        words = [item if item == "-" else exact(raw) for item, raw in zip(words, (old, new), strict=True)]
    return f"{printable(words[0])} → {printable(words[1])}"


def brief(item: Any) -> str:
    """A value on one line, cut in the middle where it is long."""
    return cut("-" if item is ABSENT else value(item))


def _file_words(note: FileNote) -> str:
    if note.reason:
        return f"not compared: {note.reason}"
    if note.file.kind != "changed":
        return note.file.kind
    if note.file.formatting:
        return "only the order of keys" if note.file.reordered else "only formatting or comments"
    if note.edits:
        also = "" if len(note.edits) == len(note.file.edits) else "also, "
        return f"{also}without effect on any composition:"
    return ""
