"""field_docs: a class → the string that stands under each of its fields, read from its source when it is asked for.

Pydantic reads such strings too (`use_attribute_docstrings`), but for every class as it is made, by a search through all
imported modules: that takes longer than all else that a command does.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from itertools import pairwise
from textwrap import dedent
from types import MappingProxyType

from pydantic import BaseModel


@cache
def field_docs(model: type[BaseModel]) -> Mapping[str, str]:
    """The documentation of each field that has some, inherited ones included; empty where there is no source."""
    found = {name: text for base in reversed(model.__mro__) for name, text in _own(base).items()}
    return MappingProxyType({name: found[name] for name in model.model_fields if name in found})


@cache
def _own(cls: type) -> Mapping[str, str]:
    if "__annotations__" not in vars(cls):
        return {}
    try:
        (tree,) = ast.parse(dedent(inspect.getsource(cls))).body
    except (OSError, TypeError, SyntaxError, ValueError):
        return {}  # made by code, or in a shell that keeps no source
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        field.target.id: inspect.cleandoc(text.value.value)
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }
