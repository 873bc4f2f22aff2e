"""Hydra's composition, with the files it reads kept as `Document`s, and without touching Hydra's global state."""

from __future__ import annotations

import re
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from pkgutil import resolve_name
from threading import RLock
from typing import Any

import hydra
import hydra._internal.hydra
import omegaconf.base
import yaml
from hydra import version
from hydra._internal import defaults_list
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.config_search_path_impl import ConfigSearchPathImpl
from hydra._internal.defaults_list import DefaultsList
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.config_store import ConfigStore
from hydra.core.default_element import InputDefault, ResultDefault
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.core.plugins import Plugins
from hydra.core.utils import JobRuntime, setup_globals
from hydra.plugins.config_source import ConfigResult
from hydra.types import RunMode
from omegaconf import Container, DictConfig, Node, OmegaConf, open_dict, read_write
from omegaconf._utils import OmegaConfDumper
from omegaconf.resolvers.oc import create, decode
from yaml.resolver import BaseResolver

from modelforge.config.composition import Contribution, plain
from modelforge.config.document import Document
from modelforge.config.engines import PLUGINS, store_engines
from modelforge.config.hydra_settings import check_hydra, check_override
from modelforge.config.nodes import in_defaults
from modelforge.config.source import Files, Naming, Reading, Repository, check_nodes, folder_of
from modelforge.config.trust import placed
from modelforge.core.errors import ForgeError, Problem

NO_JOB = "no job"
"""What composition takes for the job's name, which only a run has."""

_LOCK = RLock()
_ENTERED: list[bool] = []
"""Whether `hydra_settings` is entered: many compositions in a row need them put back once."""


class Loader(ConfigLoaderImpl):
    """Hydra's loader, for configs that are data; `contributions` says afterwards which files were merged, in order."""

    def __init__(self, search_path: ConfigSearchPath, naming: Naming, files: Files | None = None) -> None:
        self.shelf: dict[str, Document] = {}
        self.contributions: tuple[Contribution, ...] = ()
        self.files = files or Files()
        self._opened: tuple[list[Override], Reading] | None = None
        super().__init__(search_path)
        self.repository = Repository(search_path, self.shelf, naming, self.files.documents)
        self.folders = Reading(self.repository, self.files)

    def _parse_overrides_and_create_caching_repo(
        self, config_name: str | None, overrides: list[str]
    ) -> tuple[list[Override], CachingConfigRepository]:
        if self._opened is not None and _lines(self._opened[0]) == overrides:
            return self._deleting(*self._opened), self._opened[1]
        parsed = OverridesParser.create().parse_overrides(overrides)
        return self._deleting(parsed, reading := self._read(config_name, parsed)), reading

    def _read(self, config_name: str | None, parsed: list[Override]) -> Reading:
        problems = [one for it in parsed for one in check_override(it.key_or_group, it.value(), it.input_line or "")]
        if problems:
            raise ForgeError(problems)
        reading = Reading(self.repository, self.files)
        self._process_config_searchpath(config_name, parsed, reading)
        return reading

    def leaves_out(self, override: Override, reading: Reading) -> bool:
        """Whether an override is `GROUP=null` of a group that a defaults list leaves out, or may."""
        group = override.key_or_group
        plain = override.type is OverrideType.CHANGE and override.value() is None and not override.is_sweep_override()
        return (
            plain
            and reading.group_exists(group)
            and any(in_defaults(document.root, group, "null") is not None for document in self.shelf.values())
        )

    def _deleting(self, parsed: Sequence[Override], reading: Reading) -> list[Override]:
        """The overrides as Hydra takes them: it knows `~GROUP`, and no option `null`."""

        def deleting(override: Override) -> Override:
            deleted = OverridesParser.create().parse_override(f"~{override.key_or_group}")
            return replace(deleted, input_line=override.input_line)  # which names the folder of a run

        return [deleting(one) if self.leaves_out(one, reading) else one for one in parsed]

    def open(self, config_name: str, overrides: Sequence[Override]) -> None:
        """Takes in the search path that the primary config or an override extends: options may lie there too."""
        self._opened = [*overrides], self._read(config_name, [*overrides])
        self.folders = self._opened[1]

    def compose(self, config_name: str, overrides: Sequence[Override], mode: RunMode = RunMode.RUN) -> dict[str, Any]:
        """The composed config as plain data, Hydra's own part included, interpolations as text."""
        return plain(self.load_configuration(config_name, _lines(overrides), mode, from_shell=False))

    def load_configuration(self, *arguments: Any, **options: Any) -> DictConfig:
        """Hydra's config, in which a block in the place of the `init` group counts as the choice of its scheme."""
        config = super().load_configuration(*arguments, **options)
        choices, block = config.hydra.runtime.choices, config.get("init")
        if choices.get("init") is None and isinstance(block, DictConfig) and "scheme" in block:
            with read_write(choices), open_dict(choices):  # it names folders of runs
                choices.init = re.sub(r"\W", "_", str(block._get_node("scheme")))
        return config

    def keep(self, defaults: Sequence[ResultDefault]) -> None:
        """Notes which documents a defaults list merges."""
        self.contributions = tuple(
            Contribution(path, default.package or "", self.shelf[path], bool(default.primary))
            for default in defaults
            if (path := default.config_path) is not None and path in self.shelf
        )

    def _compose_config_from_defaults_list(self, defaults: list[ResultDefault], repo: IConfigRepository) -> DictConfig:
        self.keep(defaults)
        documents = [part.document for part in self.contributions]
        if documents:
            check_nodes(documents, documents[-1].file)
        if problems := [one for part in self.contributions for one in check_hydra(part.package, part.document)]:
            raise ForgeError(problems)
        return super()._compose_config_from_defaults_list(defaults, repo)

    @staticmethod
    def _embed_result_config(ret: ConfigResult, package_override: str | None) -> ConfigResult:
        embedded = ConfigLoaderImpl._embed_result_config(ret, package_override)
        # At the top level Hydra would merge what the repository keeps itself, and later files into that.
        return replace(ret, config=deepcopy(ret.config)) if embedded is ret else embedded


