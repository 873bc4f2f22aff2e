"""The jobs of a multirun: what Hydra's own sweeper makes of the command line and of `hydra.sweeper.params`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product
from math import prod
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Glob, Override
from hydra.errors import HydraException
from omegaconf import DictConfig

from modelforge.config import overrides as ov
from modelforge.config.compose import Config, compose, open_config
from modelforge.config.composition import Library, plain
from modelforge.config.folder import default_conf
from modelforge.config.loader import Loader, hydra_settings, search_path
from modelforge.config.origins import Origins
from modelforge.config.source import Naming
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.limits import MAX_JOBS
from modelforge.core.suggestions import did_you_mean

PARAMS = "hydra.sweeper.params"
BASIC = f"{BasicSweeper.__module__}.{BasicSweeper.__qualname__}"
FREEZING = "hydra_plugins.modelforge.sweeper.FreezingSweeper"
"""Our own, which freezes all jobs before the first begins. Hydra takes classes of packages with the first name only."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One key of a multirun and all its values; most keys have one."""

    key: str
    words: tuple[str, ...]
    """An override for each value, as Hydra writes it."""
    text: str
    """All values as they were written."""
    place: Place
    is_list: bool
    """Whether several values were asked for, however many there are."""

    @property
    def name(self) -> str:
        """The key without what says how it is set."""
        return self.key.lstrip("+~")

    @property
    def given(self) -> tuple[str, ...]:
        """The same overrides; that of a single value in the words of the command line."""
        return self.words if self.is_list or self.place.override != self.text else (self.text,)

    def blame(self, problem: Problem) -> Problem:
        """A problem with one of the values, as one with the axis: at its place, and in the words that stand there."""
        if problem.place is None or problem.place.override not in (*self.given, *self.words):
            return problem
        hint = problem.hint.replace(problem.place.override, self.text)
        return replace(problem, place=self.place, hint=hint)


@dataclass(frozen=True)
class Sweep:
    """What one command asks for: a single job, or those of a multirun."""

    axes: tuple[Axis, ...]
    """In the order of the jobs: the last one runs fastest. Those of files come first."""
    hydra: Mapping[str, Any]
    """Hydra's own part of the config that all jobs have in common, its interpolations as text."""
    params: Mapping[str, Any]
    """`hydra.sweeper.params`, by which files name values."""
    settings: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The `sweep` section, as it is written."""
    zip: tuple[tuple[str, ...], ...] = ()
    """Keys whose values go together, one by one."""

    @property
    def freezes(self) -> bool:
        """Whether our own sweeper runs the jobs."""
        return self.hydra["sweeper"]["_target_"] == FREEZING

    @property
    def multirun(self) -> bool:
        """Whether the config itself asks for several jobs, without `-m`."""
        return self.hydra["mode"] == "MULTIRUN"

    @property
    def num_jobs(self) -> int:
        return prod(len(column[0].words) for column in self._columns())

    def jobs(self) -> Iterator[tuple[str, ...]]:
        """The overrides of each job, in Hydra's order; keys that are zipped change where the first of them does."""
        columns = self._columns()
        rows = [list(zip(*(axis.words for axis in column), strict=True)) for column in columns]
        keys = [axis.key for column in columns for axis in column]
        order = [keys.index(axis.key) for axis in self.axes]
        for row in product(*rows):
            words = [word for part in row for word in part]
            yield tuple(words[index] for index in order)

    def _columns(self) -> list[list[Axis]]:
        """The axes, those that are zipped together."""
        found: dict[str, list[Axis]] = {}
        for axis in self.axes:
            zipped = next((keys[0] for keys in self.zip if axis.is_list and axis.name in keys), axis.key)
            found.setdefault(zipped, []).append(axis)
        return list(found.values())

    def sample(self, most: int) -> list[tuple[str, ...]]:
        """All jobs if there are at most `most`; else the first value of every key with each other value of one key, the
        keys in turn: one with many values leaves room for the others."""
        given = [axis.given for axis in self.axes]
        if self.num_jobs <= most:
            return list(product(*given))
        first = tuple(words[0] for words in given)
        turns = sorted((turn, index) for index, words in enumerate(given) for turn in range(1, len(words)))
        others = ((*first[:index], given[index][turn], *first[index + 1 :]) for turn, index in turns)
        return [first, *islice(others, most - 1)]

    def blame(self, problem: Problem) -> Problem:
        """A problem with one of a key's values, at the place where all of them are written."""
        for axis in self.axes:
            problem = axis.blame(problem)
        return problem

    def unread(self, config: Config) -> Iterator[Problem]:
        """The values that a job's own files name: Hydra has read the list of jobs before it reads these."""
        for key, value in _params(config.hydra).items():
            if self.params.get(key) != value:
                message = (
                    f"`{key}: {_text(value)}` has no effect: its file is itself one of several that are swept over"
                )
                hint = f"choose that file alone, or give the values as an override: `{key}={_text(value)}`"
                yield Problem("MF082", f"{PARAMS}.{key}", message, hint, _param_place(config.origins, key))


