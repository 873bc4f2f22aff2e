"""cuts: the code of `forward` → what it cuts out of the last dimension of what its children make.

Only what holds whatever the input is certain. A cut of dimension 2, say, is doubtful until the code tells that there
are three dimensions; a name that is assigned again no longer stands for what a child made.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

_KEEP_SHAPE = frozenset({"contiguous", "float", "to", "type", "half", "bfloat16", "clone"})
_RESHAPES = frozenset({"reshape", "view", "unflatten"})
_TAKES_A_TENSOR = frozenset({"chunk", "split", "unbind", "permute", "transpose", "reshape"})


@dataclass(slots=True)
class Cut:
    """Parts of what a child makes, side by side in its last dimension."""

    child: str
    method: str
    """`chunk`, `split`, or `reshape` where a dimension of the new shape is taken apart."""
    arguments: list[ast.expr]
    """Those of the method: the number of parts, a size or the sizes, or the new shape."""
    axis: int = -1
    """Of a new shape: where in it the parts lie."""
    certain: bool = True
    names: tuple[str, ...] = ()
    """What the code calls the parts, where it says."""


@dataclass(slots=True)
class _Made:
    """What a child made, its last dimension whole."""

    child: str
    ndim: int | None


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
        for part in _parts(node):
            if isinstance(part, ast.stmt):
                self.statement(part)
            else:
                self._read(part)

    def _bind(self, target: ast.expr, source: ast.expr, value: _Value) -> None:
        if isinstance(target, ast.Name):
            self._values[target.id] = value
            if _is_length(source):
                self._lengths.add(target.id)
        elif isinstance(target, ast.Tuple | ast.List) and all(isinstance(item, ast.Name) for item in target.elts):
            names = tuple(item.id for item in target.elts if isinstance(item, ast.Name))
            if isinstance(value, _Shaped) and value.is_first:
                value = self._taken_apart(value)
            if isinstance(value, Cut):
                value.names = names
            if (whole := _shape_of(source)) is not None:
                self._ndims[whole] = len(names)
                self._lengths.update(names[:-1])
                if isinstance(made := self._values.get(whole), _Made):
                    made.ndim = len(names)

    def _forget(self, name: str) -> None:
        self._values.pop(name, None)
        self._ndims.pop(name, None)
        self._lengths.discard(name)

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
            read = arguments[0] if arguments else None
            value = _Made(function.attr, self._ndims.get(read.id) if isinstance(read, ast.Name) else None)
        elif isinstance(function.value, ast.Name) and function.value.id == "torch":
            if not (function.attr in _TAKES_A_TENSOR and arguments):
                value = None
            else:
                value = self._method(self._read(arguments.pop(0)), function.attr, arguments, keywords)
        else:
            value = self._method(self._read(function.value), function.attr, arguments, keywords)
        for argument in (*arguments, *(item.value for item in call.keywords)):
            self._read(argument)
        return value

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
        axis = _whole_number(keywords.get("dim") or (arguments[1] if len(arguments) > 1 else None))
        last = axis == -1 or (made.ndim is not None and axis == made.ndim - 1)
        # Dimension 0, which is the default, is the batch.
        if len(first) != 1 or axis is None or not (last or (axis > 0 and made.ndim is None)):
            return None
        cut = Cut(made.child, method, first, certain=last)
        self.found.append(cut)
        return cut

    def _reshaped(
        self, made: _Made, method: str, arguments: list[ast.expr], keywords: dict[str, ast.expr]
    ) -> _Shaped | None:
        if method == "unflatten":
            arguments = [*arguments, *keywords.values()]
            if len(arguments) != 2 or _whole_number(arguments[0]) != -1:
                return None
            shape, ndim = _flat(arguments[1:]), None
        else:
            shape = _flat(arguments or list(keywords.values()))
            ndim = None if any(isinstance(item, ast.Starred) for item in shape) else len(shape)
        for index, item in enumerate(shape[:-1]):
            parts = _whole_number(item)
            if parts in (2, 3) and not any(_names_in(inner) & self._lengths for inner in shape[index:]):
                axis = index - len(shape)
                cut = Cut(made.child, "reshape", shape, axis, certain=self._is_outer(shape[:index], method))
                return _Shaped(cut, parts, axis, ndim)
        return None

    def _is_outer(self, before: list[ast.expr], method: str) -> bool:
        """Whether what is before the parts in a new shape is certainly none of the last dimension."""
        if not before:
            return method == "unflatten"
        last = before[-1].value if isinstance(before[-1], ast.Starred) else before[-1]
        return _is_length(last) or (bool(_names_in(last)) and _names_in(last) <= self._lengths)

    def _moved(self, value: _Shaped, method: str, arguments: list[ast.expr], keywords: dict[str, ast.expr]) -> _Value:
        numbers = [_whole_number(item) for item in _flat(arguments)]
        dim = _whole_number(keywords["dim"]) if "dim" in keywords else None
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
            part = _whole_number(item)
            if part is None and _is_all(item):
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


def _parts(statement: ast.stmt) -> Iterator[ast.AST]:
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


def _shape_of(node: ast.expr) -> str | None:
    """The name whose shape an expression is."""
    match node:
        case ast.Attribute(value=ast.Name(id=name), attr="shape"):
            return name
        case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr="size"), args=[], keywords=[]):
            return name
        case _:
            return None


def _is_length(node: ast.expr) -> bool:
    """Whether an expression is the length of a dimension that is not the last (`x.shape[0]`), or all those
    (`x.shape[:-1]`)."""
    match node:
        case ast.Subscript(value=ast.Attribute(attr="shape"), slice=ast.Slice(lower=None, upper=upper, step=None)):
            return _whole_number(upper) == -1
        case ast.Subscript(value=ast.Attribute(attr="shape"), slice=index):
            return _whole_number(index) not in (None, -1)
        case ast.Call(func=ast.Attribute(attr="size"), args=[index], keywords=[]):
            return _whole_number(index) not in (None, -1)
        case _:
            return False


def _names_in(node: ast.AST) -> set[str]:
    return {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}


def _flat(arguments: list[ast.expr]) -> list[ast.expr]:
    return [item for part in arguments for item in (part.elts if isinstance(part, ast.Tuple | ast.List) else [part])]


def _whole_number(node: ast.expr | None) -> int | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _whole_number(node.operand)
        return None if number is None else -number
    return node.value if isinstance(node, ast.Constant) and type(node.value) is int else None


def _is_all(node: ast.expr) -> bool:
    """Whether an index takes all of a dimension, or is `...`."""
    if isinstance(node, ast.Slice):
        return node.lower is None and node.upper is None and node.step is None
    return isinstance(node, ast.Constant) and node.value is ...
