"""split: a number of examples → the indices of three disjoint parts, each class in proportion."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.rng import narrow
from modelforge.core.words import plural
from modelforge.train.data.parts import Array, Rows
from modelforge.train.data.refusals import fault, refusal
from modelforge.train.data.source import SplitSource

MAX_SHOWN = 5
PARTS = ("train", "val", "test")
PART_OF: Mapping[str, int] = {
    name: part
    for part, names in enumerate((("train", "training"), ("val", "valid", "validation", "dev"), ("test", "testing")))
    for name in names
}
"""Usual names of parts, of folders and in a column, in lower case, each as a place in `PARTS`."""
IN_WORDS = ("training", "validation", "test")
NO_ROWS = np.zeros(0, np.int64)


def split(
    source: SplitSource,
    size: int,
    labels: Array | None = None,
    *,
    at_least: int = 1,
    given: Array | None = None,
    groups: Array | None = None,
    times: Array | None = None,
) -> tuple[Rows, Rows, Rows]:
    """A function of `(split_seed, size, labels)` and of what else is given.

    Of a class with n_c of n examples, a part of m holds m · n_c / n, rounded up or down: less than 1 off, and on
    average over the seeds exactly that.

    Args:
        source: Gives the sizes of the parts.
        size: Number of examples.
        labels: The class of each, where there are classes.
        at_least: What each part must hold.
        given: The part of each example, as a place in `PARTS`. A part without examples is taken from the first.
        groups: A number for each; equal ones come into one part.
        times: A number for each; the latest are the test part, those before them the validation part.

    Raises:
        ForgeError: a part would hold less than that.
    """
    given = np.zeros(size, int) if given is None else given
    held = np.bincount(given, minlength=len(PARTS))
    rest = np.flatnonzero(given == 0)
    sizes = source.num_examples(len(rest), val=not held[1], test=not held[2])
    few = [number or taken for number, taken in zip(held, sizes, strict=True)]
    if problems := list(_too_small(source, len(rest), [sizes[0], *few[1:]], at_least)):
        raise ForgeError(problems)
    if not (sizes[1] or sizes[2]):
        parts = np.arange(len(rest)), NO_ROWS, NO_ROWS
    elif groups is not None:
        parts = by_groups(source, groups[rest], sizes)
    elif times is not None:
        parts = by_times(times[rest], sizes)
    else:
        parts = at_random(source, sizes, None if labels is None else labels[rest])
    train, val, test = (
        np.sort(np.concatenate([rest[part], np.flatnonzero(given == number)])) if number else rest[part]
        for number, part in enumerate(parts)
    )
    if short := [name for name, part in zip(PARTS, (train, val, test), strict=True) if len(part) < at_least]:
        key = "group" if groups is not None else "time" if times is not None else "val_fraction"
        raise refusal(key, f"no examples are left for {short[0]}", "bring more examples, or change the fractions")
    for word, part in zip(IN_WORDS[1:], (val, test), strict=True):
        if times is not None and times[part].min() < times[train].max():  # of a file of its own
            message = f"the {word} part begins before the training part ends, but by `time` it comes later"
            raise refusal("time", message, "cut the files at a time, or split by rows: `data.time=null`")
    return train, val, test


def at_random(source: SplitSource, sizes: Sequence[int], labels: Array | None) -> tuple[Rows, ...]:
    """Parts of these sizes, each class by its share."""
    size = sum(sizes)
    random = np.random.default_rng(source.split_seed)
    order = random.permutation(size)
    _, members = np.unique(np.zeros(size, int) if labels is None else labels, return_inverse=True)
    order = order[np.argsort(members[order], kind="stable")]
    shares = rounded(np.bincount(members), sizes, random)
    # the rows of `order` lie class by class; so do these: of each class the first to train on, the last to test
    part = np.repeat(np.tile(np.arange(len(PARTS)), len(shares)), shares.ravel())
    return tuple(np.sort(order[part == number]) for number in range(len(PARTS)))


def by_groups(source: SplitSource, groups: Array, sizes: Sequence[int]) -> tuple[Rows, ...]:
    """Parts without a common group; their shares are shares of the groups.

    Raises:
        ForgeError: there are fewer groups than parts.
    """
    from sklearn.model_selection import GroupShuffleSplit

    rest, held = np.arange(len(groups)), [NO_ROWS] * 2
    number, needed = len(np.unique(groups)), 1 + sum(size > 0 for size in sizes[1:])
    if number < needed:
        message = f"`group` has {plural(number, 'value')}, and {needed} parts need {needed}"
        raise refusal("group", message, "bring more groups, or split the rows: `data.group=null`")
    for place, size in enumerate(sizes[1:]):
        if size:
            left = len(np.unique(groups[rest]))
            most = left - 1 - sum(later > 0 for later in sizes[place + 2 :])
            taken = min(max(1, round(number * size / len(groups))), most)
            shuffle = GroupShuffleSplit(1, test_size=taken, random_state=narrow(source.split_seed) % 2**32)
            kept, out = next(shuffle.split(rest, groups=groups[rest]))
            rest, held[place] = rest[kept], rest[out]
    return rest, *held


def by_times(times: Array, sizes: Sequence[int]) -> tuple[Rows, ...]:
    """The latest rows to test, those before them to validate; rows of one time stay together."""
    order = np.argsort(times, kind="stable")
    later = times[order]
    ends = np.cumsum(sizes)[:-1]
    first, second = (int(np.searchsorted(later, later[end])) if end < len(later) else len(later) for end in ends)
    return tuple(np.sort(part) for part in np.split(order, [first, second]))


def rounded(counts: Array, sizes: Sequence[int], random: np.random.Generator) -> Array:
    """How much of each class each of the three parts gets: `counts` × `sizes` / n in whole numbers.

    Rows add up to `counts`, columns to `sizes`, every number is its quotient rounded up or down, and its mean over the
    seeds is the quotient.

    scikit-learn's `train_test_split(stratify=...)` does not serve here: it refuses classes of one example and parts
    that are smaller than the number of classes, it never gives a class of 2 in 20 to a part of 3, and two splits, one
    after the other, can be off by more than 1 (by 1.008 for the digits).
    Source: controlled rounding, Cox 1987, "A constructive procedure for unbiased controlled rounding".
    """
    total = int(sum(sizes))
    whole, remainders = np.divmod(np.multiply.outer(counts, np.asarray(sizes)), total)
    rest: list[list[int]] = remainders.tolist()
    rows, waiting = list(range(len(counts))), dict[tuple[int, ...], int]()
    while rows or waiting:
        # rows and columns add up to whole numbers: where there is one fraction, there is a second
        pair = tuple(part for part, share in enumerate(rest[rows[-1]]) if share % total)[:2] if rows else ()
        if rows and not pair:
            rows.pop()
        elif rows and pair not in waiting:
            waiting[pair] = rows.pop()
        elif rows:
            _shift(rest, [rows[-1], waiting[pair]], pair, total, random)
            rows.append(waiting.pop(pair))
        else:  # of three rows, any two share one column
            rows = [waiting[0, 1], waiting[1, 2], waiting[0, 2]]
            _shift(rest, rows, (0, 1, 2), total, random)
            waiting.clear()
    return whole + np.asarray(rest) // total


def _shift(
    rest: list[list[int]], rows: Sequence[int], columns: Sequence[int], total: int, random: np.random.Generator
) -> None:
    """Adds a number to a cycle of fractions, with alternating sign, so that at least one of them becomes whole."""
    grow = list(zip(rows, columns, strict=True))
    shrink = list(zip(rows, [*columns[1:], columns[0]], strict=True))
    up = min(*(total - rest[row][column] for row, column in grow), *(rest[row][column] for row, column in shrink))
    down = min(*(rest[row][column] for row, column in grow), *(total - rest[row][column] for row, column in shrink))
    step = up if random.random() * (up + down) < down else -down  # 0 on average
    for row, column in grow:
        rest[row][column] += step
    for row, column in shrink:
        rest[row][column] -= step


def missing(labels: Rows, parts: Sequence[Rows], names: Sequence[object], named: str) -> Iterator[Problem]:
    """Warnings about classes that a part of the data lacks: the first few by name, then their number."""
    held = np.stack([np.bincount(labels[part], minlength=len(names)) for part in parts], axis=1)
    yield from _lacking(held, names, named, "class")


def missing_labels(parts: Sequence[Array], names: Sequence[object], named: str) -> Iterator[Problem]:
    """Warnings about labels that no example of a part has, though others have them.

    Args:
        parts: The labels of the examples of each part, 0 or 1.
        names: What each label is called.
        named: The data, in words.
    """
    held = np.stack([part.sum(0).astype(int) for part in parts], axis=1)
    yield from _lacking(held, names, named, "label")


def _lacking(held: Array, names: Sequence[object], named: str, noun: str) -> Iterator[Problem]:
    lacking = np.flatnonzero((held == 0).any(1) & held.any(1))
    for label in lacking[:MAX_SHOWN]:
        where = " and ".join(name for name, number in zip(IN_WORDS, held[label], strict=True) if not number)
        examples = plural(int(held[label].sum()), "example")
        part = "parts" if " and " in where else "part"
        message = f"the {noun} `{names[label]}` has {examples} in {named}, none of them in the {where} {part}"
        yield Problem("MW202", "data.val_fraction", message, "add examples of it", severity="warning")
    if (more := len(lacking) - MAX_SHOWN) > 0:
        message = f"{plural(more, f'more {noun}')} of {named} {'is' if more == 1 else 'are'} missing from a part"
        yield Problem("MW202", "data.val_fraction", message, severity="warning")


def _too_small(source: SplitSource, size: int, sizes: Sequence[int], at_least: int) -> Iterator[Problem]:
    num_train, num_val, num_test = sizes
    of = f"of {plural(size, 'example')}"
    for key, number in (("val_fraction", num_val), ("test_fraction", num_test)):
        if number < at_least:
            needed = f"its part needs {at_least}"
            message = f"`{key}` = {getattr(source, key):g} takes {number} {of}, and {needed}"
            yield fault(key, message, f"write a larger `data.{key}=...`, or bring more examples")
    if num_train < at_least:
        left = f"{max(num_train, 0)} {of} to train on, of {at_least} at least"
        hint = "write smaller ones, or bring more examples"
        yield fault("val_fraction", f"`val_fraction` and `test_fraction` leave {left}", hint)
