"""`Condition`: `init != orthogonal or init.gain <= 1` → whether it holds of a config. It compares, and no more."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from modelforge.core.errors import Refusal
from modelforge.core.limits import MAX_CONDITION, MAX_RESULT
from modelforge.core.quoting import quoted
from modelforge.core.suggestions import did_you_mean

_COMPARISONS: Mapping[type[ast.cmpop], tuple[str, Callable[[Any, Any], Any]]] = MappingProxyType(
    {
        ast.Eq: ("==", operator.eq),
        ast.NotEq: ("!=", operator.ne),
        ast.Lt: ("<", operator.lt),
        ast.LtE: ("<=", operator.le),
        ast.Gt: (">", operator.gt),
        ast.GtE: (">=", operator.ge),
        ast.In: ("in", lambda one, many: one in many),
        ast.NotIn: ("not in", lambda one, many: one not in many),
    }
)
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.FloorDiv: operator.floordiv,
        ast.Mod: operator.mod,
    }
)
_CONSTANTS: Mapping[str, Any] = MappingProxyType({"true": True, "false": False, "null": None})
_WHAT_IT_KNOWS = "allowed: keys, numbers, texts, lists, < <= == != >= >, in, and, or, not, + - * / // %"


class Absent(Refusal):
    """A key that a condition names is not in this config: others may have it."""


@dataclass(frozen=True)
class Subject:
    """What a condition is about: a composed config."""

    values: Mapping[str, Any]
    choices: Mapping[str, str]
    """Group → chosen option: the name of a group alone stands for it."""


@dataclass(frozen=True)
class Condition:
    """A checked expression."""

    text: str
    tree: ast.expr

    @classmethod
    def read(cls, text: str) -> Condition:
        """Parses an expression.

        Raises:
            Refusal: it is none, or does what no condition may.

        Example:
            >>> condition = Condition.read("init != orthogonal or init.gain <= 1")
            >>> condition.holds(Subject({"init": {"gain": 2}}, {"init": "xavier_normal"}))
            True
        """
        if len(text) > MAX_CONDITION:
            raise Refusal(f"a condition may have {MAX_CONDITION} characters, and this has {len(text):,}")
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            hint = "`==` compares" if " = " in text else _WHAT_IT_KNOWS
            raise Refusal(f"`{text}` is not a condition", hint) from None
        for node in ast.walk(tree):
            _check(node)
        _check_parts(tree)
        return cls(text, tree)

    def holds(self, subject: Subject) -> bool:
        """Whether it is true of a config.

        Raises:
            Absent: a key is not there.
            Refusal: values cannot be compared.
        """
        try:
            return _is_true(self.tree, subject)
        except (TypeError, ValueError, OverflowError, RecursionError):
            raise Refusal("its values cannot be calculated with") from None

    def options(self) -> Iterator[tuple[str, str]]:
        """Each bare name with each text that it is compared with: a group and an option, if it is a group."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Compare):
                sides = [node.left, *node.comparators]
                for side in sides:
                    others = [text for other in sides if other is not side for text in _texts(other)]
                    yield from ((side.id, text) for text in others if isinstance(side, ast.Name))


def _check(node: ast.AST) -> None:
    match node:
        case ast.Constant(value=int() | float() | str() | bool() | None):
            return
        case ast.Compare(ops=ops) if all(type(op) in _COMPARISONS for op in ops):
            return
        case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
            return
        case ast.UnaryOp(op=ast.Not() | ast.USub() | ast.UAdd()) | ast.BoolOp() | ast.Name() | ast.Attribute():
            return
        case ast.List() | ast.Tuple() | ast.Load() | ast.boolop() | ast.operator() | ast.unaryop() | ast.cmpop():
            return
        case ast.Subscript(value=ast.Name() | ast.Attribute() | ast.Subscript(), slice=ast.Constant(value=int())):
            return
        case _:
            what = ast.unparse(node) if isinstance(node, ast.expr) else type(node).__name__
            raise Refusal(f"`{what}` may not stand in a condition", _WHAT_IT_KNOWS)


def _check_parts(node: ast.expr, parts: Sequence[ast.expr] = ()) -> None:
    """Refuses what is neither true nor false: what a condition consists of, by `and`, `or` and `not`.

    Args:
        node: One part, or the whole.
        parts: All that are joined by `or`.
    """
    match node:
        case ast.BoolOp(op=op, values=inner):
            for part in inner:
                _check_parts(part, inner if isinstance(op, ast.Or) else ())
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            _check_parts(operand)
        case ast.Compare() | ast.Name() | ast.Attribute() | ast.Subscript() | ast.Constant(value=bool()):
            return
        case _:
            raise Refusal(f"`{ast.unparse(node)}` compares nothing", _as_list(node, parts) or _WHAT_IT_KNOWS)


