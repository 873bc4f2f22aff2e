"""Layouts of torch.nn's classes: the roles, matrices and fans of their parameters."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

from torch import nn

from modelforge.core.matrix import Activation, Attention, Matrix, Projection
from modelforge.modules.parameters import ParameterLayout, present, register_layout, rows, vector, whole


@register_layout(nn.Linear)
def _dense(module: nn.Linear) -> dict[str, ParameterLayout]:
    return present(weight=ParameterLayout("weight", (whole(module.weight),)), bias=vector("bias", module.bias))


@register_layout(nn.Bilinear)
def _bilinear(module: nn.Bilinear) -> dict[str, ParameterLayout]:
    # Each output sums over all pairs of inputs; each entry of either input reaches every output once per entry of
    # the other, so the mean of both directions stands for the way back.
    pairs = float(module.in1_features * module.in2_features)
    back = module.out_features * (module.in1_features + module.in2_features) / 2
    matrix = whole(module.weight, fan_in=pairs, fan_out=float(back), kind="bilinear")
    return present(weight=ParameterLayout("weight", (matrix,)), bias=vector("bias", module.bias))


@register_layout(nn.modules.conv._ConvNd)
def _convolution(module: Any) -> dict[str, ParameterLayout]:
    """Groups are convolutions of their own. A transposed one has its inputs on dimension 0, and on average only
    taps / stride of them meet in one output."""
    transposed = module.transposed
    taps = prod(module.kernel_size)
    inputs, outputs = module.in_channels // module.groups, module.out_channels // module.groups
    fan_in = inputs * taps / (prod(module.stride) if transposed else 1)
    names = [str(group) for group in range(module.groups)] if module.groups > 1 else [""]
    fans = {"fan_in": float(fan_in), "fan_out": float(outputs * taps)}
    steps = {"strides": tuple(module.stride), "dilations": tuple(module.dilation)} if transposed else {}
    matrices = rows(module.weight, names, **fans, **steps, input_first=transposed, kind="convolution")
    return present(weight=ParameterLayout("weight", matrices), bias=vector("bias", module.bias))


LSTM_GATES, GRU_GATES, NO_GATES = ("i", "f", "g", "o"), ("r", "z", "n"), ("",)
TANH, RELU = (Activation("Tanh", nn.Tanh()),), (Activation("ReLU", nn.ReLU()),)
MODES = {"LSTM": (LSTM_GATES, ()), "GRU": (GRU_GATES, ()), "RNN_TANH": (NO_GATES, TANH), "RNN_RELU": (NO_GATES, RELU)}
"""For each kind of torch's recurrent layers: the gates, and the activation after them where it is the only one."""


@register_layout(nn.RNNBase)
def _recurrent(module: nn.RNNBase) -> dict[str, ParameterLayout]:
    layouts: dict[str, ParameterLayout] = {}
    for layer in range(module.num_layers):
        for suffix in (f"_l{layer}", f"_l{layer}_reverse")[: 1 + module.bidirectional]:
            layouts |= _recurrent_step(module, suffix, *MODES[module.mode], reads_input=layer == 0)
            if module.proj_size:
                weight = getattr(module, f"weight_hr{suffix}")
                layouts[f"weight_hr{suffix}"] = ParameterLayout("weight", (whole(weight, activations=()),))
    return layouts


@register_layout(nn.LSTMCell, nn.GRUCell, nn.RNNCell)
def _recurrent_cell(module: Any) -> dict[str, ParameterLayout]:
    if isinstance(module, nn.RNNCell):
        mode = f"RNN_{module.nonlinearity.upper()}"
    else:
        mode = "LSTM" if isinstance(module, nn.LSTMCell) else "GRU"
    return _recurrent_step(module, "", *MODES[mode], reads_input=True)


def _recurrent_step(
    module: Any, suffix: str, gates: tuple[str, ...], follows: tuple[Activation, ...], *, reads_input: bool
) -> dict[str, ParameterLayout]:
    weight_ih, weight_hh = getattr(module, f"weight_ih{suffix}"), getattr(module, f"weight_hh{suffix}")
    layouts = {
        f"weight_ih{suffix}": ParameterLayout(
            "weight", rows(weight_ih, gates, activations=follows), reads_input=reads_input
        ),
        f"weight_hh{suffix}": ParameterLayout("recurrent", rows(weight_hh, gates, activations=follows)),
    }
    if module.bias:
        for name, addend in ((f"bias_ih{suffix}", 0), (f"bias_hh{suffix}", 1)):
            layouts[name] = ParameterLayout(
                "bias", rows(getattr(module, name), gates, addend=addend, activations=follows)
            )
    return layouts


@register_layout(nn.MultiheadAttention)
def _attention(module: Any) -> dict[str, ParameterLayout]:
    qkv: tuple[Projection, ...] = ("q", "k", "v")
    known = partial(Attention, num_heads=module.num_heads, head_size=module.head_dim, width=module.embed_dim)
    output = whole(module.out_proj.weight, attention=known(("o",)))
    layouts = {"out_proj.weight": ParameterLayout("weight", (output,))}
    if module.in_proj_weight is not None:
        matrices = rows(module.in_proj_weight, qkv, activations=())
        matrices = (replace(matrix, attention=known((name,))) for matrix, name in zip(matrices, qkv, strict=True))
        layouts["in_proj_weight"] = ParameterLayout("weight", tuple(matrices))
    else:
        for name in qkv:
            matrix = whole(getattr(module, f"{name}_proj_weight"), name=name, activations=(), attention=known((name,)))
            layouts[f"{name}_proj_weight"] = ParameterLayout("weight", (matrix,), reads_input=True)
    if module.in_proj_bias is not None:
        layouts["in_proj_bias"] = ParameterLayout("bias", rows(module.in_proj_bias, qkv, activations=()))
    return layouts | present(bias_k=vector("bias", module.bias_k), bias_v=vector("bias", module.bias_v))


@register_layout(nn.Embedding, nn.EmbeddingBag)
def _embedding(module: Any) -> dict[str, ParameterLayout]:
    """A row is looked up, not summed over: fan_in is 1. The padding row is zero and stays so."""
    count, dim = module.num_embeddings, module.embedding_dim
    padding = module.padding_idx
    spans = (
        [(0, count, None)]
        if padding is None
        else [(0, padding, None), (padding, padding + 1, 0.0), (padding + 1, count, None)]
    )
    matrices = tuple(
        Matrix(shape=(stop - start, dim), fan_in=1.0, fan_out=float(dim), start=start, fixed=fixed)
        for start, stop, fixed in spans
        if stop > start or count == 0
    )
    return {"weight": ParameterLayout("embedding", matrices)}


@register_layout(nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
def _norm(module: Any) -> dict[str, ParameterLayout]:
    return present(weight=vector("scale", module.weight), bias=vector("bias", getattr(module, "bias", None)))


@register_layout(nn.PReLU)
def _prelu(module: nn.PReLU) -> dict[str, ParameterLayout]:
    return {"weight": ParameterLayout("scale", (whole(module.weight, kind="slope"),), default=module.init)}
