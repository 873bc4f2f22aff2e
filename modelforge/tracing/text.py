"""text: the config that `from_module` writes, and its text."""

from __future__ import annotations

from typing import Any

from modelforge.core.quoting import printable
from modelforge.core.shown import Shown
from modelforge.report.as_yaml import as_yaml


class ModelConfig(Shown, dict[str, Any]):
    """The model section of a config, as `mf.parse` reads it; its text is YAML, as in a file of `conf/model`."""

    unproven: str = ""
    """Why it is not known whether its network gives the same outputs as the module; empty where it does."""

    def to_dict(self) -> dict[str, Any]:
        """A plain dict."""
        return dict(self)

    def __str__(self) -> str:
        first = f"# not proven: {printable(self.unproven)}\n" if self.unproven else ""
        return first + as_yaml(self)

    def __repr__(self) -> str:
        return dict.__repr__(self)
