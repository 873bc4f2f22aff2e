"""Cases: a seed and a number → one hostile input, and what is to be done with it."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import yaml
from pydantic_core import to_json
from rich.console import Console, Group

import modelforge as mf
from modelforge.cli.answer import Answer
from modelforge.cli.check import check
from modelforge.cli.diff import compare
from modelforge.cli.explain import explain
from modelforge.cli.show import show
from modelforge.config.compose import Config, compose
from modelforge.config.folder import options
from modelforge.config.origins import Origins
from modelforge.train.prepare import prepare
from tests.fuzz import mutate

ROOT = Path(__file__).parents[2]
KINDS = {"dict": 40, "settings": 20, "overrides": 20, "file": 20}
SETTINGS = "data", "optimizer", "scheduler", "trainer", "logger", "num_threads", "ckpt", "tags", "checkpoint"
CHOICES = (
    *(("optimizer=adamw", "scheduler=cosine"), ("init=gpt2", "model=gpt2"), ("experiment=adding",)),
    *(("model=vit",), ("model=lstm", "init=orthogonal"), ("model=resnet",), ("model=unet",), ("data=csv",)),
)


@dataclass(frozen=True)
class Case:
    """One input: `text` shows it, `run` gives it to modelforge."""

    kind: str
    number: int
    text: str
    run: Callable[[], object]

    @property
    def has_places(self) -> bool:
        """Whether what is wrong can only be wrong in a file of `conf`."""
        return self.kind == "file"


class Cases:
    """All cases of a seed. Files are changed in a copy of `conf`, in `folder`."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed = seed
        self.conf = folder / "conf"
        shutil.copytree(ROOT / "conf", self.conf)
        prepare(compose(self.conf))  # imports all that a case needs

    def case(self, number: int) -> Case:
        """The same for the same seed and number."""
        random = Random(f"{self.seed}-{number}")
        kind = random.choices([*KINDS], [*KINDS.values()])[0]
        text, run = getattr(self, f"_{kind}")(random)
        return Case(kind, number, text, run)

    @cached_property
    def configs(self) -> list[dict[str, Any]]:
        """Every model as it is composed, and some configs that choose more."""
        models = [(f"model={name}",) for name in options(self.conf, "model")]
        found: list[dict[str, Any]] = []
        for choice in [*models, *CHOICES]:
            try:
                found.append(dict(compose(self.conf, choice).values))
            except mf.ForgeError:
                continue  # not shipped under that name
        return found

    @cached_property
    def files(self) -> list[Path]:
        return sorted(self.conf.rglob("*.yaml"))

    @cached_property
    def models(self) -> list[dict[str, Any]]:
        """Small configs that between them say all that the language has."""
        paths = sorted((ROOT / "tests/configs/valid").rglob("*.yaml"))
        read = [yaml.safe_load(path.read_text(encoding="utf-8")) for path in paths]
        return [config for config in read if isinstance(config, dict)]

    def _dict(self, random: Random) -> tuple[str, Callable[[], object]]:
        values = random.choice([*self.configs, *self.models])
        kept = {key: values[key] for key in ("model", "init", "weights", "seed") if key in values} or values
        changed = mutate.tree(kept, random)
        return f"mf.plan(mf.parse({_shown(changed)}))", lambda: str(mf.plan(mf.parse(changed)))

    def _settings(self, random: Random) -> tuple[str, Callable[[], object]]:
        values = random.choice(self.configs)
        changed = mutate.tree(values, random, SETTINGS)
        told = {key: changed[key] for key in SETTINGS if key in changed}
        return f"prepare({_shown(told)})", lambda: prepare(Config(changed, Origins.empty(), (), {}))

    def _overrides(self, random: Random) -> tuple[str, Callable[[], object]]:
        known = mutate.flat(random.choice(self.configs))
        given = mutate.overrides(known, random)
        name, run = self._way(random)
        return f"{name} {given!r}", lambda: run(given)

    def _file(self, random: Random) -> tuple[str, Callable[[], object]]:
        path = random.choice(self.files)
        text = mutate.text(path.read_text(encoding="utf-8"), random)
        name, run = self._way(random)
        group, *option = path.relative_to(self.conf).with_suffix("").parts
        given = [f"{group}={'/'.join(option)}"] if option and group != "hydra" else []
        prefix = "+" if group == "debug" else ""

        def changed() -> object:
            with _written(path, text):
                return run([prefix + override for override in given])

        return f"{name} {given!r} where {path.relative_to(self.conf)} is\n{text}", changed

    def _way(self, random: Random) -> tuple[str, Callable[[list[str]], object]]:
        """A command or a function that reads overrides."""
        ways: dict[str, Callable[[list[str]], object]] = {
            "train": lambda given: prepare(compose(self.conf, given)),
            "check": lambda given: _printed(check(self.conf, given, every=False)),
            "show": lambda given: _printed(show(self.conf, given)),
            "explain": lambda given: _printed(explain("*", self.conf, given)),
            "diff": lambda given: _printed(
                compare("seed=0", " ".join(given) or "seed=1", self.conf, [], "markdown", exit_code=False)
            ),
        }
        return random.choices([*ways.items()], (40, 30, 10, 10, 10))[0]


def _printed(answer: Answer) -> str:
    to_json(answer.data, indent=2, inf_nan_mode="strings", fallback=str)
    console = Console(file=io.StringIO(), width=120, highlight=False, markup=False, emoji=False)
    console.print(answer.text if isinstance(answer.text, str) else Group(answer.text), crop=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


@contextmanager
def _written(path: Path, text: str) -> Generator[None]:
    good = path.read_bytes()
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    try:
        yield
    finally:
        path.write_bytes(good)


def _shown(value: Mapping[Any, Any]) -> str:
    try:
        return repr(value)
    except (RecursionError, ValueError):
        return f"a mapping of {[*map(str, value)]} that is too deep, or holds a number too long, to be shown"