def read_sweep(conf: str | Path | None, overrides: Sequence[str]) -> Sweep:
    """The jobs that a multirun with these overrides has.

    Args:
        conf: the config folder; None for the default one.
        overrides: Hydra overrides, of which any may give several values.

    Raises:
        ForgeError: an override cannot be read or composed, a list of values is empty or not for sweeps, or two of its
            values are equal.
    """
    folder = Path(conf) if conf is not None else default_conf()
    parsed = ov.parse(overrides, sweeps=True)
    hydra, origins, loader = open_config(folder, [one for one in parsed if not one.is_sweep_override()])
    return _sweep(hydra, origins, parsed, loader)


def running_sweep(config: DictConfig) -> Sweep:
    """The jobs of the multirun that Hydra is about to start with this config.

    Raises:
        ForgeError: its overrides cannot be read.
    """
    hydra = plain(config.hydra)
    sources = [(source["provider"], source["schema"], source["path"]) for source in hydra["runtime"]["config_sources"]]
    with hydra_settings():
        loader = Loader(search_path(sources), Naming(Path(), None, Path.cwd()))
        return _sweep(hydra, Origins.empty(), ov.parse(hydra["overrides"]["task"], sweeps=True), loader)


def compose_jobs(sweep: Sweep, conf: str | Path | None, most: int, library: Library | None = None) -> list[Config]:
    """The configs of the jobs, or of `most` of them.

    Raises:
        ForgeError: with the problems of all of these; a file's values that Hydra does not read; jobs that are equal.
    """
    problems: dict[Problem, None] = {}
    configs: list[Config] = []
    library = library or Library()
    for job in sweep.sample(most):
        try:
            configs.append(compose(conf, job, library=library))
            problems |= dict.fromkeys(sweep.unread(configs[-1]))
        except ForgeError as error:
            problems |= dict.fromkeys(sweep.blame(problem) for problem in error.problems)
    if not problems:
        problems |= dict.fromkeys(_equal_jobs(configs))
    if problems:
        raise ForgeError(problems)
    return configs


def _equal_jobs(configs: Sequence[Config]) -> Iterator[Problem]:
    values = [_in_order(config.values) for config in configs]
    for index, config in enumerate(configs):
        first = values.index(values[index])
        if first != index:
            pairs = zip(configs[first].overrides, config.overrides, strict=True)
            old, new = (" ".join(side) for side in zip(*((a, b) for a, b in pairs if a != b), strict=True))
            message = f"`{old}` and `{new}` make the same config: two jobs would be equal"
            yield Problem("MF082", "", message, "leave one of them out", Place(override=new))
            return


def _in_order(value: Any) -> Any:
    """A value whose comparison heeds the order of keys: two models may differ in that of their layers alone."""
    if isinstance(value, Mapping):
        return tuple((key, _in_order(item)) for key, item in value.items())
    return [_in_order(item) for item in value] if isinstance(value, list) else value


def has_params(config: Config) -> bool:
    """Whether the config's own files name values for a multirun."""
    return bool(_params(config.hydra))


def sweep_words(overrides: Sequence[str]) -> list[str]:
    """The overrides that give several values.

    Raises:
        ForgeError: one cannot be read.
    """
    return [one.input_line or "" for one in ov.parse(overrides, sweeps=True) if one.is_sweep_override()]


def unread(config: Config, overrides: Sequence[str], *, multirun: bool) -> Iterator[Problem]:
    """The settings that have no effect on a single run, or on a multirun, as warnings.

    Args:
        config: The composed config.
        overrides: Those of the command line.
        multirun: Whether it is one.
    """
    kind = "multirun" if multirun else "single run"
    others = ("hydra.run.",) if multirun else ("hydra.sweep.", "hydra.sweeper.", "hydra.launcher.", "sweep.")
    for text in overrides:
        key = text.lstrip("+~").partition("=")[0]
        if f"{key}.".replace("/", ".").startswith(others):
            message = f"`{key}` has no effect on a {kind}"
            hint = "`hydra.sweep.dir` is the folder of a multirun" if multirun else "add `-m` for a multirun"
            yield Problem("MW220", key, message, hint, Place(override=text), severity="warning")
    if not multirun:
        yield from unused_params(config, overrides)


def unused_params(config: Config, overrides: Sequence[str]) -> Iterator[Problem]:
    """The values that a file names for a multirun, as warnings about a single run that does not give its own."""
    given = {override.lstrip("+~").partition("=")[0] for override in overrides}
    for key, value in _params(config.hydra).items():
        if key not in given:
            message = f"`{key}: {_text(value)}` has no effect on a single run"
            hint = f"add `-m` for a multirun, or give one value: `{key}=...`"
            yield Problem(
                "MW220", f"{PARAMS}.{key}", message, hint, _param_place(config.origins, key), "key", "warning"
            )


