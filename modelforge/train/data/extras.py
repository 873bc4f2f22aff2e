"""Packages that only some data needs: imported when it is read, and missed in words."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from modelforge.train.data.refusals import refusal


def extra(module: str, what: str) -> Any:
    """The module.

    Raises:
        ForgeError: it is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise refusal(
            "type", f"{what} needs `{package}`, which is not installed", "pip install 'modelforge[data]'"
        ) from None
