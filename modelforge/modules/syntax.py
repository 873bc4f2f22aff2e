"""syntax: what pieces of Python's code say, before anything runs."""

from __future__ import annotations

import ast
from collections.abc import Iterator


def in_order(statement: ast.stmt) -> Iterator[ast.AST]:
    """What a statement holds, in the order in which it runs: what is assigned or gone through before the target."""
    parts = list(ast.iter_child_nodes(statement))
    if isinstance(statement, ast.AnnAssign | ast.AugAssign | ast.For | ast.AsyncFor):
        last = len(parts) if isinstance(statement, ast.AnnAssign | ast.AugAssign) else 1
        parts.insert(last, parts.pop(0))
    for part in parts:
        if isinstance(part, ast.ExceptHandler | ast.match_case | ast.withitem):
            yield from ast.iter_child_nodes(part)
        else:
            yield part


def last_name(node: ast.expr) -> str | None:
    """`F` of `F`, `functional` of `nn.functional`."""
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else None


def shape_of(node: ast.expr) -> str | None:
    """The name whose shape an expression is."""
    match node:
        case ast.Attribute(value=ast.Name(id=name), attr="shape"):
            return name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="size"), args=[], keywords=[]):
            return name
        case _:
            return None


def is_length(node: ast.expr) -> bool:
    """Whether an expression is the length of a dimension that is not the last (`x.shape[0]`), or all those
    (`x.shape[:-1]`)."""
    match node:
        case ast.Subscript(value=ast.Attribute(attr="shape"), slice=ast.Slice(lower=None, upper=upper, step=None)):
            return whole_number(upper) == -1
        case ast.Subscript(value=ast.Attribute(attr="shape"), slice=index):
            return whole_number(index) not in (None, -1)
        case ast.Call(func=ast.Attribute(attr="size"), args=[index], keywords=[]):
            return whole_number(index) not in (None, -1)
        case _:
            return False


def names_in(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def flat(arguments: list[ast.expr]) -> list[ast.expr]:
    return [item for part in arguments for item in (part.elts if isinstance(part, ast.Tuple | ast.List) else [part])]


def whole_number(node: ast.expr | None) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = whole_number(node.operand)
        return None if number is None else -number
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def is_all(node: ast.expr) -> bool:
    """Whether an index takes all of a dimension, or is `...`."""
    if isinstance(node, ast.Slice):
        return node.lower is None and node.upper is None and node.step is None
    return isinstance(node, ast.Constant) and node.value is ...
