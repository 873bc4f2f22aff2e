"""The signature of `lightning.Trainer`, read from its source: importing it takes seconds, and a check needs no more."""

from __future__ import annotations

import ast
import builtins
import typing
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

TRAINER = "lightning.pytorch.trainer.trainer"


@cache
def trainer_signature() -> Callable[..., None]:
    """A function with the arguments and types of `lightning.Trainer`; a class of another package is any of its own.

    Raises:
        ModuleNotFoundError: Lightning is not installed.
    """
    found = find_spec("lightning")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("No module named 'lightning'", name="lightning")
    names = _Names(TRAINER, Path(found.origin).parents[1])
    trainer = next(node for node in names.body if isinstance(node, ast.ClassDef) and node.name == "Trainer")
    init = next(node for node in trainer.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    arguments = ast.arguments([], init.args.args[1:], None, init.args.kwonlyargs, init.args.kw_defaults, None, [])
    arguments.defaults = init.args.defaults
    stub = ast.FunctionDef(name="Trainer", args=arguments, body=[ast.Pass()], decorator_list=[])
    # `annotations` of this file's `__future__` holds there too: they stay text.
    scope: dict[str, Any] = {}
    exec(compile(ast.fix_missing_locations(ast.Module([stub], [])), TRAINER, "exec"), scope)
    function = scope["Trainer"]
    function.__annotations__ = {name: names.value(text) for name, text in function.__annotations__.items()}
    return function


class _Names(dict[str, Any]):
    """The names of one module, each worked out when it is asked for: assigned there, or imported from Lightning."""

    def __init__(self, module: str, root: Path) -> None:
        super().__init__({name: getattr(typing, name) for name in typing.__all__} | {"timedelta": timedelta})
        self.root = root
        path = root / module.replace(".", "/")
        file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
        self.body = ast.parse(file.read_text(encoding="utf-8")).body

    def value(self, text: str) -> Any:
        """What an expression of this module means."""
        return eval(text, {}, self)

    def __missing__(self, name: str) -> Any:
        if hasattr(builtins, name):
            raise KeyError(name)
        self[name] = self._find(name)
        return self[name]

    def _find(self, name: str) -> Any:
        for node in self.body:
            if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
                return self.value(ast.unparse(node.value))
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("lightning."):
                for alias in node.names:
                    if name in (alias.name, alias.asname):
                        return _Names(node.module or "", self.root)[alias.name]
        return type(name, (), {})
