"""parse: a config → `ModelSpec`. Pydantic checks, this file gives its errors their owners and places."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from functools import cache, partial
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from modelforge.config.compose import Config
from modelforge.config.origins import Origins
from modelforge.config.plain_data import plain_data
from modelforge.core.complaints import Owner, as_whole, problem
from modelforge.core.errors import ForgeError, Problem, for_each
from modelforge.core.frozen import Seed
from modelforge.core.limits import unfit
from modelforge.core.paths import join, parent
from modelforge.core.suggestions import did_you_mean
from modelforge.core.words import a_class
from modelforge.inits.registry import SCHEMES
from modelforge.inits.registry import owner as scheme_owner
from modelforge.inits.schemes.undrawn import Pretrained
from modelforge.language import registry
from modelforge.language.declarations import MODEL_KEYS
from modelforge.language.expand import expand, source_key
from modelforge.language.init import SECTIONS as INIT_SECTIONS
from modelforge.language.init import Init, InitSpec
from modelforge.language.layer import LayerSpec
from modelforge.language.left_behind import explained
from modelforge.language.model import ModelSpec, ParameterDType
from modelforge.language.nested import explain_absent_argument
from modelforge.language.version import check_version
from modelforge.language.weights import WeightsSpec

SECTIONS = frozenset(
    {"model", "init", "weights", "seed", "dtype"}
    | {"data", "metrics", "optimizer", "scheduler", "freeze", "trainer", "callbacks", "logger", "num_threads"}
    | {"ckpt", "checkpoint", "optimized_metric", "tags", "modelforge", "claim", "diagnose", "sweep"}
)
"""What a config is made of; all but the first line is training's, `claim` the gallery's."""
_READ = ("model", "init", "weights", "seed", "dtype", "modelforge")


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
        config: A `Config` of `modelforge.config.compose`, a whole config as a mapping (`{"model": ..., "init": ...}`),
            or its model section alone (`{"input": ..., "layers": ...}`). Here and below a mapping may be a `DictConfig`
            of Hydra, with its interpolations.
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
    values, origins = _content(plain_data(config, _READ))
    init, weights = plain_data(init), plain_data(weights)
    if wrong := [*unfit(values), *unfit({"init": init, "weights": weights, "seed": seed})]:
        raise ForgeError(origins.locate(problem) for problem in wrong)
    if "model" not in values and not values.keys().isdisjoint(("layers", "input")):
        values = {"model": values}
    given = {name: section for name, section in (("init", init), ("weights", weights)) if section is not None}
    problems: list[Problem] = [*check_version(values), *_unknown_sections(values, origins)]
    empty = [*_empty_files({**values, **given}, origins)]
    problems += empty
    model = None
    if (
        all(problem.key != "model" for problem in empty)
        and (section := _model_section(values, origins, problems)) is not None
    ):
        model = _validate(ModelSpec, section, "model", problems)
    group = _validate(Init | None, given.get("init", values.get("init")), "init", problems)
    stored = _validate(WeightsSpec | None, given.get("weights", values.get("weights")), "weights", problems)
    dtype = _validate(ParameterDType | None, values.get("dtype"), "dtype", problems)
    key = _validate(Seed, values.get("seed", 0) if seed is None else seed, "seed", problems)
    if problems or model is None:
        raise ForgeError(explained(_replaced(origins.locate(problem), origins), origins) for problem in problems)
    return model.model_copy(
        update={"default_init": group, "weights": stored, "seed": key, "dtype": dtype, "origins": origins}
    )


def _replaced(problem: Problem, origins: Origins) -> Problem:
    """A problem with an argument of a layer whose type an override changed: what the file says of it is still there."""
    layer = parent(problem.key)
    place = origins.place(f"{layer}.type") if problem.code == "MF012" else None
    if place is None or place.override is None or problem.place is None or problem.place.override is not None:
        return problem
    hint = f"`{place.override}` is merged into what the file says; `{layer}=NAME` replaces it"
    return replace(problem, hint=hint)


def parse_init(raw: Mapping[str, Any] | str) -> InitSpec:
    """Checks an init block that stands alone.

    Raises:
        ForgeError: all that is wrong with it.
    """
    raw = plain_data(raw)
    problems = unfit({"init": raw})
    if problems:
        raise ForgeError(problems)
    block = _validate(Init, raw, "init", problems)
    if problems:
        raise ForgeError(problems)
    return block


def _content(config: object) -> tuple[Mapping[str, Any], Origins]:
    if isinstance(config, Config):
        return config.values, config.origins
    if not isinstance(config, Mapping):
        kinds = "a mapping, or a `Config` of `modelforge.config.compose`"
        hint = "; `load` takes a folder and overrides" if isinstance(config, str) else ""
        raise TypeError(f"parse takes {kinds}, but gets {a_class(config)}{hint}")
    return config, Origins.empty()


def _unknown_sections(values: Mapping[str, Any], origins: Origins) -> Iterator[Problem]:
    """The top-level keys of a composed config that are not known."""

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


def _model_section(values: Mapping[str, Any], origins: Origins, problems: list[Problem]) -> Any:
    section = values.get("model")
    if section is None:
        hint = _misnamed(values, origins) or "choose one: `model=...`"
        problems.append(Problem("MF011", "model", "there is no `model` section", hint, part="key"))
        return None
    if isinstance(section, Mapping):
        declared = section.get("args")
        known = {*MODEL_KEYS, *(declared if isinstance(declared, Mapping) else ())}
        problems += for_each([key for key in section if key not in known], partial(_no_key, known=known))
        written_out, found = expand({key: value for key, value in section.items() if key in known})
        problems += found
        return None if found else written_out
    return section


def _misnamed(values: Mapping[str, Any], origins: Origins) -> str:
    """How a section that looks like a model becomes it; nothing where there is none."""
    name = next((name for name, value in values.items() if isinstance(value, Mapping) and "layers" in value), "")
    if not name:
        return ""
    way = f"write `{name}@model: NAME` in the defaults list" if origins.contributions else f"call `{name}` `model`"
    return f"`{name}` looks like one: {way}"


def _no_key(key: object, known: Collection[str]) -> Problem:
    return Problem("MF015", f"model.{key}", f"a model has no `{key}`", did_you_mean(key, known), part="key")


_adapter = cache(TypeAdapter)


def _validate(kind: Any, raw: Any, path: str, problems: list[Problem]) -> Any:
    try:
        return _adapter(kind).validate_python(raw)
    except ValidationError as error:
        details = error.errors(include_url=False)
    except RecursionError:
        problems.append(Problem("MF060", path, "this is nested too deeply to be read"))
        return None
    problems.extend(dict.fromkeys(for_each(details, partial(_problem, raw=raw, section=path))))
    return None


def _problem(detail: ErrorDetails, raw: Any, section: str) -> Problem:
    """An error of Pydantic's as a problem, at the place that the config has for it."""
    location = tuple(map(str, detail["loc"]))
    if location[:2] == ("input", "input") and "input" not in raw["input"]:
        location = location[1:]  # the name that a single input gets
    key, use = source_key(raw, location)
    found = problem(detail, join(section, *key), _owner(raw, location, section))
    if location[:1] == ("input",) and detail["type"] == "model_type":
        found = replace(found, hint="write `{shape: [8, 8]}`")
    if not use:
        return found
    # In a block, a number with a point comes of a division more often than of a pen.
    way = "`//` divides to a whole number" if found.hint and found.hint == as_whole(detail["input"]) else found.hint
    return replace(found, message=f"{found.message} (where {join(section, *use)} uses it)", hint=way)


