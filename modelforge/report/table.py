"""Tables of plans and ledgers: rows first, rich tables after."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from io import StringIO
from math import prod
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from modelforge.report.words import count, number

if TYPE_CHECKING:
    from modelforge.ledger import Ledger
    from modelforge.plan import LayerPlan, Plan
    from modelforge.rules import ParameterPlan

MAX_COPIES = 1
"""Copies of a repeated layer that a table shows; the others are counted."""


def plan_table(plan: Plan) -> RenderableType:
    """The model as a tree: layer, output shape, parameters, how they start."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title_justify="left")
    table.add_column("layer", no_wrap=True)
    table.add_column("type")
    table.add_column("output", no_wrap=True)
    table.add_column("parameters", justify="right")
    table.add_column("init", overflow="fold")
    for name, value in plan.inputs.items():
        table.add_row(Text(name, "dim"), Text("input", "dim"), Text(str(value), "dim"), "", "")
    by_path = {parameter.path: parameter for parameter in plan.parameters}
    for depth, layer, copies in _visible(plan.root.children, 0):
        table.add_row(*_layer_row(layer, depth, copies, by_path))
    table.add_section()
    table.add_row(Text("total", "bold"), "", "", Text(count(plan.num_parameters), "bold"), "")
    return table


def ledger_table(ledger: Ledger) -> RenderableType:
    """What filled what: target and measured mean and standard deviation, and the verdict."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for header in ("parameter", "shape", "scheme", "rule"):
        table.add_column(header, overflow="fold")
    for header in ("target mean", "measured", "target std", "measured"):
        table.add_column(header, justify="right")
    table.add_column("verdict")
    styles = {"pass": "green", "fail": "bold red", "unpromised": "yellow"}
    for entry in ledger:
        table.add_row(
            entry.path,
            "×".join(map(str, entry.shape)) or "scalar",
            entry.scheme,
            str(entry.place) if entry.place else entry.rule,
            number(entry.target_mean),
            number(entry.measured_mean),
            number(entry.target_std),
            number(entry.measured_std),
            Text(entry.verdict, styles[entry.verdict]),
        )
    return table


def to_text(renderable: RenderableType, width: int = 120) -> str:
    """A renderable as plain text."""
    console = Console(file=StringIO(), width=width, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def _visible(layers: Sequence[LayerPlan], depth: int) -> Iterable[tuple[int, LayerPlan, int]]:
    """Layers with their depth; of equal numbered copies only the first, with their number."""
    copies = [layer for layer in layers if layer.name.isdigit() and layer.key == layers[0].key]
    repeated = len(copies) > MAX_COPIES and len(copies) == len(layers) and len({layer.key for layer in layers}) == 1
    for layer in layers[:MAX_COPIES] if repeated else layers:
        yield depth, layer, len(layers) if repeated else 1
        yield from _visible(layer.children, depth + 1)


def _layer_row(layer: LayerPlan, depth: int, copies: int, parameters: dict[str, ParameterPlan]) -> list[RenderableType]:
    name = layer.name + (f" … {int(layer.name) + copies - 1}" if copies > 1 else "")
    own = [parameters[f"{layer.path}.{local}"] for local in layer.parameters]
    total = sum(prod(p.shape) for p in _below(layer, parameters)) * copies
    label = Text("  " * depth + name, "bold" if layer.children else "")
    shape = Text(_shape(layer))
    return [label, Text(layer.type, "cyan"), shape, count(total) if total else "", Text("\n").join(_starts(own))]


def _below(layer: LayerPlan, parameters: dict[str, ParameterPlan]) -> Iterable[ParameterPlan]:
    for leaf in layer.walk():
        for local in leaf.parameters:
            yield parameters[f"{leaf.path}.{local}"]


def _shape(layer: LayerPlan) -> str:
    from modelforge.values import show

    return show(layer.output)


def _starts(parameters: Sequence[ParameterPlan]) -> list[Text]:
    """How the kernels of a layer start, one line for parameters that start alike; biases and scales only if unusual."""
    lines: dict[str, list[str]] = {}
    plain: Callable[[ParameterPlan], bool] = lambda p: p.rule.key.startswith("default of") and p.std == 0  # noqa: E731
    for parameter in parameters:
        if not plain(parameter):
            spread = "" if parameter.std is None else f" σ={number(parameter.std)}" if parameter.std else ""
            lines.setdefault(parameter.scheme + spread, []).append(parameter.path.rpartition(".")[2])
    if len(lines) == 1 and len(next(iter(lines.values()))) == 1:
        return [Text(next(iter(lines)))]
    return [Text.assemble((f"{', '.join(names)}: ", "dim"), start) for start, names in lines.items()]
