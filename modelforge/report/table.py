"""Tables of plans and ledgers: rows first, rich tables after."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING, Any

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from modelforge.errors import printable
from modelforge.report.aligned import Wrapped
from modelforge.report.problems import problems_text
from modelforge.report.screen import Screen
from modelforge.report.words import count, magnitude, number, stored, where

if TYPE_CHECKING:
    from modelforge.ledger import Calibrated, Ledger, LedgerEntry
    from modelforge.plan import LayerPlan, Plan
    from modelforge.rules import ParameterPlan
    from modelforge.values import Value
    from modelforge.verify import Verification

GAP = 2
"""Blanks between columns."""
HANGING = 2
"""Blanks before the second line of a path."""
PATH = re.compile(r".+?(?:\s+|(?<!\d)\.|\.(?!\d)|$)")
NAME = re.compile(r"\s*.+?(?:\s+|_+|$)")
PLACE = re.compile(r".+?(?:\s+|/|$)")
WORDS = re.compile(r".+?(?:\s+|$)")
"""What stays together in a path, in the name of a layer, in a place and in a text."""


def plan_table(plan: Plan, flops: Mapping[str, int] | None = None) -> RenderableType:
    """The model as a tree: layer, output shape, parameters, how they start.

    Copies that are alike in all that the table shows take one line. Where the terminal is narrow, the init column folds
    between words; then FLOPs and types are left out. Names, shapes and numbers are always whole.

    Args:
        plan: What to show.
        flops: Cost of each layer by path, as `modelforge.cli.flops.num_flops` counts it; None leaves the column out.
    """
    return _PlanTable(plan, flops)


def ledger_table(ledger: Ledger) -> RenderableType:
    """What filled what: target and measured mean and standard deviation, and the verdict; below, calibrations, and what
    may be meant otherwise.

    Where the terminal is narrow, paths fold at their dots and rules at their slashes; then rules, schemes and shapes
    are left out. Names and numbers are always whole.
    """
    styles = {"pass": "green", "fail": "bold red", "unpromised": "yellow"}
    header = (
        "parameter",
        "shape",
        "scheme",
        "rule",
        "target\nmean",
        "\nmeasured",
        "target\nstd",
        "\nmeasured",
        "verdict",
    )
    body = [
        (
            Text.assemble(entry.path, *((f" = {alias}", "dim") for alias in entry.aliases)),
            Text(stored(entry.shape, entry.transposed)),
            Text(entry.scheme, "cyan"),
            Text(where(entry.place) or entry.rule, "dim"),
            *map(Text, map(number, _moments(entry))),
            Text(entry.verdict, styles[entry.verdict]),
        )
        for entry in ledger
    ]
    steps = ((3, 16), (0, 28), (3, 0), (2, 0), (1, 0), (0, 12))
    main = _Fitted(header, body, right=range(4, 8), folds={0: PATH, 3: PLACE}, steps=steps)
    calibrated: dict[str, list[tuple[str, Calibrated]]] = {}
    for entry in ledger:
        if (done := entry.calibration) is not None:
            calibrated.setdefault(done.method, []).append((entry.path, done))
    below = [_calibration_table(*done) for done in calibrated.items()]
    warnings = [problems_text(ledger.warnings)] if ledger.warnings else []
    return Group(main, *(part for table in (*below, *warnings) for part in (Text(), table)))


def verification_table(found: Verification) -> RenderableType:
    """What became of each parameter."""
    styles = {"same": "green"}
    body = [(Text(path), Text(state, styles.get(state, "bold red"))) for path, state in found.states.items()]
    return _Fitted(("parameter", "state"), body, right=(), folds={0: PATH}, steps=((0, 12),))


def _moments(entry: LedgerEntry) -> tuple[float | None, ...]:
    return entry.target_mean, entry.measured_mean, entry.target_std, entry.measured_std


def _calibration_table(method: str, calibrated: Sequence[tuple[str, Calibrated]]) -> RenderableType:
    """By what each kernel was multiplied, and what its layer's output was before and after; why others were left."""
    header = (method, "factor", "passes", "variance", "left as it was")
    body = [tuple(map(Text, (path, *_calibration(item), item.left))) for path, item in calibrated]
    if not any(item.left for _, item in calibrated):
        header, body = header[:-1], [line[:-1] for line in body]
    return _Fitted(header, body, right=(1, 2, 3), folds={0: PATH, 4: WORDS}, steps=((4, 10), (0, 12)))


def _calibration(item: Calibrated) -> tuple[str, str, str]:
    if item.left:
        return "", "", ""
    low, high = item.factors
    factor = f"×{number(low)}" if low == high else f"×{number(low)} … {number(high)}"
    return factor, count(item.passes), f"{number(item.variance_before)} → {number(item.variance_after)}"


