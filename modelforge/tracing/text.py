"""text: a config → YAML as one would write it: a layer a line, containers in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


class ModelConfig(dict[str, Any]):
    """The model section of a config, as `mf.parse` reads it; its text is YAML, as in a file of `conf/model`."""

    def to_dict(self) -> dict[str, Any]:
        """A plain dict."""
        return dict(self)

    def __str__(self) -> str:
        return yaml.dump(_styled(self), Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


class _InLine(dict[str, Any]):
    """A mapping in one line."""


class _List(list[Any]):
    """A list in one line."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _in_line(dumper: yaml.SafeDumper, data: _InLine) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=True)


def _list(dumper: yaml.SafeDumper, data: _List) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", data, flow_style=True)


def _block(dumper: yaml.SafeDumper, data: dict[str, Any]) -> yaml.Node:
    return dumper.represent_mapping("tag:yaml.org,2002:map", data.items(), flow_style=False)


def _text(dumper: yaml.SafeDumper, data: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", data, style='"' if data.isdigit() else None)


_Dumper.add_representer(_InLine, _in_line)
_Dumper.add_representer(str, _text)
_Dumper.add_representer(_List, _list)
_Dumper.add_representer(dict, _block)


def _styled(value: Any) -> Any:
    if isinstance(value, Mapping):
        styled = {str(key): _styled(item) for key, item in value.items()}
        deep = any(isinstance(item, Mapping) for item in value.values())
        return styled if deep else _InLine(styled)
    return _List(_styled(item) for item in value) if isinstance(value, tuple | list) else value
