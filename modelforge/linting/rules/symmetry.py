"""Units that cannot come to differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from modelforge.core.matrix import Matrix
from modelforge.linting.rule import Found, register_rule
from modelforge.linting.subject import Subject, is_constant, key_of
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.layer_plan import LayerPlan
from modelforge.signal.flow import LeafLayer

JOINS = ("Add", "Multiply")
"""Layers that join a unit with one of another tensor, by which units come to differ."""


@register_rule(
    "MW101",
    severity="warning",
    why="Units with equal incoming weights get equal gradients, unless their outgoing weights differ. Then they stay "
    "equal, and a layer of any width is worth one unit.",
    when="Std 0 in all parameters of a layer, and in all kernels that read it (Goodfellow, Bengio and Courville, "
    "Deep Learning, 2016, section 8.4). Dropout between them lets units part slowly.",
    bad="""\
model:
  input: {shape: [8]}
  layers:
    hidden: {type: Linear, out_features: 16}
    act: Tanh
    head: {type: Linear, out_features: 2}
init: {scheme: constant, value: 0.1}
""",
    good="""\
model:
  input: {shape: [8]}
  layers:
    hidden: {type: Linear, out_features: 16}
    act: Tanh
    head: {type: Linear, out_features: 2, init: xavier}
init: {scheme: constant, value: 0.1}
""",
)
def constant_weights(subject: Subject) -> Iterator[Found]:
    if not any(parameter.std == 0 and len(parameter.shape) > 1 for parameter in subject.parameters):
        return
    constant = {leaf.layer.path for leaf in subject.flow.leaves if _is_constant(subject, leaf.layer)}
    for path, leaf in subject.leaves.items():
        if path in constant and _stays_equal(subject, path, constant):
            yield from map(_found, _kernels(subject, leaf.layer))


def _found(kernel: ParameterPlan) -> Found:
    return Found(
        key_of(kernel),
        kernel.path,
        "the units of {} start equal, and so do the weights that read them: they get equal gradients and stay equal",
        "draw weights from a distribution; constants suit biases and scales",
    )


def _kernels(subject: Subject, layer: LayerPlan) -> list[ParameterPlan]:
    """The kernels of a layer of more than one unit that read the same inputs: units of other groups read others."""
    every = subject.of_layer(layer).values()
    return [
        it for it in every if it.role in ("weight", "recurrent") and any(_has_units(matrix) for matrix, _ in it.fills)
    ]


def _has_units(matrix: Matrix) -> bool:
    return len(matrix.shape) > 1 and matrix.shape[1 if matrix.input_first else 0] > 1


def _is_constant(subject: Subject, layer: LayerPlan) -> bool:
    """Whether a layer has kernels, and nothing of it makes its units differ."""
    return bool(_kernels(subject, layer)) and all(map(is_constant, subject.of_layer(layer).values()))


def _has_equal_units(subject: Subject, maker: str, constant: Collection[str]) -> bool:
    """Whether all units of a tensor are equal: constant kernels made it, and nothing since makes its units differ."""
    ahead, seen = [maker], set[str]()
    while ahead:
        path = ahead.pop()
        if path in constant or path in seen:
            continue
        seen.add(path)
        leaf = subject.leaves.get(path)
        if leaf is None or not all(map(is_constant, subject.of_layer(leaf.layer).values())):
            return False
        ahead += [read.maker for read in leaf.reads]
    return True


def _stays_equal(subject: Subject, path: str, constant: Collection[str]) -> bool:
    """Whether all that reads the units of a layer treats them alike; a result of the model does not."""
    results = {source.maker for source in subject.flow.results.values()}
    ahead, seen = [path], {path}
    while ahead:
        maker = ahead.pop()
        if maker in results:
            return False
        for leaf in subject.readers.get(maker, ()):
            reader = leaf.layer.path
            if reader in constant or reader in seen:
                continue
            if not all(map(is_constant, subject.of_layer(leaf.layer).values())):
                return False
            if leaf.layer.type in JOINS and not all(
                _has_equal_units(subject, read.maker, constant) for read in leaf.reads
            ):
                return False
            seen.add(reader)
            ahead.append(reader)
    return True


@register_rule(
    "MW128",
    why="Layers that read the same and have the same values compute the same. Tied ones stay equal for ever; "
    "constants and identities do where a sum joins them. Drawn values never coincide: each parameter has a key of its "
    "own.",
    when="Two layers of one type with equal arguments and equal inputs, and all parameters tied, or not drawn and "
    "joined by a layer without parameters that keeps the shape.",
    bad="""\
model:
  input: {shape: [8]}
  layers:
    a: {type: Linear, out_features: 8, inputs: input}
    b: {type: Linear, out_features: 8, inputs: input}
    sum: {type: Add, inputs: [a, b]}
    head: {type: Linear, out_features: 2}
  tie: {b.weight: a.weight, b.bias: a.bias}
init: xavier
""",
    good="""\
model:
  input: {shape: [8]}
  layers:
    a: {type: Linear, out_features: 8, inputs: input}
    b: {type: Linear, out_features: 8, inputs: input}
    sum: {type: Add, inputs: [a, b]}
    head: {type: Linear, out_features: 2}
init: xavier
""",
)
def identical_layers(subject: Subject) -> Iterator[Found]:
    alike: dict[object, list[LeafLayer]] = {}
    for leaf in subject.flow.leaves:
        values = _values(subject, leaf)
        if values is not None:
            alike.setdefault((leaf.layer.type, leaf.layer.arguments, leaf.reads, values), []).append(leaf)
    for first, *others in alike.values():
        for other in others:
            yield Found(
                other.layer.key,
                other.layer.path,
                f"{{}} computes the same as `{first.layer.path}`: it reads the same, and its parameters are equal",
                "leave one of them out, or let them start differently",
                "key",
            )


def _values(subject: Subject, leaf: LeafLayer) -> object:
    """What all values of a layer are, such that an equal one is identical and stays so; None where that is not sure."""
    named = subject.of_layer(leaf.layer)
    if not named:
        return None
    if any(f"{leaf.layer.path}.{name}" != parameter.path for name, parameter in named.items()) or any(
        parameter.path in subject.plan.ties.values() for parameter in named.values()
    ):
        return tuple(sorted((name, parameter.path) for name, parameter in named.items()))
    readers = subject.readers.get(leaf.layer.path, ())
    joined = (
        len(readers) == 1 and not subject.of_layer(readers[0].layer) and readers[0].layer.output == leaf.layer.output
    )
    if not joined or not all(fill.promise.deterministic for one in named.values() for _, fill in one.fills):
        return None
    means = {name: tuple(fill.mean for _, fill in parameter.fills) for name, parameter in named.items()}
    patterns = {name: None if is_constant(one) else one.initializer for name, one in named.items()}
    return readers[0].layer.path, tuple((name, means[name], patterns[name]) for name in sorted(named))
