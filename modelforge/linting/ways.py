"""Ways back from a result, along what each layer reads first: kernels, predicted energies, and what averages divide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

from modelforge.linting.subject import Subject
from modelforge.planning.assign import ParameterPlan
from modelforge.signal.averages import lost_to_averages
from modelforge.signal.flow import LeafLayer, Source
from modelforge.signal.predict import NodeSignal
from modelforge.signal.value import Signal


def kernel_of(subject: Subject, leaf: LeafLayer) -> ParameterPlan | None:
    """The first kernel of a layer."""
    every = subject.of_layer(leaf.layer).values()
    return next((parameter for parameter in every if len(parameter.shape) > 1), None)


def signal_of(subject: Subject, source: Source) -> Signal | None:
    """What is predicted of a tensor; of a layer with several outputs, of the first."""
    node = subject.prediction.by_path.get(source.maker.removeprefix("@"))
    return None if node is None or source.index not in ((), (0,)) else node.signal


def gradient_energy(node: NodeSignal) -> float | None:
    """The predicted energy of a gradient, over all elements."""
    if node.gradient is None or node.signal is None:
        return None
    return node.gradient.energy * prod(node.signal.shape.sizes)


def back(subject: Subject, leaf: LeafLayer | None) -> Iterator[LeafLayer]:
    """A layer, the one that it reads first, and so on."""
    while leaf is not None:
        yield leaf
        leaf = subject.leaves.get(leaf.reads[0].maker) if leaf.reads else None


def last_weighted(subject: Subject, source: Source) -> LeafLayer | None:
    """The last layer with a kernel on the way to a result."""
    every = back(subject, subject.leaves.get(source.maker))
    return next((leaf for leaf in every if kernel_of(subject, leaf) is not None), None)


def stretch(subject: Subject, last: LeafLayer) -> list[LeafLayer]:
    """The layers with kernels before one, backwards, to where a norm last set the energy, or to the input."""
    found: list[LeafLayer] = []
    for leaf in back(subject, subject.leaves.get(last.reads[0].maker)):
        if subject.is_norm(leaf.layer):
            break
        if kernel_of(subject, leaf) is not None:
            found.append(leaf)
    return found


def lost(subject: Subject, last: LeafLayer, *, backward: bool) -> Mapping[str, float]:
    """By what averages over positions divide energies on the way to a layer, or those of gradients on the way back.

    Args:
        subject: The network.
        last: The layer at the end of the way.
        backward: Whether gradients are meant.
    """
    leaves = [*back(subject, last)]
    first = [read.maker.removeprefix("@") for read in leaves[-1].reads[:1]]
    way = [*(leaf.layer.path for leaf in leaves), *first]
    nodes = {path: node for path in way if (node := subject.prediction.by_path.get(path)) and node.signal}
    sizes = {path: prod(node.signal.shape.sizes) for path, node in nodes.items() if node.signal}
    energies: dict[str, float] = {}
    for path, node in nodes.items():
        energy = gradient_energy(node) if backward else node.signal and node.signal.second
        energies |= {path: energy} if energy else {}
    return lost_to_averages(way if backward else way[::-1], subject.leaves, energies, sizes)
