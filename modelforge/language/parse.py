"""parse: a config → `ModelSpec`. Pydantic checks, this file turns its complaints into problems with places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from modelforge.config import Config
from modelforge.config.origins import Origins
from modelforge.core.errors import (
    MAX_PROBLEMS,
    ForgeError,
    Later,
    Problem,
    did_you_mean,
    for_each,
    more_problems,
    quoted,
)
from modelforge.core.limits import unfit
from modelforge.language import registry
from modelforge.language.expand import expand, source_key
from modelforge.language.init import Init, InitSpec
from modelforge.language.layer import LayerSpec
from modelforge.language.left_behind import explained
from modelforge.language.model import ModelSpec
from modelforge.language.nested import unknown_argument
from modelforge.language.weights import WeightsSpec

MODEL_KEYS = frozenset({"input", "layers", "outputs", "tie", "init", "blocks", "args", "size", "sizes"})
SECTIONS = frozenset(
    {"model", "init", "weights", "seed"}
    | {"data", "optimizer", "scheduler", "trainer", "logger", "num_threads", "ckpt", "optimized_metric", "tags"}
)
"""What a config is made of; the second line is training's."""


def parse(
    config: Config | Mapping[str, Any],
    init: Mapping[str, Any] | str | None = None,
    seed: int | None = None,
    weights: Mapping[str, Any] | None = None,
) -> ModelSpec:
    """Checks a config against the registries and freezes it.

    Of a composed config every key is accounted for: it is one of modelforge's sections, its own primary config writes
    it, or it is a config group. An override or an experiment that invents another one has misspelt something.

    Args:
        config: What `modelforge.config.compose` returns, a whole config as a mapping (`{"model": ..., "init": ...}`),
            or its model section alone (`{"input": ..., "layers": ...}`).
        init: The outermost default, in place of the config's `init` group.
        seed: Key of all random numbers, in place of the config's `seed` (0 where neither says).
        weights: A file of values that wins over all init blocks, in place of the config's `weights` group.

    Raises:
        ForgeError: all that is wrong with it.
        TypeError: `config` is neither a mapping nor composed.

    Example:
        >>> spec = parse({"input": {"shape": [4]}, "layers": {"head": {"type": "Linear", "out_features": 2}}})
        >>> spec.layers["head"].type
        'Linear'
    """
    values, origins = _content(config)
    if wrong := [*unfit(values), *_unfit("init", init), *_unfit("weights", weights), *_unfit("seed", seed)]:
        raise ForgeError(origins.locate(problem) for problem in wrong)
    if "model" not in values and not values.keys().isdisjoint(("layers", "input")):
        values = {"model": values}
    given = {name: section for name, section in (("init", init), ("weights", weights)) if section is not None}
    problems: list[Problem] = [*_unknown_sections(values, origins)]
    empty = [*_empty_files({**values, **given}, origins)]
    problems += empty
    model = None
    if all(problem.path != "model" for problem in empty):
        model = _validate(ModelSpec, _model_section(values, problems), "model", problems)
    group = _validate(Init, given.get("init", values.get("init")), "init", problems)
    stored = _validate(WeightsSpec, given.get("weights", values.get("weights")), "weights", problems)
    key: Any = values.get("seed", 0) if seed is None else seed
    if isinstance(key, bool) or not isinstance(key, int):
        problems.append(Problem("MF014", "seed", f"`seed` must be a whole number, but is {quoted(key)}"))
    if problems or model is None:
        raise ForgeError(explained(_replaced(origins.locate(problem), origins), origins) for problem in problems)
    return model.model_copy(update={"default_init": group, "weights": stored, "seed": key, "origins": origins})


def _replaced(problem: Problem, origins: Origins) -> Problem:
    """A problem with an argument of a layer whose type an override changed: what the file says of it is still there."""
    parent = problem.path.rpartition(".")[0]
    place = origins.place(f"{parent}.type") if problem.code == "MF012" else None
    if place is None or place.override is None or problem.place is None or problem.place.override is not None:
        return problem
    hint = f"`{place.override}` is merged into what the file says; `{parent}=NAME` replaces it"
    return replace(problem, hint=hint)


def parse_init(raw: Mapping[str, Any] | str, path: str = "init") -> InitSpec:
    """Checks an init block that stands alone.

    Raises:
        ForgeError: all that is wrong with it.
    """
    problems = [*_unfit(path, raw)]
    if problems:
        raise ForgeError(problems)
    block = _validate(Init, raw, path, problems)
    if problems:
        raise ForgeError(problems)
    return block


def _unfit(section: str, given: Any) -> list[Problem]:
    return unfit({section: given})


def _content(config: object) -> tuple[Mapping[str, Any], Origins]:
    if isinstance(config, Config):
        return config.values, config.origins
    if not isinstance(config, Mapping):
        kinds = "a mapping, or what `modelforge.config.compose` returns"
        hint = "; `load` takes a folder and overrides" if isinstance(config, str) else ""
        raise TypeError(f"parse takes {kinds}, but gets a {type(config).__name__}{hint}")
    return config, Origins.empty()


def _unknown_sections(values: Mapping[str, Any], origins: Origins) -> Iterator[Problem]:
    """The top-level keys of a composed config that nobody has heard of."""

    def problem(key: str) -> Problem:
        hint = did_you_mean(key, SECTIONS | origins.declared)
        if not hint.endswith("?"):
            hint = f"a key of your own is written in {origins.primary} first"
        return Problem("MF015", key, f"unknown key `{key}`", hint, part="key")

    unknown = values.keys() - SECTIONS - origins.declared if origins.contributions else ()
    yield from for_each(sorted(unknown), problem)


