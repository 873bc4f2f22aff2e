"""signals: the compositions of a review → how the predicted signals and gradients differ, as one change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelforge.core.words import plural
from modelforge.review.change import of_compositions, of_kind
from modelforge.review.document import Change, Effect
from modelforge.review.review import Review
from modelforge.review.rows import bounded
from modelforge.review.signals import SignalChange, What

WORDS: dict[What, tuple[str, str]] = {"signal": ("signals", "E x²"), "gradient": ("gradients", "E g²")}
"""What differs, and the symbol of its energy."""


def signals(review: Review) -> Iterator[Change]:
    """How predicted energies differ: of each composition the layer where they differ most, equal rows once."""
    rows: dict[Effect, dict[str, None]] = {}
    sizes: dict[Effect, float] = {}
    most: dict[What, SignalChange] = {}
    for entry in review.entries:
        changes = entry.consequences.signal if entry.consequences else ()
        for what in WORDS:
            if found := [change for change in changes if change.what == what]:
                worst = max(found, key=lambda change: change.size)
                row = _row(worst, found)
                rows.setdefault(row, {})[entry.label] = None
                sizes[row] = worst.size
                most[what] = max(most.get(what, worst), worst, key=lambda change: change.size)
    if not rows:
        return
    title = "predicted energy " + ", ".join(f"of {WORDS[what][0]} {_factor(change)}" for what, change in most.items())
    # The largest first, so that the rows of the title are seen.
    rows = {row: rows[row] for row in sorted(rows, key=lambda row: -sizes[row])}
    yield of_kind("signal-changed", title, title, **of_compositions(rows))


def _row(worst: SignalChange, found: Sequence[SignalChange]) -> Effect:
    words = f"{WORDS[worst.what][1]} {worst.old:.2g} → {worst.new:.2g}, {_factor(worst)}"
    if len(found) > 1:
        words += f", the most of {plural(len(found), 'layer')}"
        words += f"; first in {found[0].path}, {_factor(found[0])}" if found[0] is not worst else ""
    return Effect(mark="~", subject="layer", name=bounded(worst.path), type=bounded(worst.type), words=bounded(words))


def _factor(change: SignalChange) -> str:
    """`×20`, `from 0` or `to 0`."""
    if not (change.old and change.new):
        return "to 0" if change.old else "from 0"
    rounded = float(f"{change.ratio:.2g}")
    return f"×{rounded:,.0f}" if 10 <= rounded < 1e6 else f"×{rounded:g}"
