"""What a sweep says, in words: its answer in a sentence, swept values, counts and probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from modelforge.core.words import cut, number, plural
from modelforge.results.grouping import Group, Grouped
from modelforge.results.significance import Contrast
from modelforge.results.sweep import Sweep


def counts_line(sweep: Sweep) -> str:
    """How many jobs ended how.

    Example: `28 finished, 2 diverged`
    """
    return ", ".join(f"{count:,} {state}" for state, count in sweep.counts.items())


def values_text(values: Mapping[str, str]) -> str:
    """Swept values as overrides, with all digits, and the keys that were not set.

    >>> values_text({"init": "torch", "seed": "", "model": ""}), values_text({"seed": ""})
    ('init=torch (seed, model as configured)', 'seed as configured')
    """
    given = " ".join(f"{key}={cut(value)}" for key, value in values.items() if value)
    others = ", ".join(key for key, value in values.items() if not value)
    if not others:
        return given
    return f"{given} ({others} as configured)" if given else f"{others} as configured"


def p_text(p: float) -> str:
    """
    >>> p_text(0.04213), p_text(0.00002), p_text(1.0)
    ('0.042', '<0.001', '1')
    """
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def headline(grouped: Grouped, compared: Sequence[Contrast]) -> str:
    """The answer in a sentence: the best values, and whether they are better than the others beyond the spread."""
    best = grouped.best
    if best is None or best.mean is None:
        return "No job has a result."
    spread = "" if best.std is None else f" ± {best.std:.2g}"
    over = f" over {best.n} repetitions ({', '.join(grouped.over)})" if best.n > 1 else ""
    what = f"`{values_text(best.values)}` gives the best {best.metric}:" if best.values else f"{best.metric} is"
    begin = f"{what} {number(best.mean)}{spread}{over}"
    if not best.is_whole:
        begin += f", without {best.lacks}"
    if grouped.sweep.is_mixed:
        return f"{begin}. Runs optimize different metrics: differences are within each."
    rest = [one for one in compared if one.group is not best and one.group.mean is not None]
    return " ".join([f"{begin}.", *_standing(best, rest, grouped.sign)])


def _standing(best: Group, rest: Sequence[Contrast], sign: int) -> Iterator[str]:
    """How far the others are behind, in sentences."""
    if any(one.baseline is not best for one in rest):
        apart = [one for one in rest if one.baseline is not None]
        beyond = sum(one.is_significant for one in apart)
        yield f"{plural(beyond, 'group')} of {len(apart)} differ significantly from the baseline."
        return
    ahead = [one for one in rest if sign * (one.difference or 0.0) < 0]
    behind = [one for one in rest if one not in ahead]
    if behind:
        yield from _behind(best, behind, whole=not ahead)
    if ahead:
        first = f"`{values_text(ahead[0].group.values)}` with {number(ahead[0].group.mean)}"
        yield f"{plural(len(ahead), 'other')} would be better, but of fewer jobs: {first}."


def _behind(best: Group, rest: Sequence[Contrast], *, whole: bool) -> Iterator[str]:
    second = rest[0].group
    follows = f"`{values_text(second.values)}` follows with {number(second.mean)}"
    if best.n < 2 and all(one.group.n < 2 for one in rest):
        yield f"{follows}; one job each does not show the spread over seeds."
        return
    near = [one for one in rest if one.within]
    unknown = sum(not one.within and best.n < 2 and one.group.n < 2 for one in rest)
    clear = len(rest) - len(near) - unknown
    if near:
        within = f"{plural(len(near), 'other')} {_are(len(near))} within the spread of it"
        first = f"`{values_text(near[0].group.values)}` first; {clear} {_are(clear)} worse by more."
        yield f"{within}, {first}" if clear else f"{within}: no difference is established."
    else:
        every = "The other one" if clear == 1 else f"All {clear} others"
        others = every if whole and not unknown else plural(clear, "other")
        yield f"{others} {_are(clear)} worse by more than the spread over repetitions; {follows}."
    if unknown:
        yield f"Of {plural(unknown, 'other')} there is one job each, as of the best: no spread to compare them by."


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
