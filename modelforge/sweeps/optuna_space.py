"""`Space`: what a search leaves open, in Hydra's words, as Optuna's distributions; and a point of it as overrides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from itertools import islice, product
from math import prod
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override, RangeSweep, Sweep
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

from modelforge.config.overrides import parse, set_again
from modelforge.core.errors import ForgeError, Place, Problem

MAX_CORNERS = 32
"""Points that are composed at most before the first trial."""
INTERVAL = "`interval(0.5, 2)`, `int(interval(8, 64))`, `tag(log, interval(1e-4, 1e-1))`, `range(1, 9, 2)` or `a,b,c`"


@dataclass(frozen=True)
class Space:
    """The keys of a search: those that are open, and those that all trials have in common."""

    open: Mapping[str, BaseDistribution]
    """Key, as an override names it → its values."""
    fixed: tuple[str, ...]
    """Overrides that take one value."""
    written: Mapping[str, str] = field(default_factory=dict[str, str])
    """The open keys as they were written, with all their values."""

    def overrides(self, point: Mapping[str, Any]) -> tuple[str, ...]:
        """The overrides of a trial.

        Example:
            >>> space = read_space(["init.gain=interval(0.5, 2)", "seed=1", "model=mlp,lstm"])
            >>> space.overrides({"init.gain": 1.25, "model": "lstm"})
            ('seed=1', 'init.gain=1.25', 'model=lstm')
        """
        return (*self.fixed, *(f"{key}={_word(point[key])}" for key in self.open))

    def values(self, key: str) -> tuple[Any, ...]:
        """The options of an open key, or the ends of its interval; none of a key that is not open."""
        found = self.open.get(key)
        if isinstance(found, FloatDistribution | IntDistribution):
            return (found.low, found.high)
        return () if found is None else _options(found)

    def corners(self) -> Iterator[Mapping[str, Any]]:
        """Points of options and of the lower ends of intervals, `MAX_CORNERS` at most.

        First come some in which each option stands once, then all others.
        """
        options = [_options(values) for values in self.open.values()]
        most = max(map(len, options))
        first = [tuple(of_key[number % len(of_key)] for of_key in options) for number in range(min(most, MAX_CORNERS))]
        others = islice(product(*options), 2 * MAX_CORNERS)  # the first may be among them
        for point in islice(dict.fromkeys((*first, *others)), MAX_CORNERS):
            yield dict(zip(self.open, point, strict=True))

    @property
    def has_more_corners(self) -> bool:
        """Whether `corners` leaves some out."""
        return prod(len(_options(values)) for values in self.open.values()) > MAX_CORNERS

    def blame(self, problem: Problem) -> Problem:
        """A problem with the value of an open key, as one with what was written."""
        word = (problem.place and problem.place.override) or ""
        text = self.written.get(word.partition("=")[0])
        if text is None:
            return problem
        return replace(problem, place=Place(override=text), hint=problem.hint.replace(word, text))

    def described(self) -> dict[str, str]:
        """Each open key with its distribution as JSON: equal for equal spaces."""
        return {key: distribution_to_json(distribution) for key, distribution in self.open.items()}


def read_space(overrides: Iterable[str], loader: ConfigLoader | None = None) -> Space:
    """The space that overrides span.

    Args:
        overrides: Those of `hydra.sweeper.params`, then those of the command line, which take precedence.
        loader: Hydra's, which knows the options that `glob(*)` stands for.

    Raises:
        ForgeError: no key is open, or values are no space.
    """
    open_keys: dict[str, BaseDistribution] = {}
    fixed: dict[str, str] = {}
    written: dict[str, str] = {}
    problems: list[Problem] = []
    texts = [one.input_line or "" for one in parse(list(overrides), sweeps=True)]
    for override in OverridesParser.create(config_loader=loader).parse_overrides(texts):
        key = override.get_key_element()
        open_keys.pop(key, None)
        fixed.pop(key, None)
        written.pop(key, None)
        problems += set_again(key, written, Place(override=override.input_line))
        if not override.is_sweep_override():
            fixed[key] = f"{key}={override.get_value_element_as_str()}"
            continue
        written[key] = override.input_line or key
        try:
            open_keys[key] = _distribution(override)
        except (HydraException, ValueError, TypeError, OverflowError) as error:
            text = override.input_line or key
            message = f"`{text}` cannot be searched: {str(error).splitlines()[0]}"
            problems.append(Problem("MF001", key, message, INTERVAL, Place(override=text)))
    if not open_keys and not problems:
        message = "a search needs a key with several values"
        problems.append(Problem("MF001", "hydra.sweeper.params", message, "for example `init.gain=interval(0.5, 2)`"))
    if problems:
        raise ForgeError(problems)
    return Space(open_keys, tuple(fixed.values()), written)


def _distribution(override: Override) -> BaseDistribution:
    value = override.value()
    is_log = "log" in getattr(value, "tags", ())
    if isinstance(value, IntervalSweep):
        return _interval(value.start, value.end, is_log=is_log)
    if is_log:
        raise ValueError("`log` is a tag of intervals")
    if isinstance(value, RangeSweep):
        return _range(list(value.range()), value.step)
    if any(isinstance(item, Sweep) for item in getattr(value, "list", ())):
        raise ValueError("a list holds single values only")
    words = list(dict.fromkeys(override.sweep_string_iterator()))
    if not words:
        raise ValueError("it stands for no value")
    return CategoricalDistribution(sorted(words) if getattr(value, "shuffle", False) else words)


def _interval(start: Any, end: Any, *, is_log: bool) -> BaseDistribution:
    if isinstance(start, int) and isinstance(end, int):
        return IntDistribution(start, end, log=is_log)
    return FloatDistribution(float(start), float(end), log=is_log)


def _range(values: Sequence[float], step: float) -> BaseDistribution:
    if not values:
        raise ValueError("it stands for no value")
    if all(isinstance(value, int) for value in values):
        return IntDistribution(int(min(values)), int(max(values)), step=abs(int(step)))
    # Sums of floats drift (0.3 + 0.3 + 0.3 < 0.9), and Optuna leaves out a last value that is not a whole step away.
    first, between = Decimal(str(values[0])), Decimal(str(step))
    low, high = sorted((first, first + (len(values) - 1) * between))
    return FloatDistribution(float(low), float(high), step=float(abs(between)))


def _options(values: BaseDistribution) -> tuple[Any, ...]:
    """The options; of an interval, its lower end."""
    if isinstance(values, CategoricalDistribution):
        return tuple(values.choices)
    assert isinstance(values, FloatDistribution | IntDistribution)
    return (values.low,)


def _word(value: Any) -> str:
    """A value as an override writes it; texts are so already."""
    return value if isinstance(value, str) else repr(value)
