"""One module a family of schemes, each with its `CASES`: what the contract of `test_schemes.py` is tried on."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from tests.inits.case import Case


def _collect() -> list[Case]:
    modules = [import_module(f"{__name__}.{module.name}") for module in pkgutil.iter_modules(__path__)]
    return [case for module in modules for case in module.CASES]


CASES = _collect()
