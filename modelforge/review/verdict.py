"""verdict: a review → one line: what the change does to the network, to how it is trained, and to the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from modelforge.core.quoting import listed
from modelforge.core.words import magnitude, plural
from modelforge.review.changed_files import REVIEW
from modelforge.review.document import Change
from modelforge.review.drafts import Draft
from modelforge.review.review import EntryDiff, FileNote, Review
from modelforge.review.titles import consequences, kind_of
from modelforge.review.value_words import ratio

MAX_NAMED = 3
"""Files that are named where there are many."""
OPTIONS = ("model-added", "model-removed", "model-renamed", "option-added", "option-removed", "option-renamed")

STOPPED: Mapping[str, str] = {
    "broken-new": "broken",
    "broken-old": "broken on the old side",
    "new-unplanned": "that cannot be planned",
    "needs-plugins": "not compared without plugins",
}
"""What is said of compositions that have no plan."""


def verdict(review: Review, drafts: Sequence[Draft], changes: Sequence[Change]) -> str:
    """One line: the totals of all changes, or what was looked at."""
    if review.equal:
        return _equal(review)
    layers: dict[str, str] = {}
    parameters: dict[str, str] = {}
    for draft in drafts:
        layers |= draft.layers
        parameters |= draft.parameters
    parts = [
        *consequences(layers, parameters),
        *_sizes(review),
        *_training(drafts),
        *_counted(changes),
        *_checkpoint(changes),
        *(change.title for change in changes if change.kind == "signal-changed"),
    ]
    left = [change for change in changes if change.kind == "file-not-compared"]
    same = not parts and all(entry.equal for entry in review.entries)
    if same:
        parts.append("no composition differs" if left else "files differ, but no composition does")
    if left:
        parts.append(f"{'but ' if same else ''}{plural(len(left), 'changed file')} not compared")
    if accepted := [change.accepted for change in changes if change.accepted is not None]:
        arriving = sum(one.arrives for one in accepted)
        here = "" if not arriving else " here" if arriving == len(accepted) else f", {arriving} of them here"
        parts.append(f"{plural(len(accepted), 'change')} accepted{here}")
    return ", ".join(dict.fromkeys(parts)) or plural(len(changes), "difference")


def times(factor: float) -> str:
    """
    >>> times(15.0), times(0.1)
    ('×15', '×0.1')
    """
    return f"×{factor:.3g}"


def percent(share: float) -> str:
    """
    >>> percent(0.083), percent(-0.0041), percent(2.4)
    ('+8.3 %', '-0.41 %', '+240 %')
    """
    return f"{100 * share:+,.0f} %" if abs(share) >= 0.1 else f"{100 * share:+.2g} %"


def _sizes(review: Review) -> Iterator[str]:
    """`+1.2 M parameters (+8 %)`; of several models that grow in different ways the number."""
    grown = {entry.label: pair for entry in review.entries if (pair := _size(entry))}
    if len(set(grown.values())) > 1:
        yield f"the number of parameters differs in {plural(len(grown), 'composition')}"
    elif grown:
        label, (old, new) = next(iter(grown.items()))
        share = f" ({percent(new / old - 1)})" if old else ""
        number = f"{abs(new - old):,}" if abs(new - old) < 10_000 else magnitude(abs(new - old))
        where = "" if label == review.default.label else f" in {label}"
        yield f"{'+' if new > old else '-'}{number} parameters{share}{where}"


def _size(entry: EntryDiff) -> tuple[int, int] | None:
    totals = entry.diff.totals if entry.diff else ()
    return next(((change.old, change.new) for change in totals if change.name == "num_parameters"), None)


def _training(drafts: Sequence[Draft]) -> Iterator[str]:
    """The learning rate, and the number of other values of the training, the data and the rest that differ."""
    numbers: dict[str, int] = {}
    for draft in drafts:
        kind = kind_of(draft)
        change = draft.edit.change if draft.edit else None
        factor = ratio(change.old, change.new) if change else None
        if kind == "learning-rate" and factor is not None:
            yield f"learning rate {times(factor)}"
        elif kind == "seed-changed":
            yield "another seed"
        elif kind in _WORDS:
            numbers[_WORDS[kind]] = numbers.get(_WORDS[kind], 0) + 1
    yield from (f"{plural(number, word)} {_differ(number)}" for word, number in numbers.items())


_WORDS: Mapping[str, str] = {
    "learning-rate": "learning rate",
    "training-changed": "training setting",
    "data-changed": "data setting",
    "option-chosen": "chosen option",
    "model-value": "model setting",
    "model-unplanned": "unplanned model setting",
    "setting-changed": "other setting",
}


def _counted(changes: Sequence[Change]) -> Iterator[str]:
    """Options that come and go, and what cannot be composed."""
    for kind in OPTIONS:
        if number := sum(change.kind == kind for change in changes):
            noun, _, word = kind.partition("-")
            yield f"{plural(number, noun)} {word}"
    for kind, how in STOPPED.items():
        if number := sum(change.num_entries for change in changes if change.kind == kind):
            yield f"{plural(number, 'composition')} {how}"
    if unused := sum(change.kind == "acceptance-unused" for change in changes):
        yield f"{plural(unused, 'acceptance')} unused"


def _checkpoint(changes: Sequence[Change]) -> Iterator[str]:
    """`old checkpoint: 41 of 44 keys load`; of several in other words the number of compositions."""
    found = [change for change in changes if change.kind == "checkpoint-keys"]
    if len(found) == 1:
        yield found[0].title
    elif found:
        number = sum(change.num_entries for change in found)
        yield f"old checkpoints of {plural(number, 'composition')} do not load as they are"


def _equal(review: Review) -> str:
    """What was looked at, where nothing differs in meaning."""
    size = _looked_at(review.default)
    if not review.files:
        files = f"all {plural(review.num_files, 'file')} are the same, and so are {size} of the default"
        return f"no difference: {files if review.num_files else f'{size} are the same'}"
    parts = [
        f"{listed(paths, MAX_NAMED)} {_differ(len(paths))} {how}"
        for paths, how in (
            (_paths(review, "formatting"), "in formatting, comments or the order of keys"),
            (_paths(review, "rewritten"), "in how it writes values that are the same in all compositions"),
            (_paths(review, "unread"), "but composition does not read such files"),
        )
        if paths
    ]
    return f"no semantic change: {'; '.join(parts)}"


def _paths(review: Review, how: str) -> list[str]:
    return [note.file.path for note in review.files if _how(note) == how]


def _how(note: FileNote) -> str:
    """In what a file differs that says the same."""
    if not note.file.is_config or note.file.path == REVIEW:
        return "unread"
    return "rewritten" if note.rewritten else "formatting"


def _looked_at(entry: EntryDiff) -> str:
    found = [plural(entry.diff.num_unchanged + len(entry.diff.parameters), "parameter")] if entry.diff else []
    if entry.num_values or not found:
        found.append(plural(entry.num_values, "composed value"))
    return " and ".join(found)


def _differ(number: int) -> str:
    return "differs" if number == 1 else "differ"
