"""A plan as a table: the tree of its layers, with how their parameters start."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from modelforge.core.paths import around, relative
from modelforge.core.tensors import TensorValue, Value, at, first
from modelforge.core.words import magnitude, number
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.layer_plan import LayerPlan
from modelforge.report.aligned import NAME, WORDS
from modelforge.report.table import Fitted


@dataclass(frozen=True, slots=True)
class _Start:
    """The initial values of some parameters of a layer, equal and so on one line."""

    names: tuple[str, ...]
    scheme: str
    """Its name, with the value of a constant."""
    std: float | None


@dataclass(frozen=True, slots=True)
class _Row:
    """One layer as the table shows it; of equal copies the first."""

    depth: int
    name: str
    type: str
    output: str
    num_parameters: int
    num_flops: int
    starts: tuple[_Start, ...]
    is_leaf: bool


def _rows(table: TreeTable) -> Iterator[_Row]:
    flops = table.flops or {}
    parameters = {parameter.path: parameter for parameter in table.parameters}
    starts: dict[str, tuple[_Start, ...]] = {}
    sizes: dict[str, int] = {}
    layers = {layer.path: layer for layer in table.root.walk()}
    tied = _tied(table.ties, layers)
    for layer in layers.values():
        own = {local: parameters[f"{layer.path}.{local}"] for local in layer.parameters}
        starts[layer.path] = (*_starts(own), *tied.get(layer.path, ()))
        sizes[layer.path] = sum(prod(parameter.shape) for parameter in own.values())

    def below(layer: LayerPlan, facts: Mapping[str, int]) -> int:
        return sum(facts.get(leaf.path, 0) for leaf in layer.walk())

    def alike(layer: LayerPlan) -> tuple[Any, ...]:
        """All that the table shows of a copy but its number."""
        children = tuple((child.name, alike(child)) for child in layer.children)
        return layer.key, layer.type, layer.output, starts[layer.path], below(layer, flops), children

    def visit(layers: Sequence[LayerPlan], depth: int) -> Iterator[_Row]:
        for layer, copies in _runs(layers, alike):
            last = int(layer.name) + copies - 1 if copies > 1 else 0
            yield _Row(
                depth=depth,
                name=f"{layer.name} … {last}" if copies > 1 else layer.name,
                type=layer.type,
                output=_shown(layer.output),
                num_parameters=below(layer, sizes) * copies,
                num_flops=below(layer, flops) * copies,
                starts=starts[layer.path],
                is_leaf=not layer.children,
            )
            yield from visit(layer.children, depth + 1)

    return visit(table.root.children, 0)


def _tied(ties: Mapping[str, str], layers: Mapping[str, LayerPlan]) -> dict[str, list[_Start]]:
    """Parameters that are tied to another layer's, by the path of the layer that has them."""
    found: dict[str, list[_Start]] = {}
    for path, source in ties.items():
        owner = next(above for above in reversed(around(path)) if above in layers)
        found.setdefault(owner, []).append(_Start((relative(path, owner),), f"tied to {source}", None))
    return found


def _runs(layers: Sequence[LayerPlan], alike: Any) -> Iterator[tuple[LayerPlan, int]]:
    """Runs of equal numbered copies, each as the first copy and their number."""
    if len(layers) > 1 and all(layer.name.isdigit() and layer.key == layers[0].key for layer in layers):
        for _, run in groupby(layers, key=alike):
            copies = list(run)
            yield copies[0], len(copies)
    else:
        yield from ((layer, 1) for layer in layers)


def _starts(parameters: Mapping[str, ParameterPlan]) -> Iterator[_Start]:
    """The initial values of a layer's parameters; constant defaults are left out."""
    lines: dict[tuple[str, float | None], list[str]] = {}
    for name, parameter in parameters.items():
        if not (parameter.rule.default and parameter.std == 0):
            value = f" {number(parameter.mean)}" if parameter.std == 0 and parameter.mean else ""
            lines.setdefault((parameter.scheme + value, parameter.std), []).append(name)
    for (scheme, std), names in lines.items():
        yield _Start(tuple(names), scheme, std)


@dataclass(frozen=True, slots=True)
class TreeTable:
    """The model as a tree: layer, output shape, parameters, and their initial values.

    Copies whose lines would be equal take one line. Where the terminal is narrow, the init column folds between words;
    then FLOPs and types are left out. Names, shapes and numbers are always whole.
    """

    root: LayerPlan
    inputs: Mapping[str, TensorValue]
    parameters: tuple[ParameterPlan, ...]
    ties: Mapping[str, str]
    flops: Mapping[str, int] | None = None
    """Cost of each layer by path, as `modelforge.planning.flops.num_flops` counts it; None leaves the column out."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        header, *body, total = self._lines()
        # The init column folds, then FLOPs and types are left out.
        steps = ((4, 16), (6, 0), (1, 0), (4, 10), (0, 12))
        names = [cell.plain for cell in header]
        yield Fitted(names, body, right=(3, 5, 6), folds={0: NAME, 4: WORDS}, steps=steps, total=total)

    def _lines(self) -> Iterator[list[Text]]:
        """Header, one line a layer (more where its parameters start in several ways), and the total."""
        header = ["layer", "type", "output", "params", "init", "std", "FLOPs"]
        costs = [] if self.flops is None else [magnitude(sum(self.flops.values()))]
        width = 6 + len(costs)
        yield [Text(name) for name in header[:width]]
        for name, value in self.inputs.items():
            yield [Text(cell, "dim") for cell in (name, "input", str(value), "", "", "", "")[:width]]
        for row in _rows(self):
            yield from (line[:width] for line in _cells(row))
        num_parameters = sum(prod(parameter.shape) for parameter in self.parameters)
        yield [Text(cell, "bold") for cell in ("total", "", "", f"{num_parameters:,}", "", "", *costs)]


def _cells(row: _Row) -> Iterator[list[Text]]:
    named = len(row.starts) > 1 or any(len(start.names) > 1 for start in row.starts)
    starts = [_start(start, named=named) for start in row.starts] or [(Text(), Text())]
    label = Text("  " * row.depth + row.name, "" if row.is_leaf else "bold")
    size = Text(f"{row.num_parameters:,}" if row.num_parameters else "")
    cost = Text(magnitude(row.num_flops) if row.num_flops else "")
    yield [label, Text(row.type, "cyan"), Text(row.output), size, *starts[0], cost]
    for start in starts[1:]:
        yield [Text(), Text(), Text(), Text(), *start, Text()]


def _start(start: _Start, *, named: bool) -> tuple[Text, Text]:
    names = (", ".join(start.names) + ": ", "dim") if named else ""
    return Text.assemble(names, start.scheme), Text("" if start.std is None else number(start.std))


def _shown(value: Value) -> str:
    """The output that the next layer reads, without a state beside it."""
    shown = at(value, first(value))
    return str(shown) if shown is not None else ""
