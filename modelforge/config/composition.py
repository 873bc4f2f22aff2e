"""Composition: what Hydra makes of a folder and overrides, and the same with other options of its groups."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hydra._internal.config_loader_impl import get_overrides_dirname
from hydra.core.override_parser.types import Override, OverrideType
from omegaconf import OmegaConf

from modelforge.config.document import Document
from modelforge.config.references import split
from modelforge.config.source import Files, Naming, Reading, check_nodes
from modelforge.core.errors import ForgeError

MAX_KNOWN = 200
"""Compositions that a command keeps: some hundred kilobytes each."""


@dataclass(frozen=True, slots=True)
class Contribution:
    """One file's part in the composed config: its content was merged at `package`."""

    path: str
    """Below the config folder, without `.yaml`: a group and its option, or the name of the primary config."""
    package: str
    document: Document
    primary: bool

    @property
    def group(self) -> str:
        """The config group that the file is an option of; empty for one that lies in the config folder itself."""
        return self.path.rpartition("/")[0]

    def writes(self, key: str) -> bool:
        """Whether the file has a part in a top-level key."""
        if self.package:
            return split(self.package)[0] == key
        return key in self.document.keys


@dataclass(frozen=True, slots=True)
class Composition:
    """The config as plain data, with interpolations as text, and what it was made of."""

    config: Mapping[str, Any]
    hydra: Mapping[str, Any]
    """Hydra's own part."""
    overrides: tuple[Override, ...]
    contributions: tuple[Contribution, ...]
    """The files, in the order they were merged."""
    folders: Reading
    naming: Naming
    config_name: str

    def with_overrides(self, overrides: Sequence[Override]) -> Composition | None:
        """What Hydra would make of other values of the same keys and other options of the same groups; None where more
        may differ.
        """
        if len(overrides) != len(self.overrides):
            return None
        found: Composition | None = self
        try:
            for index, new in enumerate(overrides):
                if found is not None and found.overrides[index].input_line != new.input_line:
                    found = found._with_value(index, new) or found._with_option(found.overrides[index], new)
        except ForgeError:
            return None  # Hydra comes to the same file, and the problem gets its place
        return found

    def _with_value(self, index: int, new: Override) -> Composition | None:
        """The same with another value of one key, which no other override reaches."""
        old, path = self.overrides[index], split(new.key_or_group)
        if not _replaces(old, new) or self.folders.group_exists(new.key_or_group) or "hydra" in path[:1]:
            return None
        if "${" in str(self.hydra["job"]["config"]["override_dirname"]):
            return None
        for at, other in enumerate(self.overrides):
            also = split(other.key_or_group)
            if at != index and (also[: len(path)] == path or path[: len(also)] == also) and not _chooses(other):
                return None
        config = _with(self.config, path, old.value(), new.value())
        if config is None:
            return None
        overrides = (*self.overrides[:index], new, *self.overrides[index + 1 :])
        return replace(self, config=config, hydra=self._hydra_of(overrides, {}), overrides=overrides)

    def _with_option(self, old: Override, new: Override) -> Composition | None:
        group = new.key_or_group
        if not _chooses(old) or not _chooses(new) or old.key_or_group != group or self._depends_on(group):
            return None
        before, after = (f"{group}/{one.value()}" for one in (old, new))
        writers = [part for part in self.contributions if part.writes(group)]
        if [(part.path, part.package) for part in writers] != [(before, group)]:
            return None
        if self._content(before) is None or (content := self._content(after)) is None:
            return None
        changed = replace(writers[0], path=after, document=self.folders.shelf[after])
        parts = tuple(changed if part is writers[0] else part for part in self.contributions)
        check_nodes([part.document for part in parts], changed.document.file)
        overrides = tuple(new if one is old else one for one in self.overrides)
        hydra = self._hydra_of(overrides, {group: new.value()})
        config = {**self.config, group: content}
        return replace(self, config=config, hydra=hydra, overrides=overrides, contributions=parts)

    def _depends_on(self, group: str) -> bool:
        """Whether anything outside of a group may read or change what its option says."""
        named = re.compile(rf"\$\{{(?!hydra:)[^{{}}]*\b{re.escape(group)}\b")
        texts = [text for part in self.contributions if part.group != group for text in part.document.interpolations]
        values = [one for one in self.overrides if not _chooses(one)]
        registered = [path for path, found in self.folders.cache.items() if found and path not in self.folders.shelf]
        return (
            any(map(named.search, texts))
            or any("${" in (one.input_line or "") or split(one.key_or_group)[:1] == (group,) for one in values)
            or any(not path.startswith("hydra/") for path in registered)
            or "${" in str(self.hydra["job"]["config"]["override_dirname"])
        )

    def _content(self, path: str) -> dict[str, Any] | None:
        """What an option's file says; None where it is not merged as it stands, at the package of its group."""
        result, document = self.folders.load_config(path), self.folders.shelf.get(path)
        if result is None or document is None or "defaults" in document.keys or result.header["package"] is not None:
            return None
        return None if self.folders.get_schema_source().is_config(path) else plain(result.config)

    def _hydra_of(self, overrides: Sequence[Override], choices: Mapping[str, Any]) -> dict[str, Any]:
        """Hydra's own part, with other choices."""
        task = [one for one in overrides if not one.is_hydra_override()]
        job, runtime = self.hydra["job"], self.hydra["runtime"]
        name = get_overrides_dirname(task, **job["config"]["override_dirname"])
        return {
            **self.hydra,
            "overrides": {**self.hydra["overrides"], "task": [one.input_line for one in task]},
            "job": {**job, "override_dirname": name},
            "runtime": {**runtime, "choices": {**runtime["choices"], **choices}},
        }