def _as_list(node: ast.expr, parts: Sequence[ast.expr]) -> str:
    """`init in (a, b)` for the part `b` of `init == a or b`; else empty."""
    for part in parts:
        match part:
            case ast.Compare(left=left, ops=[ast.Eq()], comparators=[right]):
                return f"`{ast.unparse(left)} in ({ast.unparse(right)}, {ast.unparse(node)})`"
            case _:
                continue
    return ""


def _is_true(node: ast.expr, subject: Subject, parts: Sequence[ast.expr] = ()) -> bool:
    """Whether a part of a condition holds; `parts` are all that are joined by `or`."""
    try:
        value = _value(node, subject)
    except Absent as absent:
        if isinstance(node, ast.Name) and (hint := _as_list(node, parts)):
            raise Absent(absent.reason, hint) from None
        raise
    if isinstance(value, bool):
        return value
    text, shown = ast.unparse(node), "null" if value is None else quoted(value)
    reason = f"`{text}` is {shown}, which is neither true nor false"
    raise Refusal(reason, _as_list(node, parts) or f"compare it, as in `{text} == {shown}`")


def _value(node: ast.expr, subject: Subject) -> Any:
    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return all(_is_true(part, subject) for part in parts)
        case ast.BoolOp(values=parts):
            return any(_is_true(part, subject, parts) for part in parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _is_true(operand, subject)
        case ast.UnaryOp(op=op, operand=operand):
            number = _number(_value(operand, subject))
            return -number if isinstance(op, ast.USub) else number
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _compared([left, *others], ops, subject)
        case ast.BinOp(left=left, op=op, right=right):
            first, second = _number(_value(left, subject)), _number(_value(right, subject))
            if second == 0 and not isinstance(op, ast.Add | ast.Sub | ast.Mult):
                raise Refusal(f"`{ast.unparse(node)}` divides by zero")
            return _calculated(op, first, second)
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_value(part, subject) for part in parts]
        case ast.Subscript(value=inner, slice=ast.Constant(value=int() as index)):
            return _item(node, _value(inner, subject), index)
        case ast.Constant(value=value):
            return value
        case _:
            return _named(_path(node), subject)


def _compared(sides: list[ast.expr], ops: Iterable[ast.cmpop], subject: Subject) -> bool:
    about = any(isinstance(side, ast.Name) and side.id in subject.choices for side in sides)
    values = [_with_texts(side, subject) if about else _value(side, subject) for side in sides]
    return all(_holds(op, first, second) for op, first, second in zip(ops, values, values[1:], strict=False))


def _holds(op: ast.cmpop, first: Any, second: Any) -> bool:
    sign, compare = _COMPARISONS[type(op)]
    try:
        return compare(first, second)
    except TypeError:
        raise Refusal(f"`{sign}` does not compare {quoted(first)} with {quoted(second)}") from None


def _with_texts(node: ast.expr, subject: Subject) -> Any:
    """The value beside the name of a group: a bare name that is not a group is the name of an option."""
    match node:
        case ast.Name(id=name) if name not in subject.choices and name.lower() not in _CONSTANTS:
            return name
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            return [_with_texts(part, subject) for part in parts]
        case _:
            return _value(node, subject)


def _texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str() as text) | ast.Name(id=text) if text.lower() not in _CONSTANTS:
            yield text
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                yield from _texts(part)
        case _:
            return


def _number(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(f"a condition calculates with numbers, and {quoted(value)} is none")
    return value


def _calculated(op: ast.operator, first: float, second: float) -> float:
    result = _ARITHMETIC[type(op)](first, second)
    if abs(result) > MAX_RESULT:
        raise Refusal("the result is too large")
    return result


def _item(node: ast.expr, values: Any, index: int) -> Any:
    if isinstance(values, list) and -len(values) <= index < len(values):
        return values[index]
    raise Absent(f"there is no `{ast.unparse(node)}`")


def _path(node: ast.expr) -> list[str]:
    if isinstance(node, ast.Attribute):
        return [*_path(node.value), node.attr]
    return [node.id] if isinstance(node, ast.Name) else [ast.unparse(node)]


def _named(path: list[str], subject: Subject) -> Any:
    name, *rest = path
    if not rest and name in subject.choices:
        return subject.choices[name]
    if not rest and name.lower() in _CONSTANTS:
        return _CONSTANTS[name.lower()]
    found: Any = subject.values
    for index, part in enumerate(path):
        if not isinstance(found, Mapping) or part not in found:
            known = found if isinstance(found, Mapping) else ()
            hint = did_you_mean(part, [*known, *(subject.choices if index == 0 else ())])
            key = ".".join(path)
            raise Absent(f"there is no key `{key}`", hint or f"a text stands in quotes: `'{key}'`")
        found = found[part]
    return found
