"""writable: a line as a stream with few letters can write it: `→` as `->`, columns still below one another."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

FORMS: Mapping[str, str] = {
    **dict.fromkeys("→", "->"),
    **dict.fromkeys("·", "*"),
    **dict.fromkeys("×", "x"),
    **dict.fromkeys("…", "..."),
    **dict.fromkeys("–—−‐‑", "-"),  # noqa: RUF001  # these very letters
    **dict.fromkeys("─━═╌┄┈╴╶╸╺", "-"),
    **dict.fromkeys("│┃║┆┊", "|"),
    **dict.fromkeys("┌┐└┘├┤┬┴┼┏┓┗┛┡┢┩╇╭╮╯╰╞╡╪", "+"),
    **dict.fromkeys("‘’′", "'"),  # noqa: RUF001  # what is replaced
    **dict.fromkeys("“”", '"'),
    "±": "+-",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "√": "sqrt ",
    "∞": "inf",
    "²": "^2",
    "³": "^3",
    "⁻": "^-",
    "ᵀ": "^T",
    "σ": "sigma",
    "χ": "chi",
    "φ": "phi",
    "μ": "mu",
    "µ": "mu",
    "π": "pi",
    "λ": "lambda",
    "α": "alpha",
    "β": "beta",
    "Σ": "sum ",
    **dict(zip("▁▂▃▄▅▆▇█", "_.-~+*x#", strict=True)),
    "¶": "P",
    "•": "*",
    "❱": ">",
}
"""What is written for a letter that a stream does not have; a letter with an accent loses it, any other is `?`."""


def writable(line: str, encoding: str | None) -> str:
    """The text with forms for what the encoding lacks. A form of several letters takes the blanks of the next gap.

    Example:
        >>> writable("std 0.02 → 0.006  conf", "ascii"), writable("64×256   ×0.3", "ascii"), writable("σ²", "utf-8")
        ('std 0.02 -> 0.006 conf', '64x256   x0.3', 'σ²')
        >>> writable("1.5 s  ·  run", "ascii"), writable("gain · 2", "ascii")
        ('1.5 s  -  run', 'gain * 2')
    """
    try:
        line.encode(encoding or "utf-8")
    except UnicodeEncodeError:
        return "\n".join(_line(one, encoding or "ascii") for one in line.split("\n"))
    return line


def _line(line: str, encoding: str) -> str:
    parts: list[str] = []
    owed = 0
    # Gaps between columns, and what stands between these.
    for part in re.split(r"( {2,})", line):
        if part.startswith("  ") and parts:
            spared = min(owed, len(part) - 1)
            parts.append(part[spared:])
            owed -= spared
        else:
            # By itself it stands between two things that are said; elsewhere it multiplies.
            letters = "-" if part == "·" and _form(part, encoding) != part else part
            written = "".join(_form(letter, encoding) for letter in letters)
            owed += len(written) - len(part)
            parts.append(written)
    return "".join(parts)


def _form(letter: str, encoding: str) -> str:
    try:
        letter.encode(encoding)
    except UnicodeEncodeError:
        plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
        return FORMS.get(letter) or plain or "?"
    return letter
