"""What `mf.predict` says of signals, gradients and the first loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from math import log, sqrt

from modelforge.core.words import exponential, plural
from modelforge.linting.rule import Found, register_rule
from modelforge.linting.subject import Subject, key_of
from modelforge.linting.ways import back, ends, gradient_energy, kernel_of, last_weighted, lost, signal_of, stretch
from modelforge.signal.flow import LeafLayer, Source
from modelforge.signal.predict import NodeSignal

FAR = 1e3
"""The factor on the energy of a signal or a gradient from which on it has vanished or exploded."""
NO_FLOAT = 1e100
"""The factor from which on no float32 holds it, and nothing makes up for it."""
SURE = 3.0
"""The std of scores from which on a softmax is nearly sure of a class that it knows nothing about."""
DEEP = "model:\n  input: {shape: [64]}\n  layers:\n    stack: {type: Repeat, times: 30, layers: {dense: "


@register_rule(
    "MW123",
    why="A signal that vanishes or explodes on its way carries nothing to the last layer: outputs are equal for all "
    "examples, or not finite.",
    when="E x² where the last weights read, of the model and of each part of a concatenation, over that of the "
    "input or of the table, below 1/1,000 or above 1,000, as `mf.predict` computes it; what means over positions take "
    "away is not counted. The depth to which a network of this kind is usable follows from the factor per layer.",
    bad=f"""\
{DEEP}{{type: Linear, out_features: 64}}, act: ReLU}}}}
    head: {{type: Linear, out_features: 10}}
init: {{scheme: normal, std: 0.05}}
""",
    good=f"""\
{DEEP}{{type: Linear, out_features: 64}}, norm: LayerNorm, act: ReLU}}}}
    head: {{type: Linear, out_features: 10}}
init: {{scheme: normal, std: 0.05}}
""",
)
def far_signal(subject: Subject) -> Iterator[Found]:
    reported: set[str] = set()
    for source in ends(subject):
        last = last_weighted(subject, source)
        reader = None if last is None else _known(subject, last)
        weighted = [] if reader is None else stretch(subject, reader)
        if last is None or reader is None or not weighted:
            continue
        divided = lost(subject, last, backward=False)
        first = _first_energy(subject, weighted[-1], divided)
        energy, counted = _energy(subject, reader.reads[0], divided)
        if not first or not counted or 1 / FAR <= (ratio := counted / first) <= FAR:
            continue
        if reader is not last and 1 / NO_FLOAT < ratio < NO_FLOAT:
            continue  # what comes between may make up for it
        start = next((leaf for leaf in reversed(weighted) if _is_far(subject, leaf, first, divided)), last)
        if start.layer.path in reported:
            continue
        reported |= {last.layer.path, *(leaf.layer.path for leaf in weighted)}
        usable = max(1, int(len(weighted) * log(FAR) / abs(log(ratio))))
        verb = "vanishes" if ratio < 1 else "explodes"
        blamed = kernel_of(subject, start)
        yield Found(
            start.layer.key if blamed is None else key_of(blamed),
            start.layer.path,
            f"the signal {verb} at {{}}: E x² is {energy:.2g} where `{reader.layer.path}` reads, after "
            f"{plural(len(weighted), 'layer')} with weights; usable to a depth of about {usable:,}",
            "give weights the gain of the activation after them (`gain: auto`), or add norms",
        )


@register_rule(
    "MW124",
    why="Gradients that vanish leave the first layers as they are; gradients that explode break the first step.",
    when="The predicted energy of the gradient at the first activation, over that at the last, below 1/1,000 or "
    "above 1,000; summed over all elements, and the equal parts that means over positions send back as one. After "
    "the last norm, outside of residual branches (Schoenholz et al. 2017, arXiv:1611.01232).",
    bad=f"""\
{DEEP}{{type: Linear, out_features: 64}}, act: Sigmoid}}}}
    head: {{type: Linear, out_features: 10}}
init: xavier
""",
    good=f"""\
{DEEP}{{type: Linear, out_features: 64}}, act: Tanh}}}}
    head: {{type: Linear, out_features: 10}}
