"""picture: the difference of two models → the changed part of the network as a graph, equal copies as one node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from modelforge.core.paths import glob
from modelforge.core.words import cut
from modelforge.review.diff_words import MARKS, layer_lines
from modelforge.review.document import MAX_PICTURED, Node, Picture
from modelforge.review.model_changes import Changes, LayerDiff
from modelforge.review.rows import bounded

MAX_WORDS = 60
"""Characters of what a node says of its change."""


def picture(changes: Changes) -> Picture | None:
    """The layers that differ in themselves and those around them; None where there is no such layer."""
    shown = {layer.path: _node(layer) for layer in _outermost(changes)}
    for pair in (*changes.reads, *changes.old_reads):
        if shown.keys() & {*pair}:
            shown |= {end: Node(name=_pattern(end)) for end in pair if end not in shown}
    if not any(node.mark for node in shown.values()):
        return None
    index = {node: number for number, node in enumerate(dict.fromkeys(shown.values()))}
    places = {path: index[node] for path, node in shown.items()}
    edges, old_edges = (_edges(reads, places) for reads in (changes.reads, changes.old_reads))
    return Picture(
        nodes=tuple(index)[:MAX_PICTURED],
        num_nodes=len(index),
        edges=tuple(edges)[: 4 * MAX_PICTURED],
        old_edges=tuple(edge for edge in old_edges if edge not in edges)[: 4 * MAX_PICTURED],
    )


def _edges(reads: Iterable[tuple[str, str]], places: Mapping[str, int]) -> dict[tuple[int, int], None]:
    """The arrows between the nodes that are shown, each once."""
    every = ((places[one], places[other]) for one, other in reads if {one, other} <= places.keys())
    return {edge: None for edge in every if max(edge) < MAX_PICTURED and edge[0] != edge[1]}


def _outermost(changes: Changes) -> list[LayerDiff]:
    """Layers of one side without those inside them, and changed ones without combinators that hold others."""
    own = {layer.path: layer for layer in changes.layers if layer.differs_itself}
    alone = {path for path, layer in own.items() if layer.kind != "changed"}
    parents = {path.rpartition(".")[0] for path in own}
    return [
        layer
        for path, layer in own.items()
        if (path in alone and path.rpartition(".")[0] not in alone) or (path not in alone and path not in parents)
    ]


def _node(layer: LayerDiff) -> Node:
    words = _first([words for words, _ in layer_lines(layer)])
    kind = {"mark": MARKS[layer.kind], "type": bounded(layer.type), "words": bounded(words)}
    return Node(name=_pattern(layer.path), **kind)


def _first(parts: Sequence[str]) -> str:
    """As many parts as there is room for: a number that is cut would be another number.

    >>> _first(["width 8 → 12", "x" * 60])
    'width 8 → 12; …'
    """
    shown = next((number for number in range(len(parts), 0, -1) if len("; ".join(parts[:number])) <= MAX_WORDS), 0)
    if not shown and parts:
        return cut(parts[0], MAX_WORDS)
    return "; ".join([*parts[:shown], *(["…"] if shown < len(parts) else [])])


def _pattern(path: str) -> str:
    """A path with `*` for the numbers of copies: alike copies are one node."""
    return bounded(glob(path))
