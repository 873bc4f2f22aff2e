"""Tables of plans and ledgers: rows first, rich tables after."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import groupby
from math import prod
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from modelforge.report.words import count, magnitude, number, shape, where

if TYPE_CHECKING:
    from modelforge.ledger import Ledger
    from modelforge.plan import LayerPlan, Plan
    from modelforge.rules import ParameterPlan
    from modelforge.values import Value

LAYER, TYPE, OUTPUT, PARAMS, INIT, STD, FLOPS = range(7)
"""The columns of a plan's table."""
GAP = 2
"""Blanks between columns."""


def plan_table(plan: Plan, flops: Mapping[str, int] | None = None) -> RenderableType:
    """The model as a tree: layer, output shape, parameters, how they start.

    Copies that are alike in all that the table shows take one line. Where the terminal is narrow, the init column folds
    and types are cut short; then FLOPs and types are left out. Shapes and numbers are always whole.

    Args:
        plan: What to show.
        flops: Cost of each layer by path, as `modelforge.cli.flops.num_flops` counts it; None leaves the column out.
    """
    return _PlanTable(plan, flops)


def ledger_table(ledger: Ledger) -> RenderableType:
    """What filled what: target and measured mean and standard deviation, and the verdict."""
    table = new_table()
    for header in ("parameter", "shape", "scheme", "rule"):
        table.add_column(header, overflow="fold")
    for header in ("target mean", "measured", "target std", "measured"):
        table.add_column(header, justify="right")
    table.add_column("verdict")
    styles = {"pass": "green", "fail": "bold red", "unpromised": "yellow"}
    for entry in ledger:
        table.add_row(
            entry.path,
            shape(entry.shape),
            entry.scheme,
            where(entry.place) or entry.rule,
            number(entry.target_mean),
            number(entry.measured_mean),
            number(entry.target_std),
            number(entry.measured_std),
            Text(entry.verdict, styles[entry.verdict]),
        )
    return table


def new_table(width: int | None = None) -> Table:
    """A table as all of ours look: a rule below the header, two blanks between columns, nothing around."""
    return Table(
        box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold", width=width
    )


def to_text(renderable: RenderableType, width: int = 120) -> str:
    """A renderable as plain text."""
    console = Console(file=StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(Group(renderable), crop=False)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


@dataclass(frozen=True, slots=True)
class _Start:
    """How some parameters of a layer start: alike, so on one line."""

    names: tuple[str, ...]
    scheme: str
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
            lines.setdefault((parameter.scheme, parameter.std), []).append(name)
    for (scheme, std), names in lines.items():
        yield _Start(tuple(names), scheme, std)


@dataclass(frozen=True, slots=True)
class _PlanTable:
    """A plan that becomes a table when its width is known."""

    plan: Plan
    flops: Mapping[str, int] | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns = [list(column) for column in zip(*self._lines(), strict=True)]
        widths = _fit([max(cell.cell_len for cell in column) for column in columns], options.max_width)
        shown = [index for index, width in enumerate(widths) if width]
        # A width of its own keeps rich from cutting numbers where even this is too wide.
        table = new_table(width=sum(widths) + GAP * (len(shown) - 1))
        for index in shown:
            justify = "right" if index in (PARAMS, STD, FLOPS) else "left"
            folds = index in (LAYER, INIT)
            overflow = "fold" if folds else "ellipsis"
            header = columns[index][0]
            table.add_column(header, justify=justify, overflow=overflow, no_wrap=not folds, width=widths[index])
        _, *body, total = zip(*(columns[index] for index in shown), strict=True)
        for line in body:
            table.add_row(*line)
        table.add_section()
        table.add_row(*total)
        yield table

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


def _fit(widths: list[int], limit: int) -> list[int]:
    """Narrower columns where the limit asks for it; 0 for a column that is left out."""
    widths = list(widths)
    for column, least in ((INIT, 16), (TYPE, 8), (FLOPS, 0), (TYPE, 0), (INIT, 10), (LAYER, 12)):
        excess = sum(widths) + GAP * (sum(width > 0 for width in widths) - 1) - limit
        if excess > 0 and column < len(widths):
            widths[column] = min(widths[column], max(widths[column] - excess, least)) if least else 0
    return widths


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
