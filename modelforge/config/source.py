"""Hydra's composition, with the files it reads kept as `Document`s, and without touching Hydra's global state."""

from __future__ import annotations

import os
import sys
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from typing import Any

import hydra
import hydra._internal.hydra
import yaml
from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, ConfigRepository, IConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.core_plugins.file_config_source import FileConfigSource
from hydra._internal.defaults_list import DefaultsList
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobRuntime, setup_globals
from hydra.plugins.config_source import ConfigResult, ConfigSource
from hydra.types import RunMode
from omegaconf import Container, DictConfig, Node, OmegaConf
from omegaconf._utils import OmegaConfDumper
from omegaconf.resolvers.oc import create, decode
from yaml.resolver import BaseResolver

from modelforge.config.document import Document
from modelforge.config.folder import is_inside
from modelforge.config.trust import (
    check_hydra,
    check_override,
    check_resolvers,
    num_nodes,
    outside,
    placed,
    search_folder,
)
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.limits import MAX_CONFIGS, MAX_FILE_BYTES, MAX_NODES

NO_JOB = "no job"
"""What composition takes for the job's name, which only a run has."""


_LOCK = RLock()


@dataclass(frozen=True, slots=True)
class Contribution:
    """One file's part in the composed config: its content was merged at `package`."""

    package: str
    document: Document
    primary: bool
    group: str
    """The config group that the file is an option of; empty for one that lies in the config folder itself."""


class Shelf(dict[str, Document]):
    """The documents read so far, by config path; one for all copies that Hydra makes of the repository."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Shelf:
        return self


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


class Loader(ConfigLoaderImpl):
    """Hydra's loader, for configs that are data; `contributions` says afterwards which files were merged, in order."""

    def __init__(self, search_path: ConfigSearchPath, naming: Naming) -> None:
        self.shelf = Shelf()
        self.contributions: tuple[Contribution, ...] = ()
        super().__init__(search_path)
        self.repository = _Repository(search_path, self.shelf, naming)
        self.folders: IConfigRepository = self.repository

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        parsed = OverridesParser.create().parse_overrides(overrides)
        problems = [one for it in parsed for one in check_override(it.key_or_group, it.value(), it.input_line or "")]
        if problems:
            raise ForgeError(problems)
        repository = _Bounded(self.repository)
        self._process_config_searchpath(config_name, parsed, repository)
        return parsed, repository

    def open(self, config_name: str, overrides: Sequence[Override]) -> None:
        """Takes in the search path that the primary config or an override extends: options may lie there too."""
        _, caching = self._parse_overrides_and_create_caching_repo(config_name, _lines(overrides))
        self.folders = caching

    def compose(self, config_name: str, overrides: Sequence[Override], mode: RunMode = RunMode.RUN) -> dict[str, Any]:
        """The composed config as plain data, Hydra's own part included, interpolations as text."""
        return plain(self.load_configuration(config_name, _lines(overrides), mode, from_shell=False))

    def keep(self, defaults: Sequence[ResultDefault]) -> None:
        """Notes which documents a defaults list merges."""
        self.contributions = tuple(
            _contribution(default.package or "", default.config_path, self.shelf, primary=bool(default.primary))
            for default in defaults
            if default.config_path is not None and default.config_path in self.shelf
        )

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        self.keep(defaults)
        documents = [part.document for part in self.contributions]
        if documents:
            _check_nodes(map(num_nodes, documents), documents[-1].file)
        if problems := [one for part in self.contributions for one in check_hydra(part.package, part.document)]:
            raise ForgeError(problems)
        return super()._compose_config_from_defaults_list(defaults, repo)


