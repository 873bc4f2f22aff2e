"""calc: a line of arithmetic over named numbers → a number. It can name, add and compare sizes, and nothing else."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from modelforge.core.errors import Refusal
from modelforge.core.limits import MAX_EXPRESSION, MAX_RESULT, MAX_ROUNDED
from modelforge.core.quoting import quoted
from modelforge.core.suggestions import did_you_mean

_OPERATORS: Mapping[type[ast.AST], Callable[..., Any]] = MappingProxyType(
    {
        ast.Add: operator.add,
        ast.Sub: operator.sub,
        ast.Mult: operator.mul,
        ast.Div: operator.truediv,
        ast.FloorDiv: operator.floordiv,
        ast.Mod: operator.mod,
        ast.Pow: operator.pow,
        ast.USub: operator.neg,
        ast.UAdd: operator.pos,
    }
)
_FUNCTIONS: Mapping[str, Callable[..., Any]] = MappingProxyType({"min": min, "max": max, "round": round})
_WHAT_IT_KNOWS = "allowed: numbers, arguments, + - * / // % **, min, max and round"


def calculate(expression: str, names: Mapping[str, Any]) -> int | float:
    """The value of an expression.

    Args:
        expression: Numbers, names, `+ - * / // % **`, parentheses, `min`, `max`, `round`.
        names: What the names stand for.

    Raises:
        Refusal: it is no such expression, names something else, or fails.

    >>> calculate("round(4 * width / 3)", {"width": 64})
    85
    """
    if len(expression) > MAX_EXPRESSION:
        raise Refusal(f"an expression may have {MAX_EXPRESSION} characters, and this has {len(expression)}")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Refusal(f"`{expression}` is not arithmetic", _WHAT_IT_KNOWS) from None
    try:
        return _checked(_value(tree.body, names))
    except ZeroDivisionError:
        raise Refusal(f"`{expression}` divides by zero") from None
    except (OverflowError, RecursionError):
        raise Refusal(f"`{expression}` is too large") from None


def names_in(expression: str) -> frozenset[str]:
    """The names in an expression; none, if it is not an expression."""
    if len(expression) > MAX_EXPRESSION:
        return frozenset()
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    return frozenset(node.id for node in ast.walk(tree) if isinstance(node, ast.Name))


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    match node:
        case ast.Constant(value=bool() | str() | bytes() | None):
            raise Refusal(f"`{ast.unparse(node)}` is not a number", _WHAT_IT_KNOWS)
        case ast.Constant(value=int() | float() as number):
            return _checked(number)
        case ast.Name(id=name):
            return _named(name, names)
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(operand, names))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            first, second = _value(left, names), _value(right, names)
            if isinstance(op, ast.Pow):
                _check_power(first, second)
            return _checked(_OPERATORS[type(op)](first, second))
        case ast.Call(func=ast.Name(id=name), args=[*arguments], keywords=[]) if name in _FUNCTIONS:
            return _call(name, [_value(argument, names) for argument in arguments])
        case _:
            raise Refusal(f"`{ast.unparse(node)}` cannot be calculated", _WHAT_IT_KNOWS)


def _named(name: str, names: Mapping[str, Any]) -> Any:
    if name not in names:
        raise Refusal(f"there is no argument `{name}` here", did_you_mean(name, names))
    value = names[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Refusal(f"`{name}` must be a number to calculate with, but is {quoted(value)}")
    return value


def _call(name: str, arguments: list[Any]) -> Any:
    least, most = (1, 2) if name == "round" else (2, 100)
    digits = arguments[1] if name == "round" and len(arguments) == 2 else 0
    if not least <= len(arguments) <= most or not isinstance(digits, int) or abs(digits) > MAX_ROUNDED:
        raise Refusal(f"`{name}` takes {'a number, and digits' if name == 'round' else 'two numbers or more'}")
    return _FUNCTIONS[name](*arguments)


def _check_power(base: Any, exponent: Any) -> None:
    """Before it is computed: a power of whole numbers can take for ever."""
    if abs(exponent) > 64 or (isinstance(exponent, float) and base < 0):
        raise Refusal(f"{base} to the power of {exponent} is not a size")


def _checked(number: Any) -> Any:
    if isinstance(number, complex) or number != number or abs(number) > MAX_RESULT:
        raise Refusal("the result is too large")
    return number
