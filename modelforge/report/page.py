"""render: a template and values → one HTML page that needs nothing else: no script, no network, light and dark.

A template extends `shell.html`, and fills its blocks. Everything that it writes is escaped, except what is `Markup`; a
policy in the page itself lets a browser load nothing and run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from modelforge.core.quoting import printable
from modelforge.core.words import number, plural

HERE = Path(__file__).parent
STYLE = HERE / "page.css"


def render(template: Path, **values: Any) -> str:
    """The page.

    Args:
        template: A file that extends `shell.html`.
        values: What it names. A value with `__html__`, such as a `Chart`, is written as the markup that this gives.
    """
    style = STYLE.read_text(encoding="utf-8")
    environment = Environment(
        loader=FileSystemLoader([template.parent, HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalized,
    )
    environment.filters |= FILTERS
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return environment.get_template(template.name).render(**values, style=Markup(style), style_digest=digest)


def _finalized(value: Any) -> Any:
    """A text without characters that cannot be seen, or that turn the direction of what follows."""
    return printable(value, "\n") if type(value) is str else value


def _rounded(value: float | None, digits: int = 3) -> str:
    return "" if value is None else number(float(f"{value:.{digits}g}"))


def _coded(text: str) -> Markup:
    """A sentence with what stands between backticks as code.

    >>> _coded("`<b>` is 1")
    Markup('<code>&lt;b&gt;</code> is 1')
    """
    parts = printable(text).split("`")
    even = len(parts) % 2 == 1
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 and even else part for index, part in enumerate(parts)
    )


FILTERS: Mapping[str, Callable[..., Any]] = {"rounded": _rounded, "coded": _coded, "plural": plural}
"""What a template can apply to a value."""
