"""Names and values of a stranger's config in Markdown and Mermaid: as they are, and without any effect."""

from __future__ import annotations

import re

from modelforge.core.quoting import printable

_PLAIN = re.compile(r"(?!.*(?:_|://|www\.))[\w.,;:!?'()/→²×%…+-]*")
"""A word that can neither format, link nor mention."""
_LIST = re.compile(r"(?:[+-]|\d+[.)])+")
"""A word that would begin a list."""
_SAFE = re.compile(r"[\w .,:/()\[\]×→-]")


def code(text: str) -> str:
    """Any text as one Markdown code span.

    A line break becomes a space, the fence is longer than any run of backticks inside, and `@` is followed by a
    zero-width space, so that no user is notified.

    Example:
        >>> code("a|b"), code("a`b"), code("")
        ('`a|b`', '`` a`b ``', '')
    """
    text = printable(" ".join(text.split())).replace("@", "@\u200b")
    if not text:
        return ""
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text}{space}{fence}"


def prose(text: str) -> str:
    """A sentence, in which everything that is not a plain word is code.

    Two code spans side by side would be one, or none: a zero-width space keeps them apart.

    Example:
        >>> prose("in the default and model=lstm"), prose("see @all"), prose("`a`<b>")
        ('in the default and `model=lstm`', 'see `@\u200ball`', '`a`\u200b`<b>`')
    """
    shown = ""
    for part in re.split(r"(`[^`]*`|\s+)", printable(" ".join(text.split()))):
        piece = code(part[1:-1]) if len(part) > 2 and part[0] == part[-1] == "`" else _word(part)
        shown += "\u200b" + piece if shown[-1:] == piece[:1] == "`" else piece
    return shown


def cell(text: str) -> str:
    """Markdown in the cell of a table, which a pipe would end, also in code.

    >>> cell(code("a|b"))
    '`a\\\\|b`'
    """
    return text.replace("|", "\\|")


def entity(text: str) -> str:
    """A label of a Mermaid node, every character that could end it or format as its number.

    Example:
        >>> entity('head"]'), entity("a<b>")
        ('head#34;]', 'a#60;b#62;')
    """
    return "".join(one if _SAFE.match(one) and one != "_" else f"#{ord(one)};" for one in printable(text))


def _word(word: str) -> str:
    if not word or word.isspace():
        return " " if word else ""
    if _PLAIN.fullmatch(word) and not _LIST.fullmatch(word):
        return word
    core = word.rstrip(",;:.)")
    front = core.lstrip("(")
    return word[: len(core) - len(front)] + code(front) + word[len(core) :]
