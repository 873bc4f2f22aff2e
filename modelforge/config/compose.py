"""From a folder of configs and overrides, or from a running Hydra job, to one `Config`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from hydra._internal.utils import create_config_search_path
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig

from modelforge.config import overrides as ov
from modelforge.config.composition import Composition, Contribution, Library, plain
from modelforge.config.failures import FAILURES, explain, unknown_options
from modelforge.config.folder import check_conf, default_conf
from modelforge.config.in_place import in_place
from modelforge.config.loader import NO_JOB, Loader, hydra_settings, search_path
from modelforge.config.origins import Origins
from modelforge.config.references import KeyPath
from modelforge.config.resolve import resolve
from modelforge.config.source import Files, Naming, Reading
from modelforge.config.trust import CODES, placed
from modelforge.core.errors import ForgeError


@dataclass(frozen=True)
class Config:
    """A composed config: plain data, and where each value of it came from."""

    values: Mapping[str, Any]
    """The whole job config but Hydra's own part, every interpolation resolved, every key a string."""
    origins: Origins
    overrides: tuple[str, ...]
    choices: Mapping[str, str]
    """Group → chosen option, such as `model` → `lstm`."""
    hydra: Mapping[str, Any] = field(default_factory=dict[str, Any], repr=False)
    """Hydra's own part, its interpolations as text; empty inside a job."""
    moment: datetime | None = field(default=None, repr=False)
    """What `${now:...}` gave; None for the time."""


def compose(
    conf: str | Path | None = None,
    overrides: Sequence[str] = (),
    config_name: str = "config",
    *,
    shown_as: str | None = None,
    library: Library | None = None,
    moment: datetime | None = None,
) -> Config:
    """Composes a config as `@hydra.main` would, and leaves Hydra's global state as it was.

    Args:
        conf: the config folder; None for `default_conf()`.
        overrides: Hydra overrides, such as `model=lstm` or `init.gain=0.5`.
        config_name: the primary config, without `.yaml`.
        shown_as: what to call the folder in places, where it is a copy of another one.
        library: what other configs have read of files already; files that changed since are not read again.
        moment: what `${now:...}` gives; None for the time.

    Raises:
        ForgeError: the folder, files, overrides or interpolations are wrong; all problems that can be found at once.
        TypeError: an argument is of the wrong type.
    """
    _check_types(conf, overrides)
    overrides = in_place(overrides)
    folder = Path(conf) if conf is not None else default_conf()
    check_conf(folder, config_name, shown_as)
    library = library or Library()
    naming, name = Naming(folder, shown_as, Path.cwd()), config_name.removesuffix(".yaml")
    with hydra_settings():
        parsed = ov.parse(overrides)
        made = library.composed(naming, name, parsed) or _composed(naming, name, parsed, library.files)
        library.keep(made)
        origins = Origins(made.config, made.contributions, _assignments(made.folders, parsed), _environment(overrides))
        values = _resolve(made.config, made.hydra, origins, moment)
    return Config(values, origins, tuple(overrides), _choices(made.hydra, made.contributions), made.hydra, moment)


def _composed(naming: Naming, name: str, parsed: tuple[Override, ...], files: Files) -> Composition:
    loader = Loader(create_config_search_path(os.path.abspath(naming.root)), naming, files)
    config = _load(loader, name, parsed, naming.root)
    hydra = config.pop("hydra")
    if hydra["job"]["name"] == NO_JOB:
        hydra["job"]["name"] = "???"
    return Composition(config, hydra, parsed, loader.contributions, loader.folders, naming, name)


def open_config(folder: Path, parsed: Sequence[Override]) -> tuple[Mapping[str, Any], Origins, Loader]:
    """What the jobs of a multirun have in common, not resolved: Hydra's own part, the origins, and the loader.

    Raises:
        ForgeError: the folder, a file or an override is wrong.
    """
    check_conf(folder, "config")
    with hydra_settings():
        loader = Loader(create_config_search_path(os.path.abspath(folder)), Naming(folder, None, Path.cwd()))
        config = _load(loader, "config", parsed, folder, RunMode.MULTIRUN)
        origins = Origins(config, loader.contributions, _assignments(loader.folders, parsed))
    return config["hydra"], origins, loader


def rewritten(config: Config, raw: Mapping[str, Any]) -> Config:
    """A composition as it were if its files wrote other values; places are those of the files as they are.

    Args:
        config: What `compose` returned.
        raw: The values, interpolations as text, as `Origins.config` has them.

    Raises:
        ForgeError: an interpolation cannot be resolved.
    """
    origins = replace(config.origins, config=raw)
    with hydra_settings():
        return replace(config, values=_resolve(raw, config.hydra, origins, config.moment), origins=origins)