init: xavier
""",
)
def far_gradient(subject: Subject) -> Iterator[Found]:
    whole, nodes = max(
        ((_growth_back(subject, nodes), nodes) for nodes in _chains(subject)), key=lambda found: abs(found[0])
    )
    if abs(whole) <= log(FAR):
        return
    usable = max(1, int(len(nodes) * log(FAR) / abs(whole)))
    first = subject.leaves[nodes[0].path]
    maker = subject.leaves.get(first.reads[0].maker) if first.reads else None
    blamed = None if maker is None else kernel_of(subject, maker)
    yield Found(
        first.layer.key if blamed is None else key_of(blamed),
        first.layer.path if maker is None else maker.layer.path,
        f"gradients {'vanish' if whole < 0 else 'explode'} on their way back to {{}}: their energy changes by a "
        f"factor of {exponential(whole)} over {plural(len(nodes) - 1, 'layer')}; usable to a depth of about {usable:,}",
        "`gain: auto_backward` keeps gradients; norms and residual branches do too",
    )


@register_rule(
    "MW137",
    why="Values of size 1 suit a table that is only looked up in. As the weights of the head, the same table sums over "
    "its width: scores are as large as the root of the width, and the first loss is far too high.",
    when="Scores with a predicted std above 3; d·σ²·E x² for a table of width d and std σ: σ = 1/√d keeps it at 1 "
    "(Radford et al. 2019 and T5 use 0.02 and a rescaled head).",
    bad="""\
model:
  input: {shape: [16], dtype: int64}
  layers:
    token: {type: Embedding, num_embeddings: 100, embedding_dim: 64, init: {embedding: {scheme: normal, std: 1.0}}}
    norm: LayerNorm
    head: {type: Linear, out_features: 100, bias: false}
  tie: {head.weight: token.weight}
init: xavier
""",
    good="""\
model:
  input: {shape: [16], dtype: int64}
  layers:
    token: {type: Embedding, num_embeddings: 100, embedding_dim: 64, init: {embedding: {scheme: normal, std: 0.125}}}
    norm: LayerNorm
    head: {type: Linear, out_features: 100, bias: false}
  tie: {head.weight: token.weight}
init: xavier
""",
)
def large_tied_table(subject: Subject) -> Iterator[Found]:
    for name, first in subject.plan.ties.items():
        table = subject.by_path.get(first)
        leaf = subject.leaves.get(name.rpartition(".")[0])
        if table is None or table.role != "embedding" or table.std is None or leaf is None:
            continue
        node = subject.prediction.by_path.get(leaf.layer.path)
        signal = None if node is None else node.signal
        second = table.std**2 * table.shape[-1] if signal is None else signal.second
        if second > SURE**2:
            yield Found(
                key_of(table),
                first,
                f"{{}} is also the head: with std {table.std:.3g} and {table.shape[-1]} columns, scores have std "
                f"{sqrt(second):.3g}",
                f"`embedding: {{scheme: normal, std: {table.shape[-1] ** -0.5:.2g}}}`, or a layer `Rescale` before "
                "the head",
            )


@register_rule(
    "MW138",
    why="Before training, no class is likelier than another, and the loss should be ln(classes). Where scores are "
    "large, the model starts sure of wrong answers, and the first steps do nothing but take that back.",
    when="E loss ≈ ln C + min(s²/2, s·√(2 ln C)) for scores N(0, s²); found where the excess is above 1 and above "
    "half of ln C. Only where the task and the number of classes C are known.",
    bad="""\
model:
  input: {shape: [64]}
  layers:
    hidden: {type: Linear, out_features: 64}
    act: ReLU
    head: {type: Linear, out_features: 10, init: {scheme: normal, std: 1.0}}
init: kaiming
optimizer: {type: Adam, lr: 1e-3}
data: {task: classification, num_outputs: 10}
""",
    good="""\
model:
  input: {shape: [64]}
  layers:
    hidden: {type: Linear, out_features: 64}
    act: ReLU
    head: {type: Linear, out_features: 10, init: {scheme: normal, std: 0.1}}
