"""torch's transformer layers: the layers inside, each by its own rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from modelforge.core.frozen import FrozenDict
from modelforge.core.tensors import TensorValue, Value
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.layer_plan import LayerPlan
from modelforge.signal.back import backward_from
from modelforge.signal.flow import LeafLayer, Source
from modelforge.signal.own_values import of_transformer
from modelforge.signal.predict import forward
from modelforge.signal.rule import Index, Node, Passed, Unpredictable, register_signal
from modelforge.signal.value import Gradient, Signal

ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU"}


@dataclass(frozen=True, slots=True)
class _Inner:
    """A layer inside: what it is, and what it reads by name."""

    name: str
    type: str
    reads: tuple[str, ...]
    arguments: Mapping[str, Any]
    width: int | None = None
    """Features that it makes; those of what it reads if None."""


class _Inside:
    """The layers inside, collected one after the other."""

    def __init__(self, node: Node) -> None:
        self.arguments = node.layer.arguments
        self.layers: list[_Inner] = []

    def add(self, name: str, kind: str, reads: tuple[str, ...], *, width: int | None = None, **arguments: Any) -> str:
        """Adds a layer and gives its name."""
        self.layers.append(_Inner(name, kind, reads, arguments, width))
        return name

    def dropped(self, name: str, read: str) -> str:
        return self.add(name, "Dropout", (read,), p=self.arguments["dropout"])

    def normed(self, name: str, read: str) -> str:
        return self.add(
            name, "LayerNorm", (read,), normalized_shape=self.arguments["d_model"], eps=self.arguments["layer_norm_eps"]
        )

    def attended(self, name: str, dropout: str, *reads: str) -> str:
        """An attention and the dropout after it."""
        attention = {"add_bias_kv": False, "add_zero_attn": False, "dropout": self.arguments["dropout"]}
        width, heads = self.arguments["d_model"], self.arguments["nhead"]
        made = self.add(name, "MultiheadAttention", reads, embed_dim=width, num_heads=heads, **attention)
        return self.dropped(dropout, made)

    def mlp(self, prefix: str, dropout: str, read: str) -> str:
        """Two linear layers with an activation between."""
        wide = self.arguments["dim_feedforward"]
        read = self.add(f"{prefix}linear1", "Linear", (read,), width=wide)
        read = self.add(f"{prefix}activation", ACTIVATIONS[self.arguments["activation"]], (read,))
        read = self.dropped(f"{prefix}dropout", read)
        read = self.add(f"{prefix}linear2", "Linear", (read,), width=self.arguments["d_model"])
        return self.dropped(dropout, read)

    def block(self, prefix: str, stream: str, memory: str | None) -> str:
        """An encoder layer, or a decoder layer that reads what an encoder gives."""
        first = self.arguments["norm_first"]
        attentions = [("self_attn", None)] if memory is None else [("self_attn", None), ("multihead_attn", memory)]
        for number, (name, keys) in enumerate([*attentions, ("", None)], start=1):
            norm, dropout = f"{prefix}norm{number}", f"{prefix}dropout{number}"
            read = self.normed(norm, stream) if first else stream
            if name:
                branch = self.attended(f"{prefix}{name}", dropout, *((read,) if keys is None else (read, keys)))
            else:
                branch = self.mlp(prefix, dropout, read)
            stream = self.add(f"{prefix}sum{number}", "Add", (stream, branch))
            stream = stream if first else self.normed(norm, stream)
        return stream


@register_signal("TransformerEncoderLayer", has_norm=True, has_shortcut=True)
def encoder_layer(node: Node) -> Passed:
    """Self-attention and an MLP, each with a residual sum and a norm."""
    inside = _Inside(node)
    return _run(node, inside, inside.block("", "@0", None))


@register_signal("TransformerDecoderLayer", has_norm=True, has_shortcut=True)
def decoder_layer(node: Node) -> Passed:
    """The same, with an attention to a second input between."""
    inside = _Inside(node)
    return _run(node, inside, inside.block("", "@0", "@1"))


@register_signal("Transformer", has_norm=True, has_shortcut=True, own_values=of_transformer)
def transformer(node: Node) -> Passed:
    """An encoder of the first input and a decoder of the second, each with a norm at its end."""
    inside, stream = _Inside(node), "@0"
    for number in range(node.layer.arguments["num_encoder_layers"]):
        stream = inside.block(f"encoder.layers.{number}.", stream, None)
    memory, stream = inside.normed("encoder.norm", stream), "@1"
    for number in range(node.layer.arguments["num_decoder_layers"]):
        stream = inside.block(f"decoder.layers.{number}.", stream, memory)
    return _run(node, inside, inside.normed("decoder.norm", stream))


def _run(node: Node, inside: _Inside, last: str) -> Passed:
    """What the layers inside make of what arrives, one after the other.

    Raises:
        Unpredictable: the rule of one of them cannot say.
    """
    names = [f"@{place}" for place in range(len(node.signals))]
    values: dict[str, Value] = dict(zip(names, node.layer.inputs, strict=True))
    signals: dict[Source, Signal | None] = {Source(name): it for name, it in zip(names, node.signals, strict=True)}
    done: list[tuple[LeafLayer, Passed | None, str]] = []
    for one in inside.layers:
        layer = _planned(one, values)
        values[one.name] = layer.output
        leaf = LeafLayer(layer, tuple(map(Source, one.reads)))
        parameters = _below(node, one.name)
        read = tuple(signals[source] for source in leaf.reads)
        own = "Transformer" if node.layer.type == "Transformer" and one.type != "LayerNorm" else ""
        inner = Node(layer, parameters, read, node.num_examples, node.training, own, node.spreads)
        result, reason = forward(inner, leaf, signals, {})
        if result is None:
            raise Unpredictable(f"{one.name}: {reason.removeprefix('unknown from here on: ')}")
        signals[Source(one.name)] = result.outputs[()]
        done.append((leaf, result, reason))
    output = signals[Source(last)]
    assert output is not None, "each layer inside is known"

    def back(gradients: Mapping[Index, Gradient]) -> tuple[Gradient | None, ...]:
        found = backward_from(done, {Source(last): gradients[()]}, signals)
        return tuple(found.get(Source(name)) for name in names)

    return Passed({(): output}, back)


def _planned(one: _Inner, values: Mapping[str, Value]) -> LayerPlan:
    """The plan of a layer inside."""
    inputs = tuple(values[name] for name in one.reads)
    output = inputs[0]
    if one.width is not None:
        assert isinstance(output, TensorValue), "what is read inside are tensors"
        output = replace(output, shape=(*output.shape[:-1], one.width))
    return LayerPlan(one.name, one.name, one.type, FrozenDict(one.arguments), (), inputs, output)


def _below(node: Node, name: str) -> dict[str, ParameterPlan]:
    """The parameters of a layer inside, by name below it."""
    prefix = f"{name}."
    return {path.removeprefix(prefix): one for path, one in node.parameters.items() if path.startswith(prefix)}
