"""cuts: the code of `forward` → where it cuts what its children make, or sums of that, into parts.

Only what holds whatever the input is certain. Whether dimension 2, say, is the last is not known until the code tells
that there are three; a name that is assigned again no longer stands for what a child made.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace

from modelforge.modules.syntax import flat, in_order, is_all, is_length, last_name, names_in, shape_of, whole_number

_ELEMENTWISE = frozenset({"dropout", "relu", "gelu", "silu", "elu", "leaky_relu", "tanh", "sigmoid", "softplus"})
_KEEP_SHAPE = _ELEMENTWISE | {"contiguous", "float", "to", "type", "half", "bfloat16", "clone"}
_RESHAPES = frozenset({"reshape", "view", "unflatten"})
_TAKES_A_TENSOR = _ELEMENTWISE | {"chunk", "split", "unbind", "permute", "transpose", "reshape"}
_LIBRARIES = frozenset({"torch", "F", "functional"})
_MAX_CHAIN, _MAX_CHAINS = 4, 8
"""Modules one behind the other, and summands, that are followed."""

Chain = tuple[str, ...]
"""Names of children of which each reads what the next one makes; the first one makes what is cut."""


@dataclass(slots=True)
class Cut:
    """Parts of what children make, side by side in one dimension."""

    chains: tuple[Chain, ...]
    """What makes it: several where their sum is cut."""
    method: str
    """`chunk`, `split`, or `reshape` where a dimension of the new shape is taken apart."""
    arguments: list[ast.expr]
    """Those of the method: the number of parts, a size or the sizes, or the new shape."""
    axis: int = -1
    """Of a new shape: where in it the parts lie."""
    certain: bool = True
    dim: int = -1
    """Of a chunk or a split: the dimension."""
    in_last: bool | None = True
    """Whether it is the last; None where that is not known."""
    names: tuple[str, ...] = ()
    """What the code calls the parts, where it says."""


@dataclass(slots=True)
class _Made:
    """What a child made, or a sum of that, its last dimension whole."""

    chains: tuple[Chain, ...]
    ndim: int | None
    certain: bool = True
    """Whether it is that and nothing else."""


@dataclass(slots=True)
class _Shaped:
    """What a child made, its last dimension cut into several, of which one may be parts."""

    cut: Cut
    parts: int
    axis: int
    """Where the parts lie by now, from the end."""
    ndim: int | None
    seen: set[int] = field(default_factory=set)
    """The parts that were taken out one by one."""

    @property
    def is_first(self) -> bool:
        return self.ndim is not None and self.axis == -self.ndim

    def from_end(self, dimension: int | None) -> int | None:
        """A dimension counted from the end, if that is known."""
        if dimension is None or dimension < 0:
            return dimension
        return None if self.ndim is None else dimension - self.ndim


_Value = _Made | _Shaped | Cut | None


def cuts(forward: ast.FunctionDef) -> list[Cut]:
    """All cuts that a function makes, certain or not, in the order of its statements."""
    reader = _Reader()
    for statement in forward.body:
        reader.statement(statement)
    return reader.found


class _Reader:
    def __init__(self) -> None:
        self.found: list[Cut] = []
        self._values: dict[str, _Value] = {}
        self._ndims: dict[str, int] = {}
        self._lengths: set[str] = set()
        """Names of lengths of inputs that are not the last."""
        self._numbers: dict[str, ast.expr] = {}
        """Names of numbers that attributes and constants decide, each with what it is."""

    def statement(self, node: ast.stmt) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            self._forget(node.name)
            return
        if isinstance(node, ast.Assign):
            value = self._read(node.value)
            for target in node.targets:
                self._read(target)
                self._bind(target, node.value, value)
            return
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            name = ast.Name(node.target.id, ast.Load())
            value = self._read(ast.BinOp(name, node.op, node.value))
            self._forget(node.target.id)
            self._values[node.target.id] = value
            return
        for part in in_order(node):
            if isinstance(part, ast.stmt):
                self.statement(part)
            else:
                self._read(part)

    def _bind(self, target: ast.expr, source: ast.expr, value: _Value) -> None:
        if isinstance(target, ast.Name):
            number = self._known(source)
            self._values[target.id] = value
            if is_length(source):
                self._lengths.add(target.id)
            elif number is not None:
                self._numbers[target.id] = number
        elif isinstance(target, ast.Tuple | ast.List) and all(isinstance(item, ast.Name) for item in target.elts):
            names = tuple(item.id for item in target.elts if isinstance(item, ast.Name))
            if isinstance(value, _Shaped) and value.is_first:
                value = self._taken_apart(value)
            if isinstance(value, Cut):
                value.names = names
            if (whole := shape_of(source)) is not None:
                self._ndims[whole] = len(names)
                self._lengths.update(names[:-1])
                if isinstance(made := self._values.get(whole), _Made):
                    made.ndim = len(names)

    def _forget(self, name: str) -> None:
        self._values.pop(name, None)
        self._ndims.pop(name, None)
        self._numbers.pop(name, None)
        self._lengths.discard(name)

    def _known(self, node: ast.expr) -> ast.expr | None:
        """A number as attributes and constants have it, in place of names; None where something else decides it."""
        match node:
            case ast.Name(id=name):
                return self._numbers.get(name)
            case ast.Constant() | ast.Attribute(value=ast.Name(id="self")):
                return node
            case ast.BinOp(left=left, op=op, right=right):
                one, other = self._known(left), self._known(right)
                return None if one is None or other is None else ast.BinOp(one, op, other)
            case ast.Tuple(elts=items) | ast.List(elts=items):
                known = [self._known(item) for item in items]
                return ast.List([item for item in known if item is not None], ast.Load()) if all(known) else None
            case _:
                return None

    def _read(self, node: ast.AST) -> _Value:
        """What an expression is, and all cuts in it."""
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                return self._values.get(name)
            case ast.Name(id=name):
                self._forget(name)
            case ast.NamedExpr(target=target, value=source):
                value = self._read(source)
                self._forget(target.id)
                self._bind(target, source, value)
                return value
            case ast.Call():
                return self._call(node)
            case ast.BinOp(left=left, op=op, right=right):
                return self._combined(self._read(left), op, self._read(right), left, right)
            case ast.Subscript(value=source, slice=index):
                self._item(self._read(source), index)
                self._read(index)
            case ast.Lambda():
                pass
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                # Its names are its own.
                self._read(node.generators[0].iter)
            case _:
                for child in ast.iter_child_nodes(node):
                    self._read(child)
        return None

    def _call(self, call: ast.Call) -> _Value:
        function = call.func
        arguments, keywords = list(call.args), {item.arg: item.value for item in call.keywords if item.arg}
        if not isinstance(function, ast.Attribute):
            value = None
        elif isinstance(function.value, ast.Name) and function.value.id == "self":
            value = self._child(function.attr, arguments.pop(0) if arguments else None)
        elif (last_name(function.value) or "") in _LIBRARIES:
            if not (function.attr in _TAKES_A_TENSOR and arguments):
                value = None
            else:
                value = self._method(self._read(arguments.pop(0)), function.attr, arguments, keywords)
        else:
            value = self._method(self._read(function.value), function.attr, arguments, keywords)
        for argument in (*arguments, *(item.value for item in call.keywords)):
            self._read(argument)
        return value

    def _child(self, name: str, read: ast.expr | None) -> _Made:
        """What a child makes of an input."""
        value = None if read is None else self._read(read)
        ndim = self._ndims.get(read.id) if isinstance(read, ast.Name) else None
        if not isinstance(value, _Made):
            return _Made(((name,),), ndim)
        chains = tuple(dict.fromkeys((name, *chain)[:_MAX_CHAIN] for chain in value.chains))
        return _Made(chains, ndim, value.certain)

    def _combined(self, one: _Value, op: ast.operator, other: _Value, left: ast.expr, right: ast.expr) -> _Value:
        """A sum, whose parts are sums of parts; or what is multiplied by a number."""
        if not isinstance(one, _Made):
            one, other, right = other, one, left
        if not isinstance(one, _Made):
            return None
        if not isinstance(other, _Made):
            number = self._known(right) is not None
            if isinstance(op, ast.Add | ast.Sub):
                return replace(one, certain=one.certain and number)
            return one if isinstance(op, ast.Mult | ast.Div) and number else None
        chains = tuple(dict.fromkeys((*one.chains, *other.chains)))
        if not isinstance(op, ast.Add | ast.Sub) or len(chains) > _MAX_CHAINS:
            return None
        # A sum of something and of what is made of it is a stream, which may be read as a whole elsewhere.
        stream = any(a != b and a[-len(b) :] == b for a in chains for b in chains)
        ndim = other.ndim if one.ndim is None else one.ndim
        return _Made(chains, ndim, one.certain and other.certain and not stream)

    def _method(self, value: _Value, method: str, arguments: list[ast.expr], keywords: dict[str, ast.expr]) -> _Value:
        if method in _KEEP_SHAPE and isinstance(value, _Made | _Shaped):
            return value
        if isinstance(value, _Made):
            if method in ("chunk", "split"):
                return self._cut(value, method, arguments, keywords)
            return self._reshaped(value, method, arguments, keywords) if method in _RESHAPES else None
        if isinstance(value, _Shaped):
            return self._moved(value, method, arguments, keywords)
        return None

    def _cut(self, made: _Made, method: str, arguments: list[ast.expr], keywords: dict[str, ast.expr]) -> Cut | None:
        first = [*arguments[:1], *(keywords[name] for name in _FIRST if name in keywords)]
        dim = whole_number(keywords.get("dim") or (arguments[1] if len(arguments) > 1 else None))
        # Dimension 0, which is the default, is the batch.
        if len(first) != 1 or not dim:
            return None
        known = self._known(first[0])
        arguments = first if known is None else [known]
        in_last = True if dim in (-1, (made.ndim or 0) - 1) else None if made.ndim is None and dim > 0 else False
        cut = Cut(made.chains, method, arguments, certain=made.certain, dim=dim, in_last=in_last)
        self.found.append(cut)
        return cut

    def _reshaped(
        self, made: _Made, method: str, arguments: list[ast.expr], keywords: dict[str, ast.expr]
    ) -> _Shaped | None:
        if method == "unflatten":
            arguments = [*arguments, *keywords.values()]
            if len(arguments) != 2 or whole_number(arguments[0]) != -1:
                return None
            shape, ndim = flat(arguments[1:]), None
        else:
            shape = flat(arguments or list(keywords.values()))
            ndim = None if any(isinstance(item, ast.Starred) for item in shape) else len(shape)
        for index, item in enumerate(shape[:-1]):
            parts = whole_number(item)
            # With a length behind it, it is no part of the last dimension, but may be one of channels.
            in_last = not any(names_in(inner) & self._lengths for inner in shape[index:])
            if parts in (2, 3) and (in_last or index == 1):
                axis, new = index - len(shape), [self._known(one) or one for one in shape]
                certain = made.certain and self._is_outer(shape[:index], method)
                return _Shaped(Cut(made.chains, "reshape", new, axis, certain, in_last=in_last), parts, axis, ndim)
        return None

    def _is_outer(self, before: list[ast.expr], method: str) -> bool:
        """Whether what is before the parts in a new shape is certainly none of the last dimension."""
        if not before:
            return method == "unflatten"
        last = before[-1].value if isinstance(before[-1], ast.Starred) else before[-1]
        return is_length(last) or (bool(names_in(last)) and names_in(last) <= self._lengths)

    def _moved(self, value: _Shaped, method: str, arguments: list[ast.expr], keywords: dict[str, ast.expr]) -> _Value:
        numbers = [whole_number(item) for item in flat(arguments)]
        dim = whole_number(keywords["dim"]) if "dim" in keywords else None
        match method, numbers:
            case "permute", [_, *_] if None not in numbers:
                places = [number - len(numbers) if number >= 0 else number for number in numbers if number is not None]
                if value.axis not in places:
                    return None
                return replace(value, axis=places.index(value.axis) - len(places), ndim=len(places))
            case "transpose" | "swapaxes", [_, _]:
                one, other = map(value.from_end, numbers)
                if one is None or other is None:
                    return None
                return replace(value, axis={one: other, other: one}.get(value.axis, value.axis))
            case "reshape" | "view", [value.parts, *_] if value.is_first:
                return replace(value, axis=-len(numbers), ndim=len(numbers))
            case "unbind", _:
                default = numbers[0] if numbers else 0
            case "chunk" | "split", [each, *rest] if each == (value.parts if method == "chunk" else 1):
                default = rest[0] if len(rest) == 1 else 0
            case _:
                return None
        return self._taken_apart(value) if value.from_end(default if dim is None else dim) == value.axis else None

    def _item(self, value: _Value, index: ast.expr) -> None:
        """Notes which of the parts an index takes; with the last of them, all are apart."""
        if not isinstance(value, _Shaped):
            return
        items = index.elts if isinstance(index, ast.Tuple) else [index]
        for place, item in enumerate(items):
            part = whole_number(item)
            if part is None and is_all(item):
                continue
            before = items[:place]
            dots = any(isinstance(one, ast.Constant) and one.value is ... for one in before)
            axis = place - len(items) if dots else value.from_end(place)
            if part is not None and axis == value.axis and -value.parts <= part < value.parts:
                value.seen.add(part % value.parts)
                if len(value.seen) == value.parts:
                    self._taken_apart(value)
            return

    def _taken_apart(self, value: _Shaped) -> Cut:
        if value.cut not in self.found:
            self.found.append(value.cut)
        return value.cut


_FIRST = ("chunks", "split_size", "split_size_or_sections")