class Door(Loader):
    """The loader of `@hydra.main`: what a config may not do ends the program before anything is done with it."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        main = next((entry.path for entry in config_search_path.get_path() if entry.provider == "main"), None)
        root = Path(_folder_of(main or ".").removeprefix("file://"))
        super().__init__(config_search_path, Naming(root, None, Path.cwd()))

    def load_configuration(self, *arguments: Any, **options: Any) -> DictConfig:
        with self._refusing():
            return super().load_configuration(*arguments, **options)

    def compute_defaults_list(self, *arguments: Any, **options: Any) -> DefaultsList:
        with self._refusing():
            return super().compute_defaults_list(*arguments, **options)

    def get_group_options(self, *arguments: Any, **options: Any) -> list[str]:
        with self._refusing():
            return super().get_group_options(*arguments, **options)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """A launcher such as joblib's sends the loader to another process: from here on that one is guarded, too."""
        vars(self).update(state)
        guard_hydra()

    @contextmanager
    def _refusing(self) -> Generator[None]:
        # Hydra takes exceptions for its own affair here, and tries again.
        try:
            yield
        except ForgeError as error:
            lines = [word for word in sys.argv[1:] if "=" in word]
            problems = [placed(problem, self.shelf.values(), lines) for problem in error.problems]
            print(ForgeError(problems), file=sys.stderr, flush=True)
            sys.exit(1)


def guard_hydra() -> None:
    """From now on `@hydra.main` composes as `compose` does: files are read as data, whatever its flags."""
    hydra._internal.hydra.ConfigLoaderImpl = Door  # pyright: ignore  # its own class, with our reading of files
    # Hydra resolves its own settings, and what `--resolve` prints, by OmegaConf's resolvers.
    OmegaConf.register_new_resolver("oc.decode", _decode, replace=True)
    OmegaConf.register_new_resolver("oc.create", _create, replace=True)
    OmegaConfDumper.add_representer(str, _on_one_line)
    OmegaConfDumper.str_representer_added = True


def _on_one_line(dumper: yaml.Dumper, text: str) -> yaml.ScalarNode:
    """A text as Hydra prints it (`--cfg`, `--info`): its line breaks are escapes, and no line of a log is its own."""
    if text.isprintable():
        return OmegaConfDumper.str_representer(dumper, text)
    return dumper.represent_scalar(BaseResolver.DEFAULT_SCALAR_TAG, text, style='"')


def _decode(text: Any, _parent_: Container, _node_: Node) -> Any:
    """OmegaConf's `oc.decode`, of text that asks for nothing: interpolations in it were seen by no check."""
    _refuse_interpolations(text)
    return decode(text, _parent_, _node_)


def _create(value: Any, _parent_: Container) -> Any:
    """OmegaConf's `oc.create`, of values that ask for nothing."""
    _refuse_interpolations(value)
    return create(value, _parent_)


def _refuse_interpolations(value: Any) -> None:
    if isinstance(value, str) and "${" in value:
        message = "a text that is made from others does not become an interpolation: a config is data"
        print(ForgeError([Problem("MF005", "", message)]), file=sys.stderr, flush=True)
        sys.exit(1)  # an exception would be a traceback of Hydra's
    for item in [*value, *value.values()] if isinstance(value, dict) else value if isinstance(value, list) else ():
        _refuse_interpolations(item)


ConfigStore.instance().store(
    "sweep_report", {"sweep": {"_target_": "modelforge.runs.callback.SweepReport"}}, "hydra/callbacks"
)


def _contribution(package: str, path: str, shelf: Shelf, *, primary: bool) -> Contribution:
    return Contribution(package, shelf[path], primary, path.rpartition("/")[0])


def plain(cfg: Any) -> dict[str, Any]:
    """The config as plain data, interpolations as text, keys as strings."""
    data = OmegaConf.to_container(cfg, resolve=False, enum_to_str=True)
    assert isinstance(data, dict)
    return _with_text_keys(data)


def search_path(sources: Sequence[tuple[str, str, str]]) -> ConfigSearchPath:
    """A search path from (provider, scheme, path)."""
    path = ConfigSearchPathImpl()
    for provider, scheme, place in sources:
        path.append(provider, f"{scheme}://{place}")
    return path