def _sweep(hydra: Mapping[str, Any], origins: Origins, parsed: Sequence[Override], loader: ConfigLoader) -> Sweep:
    params = _params(hydra)
    settings = origins.config.get("sweep") or {}
    if hydra["sweeper"]["_target_"] not in (BASIC, FREEZING):
        # Another sweeper reads its values in its own way.
        return Sweep((), hydra, params, settings)
    problems: list[Problem] = []
    parser = OverridesParser.create(config_loader=loader)
    written: list[tuple[Override, str, Place]] = []
    for key, value in params.items():
        place = _param_place(origins, key) or Place(override=f"{PARAMS}.{key}={_text(value)}")
        try:
            if isinstance(value, Mapping):
                raise ForgeError([_nested(key, value)])
            (one,) = ov.parse([f"{key}={_text(value)}"], sweeps=True)
            written.append((one, f"{key}: {_text(value)}", place))
        except ForgeError as error:
            problems += [problem.at(place) for problem in error.problems]
    written += [(one, one.input_line or "", Place(override=one.input_line)) for one in parsed]
    axes: dict[str, Axis] = {}
    for override, text, place in written:
        (one,) = parser.parse_overrides([override.input_line or ""])
        try:
            key = one.get_key_element()
            axis = Axis(key, _words(one), text, place, one.is_sweep_override())
            problems += ov.set_again(key, {other.key: other.text for other in axes.values() if other.is_list}, place)
            axes[key] = axis
        except ForgeError as error:
            problems += [problem.at(place) for problem in error.problems]
    if not problems and prod(len(axis.words) for axis in axes.values()) > MAX_JOBS:
        problems.append(Problem("MF060", "", f"a multirun has at most {MAX_JOBS:,} jobs, but this one has more"))
    if problems:
        raise ForgeError(problems)
    return Sweep(tuple(axes.values()), hydra, params, settings)


def _words(override: Override) -> tuple[str, ...]:
    """An override for each value, as Hydra's sweeper writes them."""
    key, text = override.get_key_element(), override.input_line or ""
    if not override.is_sweep_override():
        return (f"{key}={override.get_value_element_as_str()}",)
    group = override.key_or_group
    if override.is_hydra_override() or group.partition(".")[0] == "sweep":
        message = f"`{group}` is a setting of the whole multirun, and takes one value"
        raise ForgeError([Problem("MF001", group, message)])
    if not override.is_discrete_sweep():
        hint = f"write the values, `{group}=0.1,0.2`, or `range(0, 1, 0.1)`"
        raise ForgeError([Problem("MF001", group, f"`{text}` names no single values", hint)])
    try:
        values = list(islice(override.sweep_string_iterator(), MAX_JOBS + 1))
    except (HydraException, ValueError, OverflowError) as error:
        reason = str(error).splitlines()[0]
        raise ForgeError([Problem("MF001", group, f"`{text}` cannot be counted: {reason}")]) from error
    if not values:
        raise ForgeError([_empty(override)])
    if len(values) > MAX_JOBS:
        message = f"`{text}` stands for more than {MAX_JOBS:,} values"
        raise ForgeError([Problem("MF060", group, message)])
    if len(set(values)) < len(values):
        twice = next(value for index, value in enumerate(values) if value in values[:index])
        raise ForgeError([Problem("MF082", group, f"`{key}={twice}` is there twice: two jobs would be equal")])
    return tuple(f"{key}={value}" for value in values)


def _empty(override: Override) -> Problem:
    text, group = override.input_line or "", override.key_or_group
    value = override.value()
    if not isinstance(value, Glob):
        return Problem("MF001", group, f"`{text}` stands for no value")
    loader = override.config_loader
    known = loader.get_group_options(group) if loader is not None else []
    hint = next(filter(None, (did_you_mean(name.strip("*?"), known) for name in value.include)), "")
    return Problem("MF001", group, f"`{group}` has no option like `{', '.join(value.include)}`", hint)


def _nested(key: str, value: Mapping[str, Any]) -> Problem:
    inner = next(iter(value), "name")
    message = "`hydra.sweeper.params` names each key in full"
    return Problem("MF001", f"{PARAMS}.{key}", message, f"write `{key}.{inner}: {_text(value.get(inner, '...'))}`")


def _params(hydra: Mapping[str, Any]) -> Mapping[str, Any]:
    return hydra["sweeper"].get("params") or {}


def _param_place(origins: Origins, key: str) -> Place | None:
    return origins.at(("hydra", "sweeper", "params", key))


def _text(value: Any) -> str:
    """A value as Hydra writes it into an override."""
    return "null" if value is None else f"{value}"
