"""packed: a module that holds linear layers and convolutions → the matrices that lie side by side in their output.

Of classes that are not registered, their own code says it: how `forward` cuts the layer's output, or the sum of several
(`chunk(3, dim=-1)`, a split into sizes, a reshape with 3 before the heads that are then taken apart). Where it leaves a
doubt, or only a name says that matrices are packed, their number is a guess.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import Any

from torch import nn

from modelforge.language import registry
from modelforge.modules.cuts import Cut, cuts

_THIRDS = ("qkv", "qkv_proj", "Wqkv", "wqkv", "W_pack", "to_qkv", "query_key_value", "qkv_linear", "c_attn")
_HALVES = ("to_kv", "Wkv", "wkv", "gate_up_proj", "gate_up", "w12")
_GUESSES: Mapping[str, int] = MappingProxyType({**dict.fromkeys(_THIRDS, 3), **dict.fromkeys(_HALVES, 2)})
_QKV = ("q", "k", "v")
_MOST = 8
"""Parts that are matrices; more are heads, or something else."""
_OURS = frozenset({"torch", "modelforge"})


@dataclass(frozen=True, slots=True)
class Packing:
    """The rows of each matrix in the output of a layer, one after the other."""

    sizes: tuple[int, ...]
    names: tuple[str, ...]
    repeats: int = 1
    """How often this comes one below the other: heads that each have rows of all."""


def packings(module: nn.Module) -> dict[str, Packing | int]:
    """For the layers that a module holds: how they are packed, or in how many parts by the guess of a name."""
    if type(module).__module__.partition(".")[0] in _OURS:
        return {}
    found: dict[str, Packing | int] = {}
    for name, child in module._modules.items():
        rows = _num_outputs(child)
        if rows is None:
            continue
        read = [_read(cut, module, rows, child) for cut in _cuts(type(module)) if _makes(name, cut, module)]
        sure = [packing for packing in read if isinstance(packing, Packing)]
        doubtful = [packing for packing in read if isinstance(packing, int)]
        if sure and len({(packing.sizes, packing.repeats) for packing in sure}) == 1:
            found[name] = sure[0]
        elif sure or doubtful:
            found[name] = len(sure[0].sizes) if sure else doubtful[0]
        elif name in _GUESSES and rows % _GUESSES[name] == 0:
            found[name] = _GUESSES[name]
    return found


def _num_outputs(child: nn.Module | None) -> int | None:
    if isinstance(child, nn.Linear):
        return child.out_features
    if isinstance(child, nn.modules.conv._ConvNd):
        return None if child.transposed or child.groups > 1 else child.out_channels
    # A linear layer of transformers', stored inputs first.
    return getattr(child, "nf", None) if child is not None and type(child).__name__ == "Conv1D" else None


def _makes(name: str, cut: Cut, module: nn.Module) -> bool:
    """Whether a child makes what is cut, or a part of its sum: behind it are elementwise layers alone."""
    return any(
        name in chain and all(map(_is_elementwise, map(module._modules.get, chain[: chain.index(name)])))
        for chain in cut.chains
    )


def _is_elementwise(child: nn.Module | None) -> bool:
    if isinstance(child, nn.Identity | nn.modules.dropout._DropoutNd):
        return True
    known = None if child is None else registry.name_of(type(child))
    return known is not None and registry.get(known).kind == "activation"


def _read(cut: Cut, module: nn.Module, rows: int, child: nn.Module | None) -> Packing | int | None:
    """The packing; the number of parts where it is doubtful; None where it cannot be."""
    axes = child.weight.ndim - 2 if isinstance(child, nn.modules.conv._ConvNd) else 0
    is_cut = cut.in_last if not axes else cut.method == "reshape" or cut.dim in (1, -1 - axes)
    if is_cut is False:
        return None
    if cut.method == "reshape":
        return _read_shape(cut, module, rows, axes)
    first, packing, parts = cut.arguments[0], None, len(cut.names)
    value = None if isinstance(first, ast.List | ast.Tuple) else _value(first, module)
    if isinstance(first, ast.List | ast.Tuple):
        sizes = tuple(_value(item, module) or 0 for item in first.elts)
        packing = _packing(sizes, cut) if sum(sizes) == rows and min(sizes) > 0 else None
    elif value is None:  # the code takes so many parts, of sizes that only a run shows
        return parts if 2 <= parts <= _MOST and rows % parts == 0 else None
    elif cut.method == "chunk":
        packing = _equal(value, rows, cut) if value else None
    elif value > 0 and rows % value == 0:
        packing = _equal(rows // value, rows, cut)
    # That q, k and v have all rows together would be a coincidence in another dimension.
    named = cut.method == "split" and packing is not None and sorted(packing.names) == ["k", "q", "v"]
    is_sure = cut.certain and (bool(is_cut) or named)
    return packing if packing is None or is_sure else len(packing.sizes)


def _read_shape(cut: Cut, module: nn.Module, rows: int, axes: int) -> Packing | int | None:
    """(…, 3, heads, size): equal parts. (…, heads, 3, size): such parts for each head. Of a convolution with so many
    axes, (batch, 3, …): equal parts of its channels."""
    before, (first, *behind) = cut.arguments[: cut.axis], cut.arguments[cut.axis :]
    parts = _value(first, module)
    assert parts, "it is a number in the code"
    if rows % parts:
        return None
    size = rows // parts
    names = _names(parts, cut)
    if axes:
        return (Packing((size,) * parts, names) if cut.certain else parts) if len(before) == 1 else None
    # A 3 before the last dimension may be a number of heads as well.
    is_sure = len(behind) > 1 or sorted(names) == ["k", "q", "v"]
    lengths = [_value(item, module) for item in behind]
    if all(length is not None and length > 0 for length in lengths):
        each = prod(length for length in lengths if length is not None)
        if each == size:
            return Packing((each,) * parts, names) if is_sure else parts
        heads = (_value(before[-1], module) if before else None) or 0
        return Packing((each,) * parts, names, heads) if heads > 1 and heads * each == size else None
    return Packing((size,) * parts, names) if cut.certain and is_sure else parts


def _packing(sizes: tuple[int, ...], cut: Cut) -> Packing | None:
    return Packing(sizes, _names(len(sizes), cut)) if 2 <= len(sizes) <= _MOST else None


def _equal(parts: int, rows: int, cut: Cut) -> Packing | None:
    return _packing((rows // parts,) * parts, cut) if 2 <= parts <= _MOST and rows % parts == 0 else None


def _names(parts: int, cut: Cut) -> tuple[str, ...]:
    """q, k and v where the code calls its parts so (`query, key, value = …`), or where the layer's name does."""
    if parts == 3:
        letters = tuple(name.lstrip("_")[:1].lower() for name in cut.names)
        if sorted(letters) == ["k", "q", "v"]:
            return letters
        if not cut.names and any(name in _THIRDS for chain in cut.chains for name in chain):
            return _QKV
    return tuple(map(str, range(parts)))


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


@lru_cache(maxsize=512)
def _cuts(cls: type[nn.Module]) -> tuple[Cut, ...]:
    forward = _forward(cls)
    return () if forward is None else tuple(cuts(forward))


def _forward(cls: type[nn.Module]) -> ast.FunctionDef | None:
    """The code of a class's `forward`: its own, or that of the nearest class above it."""
    for owner in cls.__mro__:
        if owner in (nn.Module, object):
            return None
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
        except (OSError, TypeError, SyntaxError):
            continue
        body = next((node.body for node in tree.body if isinstance(node, ast.ClassDef)), [])
        for node in body:
            if isinstance(node, ast.FunctionDef) and node.name == "forward":
                return node
    return None
