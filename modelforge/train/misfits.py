"""A plan and the data → where they do not fit: what goes in, and what comes out for the task."""

from __future__ import annotations

from collections.abc import Iterator

from modelforge.core.errors import Problem
from modelforge.core.tensors import BATCH, TensorValue, Value, show
from modelforge.core.words import plural
from modelforge.planning.plan import Plan
from modelforge.train.data.source import Source


def misfits(plan: Plan, source: Source) -> Iterator[Problem]:
    """What the data hands over must be what the model takes, and what the model gives must be what the task takes."""
    given = [TensorValue((BATCH, *one.shape), one.dtype) for one in source.inputs.values()]
    if list(plan.inputs.values()) != given:
        takes, gives = (" and ".join(f"{it.dtype} {it}" for it in them) for them in (plan.inputs.values(), given))
        message = f"the model takes {takes}, but the data gives {gives}"
        yield Problem("MF050", "model.input", message, "write `input: ${data.input}`")
    due = given[0] if source.task == "autoencoding" else TensorValue((BATCH, *source.positions, source.num_outputs))
    if plan.output != due:
        message = f"the model puts out {show(plan.output)}, but {_reason(source)}, so it must be {due}"
        yield Problem("MF050", plan.root.children[-1].key, message, _way_out(plan.output, due, source), part="key")


def _reason(source: Source) -> str:
    match source.task:
        case "classification":
            classes = f"the data has {plural(source.num_outputs, 'class')}"
            return classes + (f" at each of {plural(source.positions[0], 'step')}" if source.positions else "")
        case "regression":
            return f"the data has {plural(source.num_outputs, 'target')}"
        case "language_modelling":
            return f"each of {plural(source.positions[0], 'token')} is followed by one of {source.num_outputs}"
        case "autoencoding":
            return "an autoencoder gives back its input"


def _way_out(output: Value, due: TensorValue, source: Source) -> str:
    if not isinstance(output, TensorValue):
        return "end with a layer that gives one tensor"
    if source.task == "autoencoding" and len(output.shape) == len(due.shape) == 2:
        size = due.shape[1]
        return f"end with `out_features: {size}`; where it is `${{data.num_outputs}}`: `data.num_outputs={size}`"
    if source.task == "autoencoding":
        return f"end with `{{type: Unflatten, dim: 1, unflattened_size: [{', '.join(map(str, due.shape[1:]))}]}}`"
    if len(output.shape) > len(due.shape):
        return "reduce it before the last layer: `Flatten`, or `Select` or `Mean` with the dimension to drop"
    if len(output.shape) < len(due.shape):
        return "keep the steps: leave out the layer that drops them, such as `~model.layers.last`"
    return "end with `{type: Linear, out_features: ${data.num_outputs}}`"
