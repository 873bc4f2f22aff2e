"""network: the layers of a plan → nested blocks, copies that are alike as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from modelforge.core.tensors import at, first
from modelforge.diagnosis.document import Block
from modelforge.planning.plan import LayerPlan, Plan

MAX_BLOCKS = 200
"""Blocks of a network; what is inside the last ones is left out."""


def network(plan: Plan, index: Mapping[str, int]) -> tuple[Block, ...]:
    """The network as nested blocks.

    Args:
        plan: What it is made of.
        index: The levels that are shown, by path.
    """
    return _bounded(_blocks(plan.root.children, index))


def _blocks(layers: Sequence[LayerPlan], index: Mapping[str, int]) -> tuple[Block, ...]:
    runs = [list(run) for _, run in groupby(layers, _alike)]
    found: list[Block] = []
    before = "input"
    for run in runs:
        found.append(_block(run, index, before))
        before = run[-1].name
    return tuple(found)


def _block(run: Sequence[LayerPlan], index: Mapping[str, int], before: str) -> Block:
    one, copies = run[0], len(run)
    reads = [str(read) for read in one.reads]
    tensor = at(one.output, first(one.output))
    return Block(
        name=f"{one.name} … {run[-1].name}" if copies > 1 else one.name,
        type=one.type,
        copies=copies,
        output=str(tensor),
        reads=() if reads == [before] else tuple(reads),
        levels=tuple(index[layer.path] for layer in run if layer.path in index),
        children=_merged([_blocks(layer.children, index) for layer in run]),
    )


def _merged(copies: Sequence[Sequence[Block]]) -> tuple[Block, ...]:
    """The blocks of the first copy, each with the levels of all copies."""
    return tuple(
        same[0].model_copy(
            update={
                "levels": tuple(level for block in same for level in block.levels),
                "children": _merged([block.children for block in same]),
            }
        )
        for same in zip(*copies, strict=True)
    )


def _alike(layer: LayerPlan) -> tuple[Any, ...]:
    """What copies have in common: all but their number."""
    name = "" if layer.name.isdigit() else layer.name
    return name, layer.key, layer.type, layer.output, layer.parameters, tuple(map(_alike, layer.children))


def _bounded(blocks: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks, without what is inside of some where there are too many."""
    depth = 8
    while depth > 1 and _count(blocks) > MAX_BLOCKS:
        depth -= 1
        blocks = _cut(blocks, depth)
    return tuple(blocks[:MAX_BLOCKS])


def _count(blocks: Sequence[Block]) -> int:
    return sum(1 + _count(block.children) for block in blocks)


def _cut(blocks: Sequence[Block], depth: int) -> tuple[Block, ...]:
    return tuple(
        block.model_copy(update={"children": _cut(block.children, depth - 1) if depth > 1 else ()}) for block in blocks
    )
