"""schema: what may be written in the files of a training (data, optimizer, callbacks, …), as JSON Schema.

It knows every registered source, task, callback and logger with its fields, those of plugins included. What depends on
several places at once is for `modelforge check`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

from pydantic import ConfigDict, TypeAdapter
from pydantic.errors import PydanticInvalidForJsonSchema, PydanticSchemaGenerationError

from modelforge.config.hydra_settings import HYDRA_SETTINGS
from modelforge.core.json_schema import DIALECT, OPEN, TEMPLATE, Schema, choice, closed, mapping, or_template, section
from modelforge.language.schema import DEFAULTS
from modelforge.language.schema import KINDS as OF_LANGUAGE
from modelforge.train.arguments import argument_types
from modelforge.train.callbacks.registry import CALLBACKS
from modelforge.train.data.registry import SOURCES
from modelforge.train.loggers.registry import LOGGERS
from modelforge.train.optimizers.optimizer import OWN, optimizer_arguments, optimizers
from modelforge.train.schedulers.curves import CURVES
from modelforge.train.schedulers.monitor import PLATEAU
from modelforge.train.schedulers.scheduler import scheduler_arguments
from modelforge.train.schedulers.torch_scheduler import schedulers
from modelforge.train.settings import Settings
from modelforge.train.tasks.registry import TASKS
from modelforge.train.trainer_settings import RESERVED, Trainer


def _data() -> Schema:
    tasks = {f"task.{name}": _typed(name, section(kind)) for name, kind in sorted(TASKS.entries())}
    task = choice("type", tasks, "The purpose of the model: it decides the loss and the metric.", prefix="task.")
    sources = {name: _typed(name, section(kind)) for name, kind in sorted(SOURCES.entries())}
    for source in sources.values():
        source["properties"]["task"] = {"anyOf": [task, TEMPLATE, OPEN]}
    return _file("Data", choice("type", sources, "A data source with its fields.", short=False), {**sources, **tasks})


def _optimizer() -> Schema:
    own = {
        "mup": {"type": "boolean", "description": "Learning rates that follow the initializers (muP)."},
        "no_decay": _names("Roles without weight decay: bias, scale, embedding."),
        "groups": {"type": ["object", "null"], "description": "Settings by role or path: `{head.*: {lr: 1e-2}}`."},
        "layer_decay": {"type": ["number", "null"], "description": "What the rate of each layer is multiplied by."},
    }
    assert own.keys() == {*OWN}
    kinds = {
        name: closed(
            {"type": {"const": name}, **_arguments(optimizers()[name], keys), **own}, optimizers()[name].__doc__
        )
        for name, keys in optimizer_arguments().items()
    }
    return _file("An optimizer", choice("type", kinds, "An optimizer of torch.optim.", short=False), kinds)


def _scheduler() -> Schema:
    timing = {"interval": {"enum": ["epoch", "step"]}, "monitor": {"type": ["string", "null"]}}
    kinds: dict[str, Schema] = {}
    for name, keys in scheduler_arguments().items():
        if name in CURVES:
            kind: Any = CURVES[name]
            fields = section(kind)["properties"]
        else:
            kind = schedulers()[name]
            fields = _arguments(kind, keys)
        if name == PLATEAU:  # it follows from `monitor`
            mode = {key: value for key, value in fields["mode"].items() if key != "default"}
            fields["mode"] = {"anyOf": [mode, {"type": "null"}], "default": None}
        kinds[name] = closed({**fields, "type": {"const": name}, **timing}, kind.__doc__)
    return _file("A schedule", choice("type", kinds, "A schedule of the learning rate.", short=False), kinds)


def _trainer() -> Schema:
    fields = _arguments(Trainer, [name for name in argument_types(Trainer) if name not in RESERVED])
    return _file("The trainer", closed(fields, "Arguments of `lightning.Trainer`, and `compile`."), {})


def _named(title: str, registry: Any) -> Schema:
    entries = {
        name: {"anyOf": [section(kind), {"type": ["boolean", "null"]}]} for name, kind in sorted(registry.entries())
    }
    return _file(title, closed(entries, "Settings by name; `null` switches one off."), {})


def _hydra(allowed: Mapping[str, Any] = HYDRA_SETTINGS) -> Schema:
    """What files may set of Hydra's own."""
    if "*" in allowed:
        return {"type": ["object", "null"]}
    fields = {name: _hydra(below) if isinstance(below, Mapping) else {} for name, below in allowed.items()}
    return {**closed(fields, None), "type": ["object", "null"]}


