"""packed: a module that holds a linear layer → the matrices that lie side by side in its output.

Of classes that are not registered, their own code says it: what `forward` makes of the layer's output (`chunk(3)`, a
split into sizes, a reshape with 3 before the heads). Where only a name says that
matrices are packed, their number is a guess.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from torch import nn

_THIRDS = ("qkv", "qkv_proj", "Wqkv", "wqkv", "W_pack", "to_qkv", "query_key_value", "qkv_linear", "c_attn")
_HALVES = ("to_kv", "Wkv", "wkv", "gate_up_proj", "gate_up", "w12")
_GUESSES: Mapping[str, int] = MappingProxyType({**dict.fromkeys(_THIRDS, 3), **dict.fromkeys(_HALVES, 2)})
_NAMES = MappingProxyType({3: ("q", "k", "v")})
_KEEP_SHAPE = frozenset({"contiguous", "float", "to", "type", "half", "bfloat16", "clone"})
_RESHAPES = frozenset({"reshape", "view", "unflatten"})
_OURS = frozenset({"torch", "modelforge"})


@dataclass(frozen=True, slots=True)
class Packing:
    """The rows of each matrix in the output of a linear layer, one after the other."""

    sizes: tuple[int, ...]
    names: tuple[str, ...]
    repeats: int = 1
    """How often this comes one below the other: heads that each have rows of all."""


def packings(module: nn.Module) -> dict[str, Packing | int]:
    """For the linear layers that a module holds: how they are packed, or in how many parts by the guess of a name."""
    if type(module).__module__.partition(".")[0] in _OURS:
        return {}
    found: dict[str, Packing | int] = {}
    for name, child in module._modules.items():
        rows = _num_outputs(child)
        if rows is None:
            continue
        known = {packing for use in _uses(type(module), name) if (packing := _read(use, module, rows)) is not None}
        if len(known) == 1:
            found[name] = known.pop()
        elif name in _GUESSES and rows % _GUESSES[name] == 0:
            found[name] = _GUESSES[name]
    return found


def _num_outputs(child: nn.Module | None) -> int | None:
    if isinstance(child, nn.Linear):
        return child.out_features
    # A linear layer of transformers', stored inputs first.
    if child is not None and type(child).__name__ == "Conv1D" and not isinstance(child, nn.modules.conv._ConvNd):
        return getattr(child, "nf", None)
    return None


def _read(use: ast.Call, module: nn.Module, rows: int) -> Packing | None:
    method, arguments = _method(use), use.args
    if method == "chunk" and arguments:
        parts = _value(arguments[0], module)
        return _equal(parts, rows) if parts and _is_last(use, 1) else None
    if method == "split" and arguments:
        first = arguments[0]
        if isinstance(first, ast.List | ast.Tuple):
            sizes = tuple(_value(item, module) or 0 for item in first.elts)
            return _packing(sizes) if sum(sizes) == rows and min(sizes) > 0 else None
        size = _value(first, module)
        return _equal(rows // size, rows) if size and rows % size == 0 and rows > size else None
    if method in _RESHAPES:
        return _read_shape(_shape(arguments), module, rows)
    return None


def _read_shape(shape: list[ast.expr], module: nn.Module, rows: int) -> Packing | None:
    """(…, 3, heads, size): equal parts. (…, heads, 3, size): such parts for each head."""
    for index, item in enumerate(shape[:-1]):
        parts = item.value if isinstance(item, ast.Constant) else None
        if not isinstance(parts, int) or not 2 <= parts <= 8 or isinstance(parts, bool):
            continue
        before = _value(shape[index - 1], module) if index else None
        if before is None or before < 2:
            return _equal(parts, rows)
        if rows % (before * parts):
            return None
        size = rows // (before * parts)
        return Packing((size,) * parts, _names(parts), before)
    return None


def _packing(sizes: tuple[int, ...]) -> Packing | None:
    return Packing(sizes, _names(len(sizes))) if 2 <= len(sizes) <= 8 else None


def _equal(parts: int, rows: int) -> Packing | None:
    return _packing((rows // parts,) * parts) if 2 <= parts <= 8 and rows % parts == 0 else None


def _names(parts: int) -> tuple[str, ...]:
    return _NAMES.get(parts) or tuple(map(str, range(parts)))


def _is_last(use: ast.Call, position: int) -> bool:
    """Whether the dimension that is cut is named, and is not the batch's."""
    given = [keyword.value for keyword in use.keywords if keyword.arg == "dim"] or use.args[position : position + 1]
    try:
        return bool(given) and ast.literal_eval(given[0]) != 0
    except ValueError:
        return False