@dataclass
class Library:
    """What configs of one command share: the files that were read, and the compositions before."""

    files: Files = field(default_factory=Files)
    last: Composition | None = None
    known: dict[tuple[str, ...], Composition] = field(default_factory=dict[tuple[str, ...], Composition])
    """By what their overrides choose and which keys they set: others differ by values alone."""

    def composed(self, naming: Naming, config_name: str, overrides: Sequence[Override]) -> Composition | None:
        """What a composition before says of other overrides; None where Hydra must be asked."""
        for base in (self.known.get(_shape(overrides)), self.last):
            if base is None or (base.naming, base.config_name) != (naming, config_name):
                continue
            if (found := base.with_overrides(overrides)) is not None:
                return found
        return None

    def keep(self, made: Composition) -> Composition:
        """Notes a composition for those that come after it."""
        if len(self.known) >= MAX_KNOWN:
            self.known.clear()
        self.last = self.known[_shape(made.overrides)] = made
        return made


def _chooses(override: Override) -> bool:
    """Whether an override is `group=option` of a group at the top."""
    option, group = override.value(), override.key_or_group
    plainly = override.type is OverrideType.CHANGE and override.package is None and isinstance(option, str)
    return plainly and "/" not in f"{group}{option}" and "." not in group and group != "hydra"


def _shape(overrides: Sequence[Override]) -> tuple[str, ...]:
    """What overrides choose, and the keys of the values that they set."""
    return tuple((one.input_line or "") if _chooses(one) else f"{one.key_or_group}=" for one in overrides)


def _replaces(old: Override, new: Override) -> bool:
    """Whether both set one key to a plain value, and differ in this value alone."""
    same = (old.type, old.key_or_group, old.package) == (new.type, new.key_or_group, new.package)
    sets = old.type in (OverrideType.CHANGE, OverrideType.FORCE_ADD) and old.package is None
    return same and sets and all(_is_plain(one.value()) for one in (old, new))


def _is_plain(value: Any) -> bool:
    is_text = isinstance(value, str) and "${" not in value and "\\" not in value
    return value is None or isinstance(value, bool | int | float) or is_text


def _with(config: Mapping[str, Any], path: Sequence[str], old: Any, new: Any) -> dict[str, Any] | None:
    """A config with another value at a path; what does not lie on the way is shared. None where `old` is not there."""
    name, *rest = path
    if name not in config:
        return None
    found: Any = config[name]
    if not rest:
        return {**config, name: new} if type(found) is type(old) and found == old else None
    inner = _with(found, rest, old, new) if isinstance(found, Mapping) else None
    return None if inner is None else {**config, name: inner}


def plain(cfg: Any) -> dict[str, Any]:
    """The config as plain data, interpolations as text, keys as strings."""
    data = OmegaConf.to_container(cfg, resolve=False, enum_to_str=True)
    assert isinstance(data, dict)
    return _with_text_keys(data)


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key_text(key): _with_text_keys(item) for key, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list) else value


def _key_text(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
