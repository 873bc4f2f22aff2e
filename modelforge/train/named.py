"""A section that names things of one kind, each with its settings: `callbacks` and `logger`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from modelforge.core.complaints import relocated, wrong
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.quoting import quoted, shortened
from modelforge.core.registry import Registry

Settings = TypeVar("Settings", bound=Node)


def parse_named(section: Any, registry: Registry[type[Settings]]) -> FrozenDict[str, Settings]:
    """What a section switches on. An entry is settings, `true` for its defaults, or `null` or `false` for none.

    Raises:
        ValidationError: all that is wrong with it.
    """
    if section is None:
        return FrozenDict()
    if not isinstance(section, Mapping):
        raise wrong("MF051", f"must be a mapping, but is {quoted(section)}")
    found: dict[str, Settings] = {}
    errors: list[InitErrorDetails] = []
    for name, settings in section.items():
        if settings is None or settings is False:
            continue
        try:
            found[name] = registry.get(name).model_validate({} if settings is True else settings)
        except KeyError:
            errors.append(_unknown(name, registry))
        except ValidationError as error:
            errors += [relocated(detail, (name, *detail["loc"])) for detail in error.errors(include_url=False)]
    if errors:
        raise ValidationError.from_exception_data("config", errors)
    return FrozenDict(found)


def _unknown(name: str, registry: Registry[Any]) -> InitErrorDetails:
    message = f"unknown {registry.kind.removeprefix('a ')} `{shortened(str(name))}`"
    error = wrong("MF051", message, registry.suggest(str(name)), part="key")
    return InitErrorDetails(type=error, loc=(name,), input=None)