def _config() -> Schema:
    """A primary config, or an experiment: any of the sections, each only in part."""
    sections = {name: schema(name) for name in KINDS if name not in ("config", "model", "hydra")}
    definitions: Schema = {}
    for name, found in sections.items():
        definitions |= {f"{name}.{key}": value for key, value in found.pop("$defs", {}).items()}
        definitions[name] = _renamed(
            {key: value for key, value in found.items() if key not in ("$schema", "title")}, name
        )
        for key in [key for key in definitions if key.startswith(f"{name}.")]:
            definitions[key] = _renamed(definitions[key], name)
    own = section(Settings, without=(*sections, "data", "callbacks", "logger"))["properties"]
    fields = {
        "modelforge": {"type": "integer", "minimum": 0, "description": "The version of the language."},
        "defaults": DEFAULTS,
        "model": _model_in_part(),
        **{name: {"anyOf": [{"$ref": f"#/$defs/{name}"}, _part(name), {"type": "null"}]} for name in sections},
        **own,
        "dtype": {"enum": [None, "float32", "float64", "bfloat16", "float16"]},
        "freeze": {"type": ["null", "array", "object"], "description": "Globs of parameters that are not trained."},
        "hydra": {**_hydra(), "description": "Hydra's own settings, as far as files may set them."},
    }
    found: Schema = {"type": "object", "properties": fields}  # a primary config may have keys of its own
    return {"$schema": DIALECT, "title": "A config", **found, "$defs": definitions}


def _model_in_part() -> Schema:
    """A model section that is merged into that of a file: its keys, and layers of any content."""
    whole = schema("model")["properties"]
    fields = {name: {"description": field.get("description", "")} for name, field in whole.items()}
    return closed({**fields, "layers": mapping({"type": ["object", "string"]}, "Layers by name.")}, "What changes.")


def _part(name: str) -> Schema:
    """A section that refines what another file says: known keys, without those that choose a kind."""
    return {"type": "object", "not": {"required": ["scheme" if name == "init" else "type"]}, "description": "In part."}


def _renamed(part: Any, name: str) -> Any:
    """A schema whose references point to the definitions of a section."""
    if isinstance(part, list):
        return [_renamed(item, name) for item in part]
    if not isinstance(part, dict):
        return part
    return {
        key: f"#/$defs/{name}.{item.rpartition('/')[2]}" if key == "$ref" else _renamed(item, name)
        for key, item in part.items()
    }


def _typed(name: str, schema: Schema) -> Schema:
    schema["properties"] = {
        "type": {"const": name},
        **{key: it for key, it in schema["properties"].items() if key != "type"},
    }
    return schema


def _file(title: str, schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    for kind in definitions.values():
        kind["properties"] |= {"defaults": DEFAULTS}
    if "properties" in schema and "additionalProperties" in schema:
        schema["properties"] |= {"defaults": DEFAULTS}
    return {"$schema": DIALECT, "title": title, **schema} | ({"$defs": dict(definitions)} if definitions else {})


def _names(description: str) -> Schema:
    return {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}], "description": description}


def _arguments(target: Callable[..., Any], names: Any) -> Schema:
    """The arguments of a callable, by its annotations."""
    types = argument_types(target)
    parameters = inspect.signature(target).parameters
    fields: Schema = {}
    for name in [name for name in parameters if name in names]:
        default = parameters[name].default
        field = or_template(_of_type(types.get(name, Any)))
        plain = isinstance(default, bool | int | float | str | type(None))
        fields[name] = field | ({"default": default} if plain and default is not inspect.Parameter.empty else {})
    return fields


def _of_type(hint: Any) -> Schema:
    """The schema of an annotation; of a union, the options that JSON can hold."""
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True)).json_schema()
    except (PydanticInvalidForJsonSchema, PydanticSchemaGenerationError):
        options = [found for option in get_args(hint) if (found := _of_type(option))]
        return {"anyOf": options} if options else {}


def schema(kind: str) -> Schema:
    """The JSON Schema of one kind of file.

    Args:
        kind: The group of the file, such as `model` or `data`; `config` for a primary config or an experiment.

    Raises:
        KeyError: there is no schema of that kind.

    >>> schema("callbacks")["properties"]["ema"]["anyOf"][0]["properties"]["decay"]["default"]
    0.999
    """
    return KINDS[kind]()


KINDS: Mapping[str, Callable[[], Schema]] = MappingProxyType(
    {
        **OF_LANGUAGE,
        "data": _data,
        "optimizer": _optimizer,
        "scheduler": _scheduler,
        "trainer": _trainer,
        "callbacks": lambda: _named("Callbacks", CALLBACKS),
        "logger": lambda: _named("Loggers", LOGGERS),
        "hydra": lambda: _file("Hydra's settings", _hydra(), {}),
        "config": _config,
    }
)
"""What there are schemas of."""