class Door(Loader):
    """The loader of `@hydra.main`: what a config may not do ends the program before anything is done with it."""

    def __init__(self, config_search_path: ConfigSearchPath) -> None:
        main = next((entry.path for entry in config_search_path.get_path() if entry.provider == "main"), None)
        root = Path(folder_of(main or ".").removeprefix("file://"))
        super().__init__(config_search_path, Naming(root, None, Path.cwd()))

    def load_configuration(self, *arguments: Any, **options: Any) -> DictConfig:
        with self._refusing():
            config = super().load_configuration(*arguments, **options)
        plugins = (config.hydra.sweeper, config.hydra.launcher)
        for plugin in filter(None, plugins if options.get("run_mode") is RunMode.MULTIRUN else ()):
            register_plugin(str(plugin.get("_target_")))
        return config

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
    for template in ("arg", "calc"):  # each copy of a layer has its own value: `--resolve` leaves them as they are
        OmegaConf.register_new_resolver(template, _as_written, replace=True)
    OmegaConfDumper.add_representer(str, _on_one_line)
    OmegaConfDumper.str_representer_added = True


def _on_one_line(dumper: yaml.Dumper, text: str) -> yaml.ScalarNode:
    """A text as Hydra prints it (`--cfg`, `--info`): its line breaks are escapes, and no line of a log is its own."""
    if text.isprintable():
        return OmegaConfDumper.str_representer(dumper, text)
    return dumper.represent_scalar(BaseResolver.DEFAULT_SCALAR_TAG, text, style='"')


def _as_written(*arguments: Any, _node_: Node) -> Any:
    """A template as the file has it."""
    return _node_._value()


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
    "sweep_report", {"sweep": {"_target_": "modelforge.sweeps.callback.SweepReport"}}, "hydra/callbacks"
)
store_engines()
ConfigStore.instance().store(
    "freezing",
    {"_target_": f"{PLUGINS}sweeper.FreezingSweeper", "max_batch_size": None, "params": None},
    "hydra/sweeper",
)


def register_plugin(target: str) -> None:
    """Tells Hydra of the class in `modelforge.sweeps` that a `_target_` below `PLUGINS` stands for."""
    name = target.removeprefix(PLUGINS)
    if name != target:
        Plugins.instance().class_name_to_class[target] = resolve_name(f"modelforge.sweeps.{name}")


def search_path(sources: Sequence[tuple[str, str, str]]) -> ConfigSearchPath:
    """A search path from (provider, scheme, path)."""
    path = ConfigSearchPathImpl()
    for provider, scheme, place in sources:
        path.append(provider, f"{scheme}://{place}")
    return path


_CHOICES = defaults_list._create_interpolation_map
_PARSE = omegaconf.base.parse  # pyright: ignore[reportPrivateImportUsage]  # no public name
_PARSE_ONCE = lru_cache(maxsize=128)(_PARSE)
"""Hydra asks for the same few interpolations in every composition, and OmegaConf parses them each time."""


def _choices_if_read(overrides: Any, defaults: list[InputDefault], self_added: bool) -> DictConfig:
    """The choices so far, for interpolations in a defaults list: Hydra makes a config of them for every file."""
    read = any(default.is_interpolation() for default in defaults if not default.is_self())
    return _CHOICES(overrides, defaults, self_added) if read else OmegaConf.create()


@contextmanager
def hydra_settings() -> Generator[None]:
    """Hydra's process-wide settings as composition needs them, put back afterwards; one thread at a time."""
    with _LOCK:
        if _ENTERED:
            yield
            return
        base, runtime = version.getbase(), JobRuntime.instance()
        name = runtime.get("name")
        setup_globals()
        if hydra.__version__.startswith("1.3."):
            version.setbase("1.3")
        runtime.set("name", NO_JOB)
        defaults_list._create_interpolation_map = _choices_if_read
        omegaconf.base.parse = _PARSE_ONCE  # pyright: ignore[reportPrivateImportUsage]  # no public name
        _ENTERED.append(True)
        try:
            yield
        finally:
            _ENTERED.clear()
            omegaconf.base.parse = _PARSE  # pyright: ignore[reportPrivateImportUsage]  # no public name
            defaults_list._create_interpolation_map = _CHOICES
            version.VersionBase.instance().version_base = base
            runtime.set("name", name)


def _lines(overrides: Sequence[Override]) -> list[str]:
    return [override.input_line or "" for override in overrides]
