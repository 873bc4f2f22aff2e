"""Where configs come from: folders, whose files are read as `Document`s, and Hydra's own packages."""

from __future__ import annotations

import os
from collections.abc import Iterable
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.object_type import ObjectType
from hydra.plugins.config_source import ConfigResult, ConfigSource

from modelforge.config.document import Document, Documents
from modelforge.config.folder import is_inside
from modelforge.config.trust import check_resolvers, outside, search_folder
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.limits import MAX_CONFIGS, MAX_NODES


@dataclass(frozen=True, slots=True)
class Naming:
    """How files are called when shown: `root` as `shown_as`, else relative to `cwd` where below it."""

    root: Path
    shown_as: str | None
    cwd: Path

    def name(self, path: Path) -> str:
        """The name a file is shown under; `path` is absolute."""
        root = Path(os.path.abspath(self.root))
        below = path.relative_to(root) if path.is_relative_to(root) else None
        if self.shown_as is not None and below is not None:
            return (Path(self.shown_as) / below).as_posix()
        if path.is_relative_to(self.cwd):
            return path.relative_to(self.cwd).as_posix()
        return (path if below is None else self.root / below).as_posix()


@dataclass
class Files:
    """What was read of files: one for all configs that a command composes saves what they share."""

    results: dict[Any, tuple[ConfigResult | None, Document | None]] = field(default_factory=dict[Any, Any])
    """(place, config path) → what Hydra keeps of a file, and the file."""
    options: dict[Any, list[str]] = field(default_factory=dict[Any, "list[str]"])
    """(place, group, kind) → the options of a group."""
    groups: dict[Any, bool] = field(default_factory=dict[Any, bool])
    """(place, path) → whether there is a group."""
    documents: Documents = field(default_factory=Documents)
    """What was parsed."""


class Repository(ConfigRepository):
    """Hydra's repository, of folders and of Hydra's own packages."""

    def __init__(
        self, search_path: ConfigSearchPath, shelf: dict[str, Document], naming: Naming, documents: Documents
    ) -> None:
        self.shelf = shelf
        self.naming = naming
        self.documents = documents
        super().__init__(search_path)

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Only folders and Hydra's own packages become sources: to ask another one whether it is there runs it."""
        entries = [(entry.provider or "", entry.path or "") for entry in config_search_path.get_path()]
        main = next((path for provider, path in entries if provider == "main"), ".")
        root = Path(folder_of(main).removeprefix("file://"))
        path = ConfigSearchPathImpl()
        for provider, entry in entries:
            if provider.startswith("hydra.searchpath"):
                path.append(provider, search_folder(entry, root, own=provider.endswith("command-line")))
            else:
                path.append(provider, folder_of(entry) if provider == "main" else entry)
        super().initialize_sources(path)
        self.sources = [
            Folder(source, self.shelf, self.naming, self.documents) if source.scheme() == "file" else source
            for source in self.sources
        ]

    @cached_property
    def place(self) -> tuple[Any, ...]:
        """What the answers of this repository depend on, besides the files themselves."""
        return self.naming, *((source.provider, source.scheme(), source.path) for source in self.sources)


class Reading(CachingConfigRepository):
    """What one config asks of a repository: what was read once is kept, and a defaults list that doubles ends."""

    def __init__(self, repository: Repository, files: Files) -> None:
        # Hydra's own would make a deep copy here, because of `initialize_sources`.
        self.delegate: Repository = repository
        self.cache: dict[str, ConfigResult | None] = {}
        self.files = files
        self.num_asked = 0

    @property
    def shelf(self) -> dict[str, Document]:
        """Config path → file, of all that were read."""
        return self.delegate.shelf

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        self.delegate = Repository(config_search_path, self.shelf, self.delegate.naming, self.files.documents)

    def group_exists(self, config_path: str) -> bool:
        key = self.delegate.place, config_path
        if key not in self.files.groups:
            try:
                self.files.groups[key] = super().group_exists(config_path)
            except OSError:  # a key is longer than the name of a folder
                self.files.groups[key] = False
        return self.files.groups[key]

    def load_config(self, config_path: str) -> ConfigResult | None:
        self.num_asked += 1
        if self.num_asked > MAX_CONFIGS:
            message = f"the defaults lists ask for more than {MAX_CONFIGS:,} configs"
            raise ForgeError([Problem("MF060", config_path, message, "a file that two others choose is read twice")])
        if config_path not in self.cache:
            self.cache[config_path] = self._read(config_path)
        return self.cache[config_path]

    def _read(self, config_path: str) -> ConfigResult | None:
        shelf = self.delegate.shelf
        key = self.delegate.place, config_path
        if key not in self.files.results:
            result = self.delegate.load_config(config_path)
            if result is not None and not result.is_schema_source and self.get_schema_source().is_config(config_path):
                return result  # Hydra will merge a schema into it
            self.files.results[key] = result, shelf.get(config_path)
        result, document = self.files.results[key]
        if document is not None and config_path not in shelf:
            shelf[config_path] = document
            check_nodes(shelf.values(), document.file)
        return copy(result)

    def get_group_options(self, group_name: str, results_filter: ObjectType | None = ObjectType.CONFIG) -> list[str]:
        key = self.delegate.place, group_name, results_filter
        if key not in self.files.options:
            self.files.options[key] = super().get_group_options(group_name, results_filter)
        return list(self.files.options[key])


class Folder(FileConfigSource):
    """A folder of configs, read as `Document`s; what lies outside of it is not there."""

    def __init__(self, source: ConfigSource, shelf: dict[str, Document], naming: Naming, documents: Documents) -> None:
        super().__init__(source.provider, source.path)
        self.shelf = shelf
        self.naming = naming
        self.documents = documents

    def is_group(self, config_path: str) -> bool:
        return is_inside(Path(self.path, config_path), Path(self.path)) and super().is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        if not is_inside(Path(self.path, self._normalize_file_name(config_path)), Path(self.path)):
            raise outside(config_path)
        return super().is_config(config_path)

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(os.path.abspath(os.path.join(self.path, self._normalize_file_name(config_path))))
        file = self.naming.name(path)
        document = Document.read(path, file, self.documents)
        text = document.text
        self.shelf[config_path] = document
        check_nodes(self.shelf.values(), file)
        try:
            header = self._get_header_dict(text[:512])
        except ValueError:
            place = Place(file=file, line=1, column=1, source=text.splitlines()[0])
            problem = Problem("MF002", "", "wrong header", "write `# @package model` or `# @package _global_`", place)
            raise ForgeError([problem]) from None
        config = document.load()
        check_resolvers(document)
        return ConfigResult(
            config=config,
            path=f"{self.scheme()}://{self.path}",
            provider=self.provider,
            header=header,
        )


def check_nodes(documents: Iterable[Document], file: str) -> None:
    """Refuses files that are too large together."""
    if sum(document.num_nodes for document in documents) > MAX_NODES:
        message = f"the files of this config hold more than {MAX_NODES:,} keys and values"
        raise ForgeError([Problem("MF060", "", message, place=Place(file=file, line=1))])


def folder_of(entry: str) -> str:
    """The config folder as a folder where it was given as a package, which is code's own."""
    scheme, _, place = entry.rpartition("://")
    folder = _package_folder(place) if scheme == "pkg" else None
    return f"file://{folder}" if folder else entry


def _package_folder(package: str) -> str | None:
    try:
        spec = find_spec(package.replace("/", "."))
    except (ImportError, ValueError):
        return None
    return next(iter(spec.submodule_search_locations or ()), None) if spec else None
