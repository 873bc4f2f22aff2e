"""option_of, Choice: names of options, in files, overrides and defaults lists, and those of the other side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelforge.config.overrides import parse
from modelforge.core.errors import ForgeError
from modelforge.review.affected import Composition
from modelforge.review.values import exact
from modelforge.runs.status import as_hydra_reads


def option_of(path: str) -> tuple[str, str]:
    """The group and the name of an option's file; a primary config has no group.

    >>> option_of("experiment/deep/a.yaml"), option_of("config.yaml")
    (('experiment/deep', 'a'), ('', 'config'))
    """
    group, _, name = path.removesuffix(".yaml").rpartition("/")
    return group, name


def label_of(path: str) -> str:
    """What the composition of an option's file is called.

    >>> label_of("model/a.yaml"), label_of("other.yaml")
    ('model=a', '--config-name=other')
    """
    group, name = option_of(path)
    return f"{group or '--config-name'}={name}"


@dataclass(frozen=True, slots=True)
class Choice:
    """An override, as a choice of options."""

    before: str
    """The override up to its value: `+init@encoder=`."""
    group: str
    """The group; with its package it is `key`."""
    key: str
    options: tuple[str, ...]
    several: bool = False
    """Whether the options are written as a list."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files of the options; of an override of a value there are no such files."""
        return tuple(f"{self.group}/{option}.yaml" for option in self.options)

    @property
    def noted(self) -> Mapping[str, str]:
        """What Hydra notes of it among the choices: no list of options, and nothing of what is taken away."""
        return {} if self.several or self.before.startswith("~") else {self.key: self.options[0]}

    @property
    def text(self) -> str:
        """The override."""
        words = [as_hydra_reads(option) for option in self.options]
        return self.before + (f"[{','.join(words)}]" if self.several else words[0])

    def called(self, names: Mapping[str, str]) -> Choice:
        """The choice by other names of the same files.

        Args:
            names: Path → the path on the other side.

        Example:
            >>> found = choice_of("model=sub/net")
            >>> found.called({"model/sub/net.yaml": "model/sub/it's.yaml"}).text
            "model='sub/it\\\\'s'"
        """
        renamed = (names.get(file, file) for file in self.files)
        return replace(self, options=tuple(file[len(self.group) + 1 : -len(".yaml")] for file in renamed))


def choice_of(override: str) -> Choice | None:
    """An override as a choice of options; None where it is malformed, or sets nothing that may be one.

    >>> choice_of("+init@encoder='a b'").files, choice_of("model=[a,b]").files, choice_of("~model")
    (('init/a b.yaml',), ('model/a.yaml', 'model/b.yaml'), None)
    """
    try:
        (found,) = parse((override,))
    except ForgeError:
        return None
    value = found.value()
    options = value if isinstance(value, list) else [value]
    if not options or any(item is None or isinstance(item, list | dict) for item in options):
        return None
    group = found.key_or_group
    key = f"{group}@{found.package}" if found.package is not None else group
    return Choice(override.partition("=")[0] + "=", group, key, tuple(map(str, options)), isinstance(value, list))


def with_new_names(composed: Composition, names: Mapping[str, str]) -> Composition:
    """A composition of the old side, in which the files have the names of the new one.

    Args:
        composed: The composition.
        names: Old path → new path.
    """
    return replace(
        composed,
        files=frozenset(names.get(path, path) for path in composed.files),
        merged=tuple((package, names.get(path, path)) for package, path in composed.merged),
        names={place: names.get(path, path) for place, path in composed.names.items()},
    )


def with_choices(composed: Composition, choices: Mapping[str, str], config_name: str) -> Composition:
    """A composition with other names of what was chosen.

    Args:
        composed: The composition.
        choices: Options by group, with its package where it has one.
        config_name: The primary config.
    """
    config = composed.config
    if config is None:
        return composed
    hydra = dict(config.hydra)
    if isinstance(job := hydra.get("job"), Mapping):
        hydra["job"] = {**job, "config_name": config_name}
    return replace(composed, config=replace(config, choices={**config.choices, **choices}, hydra=hydra))


def follows_renames(path: str, old: Any, new: Any, names: Mapping[str, str]) -> bool:
    """Whether two defaults lists of a file are the same but for the new names of files.

    Args:
        path: The file. What a list names without a slash in front is relative to its folder.
        old: The list on the old side.
        new: The list on the new side.
        names: Old path → new path.

    Example:
        >>> names = {"model/a.yaml": "model/b.yaml"}
        >>> old, new = ([{"override /model": name}, {"override /init": "a"}] for name in ("a", "b"))
        >>> follows_renames("experiment/deep.yaml", old, new, names)
        True
        >>> follows_renames("config.yaml", [{"init": "a"}], [{"init": "b"}], names)
        False
    """
    if not isinstance(old, list):
        return False
    folder = option_of(path)[0]
    return exact([_renamed(item, folder, names) for item in old]) == exact(new)


def _renamed(item: Any, folder: str, names: Mapping[str, str]) -> Any:
    """An item of a defaults list by the new names."""
    if not isinstance(item, Mapping):
        return _by_new_name(item, folder, names)
    renamed = dict[str, Any]()
    for key, chosen in item.items():
        group = _below(folder, key.split(" ")[-1].partition("@")[0])
        several = isinstance(chosen, list)
        words = [_by_new_name(option, group, names) for option in (chosen if several else [chosen])]
        renamed[key] = words if several else words[0]
    return renamed


def _by_new_name(text: Any, folder: str, names: Mapping[str, str]) -> Any:
    if not isinstance(text, str):
        return text
    name, at, package = text.partition("@")
    new = names.get(f"{_below(folder, name)}.yaml")
    return text if new is None else name[: name.rfind("/") + 1] + option_of(new)[1] + at + package


def _below(folder: str, name: str) -> str:
    """The path of a name in a defaults list; a slash in front leads out of the folder of the list."""
    return name[1:] if name.startswith("/") else f"{folder}/{name}" if folder else name
