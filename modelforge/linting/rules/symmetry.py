"""Units that cannot come to differ."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from modelforge.linting.rule import Found, register_rule
from modelforge.linting.subject import Subject
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.layer_plan import LayerPlan


@register_rule(
    "MW101",
    severity="warning",
    why="Units with equal incoming weights get equal gradients, unless their outgoing weights differ. Then they stay "
    "equal, and a layer of any width is worth one unit.",
    numbers="Std 0 in all parameters of a layer, and in all kernels that read it (Goodfellow, Bengio and Courville, "
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
        kernel.rule.key,
        kernel.path,
        "the units of {} start equal, and so do the weights that read them: they get equal gradients and stay equal",
        "draw weights from a distribution; constants suit biases and scales",
    )


def _kernels(subject: Subject, layer: LayerPlan) -> list[ParameterPlan]:
    """The kernels of a layer of more than one unit."""
    every = subject.of_layer(layer).values()
    return [it for it in every if len(it.shape) > 1 and it.shape[0] > 1 and it.role in ("weight", "recurrent")]


def _is_constant(subject: Subject, layer: LayerPlan) -> bool:
    """Whether a layer has kernels, and nothing of it makes its units differ."""
    return bool(_kernels(subject, layer)) and all(it.std == 0 for it in subject.of_layer(layer).values())


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
            if any(parameter.std != 0 for parameter in subject.of_layer(leaf.layer).values()):
                return False
            seen.add(reader)
            ahead.append(reader)
    return True
