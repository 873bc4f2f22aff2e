"""The folder of configs: where it is, and which options its groups have."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.limits import MAX_FILES
from modelforge.core.suggestions import did_you_mean


def default_conf() -> Path:
    """`./conf` where there is one, else the configs that come with modelforge.

    Raises:
        ForgeError: there is neither.
    """
    local = Path("conf")
    if (local / "config.yaml").is_file():
        return local
    if (found := shipped()) is not None:
        return found
    hint = "go to a folder that has a `conf`, or name one with `--conf DIR`"
    raise ForgeError([Problem("MF001", "conf", "there is no `conf/config.yaml` here", hint)])


def own_conf() -> Path:
    """`./conf`: what checks or writes a whole folder means the project's, never the one that comes with modelforge.

    Raises:
        ForgeError: there is none.
    """
    local = Path("conf")
    if (local / "config.yaml").is_file():
        return local
    near = sorted(path.parent.name for path in Path().glob("*/config.yaml"))
    named = " or ".join(f"`--conf {name}`" for name in near[:3])
    far = "go to the project's folder, write `--conf DIR`, or make a project: `modelforge new DIR`"
    hint = f"write {named}" if near else far
    raise ForgeError([Problem("MF001", "conf", "there is no `conf/config.yaml` here", hint)])


def shipped() -> Path | None:
    """The configs that come with modelforge; None where they were left out."""
    package = resources.files("modelforge")
    # In a checkout they lie beside the package.
    places = (package / "conf", package.parent / "conf") if isinstance(package, Path) else ()
    return next((place for place in places if (place / "config.yaml").is_file()), None)


def check_conf(conf: Path, config_name: str, shown_as: str | None = None) -> None:
    """Makes sure that the folder and its primary config are there.

    Args:
        conf: The folder.
        config_name: The name of the primary config.
        shown_as: What to call the folder, where it is a copy of another one.

    Raises:
        ForgeError: one of them is missing.
    """
    if not conf.is_dir():
        what = "is a file, not a folder" if conf.exists() else "does not exist"
        near = sorted(path.name for path in conf.parent.iterdir() if path.is_dir()) if conf.parent.is_dir() else []
        hint = did_you_mean(conf.name, [name for name in near if not name.startswith(".")])
        raise ForgeError([Problem("MF001", str(conf), f"the config folder `{conf}` {what}", hint)])
    if not (conf / _file_name(config_name)).is_file():
        known = sorted(path.stem for path in conf.glob("*.yaml"))
        hint = did_you_mean(config_name, known) or "a config folder holds its primary config, `config.yaml`"
        shown = shown_as or str(conf)
        raise ForgeError([Problem("MF001", shown, f"there is no `{_file_name(config_name)}` in `{shown}`", hint)])


def options(conf: str | Path | None, group: str) -> tuple[str, ...]:
    """The options of a config group, read from its files.

    Args:
        conf: the config folder; None for `default_conf()`.
        group: the group's name, such as `model` or `model/block`.

    Raises:
        ForgeError: there is no such group.
    """
    folder = Path(conf) if conf is not None else default_conf()
    if not group or not (folder / group).is_dir() or not is_inside(folder / group, folder):
        known = groups(folder)
        message = f"there is no config group `{group}` in `{folder}`"
        raise ForgeError([Problem("MF001", group or str(folder), message, did_you_mean(group, known))])
    return tuple(sorted(path.stem for path in _bounded((folder / group).glob("*.yaml"), folder)))


def groups(conf: Path) -> tuple[str, ...]:
    """The config groups of a folder, nested ones (`model/block`) included."""
    folders = (path.parent.relative_to(conf).as_posix() for path in _bounded(conf.rglob("*.yaml"), conf))
    return tuple(sorted({name for name in folders if name != "."}))


def _bounded(paths: Iterable[Path], folder: Path) -> Iterator[Path]:
    for number, path in enumerate(paths):
        if number == MAX_FILES:
            message = f"`{folder}` holds more than {MAX_FILES:,} configs"
            raise ForgeError([Problem("MF060", str(folder), message)])
        yield path


def is_inside(path: Path, root: Path) -> bool:
    """Whether a path lies in a folder after all links are followed."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def _file_name(config_name: str) -> str:
    return config_name if config_name.endswith(".yaml") else f"{config_name}.yaml"
