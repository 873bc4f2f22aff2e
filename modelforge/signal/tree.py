"""The tree of a plan with what is predicted of each layer, as `show --signal` prints it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from modelforge.core.tensors import at, first
from modelforge.core.words import number
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.layer_plan import LayerPlan
from modelforge.planning.plan import Plan
from modelforge.report.aligned import NAME, WORDS
from modelforge.report.table import Fitted
from modelforge.signal.predict import NodeSignal, Prediction


def strength(node: NodeSignal) -> dict[str, float | None]:
    """The std of a signal and the root mean square of its gradient, each with its spread; None where not known.

    A spread is the standard deviation of the logarithm over draws of the weights, of half the energy's.
    """
    signal, gradient = node.signal, node.gradient
    return {
        "std": None if signal is None else sqrt(signal.variance),
        "std_spread": None if signal is None else signal.spread / 2,
        "gradient": None if gradient is None else sqrt(gradient.energy),
        "gradient_spread": None if gradient is None else gradient.spread / 2,
    }


def read_by(parameter: ParameterPlan) -> str | None:
    """The activations that `gain: auto` finds after a weight; None where they are not known."""
    found = next((matrix.activations for matrix, _ in parameter.fills if matrix.fixed is None), None)
    return None if found is None else ", ".join(activation.name for activation in found) or "none"


def facts(plan: Plan, prediction: Prediction) -> dict[str, dict[str, Any]]:
    """What is predicted of each leaf, and the activation after it, by path."""
    followed = {
        parameter.path.rpartition(".")[0]: read_by(parameter)
        for parameter in plan.parameters
        if parameter.role == "weight" and parameter.fills
    }
    return {
        layer.path: {**strength(prediction.node(layer.path)), "read_by": followed.get(layer.path)}
        for layer in plan.layers
        if layer.path in prediction.by_path
    }


def signals_tree(plan: Plan, prediction: Prediction) -> RenderableType:
    """The layers with the std of what they give, the root mean square of its gradient, and the activation after it."""
    known = facts(plan, prediction)
    header = ["layer", "type", "output", "std", "± %", "gradient", "± %", "read by", "note"]
    inputs = [
        [Text(name, "dim"), Text("input", "dim"), Text(str(value), "dim"), *_numbers(strength(prediction.node(name)))]
        for name, value in plan.inputs.items()
    ]
    lines = [[*line, Text(), Text()] for line in inputs]
    lines += _lines(plan.root.children, 0, known, {node.path: node.note for node in prediction.unknown})
    steps = ((8, 20), (4, 0), (6, 0), (7, 10), (1, 0), (0, 12))
    return Fitted(header, lines, right=range(3, 7), folds={0: NAME, 7: WORDS, 8: WORDS}, steps=steps)


def _lines(
    layers: tuple[LayerPlan, ...], depth: int, known: Mapping[str, Mapping[str, Any]], notes: Mapping[str, str]
) -> Iterator[list[Text]]:
    for layer in layers:
        shown = at(layer.output, first(layer.output))
        own = known.get(layer.path)
        numbers = [Text()] * 4 if own is None else _numbers(own)
        read_by = "" if own is None or layer.type == own["read_by"] else own["read_by"] or ""
        name = Text("  " * depth + layer.name, "bold" if layer.children else "")
        cells = (Text(layer.type, "cyan"), Text(str(shown) if shown is not None else ""))
        yield [name, *cells, *numbers, Text(read_by), Text(notes.get(layer.path, ""))]
        yield from _lines(layer.children, depth + 1, known, notes)


def _numbers(strengths: Mapping[str, float | None]) -> list[Text]:
    cells: list[Text] = []
    for name in ("std", "gradient"):
        spread = strengths[f"{name}_spread"]
        cells += [Text(number(strengths[name])), Text("" if spread is None else f"{100 * spread:.2g}")]
    return cells