def folded(text: Text, width: int, pieces: re.Pattern[str] = WORDS) -> list[Text]:
    """A text in lines of at most `width`, where its pieces allow that; the rest of a path is set in.

    Example:
        >>> print(*folded(Text("blocks.0.block.mlp.up.weight"), 20, PATH), sep="\\n")
        blocks.0.block.mlp.
          up.weight
    """
    if text.cell_len <= width:
        return [text]
    hang = " " * (len(text.plain) - len(text.plain.lstrip()) + HANGING) if pieces in (PATH, NAME) else ""
    breaks: list[int] = []
    start = 0
    for piece in pieces.finditer(text.plain):
        room = width - (len(hang) if breaks else 0)
        if piece.start() > start and cell_len(text.plain[start : piece.end()].rstrip()) > room:
            start = piece.start()
            breaks.append(start)
    first, *rest = text.divide(breaks)
    lines = [first, *(Text(hang).append_text(line) for line in rest)]
    for line in lines:
        line.rstrip()
    return lines


def new_table(width: int | None = None) -> Table:
    """A table as all of ours look: a rule below the header, two blanks between columns, nothing around."""
    return Table(
        box=box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 1, 0, 0),
        pad_edge=False,
        header_style="bold",
        width=width,
        safe_box=False,
    )


