"""A section that names things of one kind, each with its settings: `callbacks` and `logger`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any, ClassVar, TypeVar

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from modelforge.core.complaints import relocated, wrong
from modelforge.core.errors import Problem
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.quoting import quoted, shortened
from modelforge.core.registry import Registry
from modelforge.train.arguments import misuse


class Named(Node):
    """The settings of one entry of such a section."""

    packages: ClassVar[tuple[str, ...]] = ()
    """What must be installed besides modelforge, as it is imported."""
    extra: ClassVar[str] = ""
    """The extra of modelforge that installs these."""


Settings = TypeVar("Settings", bound=Named)


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


def missing_packages(section: str, entries: Mapping[str, Named]) -> Iterator[Problem]:
    """The problems of entries that need what is not installed."""
    for name, settings in entries.items():
        if missing := [package for package in settings.packages if find_spec(package) is None]:
            message = f"`{name}` needs the package `{missing[0]}`, which is not installed"
            hint = f"pip install 'modelforge[{settings.extra}]'" if settings.extra else f"install `{missing[0]}`"
            yield misuse(f"{section}.{name}", message, hint, part="key")


def _unknown(name: str, registry: Registry[Any]) -> InitErrorDetails:
    message = f"unknown {registry.kind.removeprefix('a ')} `{shortened(str(name))}`"
    error = wrong("MF051", message, registry.suggest(str(name)), part="key")
    return InitErrorDetails(type=error, loc=(name,), input=None)
