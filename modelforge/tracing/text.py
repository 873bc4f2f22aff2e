"""text: a config → YAML as one would write it: a layer a line, containers in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from modelforge.core.quoting import printable
from modelforge.core.shown import Shown


class ModelConfig(Shown, dict[str, Any]):
    """The model section of a config, as `mf.parse` reads it; its text is YAML, as in a file of `conf/model`."""

    unproven: str = ""
    """Why it is not known whether its network gives the same outputs as the module; empty where it does."""

    def to_dict(self) -> dict[str, Any]:
        """A plain dict."""
        return dict(self)

    def __str__(self) -> str:
        first = f"# not proven: {printable(self.unproven)}\n" if self.unproven else ""
        return first + yaml.dump(_styled(self), Dumper=_Dumper, sort_keys=False, width=10_000, allow_unicode=True)


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