def to_text(renderable: RenderableType, width: int = 120) -> str:
    """A renderable as plain text."""
    console = Screen(file=StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(Group(renderable), crop=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


@dataclass(frozen=True, slots=True)
class _Start:
    """How some parameters of a layer start: alike, so on one line."""

    names: tuple[str, ...]
    scheme: str
    """Its name, and of a constant its value."""
    std: float | None


@dataclass(frozen=True, slots=True)
class _Row:
    """One layer as the table shows it; of alike copies the first."""

    depth: int
    name: str
    type: str
    output: str
    num_parameters: int
    num_flops: int
    starts: tuple[_Start, ...]
    is_leaf: bool


def _rows(plan: Plan, flops: Mapping[str, int]) -> Iterator[_Row]:
    parameters = {parameter.path: parameter for parameter in plan.parameters}
    starts: dict[str, tuple[_Start, ...]] = {}
    sizes: dict[str, int] = {}
    for layer in plan.layers:
        own = {local: parameters[f"{layer.path}.{local}"] for local in layer.parameters}
        starts[layer.path] = (*_starts(own), *_tied(plan, layer))
        sizes[layer.path] = sum(prod(parameter.shape) for parameter in own.values())

    def below(layer: LayerPlan, facts: Mapping[str, int]) -> int:
        return sum(facts.get(leaf.path, 0) for leaf in layer.walk())

    def alike(layer: LayerPlan) -> tuple[Any, ...]:
        """What the table shows of a copy, but for its number."""
        children = tuple((child.name, alike(child)) for child in layer.children)
        return layer.key, layer.type, layer.output, starts[layer.path], below(layer, flops), children

    def visit(layers: Sequence[LayerPlan], depth: int) -> Iterator[_Row]:
        for first, copies in _runs(layers, alike):
            last = int(first.name) + copies - 1 if copies > 1 else 0
            yield _Row(
                depth,
                f"{first.name} … {last}" if copies > 1 else first.name,
                first.type,
                _shown(first.output),
                below(first, sizes) * copies,
                below(first, flops) * copies,
                starts[first.path],
                not first.children,
            )
            yield from visit(first.children, depth + 1)

    return visit(plan.root.children, 0)


def _tied(plan: Plan, layer: LayerPlan) -> Iterator[_Start]:
    """Parameters of a layer that are another one's."""
    for path, source in plan.ties.items() if not layer.children else ():
        if path.startswith(f"{layer.path}."):
            yield _Start((path.removeprefix(f"{layer.path}."),), f"tied to {source}", None)


def _runs(layers: Sequence[LayerPlan], alike: Any) -> Iterator[tuple[LayerPlan, int]]:
    """Numbered copies that follow one another and are alike, as the first of them and their number."""
    if len(layers) > 1 and all(layer.name.isdigit() and layer.key == layers[0].key for layer in layers):
        for _, run in groupby(layers, key=alike):
            copies = list(run)
            yield copies[0], len(copies)
    else:
        yield from ((layer, 1) for layer in layers)


def _starts(parameters: Mapping[str, ParameterPlan]) -> Iterator[_Start]:
    """How the parameters of a layer start; biases and scales only where they do not start as they usually do."""
    lines: dict[tuple[str, float | None], list[str]] = {}
    for name, parameter in parameters.items():
        if not (parameter.rule.default and parameter.std == 0):
            value = f" {number(parameter.mean)}" if parameter.std == 0 and parameter.mean else ""
            lines.setdefault((parameter.scheme + value, parameter.std), []).append(name)
    for (scheme, std), names in lines.items():
        yield _Start(tuple(names), scheme, std)


@dataclass(frozen=True, slots=True)
class _PlanTable:
    """A plan that becomes a table when its width is known."""

    plan: Plan
    flops: Mapping[str, int] | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        header, *body, total = self._lines()
        # The init column folds, then FLOPs and types are left out.
        steps = ((4, 16), (6, 0), (1, 0), (4, 10), (0, 12))
        names = [cell.plain for cell in header]
        yield _Fitted(names, body, right=(3, 5, 6), folds={0: NAME, 4: WORDS}, steps=steps, total=total)

    def _lines(self) -> Iterator[list[Text]]:
        """Header, one line a layer (more where its parameters start in several ways), and the total."""
        header = ["layer", "type", "output", "params", "init", "std", "FLOPs"]
        costs = [] if self.flops is None else [magnitude(sum(self.flops.values()))]
        width = 6 + len(costs)
        yield [Text(name) for name in header[:width]]
        for name, value in self.plan.inputs.items():
            yield [Text(cell, "dim") for cell in (name, "input", str(value), "", "", "", "")[:width]]
        for row in _rows(self.plan, self.flops or {}):
            yield from (line[:width] for line in _cells(row))
        total = ["total", "", "", count(self.plan.num_parameters), "", "", *costs]
        yield [Text(cell, "bold") for cell in total]


@dataclass(frozen=True, slots=True)
class _Fitted:
    """Lines that become a table when its width is known."""

    header: Sequence[str]
    body: Sequence[Sequence[Text]]
    right: Collection[int]
    """Columns of numbers."""
    folds: Mapping[int, re.Pattern[str]]
    """Columns whose cells may take several lines, and the pieces that a line cannot break."""
    steps: Sequence[tuple[int, int]]
    """Which columns give way, one after the other, and to what width; at 0 they are left out."""
    total: Sequence[Text] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        lines = [*self.body, *([] if self.total is None else [self.total])]
        widths = self._widths(lines, options.max_width)
        shown = [index for index, width in enumerate(widths) if width]
        # A width of its own keeps rich from cutting numbers where even this is too wide.
        table = new_table(width=sum(widths) + GAP * (len(shown) - 1))
        for index in shown:
            justify = "right" if index in self.right else "left"
            # Nothing is wider than its column; but rich would not move to the right what may be.
            table.add_column(Text(self.header[index]), justify=justify, no_wrap=True, width=widths[index])
        for line in self.body:
            table.add_row(*(self._cell(line[index], index, widths[index]) for index in shown))
        if self.total is not None:
            table.add_section()
            table.add_row(*(self.total[index] for index in shown))
        yield table
        if left_out := [" ".join(self.header[index].split()) for index in range(len(widths)) if index not in shown]:
            yield Wrapped(Text(f"left out at {options.max_width} columns: {', '.join(left_out)}", "dim"))

    def _cell(self, text: Text, index: int, width: int) -> RenderableType:
        if index not in self.folds:
            return text
        plain = text if (shown := printable(text.plain)) == text.plain else Text(shown, text.style)
        # Lines of their own: a line break inside a cell is part of a name, and shown as an escape.
        return Group(*folded(plain, width, self.folds[index]))

    def _widths(self, lines: Sequence[Sequence[Text]], limit: int) -> list[int]:
        """Narrower columns where the limit asks for it."""
        widths = [
            max(Text(name).cell_len for name in [*header.split("\n"), *(line[index].plain for line in lines)])
            for index, header in enumerate(self.header)
        ]
        for column, least in self.steps:
            excess = sum(widths) + GAP * (sum(width > 0 for width in widths) - 1) - limit
            if excess > 0 and column < len(widths):
                whole = max(least, self._longest(column, lines)) if least else 0
                widths[column] = min(widths[column], max(widths[column] - excess, whole)) if least else 0
        return widths

    def _longest(self, column: int, lines: Sequence[Sequence[Text]]) -> int:
        """The widest piece of a column that cannot be broken."""
        pieces = [piece for line in lines for piece in self.folds[column].findall(line[column].plain)]
        indent = HANGING if self.folds[column] in (PATH, NAME) else 0
        return max((cell_len(piece.rstrip()) + indent for piece in pieces), default=0)


def _cells(row: _Row) -> Iterator[list[Text]]:
    named = len(row.starts) > 1 or any(len(start.names) > 1 for start in row.starts)
    starts = [_start(start, named=named) for start in row.starts] or [(Text(), Text())]
    label = Text("  " * row.depth + row.name, "" if row.is_leaf else "bold")
    size = Text(count(row.num_parameters) if row.num_parameters else "")
    cost = Text(magnitude(row.num_flops) if row.num_flops else "")
    yield [label, Text(row.type, "cyan"), Text(row.output), size, *starts[0], cost]
    for start in starts[1:]:
        yield [Text(), Text(), Text(), Text(), *start, Text()]


def _start(start: _Start, *, named: bool) -> tuple[Text, Text]:
    names = (", ".join(start.names) + ": ", "dim") if named else ""
    return Text.assemble(names, start.scheme), Text("" if start.std is None else number(start.std))


def _shown(value: Value) -> str:
    """The output that the next layer reads; a state beside it is left out."""
    while isinstance(value, tuple) and value:
        value = value[0]
    return str(value) if value is not None else ""