_WEIGHTS = Owner(
    "`weights`",
    model=Pretrained,
    missing="MF090",
    wrong="MF022",
    suggest=partial(did_you_mean, known={*Pretrained.model_fields, "skip"}),
)


def _owner(raw: Any, location: tuple[str, ...], section: str) -> Owner:
    """What directly holds `location`: a layer, an init block with a scheme, or a section."""
    holder, in_init = raw, section == "init"
    for name in location[:-1]:
        # A mapping that code made may have numbers for names.
        named = {str(key): value for key, value in holder.items()} if isinstance(holder, Mapping) else {}
        holder = named.get(name)
        in_init |= name == "init" and not (isinstance(holder, Mapping) and "type" in holder)
    kind = holder.get("scheme" if in_init else "type") if isinstance(holder, Mapping) else holder
    if in_init and isinstance(kind, str) and kind in SCHEMES:
        return scheme_owner(kind, others=INIT_SECTIONS)
    if isinstance(kind, str) and kind in registry.LAYERS:
        suggest = partial(explain_absent_argument, kind)
        spec = registry.get(kind).spec
        return Owner(kind, "argument", spec, missing="MF013", unknown="MF012", suggest=suggest)
    return _WEIGHTS if section == "weights" else Owner(f"`{join(section, *location[:-1])}`")


def dump(spec: ModelSpec | LayerSpec) -> dict[str, Any]:
    """A spec as plain data."""
    return spec.to_dict() if isinstance(spec, ModelSpec) else spec.model_dump(mode="json", exclude_unset=True)
