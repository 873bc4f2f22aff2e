"""A review in words, for every renderer: what was compared, the values that differ, and the files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from modelforge.core.errors import listed as in_a_row
from modelforge.core.words import cut, plural, printable, value
from modelforge.review.changes import Changes
from modelforge.review.facts import ABSENT, ValueChange, exact
from modelforge.review.files import FileDiff
from modelforge.review.review import EntryDiff, FileNote, Review
from modelforge.review.wording import both_places

Section = Literal["model", "training", "other values"]
SECTIONS: Mapping[str, Section] = {
    **dict.fromkeys(("model", "init", "weights", "seed"), "model"),
    **dict.fromkeys(
        ("optimizer", "scheduler", "trainer", "data", "num_threads", "ckpt", "optimized_metric"), "training"
    ),
}
MAX_NAMED = 3
"""Compositions and files that are named where there are many."""
MAX_ROWS = 10
"""Values of one section of a config that are told one by one, where a whole file took the place of another."""


@dataclass(frozen=True)
class Row:
    """One value that differs, in one composition or several alike."""

    section: Section
    name: str
    words: str
    place: str
    labels: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Models:
    """What differs in the model, in one composition or several alike."""

    labels: list[str]
    diff: Changes


def headline(review: Review) -> str:
    """The two sides, and what applies to both."""
    both = f", both with {' '.join(review.overrides)}" if review.overrides else ""
    return f"{printable(review.old)} → {printable(review.new)}{printable(both)}"


def verdict(review: Review) -> str:
    """Whether anything differs, and what was looked at to say so; empty where differences follow."""
    if not review.equal:
        if any(not entry.equal for entry in review.entries):
            return ""
        return "nothing that was compared differs, but files do"
    looked = _size(review.default)
    if review.files:
        return f"no semantic change: {_formatting(review)}"
    if review.num_files:
        return f"no difference: all {plural(review.num_files, 'file')} are the same, and so are {looked} of the default"
    return f"no difference: {looked} are the same"


def _formatting(review: Review) -> str:
    """Which files differ without saying anything else."""
    kinds = {
        "in formatting, comments or the order of keys": [n.file.path for n in review.files if n.file.is_config],
        "and composition does not read such files": [n.file.path for n in review.files if not n.file.is_config],
    }
    return "; ".join(
        f"{listed(paths)} {'differs' if len(paths) == 1 else 'differ'} {how}" for how, paths in kinds.items() if paths
    )


def compared(review: Review) -> list[str]:
    """What was looked at, a line each."""
    names = listed([entry.label for entry in review.entries])
    values = sum(entry.num_values for entry in review.entries)
    count = plural(len(review.entries), "composition")
    if not review.num_files:
        return [f"compared: {_size(review.default)}"]
    files = f"{len(review.files)} of {plural(review.num_files, 'file')}"
    verb = "differs" if len(review.files) == 1 else "differ"
    lines = [f"compared: {files} {verb}; {count} ({names}), {plural(values, 'value')}"]
    if review.files and review.num_unaffected:
        them = "it" if len(review.files) == 1 else "them"
        lines[0] += f"; {review.num_unaffected} more {'does' if review.num_unaffected == 1 else 'do'} not read {them}"
    if review.alone:
        lines.append(f"not compared, since they cannot be composed by themselves: {listed(review.alone)}")
    if unplanned := [entry for entry in review.entries if entry.broken == "both"]:
        labels = listed([entry.label for entry in unplanned])
        why = printable(unplanned[0].problems[0].message)
        lines.append(f"compared without a model, which neither side can plan: {labels} ({why})")
    return lines


def _size(entry: EntryDiff) -> str:
    """How much was compared in one composition."""
    parts = [plural(entry.num_values, "composed value")]
    if entry.diff is not None:
        num_parameters = entry.diff.num_unchanged + len(entry.diff.parameters)
        parts.insert(0, plural(num_parameters, "parameter"))
    return " and ".join(parts)


def rows(review: Review) -> list[Row]:
    """The values that differ, alike ones of several compositions once."""
    found: dict[tuple[Any, ...], Row] = {}
    for entry in review.entries:
        for key, row in _rows(entry):
            found.setdefault(key, row).labels.append(entry.label)
    return list(found.values())


def models(review: Review) -> list[Models]:
    """What differs in the models, alike differences once."""
    found: dict[str, Models] = {}
    for entry in review.entries:
        if entry.diff is None:
            continue
        # A seed is told among the values: it is one for all.
        told = replace(entry.diff, totals=tuple(change for change in entry.diff.totals if change.name != "seed"))
        if not told.equal:
            key = exact(
                {name: part for name, part in told.to_dict().items() if name in ("totals", "layers", "parameters")}
            )
            found.setdefault(key, Models([], told)).labels.append(entry.label)
    return list(found.values())


def arrivals(review: Review) -> Iterator[tuple[str, str, str]]:
    """Mark, label and words of what only one side has, and of what one side cannot compose or plan."""
    for entry in review.entries:
        why = printable(entry.problems[0].message) if entry.problems else ""
        if entry.kind != "changed":
            size = ""
            if entry.plan is not None:
                layers, parameters = plural(len(entry.plan.layers), "layer"), entry.plan.num_parameters
                size = f": {layers}, {plural(parameters, 'parameter')}"
            failed = "" if not why else f", but cannot be {'composed' if entry.broken else 'planned'}: {why}"
            yield "+" if entry.kind == "added" else "-", entry.label, f"{entry.kind}{size}{failed}"
        elif entry.broken and not (entry.broken == "both" and entry.num_values):
            # What neither side can plan is no change: the head of the answer names it.
            sides = {"old": "on the old side only", "new": "on the new side only", "both": "on either side"}
            side = sides[entry.broken]
            what = "cannot be planned" if entry.num_values else "cannot be composed"
            yield "!", entry.label, f"{what} {side}: {why}"


def file_lines(review: Review) -> Iterator[tuple[str, str, str]]:
    """Mark, path and words of each file that differs."""
    for note in review.files:
        mark = {"added": "+", "removed": "-", "changed": "~"}[note.file.kind]
        yield mark, printable(note.file.path), printable(_file_words(note))


def edit_lines(note: FileNote) -> Iterator[tuple[str, str, str]]:
    """Key, change and place of each edit of a file that no comparison shows."""
    for change in note.edits:
        words, place = _edit(change)
        yield printable(change.name), words, place


def where_labels(labels: Sequence[str], review: Review) -> str:
    """In which compositions; nothing where only one was compared."""
    everywhere = [entry.label for entry in review.entries if entry.kind == "changed"]
    if len(everywhere) == 1:
        return ""
    if len(labels) == len(everywhere):
        return "in all of them"
    return f"in {listed(labels)}"


def listed(names: Sequence[str]) -> str:
    """Names in a row, of many the first."""
    return in_a_row(names, MAX_NAMED)


def _rows(entry: EntryDiff) -> Iterator[tuple[tuple[Any, ...], Row]]:
    """The values that differ, each with what makes it one with that of another composition.

    Those of the model that its own section places are left to that. Where another option was chosen, its values are
    many, and follow from that: they are counted.
    """
    placed = set(_placed(entry.diff)) if entry.diff else set[str]()
    by_section: dict[str, list[ValueChange]] = {}
    for change in entry.values:
        by_section.setdefault(change.path[0], []).append(change)
    folded: dict[str, int] = {}
    for change in by_section.pop("choices", []):
        group = change.path[-1]
        if len(by_section.get(group, ())) > MAX_ROWS:
            folded[group] = len(by_section.pop(group))
        words = pair(change.old, change.new) + (f", {folded[group]} values differ" if group in folded else "")
        yield (change.path, words), Row(_section(group.partition("/")[0]), group, words, "")
    for section, changes in by_section.items():
        for change in changes:
            place = both_places(change.old_place, change.new_place)
            if section == "seed" or _section(section) != "model" or not place or place not in placed:
                words = pair(change.old, change.new) + (", so every drawn value changes" if section == "seed" else "")
                yield (change.path, exact([change.old, change.new])), Row(_section(section), change.name, words, place)


def _section(name: str) -> Section:
    return SECTIONS.get(name, "other values")


def _placed(diff: Changes) -> Iterator[str]:
    """The places that a diff of models shows."""
    changes = [*diff.totals, *(c for layer in diff.layers for c in layer.changes)]
    changes += [c for parameter in diff.parameters for c in parameter.changes]
    yield from (both_places(change.old_place, change.new_place) for change in changes)


def _edit(change: ValueChange) -> tuple[str, str]:
    """An edit; of a list of mappings, as `defaults` is, the items that come and go."""
    if isinstance(change.old, list) and isinstance(change.new, list):
        gone = [item for item in change.old if item not in change.new]
        come = [item for item in change.new if item not in change.old]
        if gone or come:
            words = [*(f"- {brief(item)}" for item in gone), *(f"+ {brief(item)}" for item in come)]
            return ", ".join(words), both_places(change.old_place, change.new_place)
    return pair(change.old, change.new), both_places(change.old_place, change.new_place)


def pair(old: Any, new: Any) -> str:
    """`0.001 → 0.01`; values that only differ in type as they would be written in JSON.

    >>> pair(0.001, 0.01), pair(1, 1.0), pair("1", 1), pair(ABSENT, None)
    ('0.001 → 0.01', '1 → 1.0', '"1" → 1', '- → null')
    """
    words = [brief(item) for item in (old, new)]
    if words[0] == words[1]:
        words = [item if item == "-" else exact(raw) for item, raw in zip(words, (old, new), strict=True)]
    return f"{printable(words[0])} → {printable(words[1])}"


def brief(item: Any) -> str:
    """A value on one line, cut in the middle where it is long."""
    text = "-" if item is ABSENT else value(item)
    return cut(text)


def _file_words(note: FileNote) -> str:
    file: FileDiff = note.file
    if note.reason:
        return f"not compared: {note.reason}"
    if file.kind != "changed":
        return file.kind
    if file.formatting:
        return "only the order of keys" if file.reordered else "only formatting or comments"
    if note.edits:
        return "what changes nothing that was compared:" if len(note.edits) == len(file.edits) else "besides:"
    return ""


def sections(found: Iterable[Row]) -> dict[Section, list[Row]]:
    """The rows by section, in a fixed order."""
    every: dict[Section, list[Row]] = {"model": [], "training": [], "other values": []}
    for row in found:
        every[row.section].append(row)
    return {section: members for section, members in every.items() if members}