def _shape(arguments: list[ast.expr]) -> list[ast.expr]:
    return [item for part in arguments for item in (part.elts if isinstance(part, ast.Tuple | ast.List) else [part])]


def _value(node: ast.expr, module: nn.Module) -> int | None:
    """A whole number in code: a constant, an attribute of the module, or plain arithmetic with these."""
    if isinstance(node, ast.Constant):
        return node.value if type(node.value) is int else None
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        value: Any = getattr(module, node.attr, None)
        return value if type(value) is int else None
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left, module), _value(node.right, module)
        if left is not None and right is not None:
            match node.op:
                case ast.Add():
                    return left + right
                case ast.Sub():
                    return left - right
                case ast.Mult():
                    return left * right
                case ast.FloorDiv() if right:
                    return left // right
                case _:
                    pass
    return None


# --- code -------------------------------------------------------------------------------------------------------------


def _uses(cls: type[nn.Module], name: str) -> tuple[ast.Call, ...]:
    return _all_uses(cls).get(name, ())


@lru_cache(maxsize=512)
def _all_uses(cls: type[nn.Module]) -> Mapping[str, tuple[ast.Call, ...]]:
    """For the names of children: what is first done with what they make, as calls that change its shape."""
    found: dict[str, list[ast.Call]] = {}
    for function in _functions(cls):
        made: dict[str, str] = {}
        for node in _in_order(function):
            if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
                child = _child(node.value, made)
                if child is not None:
                    made[node.targets[0].id] = child
                else:
                    made.pop(node.targets[0].id, None)
            if isinstance(node, ast.Call) and (receiver := _receiver(node)) is not None:
                child = _child(receiver, made)
                if child is not None:
                    found.setdefault(child, []).append(node)
    return {name: tuple(calls) for name, calls in found.items()}


def _functions(cls: type[nn.Module]) -> Iterator[ast.FunctionDef]:
    for owner in cls.__mro__:
        if owner in (nn.Module, object):
            return
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
        except (OSError, TypeError, SyntaxError):
            continue
        body = next((node.body for node in tree.body if isinstance(node, ast.ClassDef)), [])
        own = [node for node in body if isinstance(node, ast.FunctionDef)]
        yield from (node for node in own if node.name == "forward")
        if any(node.name == "forward" for node in own):
            return


def _in_order(function: ast.FunctionDef) -> Iterator[ast.AST]:
    """Nodes statement by statement; in a statement what is called before what it is assigned to."""
    pending: list[ast.stmt] = list(function.body)
    while pending:
        statement = pending.pop(0)
        inner = [
            item
            for field in ("body", "orelse", "finalbody")
            for item in getattr(statement, field, [])
            if isinstance(item, ast.stmt)
        ]
        if inner:
            pending = inner + pending
            continue
        yield from (node for node in ast.walk(statement) if isinstance(node, ast.Call))
        yield statement


def _receiver(call: ast.Call) -> ast.expr | None:
    """What a call that changes shapes is applied to, be it a method or torch's function."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in {"chunk", "split", *_RESHAPES}:
        return None
    if isinstance(call.func.value, ast.Name) and call.func.value.id == "torch":
        return None
    return call.func.value


def _method(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else ""


def _child(node: ast.expr, made: Mapping[str, str]) -> str | None:
    """The child whose output an expression is, up to what keeps its shape."""
    while isinstance(node, ast.Call):
        function = node.func
        if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "self":
            return function.attr
        if not (isinstance(function, ast.Attribute) and function.attr in _KEEP_SHAPE):
            return None
        node = function.value
    return made.get(node.id) if isinstance(node, ast.Name) else None
