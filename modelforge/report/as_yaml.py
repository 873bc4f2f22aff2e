"""as_yaml: plain data → YAML as one would write it: a layer a line, containers in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml


def as_yaml(value: Mapping[str, Any]) -> str:
    """The mapping as YAML: one that holds no other in a line, and others in blocks.

    >>> print(as_yaml({"layers": {"head": {"type": "Linear", "out_features": 2}}}), end="")
    layers:
      head: {type: Linear, out_features: 2}
    """
    return yaml.dump(_styled(value), Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


class _InLine(dict[str, Any]):
    """A mapping in one line."""


class _List(list[Any]):
    """A list in one line."""


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


_MAP, _SEQ, _STR = (f"tag:yaml.org,2002:{kind}" for kind in ("map", "seq", "str"))
_Dumper.add_representer(_InLine, lambda to, data: to.represent_mapping(_MAP, data.items(), flow_style=True))
_Dumper.add_representer(dict, lambda to, data: to.represent_mapping(_MAP, data.items(), flow_style=False))
_Dumper.add_representer(_List, lambda to, data: to.represent_sequence(_SEQ, data, flow_style=True))
_Dumper.add_representer(str, lambda to, data: to.represent_scalar(_STR, data, style='"' if data.isdigit() else None))


def _styled(value: Any) -> Any:
    if isinstance(value, Mapping):
        styled = {str(key): _styled(item) for key, item in value.items()}
        deep = any(isinstance(item, Mapping) for item in value.values())
        return styled if deep else _InLine(styled)
    return _List(_styled(item) for item in value) if isinstance(value, tuple | list) else value
