"""Pieces of text in messages: quoted values, lists of names and sentences of others, bounded and printable."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_QUOTED = 200
"""Characters of a quoted value."""
MAX_MESSAGE = 1_000
MAX_SENTENCE = 300
"""Characters of another library's message."""
_SLACK = 50
"""Characters that `shortened` adds, so that nothing is shortened twice."""
_BACKTICKED = re.compile(r"`([^`]*)`")
_LONG_WORD = re.compile(rf"\S{{{MAX_QUOTED + _SLACK},}}")
_SURROGATE = re.compile("[\ud800-\udfff]")

# Letters and marks that show nothing: Python counts them as printable.
_WITHOUT_WIDTH = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)


def quoted(value: object) -> str:
    """A value as Python writes it, of a long one the beginning.

    >>> quoted("relu"), quoted("x" * 1_000_000)[-30:]
    ("'relu'", 'xxxx... (1,000,002 characters)')
    """
    try:
        return shortened(repr(value))
    except (RecursionError, ValueError):
        return f"a value of the type `{type(value).__name__}` that is too large to be shown"


def shortened(text: str, most: int = MAX_QUOTED, slack: int = 0) -> str:
    """The text, of one longer than `most + slack` the beginning; a lone surrogate, which cannot be printed, escaped."""
    cut = text if len(text) <= most + slack else f"{text[:most]}... ({len(text):,} characters)"
    return cut if cut.isascii() else _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", cut)


def listed(names: Iterable[object], most: int, between: str = ", ", quote: str = "") -> str:
    """Names in a row, of many the first; one more than `most` is named, too, in the room that its count would take.

    >>> listed(["a"], 2), listed("abc", 2), listed("abcd", 2, quote="`"), listed(["x is 1", "y is 2"], 3, "; ")
    ('a', 'a, b and c', '`a`, `b` and 2 more', 'x is 1; y is 2')
    """
    shown = [f"{quote}{printable(str(name))}{quote}" for name in names]
    if len(shown) > most + 1:
        shown = [*shown[:most], f"{len(shown) - most:,} more"]
    last = " and " if between == ", " else between
    return last.join(filter(None, (between.join(shown[:-1]), *shown[-1:])))


def sentence(error: BaseException, most: int = MAX_SENTENCE) -> str:
    """An exception's message in one line, bounded; its type where the message is empty.

    >>> sentence(ValueError("two\\n  lines")), sentence(KeyError()), len(sentence(ValueError("x" * 1_000)))
    ('two lines', 'KeyError', 300)
    >>> sentence(FileNotFoundError(2, "No such file or directory", "a/b"))
    'no such file or directory'
    """
    if isinstance(error, OSError) and error.strerror:
        return error.strerror[0].lower() + error.strerror[1:]
    # Behind these words torch prints its own stack.
    text = " ".join(str(error).partition("Exception raised from")[0].split()) or type(error).__name__
    return text if len(text) <= most else f"{text[: most - 3]}..."


def printable(text: str, keep: str = "") -> str:
    r"""The text with every character that cannot be seen, or moves others, as its escape; `keep` lists exceptions.

    Controls, line breaks, marks of direction, characters without width, blanks that are no space.

    >>> printable("\x1b[31mred\n"), printable("two\nlines", keep="\n"), printable("ab\u202e\u200b")
    ('\\x1b[31mred\\n', 'two\nlines', 'ab\\u202e\\u200b')
    """
    if text.isprintable() and not _WITHOUT_WIDTH.search(text):
        return text
    hidden = {one for one in text if one not in keep and (not one.isprintable() or _WITHOUT_WIDTH.match(one))}
    return "".join(one.encode("unicode_escape").decode() if one in hidden else one for one in text)


def bounded(text: str) -> str:
    """A message with its quotes shortened."""
    if len(text) > MAX_QUOTED:
        text = _BACKTICKED.sub(lambda found: f"`{shortened(found[1], MAX_QUOTED, _SLACK)}`", text)
        text = _LONG_WORD.sub(lambda found: shortened(found[0], MAX_QUOTED, _SLACK), text)
    return shortened(text, MAX_MESSAGE)
