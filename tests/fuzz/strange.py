"""What is put in the place of a good value, key, line or override: near to good ones first."""

from __future__ import annotations

import copy
import datetime
from typing import Any


def nested(levels: int) -> Any:
    """A mapping of that many levels."""
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 3, 7, 0.0, -0.0, 0.5, 1.5, -2.5, 1e-320, 1e308, float("inf"), float("nan")),
    *(2**31, 2**63, 2**64, 10**20, 10**400, -(10**400)),
    *("", " ", "0", "1", "1e400", "auto", "none", "null", "true", "abc", "ReLU", "Linear", "Sequential", "normal"),
    *("xavier", "fan_in", "relu", "val/loss", "input", "head", "a.b", "a.1", "a.b.c", "*", "**", "*.weight", "[a-"),
    *("???", "${a}", "${model}", "${arg:x}", "${arg:index}", '${calc:"1 + 1"}', '${calc:"x"}', "${", "$", "\\${a}"),
    *("a" * 300, "a/" * 200, "/", "../x", "\x00", "\n", "a\nb", "\ud800", "\u202e", "é", "名", "\x1b[31m"),
    *([], [1], [1, 2], [None], ["a"], ["a", "a"], [[]], [[1]], [{}], [0] * 70, ["input", "input"], [1.5, "a"]),
    *({}, {"a": 1}, {"type": "Linear"}, {"type": "ReLU"}, {"type": []}, {"type": {}}, {"scheme": []}, {"scheme": {}}),
    *({"shape": [3]}, {"type": "x"}, {"a": {"b": {}}}, {"": 1}, {"0": "ReLU"}, {"layers": {}}, {"layers": 3}),
    *({"_target_": "os.getcwd"}, {"args": 3}, {"defaults": 3}, {"init": {"init": {}}}),
    nested(20),
    nested(100),
)
"""As a config has them."""

DEEP = nested(3_000)
ONLY_IN_CODE: tuple[Any, ...] = (
    *(b"bytes", (1, 2), (), {1}, frozenset(), object, len, 1j, datetime.date(2020, 1, 1), range(3)),
    *({1: 2}, {None: None}, {(1, 2): 3}, {True: "ReLU"}, {1.5: {}}, {0: "ReLU"}, {b"a": 1}),
    *(DEEP, "x" * 1_000_000, 10**5_000, [0] * 10_000),
)
"""What no file holds, but a mapping that is given to `mf.parse` may."""


def fresh(value: Any) -> Any:
    """A copy that may be changed."""
    return nested(3_000) if value is DEEP else copy.deepcopy(value)


KEYS: tuple[Any, ...] = (
    *("", " ", "0", "1", "01", "a.b", "a b", "a" * 300, "type", "init", "inputs", "layers", "args", "blocks", "when"),
    *("index", "self", "class", "ledger", "forward", "weight", "bias", "scheme", "params", "types", "embedding"),
    *("${a}", "${arg:x}", "???", "\ud800", "\n", "é", "_a", "__class__", "hydra", "defaults", "x", "*", "input"),
)
KEYS_IN_CODE: tuple[Any, ...] = (0, 1, -1, 1.5, None, True, False, (1, 2), b"a", 10**400)

TEXTS = (
    *(
        "",
        "~",
        "null",
        "true",
        "yes",
        "off",
        "0",
        "-1",
        "1.5",
        "1e400",
        "-1e400",
        ".inf",
        ".nan",
        "1_000",
        "0x1F",
        "0b11",
    ),
    *("0o17", "010", "08", "12:30", "1:30:00", "2020-01-01", "9" * 400, "9" * 5_000, "-0x", "+", "1e", "1.e5", "0x"),
    *(
        "!!int ''",
        "!!int abc",
        "!!float x",
        "!!bool text",
        "!!timestamp text",
        "!!binary 'x'",
        "!!set {a}",
        "!!omap [a]",
    ),
    *("!!str 3", "!!null x", "!!python/object:os.system x", "!foo bar", "!!map [1]", "!!seq {a: 1}", "!!float ''"),
    *("&a b", "*a", "[1, 2", "{a: b", "'abc", '"abc', '"\\ud800"', '"\\x00"', "- a", "a: b", "? a", "| a", "> a", "@a"),
    *("`a`", "%a", "# a", "a #b", "[a, b]", "{a: 1}", "{type: Linear}", "{type: [a]}", "[[[[]]]]", "ReLU", "xavier"),
    *("${a}", "${model.input}", "${data}", "${..a}", "${arg:x}", "${calc:'1'}", "${oc.env:HOME}", "${", "???", "'???'"),
    *("a" * 300, "a" * 20_000, "[" * 60 + "]" * 60, "\t", "\x00", "\x1b[31m", "\u202e", "é", "<<", "${a}" * 50),
)
"""Values as text, for files and overrides."""
