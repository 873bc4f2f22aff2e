"""The JSON Schemas of all kinds of files agree with the parsers: on what ships, and on values of every field."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from modelforge.config.compose import compose
from modelforge.core.errors import Problem
from modelforge.train.arguments import argument_types
from modelforge.train.callbacks.registry import CALLBACKS, parse_callbacks
from modelforge.train.data.registry import SOURCES, parse_source
from modelforge.train.loggers.registry import LOGGERS, parse_loggers
from modelforge.train.optimizers.optimizer import optimizer_arguments, parse_optimizer
from modelforge.train.schedulers.curves import CURVES
from modelforge.train.schedulers.scheduler import parse_scheduler
from modelforge.train.schema import KINDS, schema
from modelforge.train.tasks.registry import TASKS
from modelforge.train.trainer_settings import Trainer, parse_trainer

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
VALUES = (None, True, 0, 1, 2, -1, 0.5, 1.0, -0.5, 1.5, "", "word", [], ["word"], [1, 2], {}, {"word": 2})
"""What each field is given in turn."""
TEXT = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+")


class Yaml12(yaml.SafeLoader):
    """As editors read YAML: `1e-6` is a number."""


Yaml12.add_implicit_resolver("tag:yaml.org,2002:float", TEXT, list("-+0123456789"))


def kind_of(path: Path) -> str:
    """The kind of a shipped file."""
    group = path.parent.relative_to(CONF).as_posix()
    return group if group in KINDS else "config"


SHIPPED = [(kind_of(path), path) for path in sorted(CONF.rglob("*.yaml"))]


@cache
def validator(kind: str) -> Draft202012Validator:
    Draft202012Validator.check_schema(schema(kind))
    return Draft202012Validator(schema(kind))


def accepts(kind: str, data: Any) -> bool:
    return validator(kind).is_valid(data)


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=[path.relative_to(CONF).as_posix() for _, path in SHIPPED])
def test_what_ships_is_valid_and_names_its_schema(kind: str, path: Path):
    text = path.read_text(encoding="utf-8")
    errors = validator(kind).iter_errors(yaml.load(text, Yaml12))
    assert [(list(error.absolute_path), error.message) for error in errors] == []
    line = next(line for line in text.splitlines() if not line.startswith("# @package"))
    named = line.partition("$schema=")[2]
    assert (path.parent / named).resolve() == CONF / ".schema" / f"{kind}.json"


@pytest.mark.parametrize("kind", KINDS)
def test_the_schemas_that_ship_are_up_to_date(kind: str):
    """To renew them: `modelforge schema --write`."""
    assert json.loads((CONF / ".schema" / f"{kind}.json").read_text(encoding="utf-8")) == schema(kind)


def taken(parse: Callable[[Any], Any]) -> Callable[[Any], bool]:
    """Whether a parser that raises takes a section."""

    def accepted(data: Any) -> bool:
        try:
            parse(data)
        except ValidationError:
            return False
        return True

    return accepted


def without_problems(parse: Callable[[Any], tuple[Any, list[Problem]]]) -> Callable[[Any], bool]:
    """Whether a parser that lists problems takes a section."""
    return lambda data: not parse(data)[1]


def cases() -> Iterator[Any]:
    """Kind, a section as a function of the value of one of its fields, and whether the parser takes a section."""

    def case(kind: str, name: str, parse: Callable[[Any], bool], section: Callable[[Any], Any]) -> Any:
        return pytest.param(kind, section, parse, id=f"{kind}-{name}")

    for name, keys in optimizer_arguments().items():
        for key in sorted(keys - {"params"}):
            parse = without_problems(parse_optimizer)
            yield case("optimizer", f"{name}.{key}", parse, lambda value, at=(name, key): {"type": at[0], at[1]: value})
    for key in sorted(argument_types(Trainer).keys() - {"return"}):
        yield case("trainer", key, without_problems(parse_trainer), lambda value, key=key: {key: value})
    for name, curve in CURVES.items():
        for key in curve.model_fields:
            parse = without_problems(lambda section: parse_scheduler(section, {"val/loss": "min"}))
            yield case("scheduler", f"{name}.{key}", parse, lambda value, at=(name, key): {"type": at[0], at[1]: value})
    for kind, registry, parse in (("callbacks", CALLBACKS, parse_callbacks), ("logger", LOGGERS, parse_loggers)):
        for name, settings in registry.entries():
            for key in settings.model_fields:
                yield case(kind, f"{name}.{key}", taken(parse), lambda value, at=(name, key): {at[0]: {at[1]: value}})


def data_cases() -> Iterator[Any]:
    for path in sorted((CONF / "data").glob("*.yaml")):
        given = dict(compose(CONF, [f"data={path.stem}"]).values["data"])
        # `Literal[1]` of Pydantic takes true, and JSON Schema does not.
        for key in sorted(SOURCES.get(given["type"]).model_fields.keys() - {"type", "num_targets"}):
            yield pytest.param(given, key, id=f"{path.stem}-{key}")
    for name, task in TASKS.entries():
        for key in sorted(task.model_fields.keys() - {"type"}):
            yield pytest.param(name, key, id=f"{name}-{key}")


WRONG_KIND = ({}, {"word": 2}, ["word"])
"""Values that a schema can always tell from others, unless the field takes them."""


@pytest.mark.parametrize(("kind", "section", "accepted"), [*cases()])
def test_schema_and_parser_agree(kind: str, section: Callable[[Any], Any], accepted: Callable[[Any], bool]):
    """A schema accepts what the parser accepts; what it accepts besides is out of range, and not of another kind."""
    missed = [value for value in VALUES if accepted(section(value)) and not accepts(kind, section(value))]
    spare = [value for value in VALUES if accepts(kind, section(value)) and not accepted(section(value))]
    assert missed == [], "accepted by the parser alone"
    assert [value for value in spare if value in WRONG_KIND] == [], "accepted by the schema alone"


@pytest.mark.parametrize(("given", "key"), [*data_cases()])
def test_a_source_that_the_parser_takes_is_valid(given: dict[str, Any] | str, key: str):
    """Also what several fields decide together, which a schema does not know: so this holds one way only."""
    if isinstance(given, str):
        base = {"type": "digits", "num_outputs": 10, "input": {"shape": [1, 8, 8]}}
        sections = [base | {"task": {"type": given, key: value}} for value in VALUES]
    else:
        sections = [given | {key: value} for value in VALUES]
    accepted = taken(parse_source)
    assert [section for section in sections if accepted(section) and not accepts("data", section)] == []


@pytest.mark.parametrize("name", ["csv", "digits", "image_folder"])
def test_a_misspelt_key_of_a_source_is_refused(name: str):
    given = dict(compose(CONF, [f"data={name}"]).values["data"])
    assert accepts("data", given)
    assert not accepts("data", given | {"batch_sizes": 2})
    assert not accepts("data", given | {"batch_size": "many"})


def test_a_config_in_part():
    assert accepts("config", {"defaults": [{"override /model": "mlp"}], "model": {"layers": {"a": {"width": 3}}}})
    assert accepts("config", {"init": {"gain": 2}, "optimizer": {"lr": 1e-2}, "own_key": 3})
    assert not accepts("config", {"model": {"layer": {}}})
    assert not accepts("config", {"seed": "x"})
    assert not accepts("config", {"modelforge": "1"})
    assert accepts("config", {"hydra": {"mode": "MULTIRUN", "sweeper": {"params": {"seed": "1,2"}}, "run": None}})
    assert not accepts("config", {"hydra": {"callbacks": {"x": {"_target_": "y"}}}})
    assert not accepts("config", {"optimizer": {"type": "AdamW", "momentum": 0.9}})