init: kaiming
optimizer: {type: Adam, lr: 1e-3}
data: {task: classification, num_outputs: 10}
""",
)
def high_first_loss(subject: Subject) -> Iterator[Found]:
    classes = subject.training.num_classes if subject.training is not None else None
    if classes is None or classes < 2:
        return
    for source in subject.flow.results.values():
        signal = signal_of(subject, source)
        if signal is None:
            continue
        least, size = log(classes), sqrt(signal.variance)
        excess = min(signal.variance / 2, size * sqrt(2 * least))
        if excess > max(1.0, least / 2):
            last = last_weighted(subject, source)
            blamed = None if last is None else kernel_of(subject, last)
            path = source.maker if last is None else last.layer.path
            yield Found(
                subject.leaves[source.maker].layer.key if blamed is None else key_of(blamed),
                path,
                f"the first loss is about {least + excess:.1f}, where ln({classes}) = {least:.1f} is due: scores of "
                f"{{}} have std {size:.2g}",
                "let the last layer start smaller, for example with `init: {scheme: lecun, gain: 0.1}` or `zeros`",
            )


def _chains(subject: Subject) -> Iterator[Sequence[NodeSignal]]:
    """The activations after the last norm, outside of residual branches: all, and those of each way between joins."""
    yield _activations(subject, subject.since_norm)
    ahead = {leaf.layer.path: leaf for leaf in subject.since_norm}
    for last in reversed(subject.since_norm):
        way = [*takewhile(lambda leaf: leaf.layer.path in ahead, back(subject, ahead.get(last.layer.path)))]
        for leaf in way:
            del ahead[leaf.layer.path]
        yield _activations(subject, way[::-1])


def _activations(subject: Subject, leaves: Sequence[LeafLayer]) -> Sequence[NodeSignal]:
    known = [subject.prediction.by_path.get(leaf.layer.path) for leaf in leaves]
    return [
        node for node in known if node and node.chi and gradient_energy(subject, node) and not _in_branch(subject, node)
    ]


def _growth_back(subject: Subject, nodes: Sequence[NodeSignal]) -> float:
    """The logarithm of what the energy of gradients is multiplied by from the last of some layers to the first."""
    energies = [gradient_energy(subject, node) or 0.0 for node in nodes]
    if len(energies) < 2 or not min(energies[0], energies[-1]):
        return 0.0
    divided = lost(subject, subject.leaves[nodes[-1].path], backward=True)
    return log(energies[0] * divided.get(nodes[0].path, 1.0)) - log(energies[-1])


def _known(subject: Subject, last: LeafLayer) -> LeafLayer | None:
    """A layer, or the nearest before it of which is predicted what it reads."""
    return next((leaf for leaf in back(subject, last) if leaf.reads and signal_of(subject, leaf.reads[0])), None)


def _energy(subject: Subject, source: Source, divided: Mapping[str, float]) -> tuple[float, float]:
    """The energy of a tensor, and the same without what averages before take away; 0 where it is not known."""
    signal = signal_of(subject, source)
    energy = 0.0 if signal is None else signal.second
    return energy, energy * divided.get(source.maker.removeprefix("@"), 1.0)


def _first_energy(subject: Subject, leaf: LeafLayer, divided: Mapping[str, float]) -> float:
    """The energy of what a layer reads; of what it gives where it reads whole numbers."""
    read = _energy(subject, leaf.reads[0], divided)[1] if leaf.reads else 0.0
    return read or _energy(subject, Source(leaf.layer.path), divided)[1]


def _is_far(subject: Subject, leaf: LeafLayer, first: float, divided: Mapping[str, float]) -> bool:
    """Whether what a layer gives has vanished or exploded, against an energy before it."""
    energy = _energy(subject, Source(leaf.layer.path), divided)[1]
    return energy != 0 and not 1 / FAR <= energy / first <= FAR


def _in_branch(subject: Subject, node: NodeSignal) -> bool:
    """Whether the weights before an activation are in a residual branch."""
    reads = subject.leaves[node.path].reads
    maker = subject.leaves.get(reads[0].maker) if reads else None
    kernel = None if maker is None else kernel_of(subject, maker)
    context = None if kernel is None else kernel.fills[0][0].context
    return context is not None and context.branch is not None
