"""Padding: steps that only fill a sequence up, and what reads them as if they meant something."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from modelforge.core.tensors import TensorValue
from modelforge.linting.rule import Found, register_rule
from modelforge.linting.subject import Subject
from modelforge.planning.layer_plan import LayerPlan
from modelforge.signal.flow import LeafLayer

BIDIRECTIONAL = frozenset({"MultiheadAttention", "TransformerEncoderLayer"})
"""Layers of torch in which every step attends to every other one."""


@register_rule(
    "MW139",
    why="Shorter sequences are filled up with padding. What reads it gives another output for the same text when there "
    "is more of it: in a longer `context`, or beside longer texts.",
    when="A tensor of steps that comes from an `Embedding` with a `padding_idx`, or with `data.padding_id` from one "
    "that reads tokens, reaches a `Mean` over steps, an attention that is not causal, or, where `data.padding` is "
    "`right`, a `Select` that counts from the end; and none of these has a mask.",
    bad="""\
model:
  input: {shape: [32], dtype: int64}
  layers:
    words: {type: Embedding, num_embeddings: 100, embedding_dim: 16, padding_idx: 0}
    mean: {type: Mean, dim: 1}
    head: {type: Linear, out_features: 2}
init: xavier
""",
    good="""\
model:
  input: {shape: [32], dtype: int64}
  layers:
    mask: {type: PaddingMask, padding_idx: 0}
    words: {type: Embedding, num_embeddings: 100, embedding_dim: 16, padding_idx: 0, inputs: input}
    mean: {type: Mean, dim: 1, inputs: [words, mask]}
    head: {type: Linear, out_features: 2}
init: xavier
""",
    severity="warning",
)
def read_padding(subject: Subject) -> Iterator[Found]:
    training = subject.training
    known = None if training is None else training.padding_idx
    from_end = known is not None and training is not None and training.padding == "right"
    filled: dict[str, int] = {}
    for leaf in subject.flow.leaves:
        layer, padding = leaf.layer, next((filled[read.maker] for read in leaf.reads if read.maker in filled), None)
        if layer.type == "Embedding":
            padding = layer.arguments.get("padding_idx")
            if padding is None and leaf.reads[0].maker.startswith("@"):
                padding = known
        if padding is None:
            continue
        if layer.type != "Embedding" and not _masked(leaf) and (read := _reads(layer, from_end=from_end)):
            yield Found(
                layer.key,
                layer.path,
                f"{layer.type} at {{}} {read} padding: its output depends on how much there is",
                _way_out(layer, padding),
                "key",
            )
        if _steps(layer.inputs) == _steps([layer.output]) or layer.type == "Embedding":
            filled[layer.path] = padding


def _reads(layer: LayerPlan, *, from_end: bool) -> str:
    """What a layer without a mask does to the padding among the steps; empty if nothing."""
    arguments = layer.arguments
    if layer.type == "Mean":
        dims = arguments["dim"] if isinstance(arguments["dim"], tuple | list) else (arguments["dim"],)
        return "averages over steps of" if 1 in dims else ""
    if layer.type == "Select" and arguments["dim"] == 1 and arguments["index"] < 0:
        return "may take a step of" if from_end else ""
    attends = layer.type in BIDIRECTIONAL or (layer.type == "SelfAttention" and not arguments.get("causal"))
    return "attends to" if attends else ""


def _way_out(layer: LayerPlan, padding: int) -> str:
    made = f"put `{{type: PaddingMask, padding_idx: {padding}}}` after the tokens, and name it in `inputs`"
    if layer.type in BIDIRECTIONAL:
        return f"{made} of a `SelfAttention`"
    return made + (", or write `data.padding=left`" if layer.type == "Select" else "")


def _masked(leaf: LeafLayer) -> bool:
    """Whether a layer reads bools, too."""
    return any(isinstance(value, TensorValue) and value.dtype == "bool" for value in leaf.layer.inputs[1:])


def _steps(values: Sequence[object]) -> int | None:
    """Steps of the first of some tensors: their second dimension."""
    first = values[0] if values else None
    while isinstance(first, tuple) and first:
        first = first[0]
    return first.of(1)[1] if isinstance(first, TensorValue) and len(first.shape) > 2 else None
