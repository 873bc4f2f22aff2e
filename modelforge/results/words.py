"""What a sweep says, in words: its answer in a sentence, swept values, counts and probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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
    """Swept values as overrides."""
    return " ".join(f"{key}={cut(value)}" if value else f"{key} as configured" for key, value in values.items())


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
    what = f"`{values_text(best.values)}`" if best.values else "The mean"
    begin = f"{what} gives the best {best.metric}: {number(best.mean)}{spread}{over}"
    if not best.values:
        begin = f"{best.metric} is {number(best.mean)}{spread}{over}"
    if not best.is_whole:
        begin += f", without {best.lacks}"
    if grouped.sweep.is_mixed:
        return f"{begin}. Runs optimize different metrics: differences are within each."
    rest = [one for one in compared if one.group is not best and one.group.mean is not None]
    return f"{begin}. {_standing(best, rest)}".rstrip()


def _standing(best: Group, rest: Sequence[Contrast]) -> str:
    """How far the others are behind."""
    if not rest:
        return ""
    second = rest[0].group
    follows = f"`{values_text(second.values)}` follows with {number(second.mean)}"
    if any(one.baseline is not best for one in rest):
        apart = [one for one in rest if one.baseline is not None]
        beyond = sum(one.is_significant for one in apart)
        return f"{plural(beyond, 'group')} of {len(apart)} differ significantly from the baseline."
    if best.n < 2 and all(one.group.n < 2 for one in rest):
        return f"{follows}; one job each does not show the spread over seeds."
    near = [one for one in rest if one.within]
    clear = len(rest) - len(near)
    if not near:
        others = "The other one is" if len(rest) == 1 else f"All {len(rest)} others are"
        return f"{others} worse by more than the spread over repetitions; {follows}."
    within = f"{plural(len(near), 'other')} {'is' if len(near) == 1 else 'are'} within the spread of it"
    if not clear:
        return f"{within}: no difference is established."
    verb = "is" if clear == 1 else "are"
    return f"{within}, `{values_text(near[0].group.values)}` first; {clear} {verb} worse by more."