def _empty_files(values: Mapping[str, Any], origins: Origins) -> Iterator[Problem]:
    """Sections that a chosen file should fill, and does not."""
    for section in ("model", "init", "weights", "data", "optimizer"):
        place = None if values.get(section) else origins.empty_file(section)
        if place is not None:
            yield Problem("MF011", section, f"{place.file} is empty", f"it should hold the `{section}` section", place)


def _model_section(values: Mapping[str, Any], problems: list[Problem]) -> Any:
    section = values.get("model")
    if section is None:
        problems.append(Problem("MF011", "model", "there is no `model` section", "choose one: `model=...`", part="key"))
        return None
    if isinstance(section, Mapping):
        problems += for_each([key for key in section if key not in MODEL_KEYS], _no_key)
        written_out, found = expand({key: value for key, value in section.items() if key in MODEL_KEYS})
        problems += found
        return None if found else written_out
    return section


def _no_key(key: object) -> Problem:
    return Problem("MF015", f"model.{key}", f"a model has no `{key}`", did_you_mean(key, MODEL_KEYS), part="key")


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _validate(kind: Any, raw: Any, path: str, problems: list[Problem]) -> Any:
    if raw is None:
        return None
    try:
        return _adapter(kind).validate_python(raw)
    except ValidationError as error:
        details = error.errors(include_url=False)
    except RecursionError:
        problems.append(Problem("MF060", path, "this is nested too deeply to be read"))
        return None
    problems.extend(dict.fromkeys(_problems(details[:MAX_PROBLEMS], raw, path)))
    if len(details) > MAX_PROBLEMS:
        problems.append(more_problems(len(details) - MAX_PROBLEMS))
    return None


def _problems(details: list[ErrorDetails], raw: Any, path: str) -> Iterator[Problem]:
    for detail in details:
        location = tuple(str(part) for part in detail["loc"])
        if location[:2] == ("input", "input") and "input" not in raw["input"]:
            location = location[1:]  # the name that a single input gets
        key, use = source_key(raw, location)
        problem = _problem(detail, location, _layer_type(raw, location), ".".join((path, *key)))
        message = f"{problem.message} (where {'.'.join((path, *use))} uses it)" if use else problem.message
        yield replace(problem, message=message)


def _problem(detail: ErrorDetails, location: tuple[str, ...], layer_type: str | None, path: str) -> Problem:
    context = detail.get("ctx") or {}
    message = detail["msg"]
    match detail["type"]:
        case "missing":
            parent = path.rpartition(".")[0]
            owner = layer_type or f"`{parent}`"
            name = location[-1]
            code = "MF013" if layer_type else "MF011"
            noun = "argument" if layer_type else "key"
            return Problem(code, parent, f"{owner} needs the {noun} `{name}`", f"add `{name}: ...`", part="key")
        case "extra_forbidden" if layer_type:
            message, hint = unknown_argument(layer_type, location[-1])
            return Problem("MF012", path, message, hint, part="key")
        case "extra_forbidden":
            return Problem("MF015", path, f"unknown key `{location[-1]}`", part="key")
        case kind if kind.startswith("MF"):
            part = "key" if context.get("part") == "key" else "value"
            message = f"`{location[-1]}` {message}" if message.startswith("must ") and location else message
            hint = context.get("hint", "")
            return Problem(kind, path, message, hint() if isinstance(hint, Later) else hint, part=part)
        case _:
            hint = "write `{shape: [8, 8]}`" if location[:1] == ("input",) and detail["type"] == "model_type" else ""
            return Problem("MF014", path, f"`{location[-1] if location else path}` {_sentence(detail)}", hint)


KINDS = MappingProxyType(
    {
        "bool_type": "true or false",
        "dict_type": "a mapping",
        "float_type": "a number",
        "int_type": "a whole number",
        "model_type": "a mapping",
        "string_type": "a text",
        "tuple_type": "a list",
    }
)
"""Pydantic's types of errors → what must be there, in the words of YAML."""


def _sentence(detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    if "but is" in message:
        return message
    return f"must be {wanted(detail)}, but is {quoted(detail['input'])}"


def wanted(detail: ErrorDetails) -> str:
    """What must be there, of an error of Pydantic's own."""
    said = detail["msg"].removeprefix("Input should be ").removeprefix("a valid ")
    return KINDS.get(detail["type"], said)


def _layer_type(raw: Any, location: tuple[str, ...]) -> str | None:
    """The type of the layer that directly holds `location`, if one does."""
    for part in location[:-1]:
        # A mapping that code made may have numbers for names.
        named = {str(name): value for name, value in raw.items()} if isinstance(raw, Mapping) else {}
        raw = named.get(part)
    if isinstance(raw, str) and raw in registry.names():
        return raw  # the short form
    if isinstance(raw, Mapping) and isinstance(raw.get("type"), str):
        return raw["type"]
    return None


def dump(spec: ModelSpec | LayerSpec) -> dict[str, Any]:
    """A spec as plain data."""
    return spec.to_dict() if isinstance(spec, ModelSpec) else spec.model_dump(mode="json", exclude_unset=True)