@contextmanager
def hydra_settings() -> Generator[None]:
    """Hydra's process-wide settings as composition needs them, put back afterwards; one thread at a time."""
    with _LOCK:
        base, runtime = version.getbase(), JobRuntime.instance()
        name = runtime.get("name")
        setup_globals()
        if hydra.__version__.startswith("1.3."):
            version.setbase("1.3")
        runtime.set("name", NO_JOB)
        try:
            yield
        finally:
            version.VersionBase.instance().version_base = base
            runtime.set("name", name)


class _Repository(ConfigRepository):
    def __init__(self, search_path: ConfigSearchPath, shelf: Shelf, naming: Naming) -> None:
        self.shelf = shelf
        self.naming = naming
        super().__init__(search_path)

    def initialize_sources(self, config_search_path: ConfigSearchPath) -> None:
        """Only folders and Hydra's own packages become sources: to ask another one whether it is there runs it."""
        entries = [(entry.provider or "", entry.path or "") for entry in config_search_path.get_path()]
        main = next((path for provider, path in entries if provider == "main"), ".")
        root = Path(_folder_of(main).removeprefix("file://"))
        path = ConfigSearchPathImpl()
        for provider, entry in entries:
            if provider.startswith("hydra.searchpath"):
                path.append(provider, search_folder(entry, root, own=provider.endswith("command-line")))
            else:
                path.append(provider, _folder_of(entry) if provider == "main" else entry)
        super().initialize_sources(path)
        self.sources = [
            _Folder(source, self.shelf, self.naming) if source.scheme() == "file" else source for source in self.sources
        ]


class _Bounded(CachingConfigRepository):
    """What was read once is kept; and a defaults list that doubles ends."""

    num_asked = 0

    def load_config(self, config_path: str) -> ConfigResult | None:
        self.num_asked += 1
        if self.num_asked > MAX_CONFIGS:
            message = f"the defaults lists ask for more than {MAX_CONFIGS:,} configs"
            raise ForgeError([Problem("MF060", config_path, message, "a file that two others choose is read twice")])
        return super().load_config(config_path)


class _Folder(FileConfigSource):
    """A folder of configs, read as `Document`s; what lies outside of it is not there."""

    def __init__(self, source: ConfigSource, shelf: Shelf, naming: Naming) -> None:
        super().__init__(source.provider, source.path)
        self.shelf = shelf
        self.naming = naming

    def is_group(self, config_path: str) -> bool:
        return is_inside(Path(self.path, config_path), Path(self.path)) and super().is_group(config_path)

    def is_config(self, config_path: str) -> bool:
        if not is_inside(Path(self.path, self._normalize_file_name(config_path)), Path(self.path)):
            raise outside(config_path)
        return super().is_config(config_path)

    def load_config(self, config_path: str) -> ConfigResult:
        path = Path(os.path.abspath(os.path.join(self.path, self._normalize_file_name(config_path))))
        file = self.naming.name(path)
        if path.stat().st_size > MAX_FILE_BYTES:
            message = f"the file has more than {MAX_FILE_BYTES >> 20} MiB"
            raise ForgeError([Problem("MF060", "", message, place=Place(file=file, line=1))])
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            raise ForgeError([Problem("MF002", "", "the file is not UTF-8", place=Place(file=file, line=1))]) from None
        document = Document(file, text)
        self.shelf[config_path] = document
        _check_nodes(map(num_nodes, self.shelf.values()), file)
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


def _check_nodes(sizes: Iterable[int], file: str) -> None:
    if sum(sizes) > MAX_NODES:
        message = f"the files of this config hold more than {MAX_NODES:,} keys and values"
        raise ForgeError([Problem("MF060", "", message, place=Place(file=file, line=1))])


def _folder_of(entry: str) -> str:
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


def _lines(overrides: Sequence[Override]) -> list[str]:
    return [override.input_line or "" for override in overrides]


def _with_text_keys(value: Any) -> Any:
    if isinstance(value, dict):
        return {_key_text(key): _with_text_keys(item) for key, item in value.items()}
    return [_with_text_keys(item) for item in value] if isinstance(value, list) else value


def _key_text(key: Any) -> str:
    return str(key).lower() if isinstance(key, bool) else str(key)