def _check_types(conf: Any, overrides: Any) -> None:
    if not (conf is None or isinstance(conf, str | os.PathLike)):
        raise TypeError(f"`conf` is the path of a config folder, or None for the default one, but is {conf!r}")
    good = isinstance(overrides, Sequence) and not isinstance(overrides, str | bytes)
    if not good or not all(isinstance(override, str) for override in overrides):
        meant = f": write [{overrides!r}]" if isinstance(overrides, str) and "=" in overrides else ""
        raise TypeError(f"`overrides` is a list of overrides, such as ['model=lstm'], but is {overrides!r}{meant}")


def from_hydra(cfg: DictConfig) -> Config:
    """The config of the running `@hydra.main` job, with its origins.

    Raises:
        ForgeError: a mandatory value is missing, or an interpolation cannot be resolved.
    """
    # As text: an override that holds `${...}` is one string, and nothing to resolve.
    job = plain(HydraConfig.get())
    config = plain(cfg)
    config.pop("hydra", None)
    sources = [(source["provider"], source["schema"], source["path"]) for source in job["runtime"]["config_sources"]]
    main = next((path for provider, scheme, path in sources if provider == "main" and scheme == "file"), ".")
    task = tuple(job["overrides"]["task"])
    with hydra_settings():
        every = [*job["overrides"]["hydra"], *task]
        parsed = ov.parse(every)
        loader = Loader(search_path(sources), Naming(Path(main), None, Path(job["runtime"]["cwd"])))
        try:
            loader.keep(loader.compute_defaults_list(job["job"]["config_name"], every, RunMode.RUN).defaults)
        except (ForgeError, *FAILURES) as error:
            if isinstance(error, ForgeError) and any(problem.code in CODES for problem in error.problems):
                raise
            # The files are gone or were edited since the job began: its values hold, their places are unknown.
            loader.contributions = ()
        origins = Origins(config, loader.contributions, _assignments(loader.folders, parsed), _environment(task))
    values = _resolve(config, None, origins)
    return Config(values, origins, task, _choices(job, loader.contributions))


def _load(
    loader: Loader, config_name: str, parsed: Sequence[Override], folder: Path, mode: RunMode = RunMode.RUN
) -> dict[str, Any]:
    """The composed config, Hydra's part included, interpolations as text."""
    try:
        loader.open(config_name, parsed)
        if unknown := unknown_options(loader, parsed, folder):
            raise ForgeError(unknown)
        return loader.compose(config_name, parsed, mode)
    except ForgeError as error:
        problems, cause = error.problems, None
    except FAILURES as error:
        problems, cause = explain(loader, config_name, parsed, folder, error), error
    lines = [one.input_line or "" for one in parsed]
    origins = Origins({}, (), (), _environment(lines))
    raise ForgeError(origins.hide(placed(problem, loader.shelf.values(), lines)) for problem in problems) from cause


def _assignments(folders: Reading, parsed: Sequence[Override]) -> tuple[ov.Assignment, ...]:
    return tuple(ov.assignment(one) for one in parsed if ov.sets_value(one, folders.group_exists))


def _resolve(
    config: Mapping[str, Any], runtime: Mapping[str, Any] | None, origins: Origins, moment: datetime | None = None
) -> dict[str, Any]:
    if runtime is not None:
        # Where the machine is called is not a value of a config, however it is asked for.
        facts = {name: fact for name, fact in runtime["runtime"].items() if name not in ("cwd", "config_sources")}
        runtime = {**runtime, "runtime": facts}
    given = {path for assignment in origins.assignments for path in assignment.leaves()}

    def is_given(at: KeyPath) -> bool:
        return any(at[:length] in given for length in range(1, len(at) + 1))  # or is in a list that was given

    try:
        return resolve(config, runtime, is_given, outside=origins.outside, moment=moment)
    except ForgeError as error:
        problems = [problem.at(origins.written(problem.key)) for problem in error.problems]
        raise ForgeError(map(origins.hide, problems)) from None


def _environment(overrides: Sequence[str]) -> dict[str, str]:
    """What overrides ask the environment for → how: an error says the second in place of the first."""
    found = re.findall(r"(oc\.env\s*:\s*['\"]?(\w+))", " ".join(overrides))
    return {os.environ[name]: f"${{{asked}}}" for asked, name in found if os.environ.get(name)}


def _choices(hydra: Mapping[str, Any], parts: Sequence[Contribution]) -> dict[str, str]:
    """The chosen options; Hydra's own groups, empty choices and optional ones that are not there are left out."""
    known = {part.path for part in parts}
    return {
        group: option
        for group, option in hydra["runtime"]["choices"].items()
        if isinstance(option, str)
        and group.partition("/")[0] != "hydra"
        and (not parts or f"{group.partition('@')[0]}/{option}" in known)
    }
