"""Numbers, places and values in words: the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from math import exp, floor, inf, log
from typing import Any

from modelforge.core.errors import Place
from modelforge.core.quoting import printable

MAX_LENGTH = 60
"""Characters of a value, or of an override, where it is one of several things on a line."""
MAX_SHOWN = 3
"""Entries of a long mapping that are shown where it is one thing of several."""


def number(value: float | None) -> str:
    """Four significant digits, or a dash for what is not known.

    >>> number(0.08838834764), number(0.0), number(None), number(1e-9)
    ('0.08839', '0', '-', '1e-09')
    """
    return "-" if value is None else f"{value:.4g}"


def digits(value: float) -> str:
    """A metric as lines and tables show it: five significant digits, however small it is; all before the point.

    >>> digits(0.9), digits(1.7109812), digits(0.00001234567), digits(0.0), digits(16754.3), digits(-123456.7)
    ('0.90000', '1.7110', '1.2346e-05', '0.0000', '16754', '-123457')
    """
    return f"{value:.0f}" if 1e4 <= abs(value) < 1e9 else f"{value:#.5g}"


def exponential(power: float) -> str:
    """e to a power in two significant digits, or three near 1, however large it is.

    >>> exponential(0.0), exponential(log(837)), exponential(2000 * log(2)), exponential(-2000 * log(2))
    ('1', '837', '1.1e+602', '8.7e-603')
    """
    decimal = power / log(10)
    if abs(decimal) < 3:
        return f"{exp(power):.3g}"
    if not 300 <= abs(decimal) < inf:
        return f"{exp(power):.2g}"
    whole = floor(decimal)
    return f"{10 ** (decimal - whole):.2g}e{whole:+d}"


def magnitude(value: int) -> str:
    """Three significant digits and a prefix.

    >>> magnitude(0), magnitude(950), magnitude(294912), magnitude(999_999), magnitude(1_234_567_890)
    ('0', '950', '295 k', '1.00 M', '1.23 G')
    """
    scaled, prefixes = float(value), ["", "k", "M", "G", "T", "P", "E"]
    while scaled >= 999.5 and len(prefixes) > 1:
        scaled /= 1000
        prefixes.pop(0)
    if value < 1000:
        return str(value)
    return f"{scaled:.{max(0, 3 - len(str(int(scaled + 0.005))))}f} {prefixes[0]}"


def a_class(value: object) -> str:
    """The class of a value with its article: for callers who give something else than is asked for.

    >>> a_class(3), a_class("x"), a_class(None)
    ('an int', 'a str', 'None')
    """
    name = type(value).__name__
    return "None" if value is None else f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def plural(count: int, noun: str) -> str:
    """
    >>> plural(1, "warning"), plural(1200, "warning"), plural(2, "copy"), plural(2, "class"), plural(2, "key")
    ('1 warning', '1,200 warnings', '2 copies', '2 classes', '2 keys')
    >>> plural(2, "batch"), plural(2, "epoch")
    ('2 batches', '2 epochs')
    """
    ies = noun.endswith("y") and noun[-2:-1] not in "aeou"
    many = f"{noun[:-1]}ies" if ies else f"{noun}es" if noun.endswith(("s", "tch")) else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"


def shape(sizes: tuple[int, ...]) -> str:
    """
    >>> shape((256, 64)), shape((10,)), shape(())
    ('256×64', '10', 'scalar')
    """
    return "×".join(map(str, sizes)) or "scalar"


def stored(sizes: tuple[int, ...], transposed: tuple[int, int] | None) -> str:
    """A parameter's shape as it is stored, and whether outputs come first there.

    >>> stored((64, 256), None), stored((64, 256), (0, 1))
    ('64×256', '64×256 (transposed)')
    >>> stored((8, 64, 256), (1, 2))
    '8×64×256 (transposed)'
    """
    return shape(sizes) + (" (transposed)" if transposed else "")


def value(value: Any) -> str:
    """A value as YAML would have it, on one line.

    >>> value(True), value(1.4), value((3, 3)), value("same"), value(None), value({"a": 1})
    ('true', '1.4', '[3, 3]', 'same', 'null', '{a: 1}')
    >>> value(2.0), value(0.12345678), value(1000001.0), value(1 / 3)
    ('2', '0.12345678', '1000001', '0.333333')
    """
    match value:
        case bool():
            return str(value).lower()
        case None:
            return "null"
        case float():
            # All digits where a person wrote them, no noise where they were computed.
            written = repr(value)
            return f"{value:.6g}" if len(written) > 12 else written.removesuffix(".0")
        case list() | tuple():
            return "[" + ", ".join(map(_value, value)) + "]"
        case Mapping():
            return "{" + ", ".join(f"{key}: {_value(item)}" for key, item in value.items()) + "}"
        case _:
            return printable(str(value))


_value = value


def cut(text: str, most: int = MAX_LENGTH) -> str:
    """The text, of a long one the two ends.

    >>> cut("override data.path=a/b/c/d/e/f", 20), cut("short")
    ('override … /c/d/e/f', 'short')
    """
    half = (most - 3) // 2
    return text if len(text) <= most else f"{text[:half]} … {text[-half:]}"


def short(item: Any) -> str:
    """A value as YAML would have it; of a long mapping its beginning.

    >>> short({"a": 1, "b": 2}), short(dict.fromkeys("abcdef", 1))
    ('{a: 1, b: 2}', '{a: 1, b: 1, c: 1, ...: 3 more}')
    """
    if not isinstance(item, Mapping) or len(item) <= MAX_SHOWN + 1:
        return value(item)
    shown = dict(islice(item.items(), MAX_SHOWN))
    return f"{value(shown)[:-1]}, ...: {len(item) - MAX_SHOWN} more}}"


def where(place: Place | None) -> str:
    """A place as file and line, or the override; through an interpolation, both ends.

    >>> where(Place("conf/init/xavier.yaml", 3, 7)), where(Place(override="init.gain=2")), where(None)
    ('conf/init/xavier.yaml:3', 'override init.gain=2', '')
    >>> where(Place("conf/model/mlp.yaml", 2, via=Place("conf/data/digits.yaml", 5)))
    'conf/model/mlp.yaml:2 from conf/data/digits.yaml:5'
    """
    if place is None:
        return ""
    if place.override is not None:
        return f"override {cut(printable(place.override))}"
    near = printable(f"{place.file}:{place.line}")
    return f"{near} from {where(place.via)}" if place.via else near
