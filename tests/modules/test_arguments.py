"""Every registered layer tells the arguments that made it."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.core.errors import Refusal
from modelforge.language import registry
from modelforge.modules.arguments import layer_of, read
from tests.layers.rows import ROWS, Row
from tests.layers.test_contract import batch, config

pytestmark = pytest.mark.filterwarnings(
    "ignore:LSTM with projections is not supported with oneDNN",
    "ignore:enable_nested_tensor is True, but self.use_nested_tensor is False",
)
STEPS, IMAGE = ((6, 4),), ((4, 8, 8),)
ROPE = {"rope_theta": 100.0, "rope_factor": 2.0, "rope_low_freq_factor": 2.0, "rope_high_freq_factor": 5.0}

MORE: dict[str, list[Row]] = {
    "BatchNorm2d": [Row({"eps": 1e-3, "momentum": 0.3, "affine": False}, IMAGE)],
    "InstanceNorm2d": [Row({"eps": 1e-3, "momentum": 0.3, "affine": True, "track_running_stats": True}, IMAGE)],
    "LayerNorm": [Row({"eps": 1e-3, "elementwise_affine": True, "bias": False})],
    "RMSNorm": [Row({"eps": 1e-3, "elementwise_affine": False})],
    "GroupNorm": [
        Row({"num_groups": 2, "eps": 1e-3, "affine": False}, IMAGE),
        Row({"num_groups": 2, "bias": False}, IMAGE),
    ],
    "LocalResponseNorm": [Row({"size": 3, "alpha": 0.1, "beta": 0.5, "k": 2.0}, IMAGE)],
    "CrossMapLRN2d": [Row({"size": 3, "alpha": 0.1, "beta": 0.5, "k": 2.0}, IMAGE)],
    "CELU": [Row({"alpha": 2.0})],
    "ELU": [Row({"alpha": 2.0})],
    "Hardshrink": [Row({"lambd": 0.3})],
    "Softshrink": [Row({"lambd": 0.3})],
    "Hardtanh": [Row({"min_val": -2.0, "max_val": 0.5})],
    "LeakyReLU": [Row({"negative_slope": 0.3})],
    "RReLU": [Row({"lower": 0.1, "upper": 0.2})],
    "Softplus": [Row({"beta": 2.0, "threshold": 10.0})],
    "PReLU": [Row({"num_parameters": 6})],
    "Softmin": [Row({"dim": 1})],
    "AlphaDropout": [Row({"p": 0.2})],
    "FeatureAlphaDropout": [Row({"p": 0.2})],
    "DropPath": [Row({"p": 0.2})],
    "Dropout": [Row({"p": 0.2})],
    "Embedding": [
        Row(
            {"num_embeddings": 9, "embedding_dim": 5, "max_norm": 2.0, "norm_type": 1.0, "sparse": True},
            ((6,),),
            dtype="int64",
        ),
        Row({"num_embeddings": 9, "embedding_dim": 5, "scale_grad_by_freq": True}, ((6,),), dtype="int64"),
    ],
    "EmbeddingBag": [
        Row(
            {"num_embeddings": 9, "embedding_dim": 5, "mode": "max", "max_norm": 2.0, "norm_type": 1.0},
            ((6,),),
            dtype="int64",
        ),
        Row(
            {"num_embeddings": 9, "embedding_dim": 5, "scale_grad_by_freq": True, "padding_idx": 1},
            ((6,),),
            dtype="int64",
        ),
        Row({"num_embeddings": 9, "embedding_dim": 5, "mode": "sum", "sparse": True}, ((6,),), dtype="int64"),
    ],
    "MultiheadAttention": [
        Row(
            {
                "num_heads": 2,
                "dropout": 0.2,
                "bias": False,
                "add_bias_kv": True,
                "add_zero_attn": True,
                "need_weights": True,
            }
        ),
        Row({"num_heads": 4, "kdim": 3}, ((6, 4), (7, 3), (7, 4))),
    ],
    "TransformerEncoderLayer": [
        Row({"nhead": 4, "dim_feedforward": 7, "dropout": 0.3, "activation": "gelu", "layer_norm_eps": 1e-3}),
    ],
    "TransformerDecoderLayer": [
        Row(
            {"nhead": 4, "dim_feedforward": 7, "dropout": 0.3, "activation": "gelu", "layer_norm_eps": 1e-3}
            | {"norm_first": True, "bias": False},
            ((6, 4), (5, 4)),
        ),
    ],
    "Transformer": [
        Row(
            {"nhead": 4, "num_encoder_layers": 2, "num_decoder_layers": 3, "dim_feedforward": 7, "dropout": 0.3}
            | {"activation": "gelu", "layer_norm_eps": 1e-3, "norm_first": True, "bias": False},
            ((6, 4), (5, 4)),
        ),
    ],
    "LSTM": [Row({"hidden_size": 5, "num_layers": 2, "bias": False, "bidirectional": True, "proj_size": 3})],
    "RNN": [Row({"hidden_size": 5, "num_layers": 2, "nonlinearity": "relu", "bias": False, "dropout": 0.1})],
    "Conv2d": [
        Row({"out_channels": 6, "kernel_size": (3, 1), "stride": (2, 1), "padding": (1, 0), "dilation": (2, 1)}, IMAGE),
        Row({"out_channels": 6, "kernel_size": 3, "padding": "valid", "padding_mode": "reflect"}, IMAGE),
        Row({"out_channels": 6, "kernel_size": 3, "padding": 2, "padding_mode": "replicate", "dilation": 2}, IMAGE),
    ],
    "ConvTranspose2d": [
        Row({"out_channels": 6, "kernel_size": 3, "stride": 2, "output_padding": 1, "dilation": 2, "padding": 1}, IMAGE)
    ],
    "Unfold": [Row({"kernel_size": (3, 2), "dilation": 2, "padding": 1, "stride": 2}, IMAGE)],
    "Fold": [
        Row({"output_size": (6, 6), "kernel_size": 2, "stride": 2, "padding": 1}, ((8, 16),)),
        Row({"output_size": (6, 6), "kernel_size": 2, "stride": 2, "dilation": 2}, ((8, 4),)),
    ],
    "MaxPool2d": [
        Row({"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 2, "ceil_mode": True}, IMAGE),
        Row({"kernel_size": (3, 2), "stride": (3, 2)}, IMAGE),
    ],
    "AvgPool2d": [
        Row({"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "count_include_pad": False}, IMAGE),
        Row({"kernel_size": 2, "divisor_override": 3}, IMAGE),
    ],
    "AvgPool1d": [Row({"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False})],
    "LPPool2d": [Row({"norm_type": 3.0, "kernel_size": 3, "stride": 2, "ceil_mode": True}, IMAGE)],
    "AdaptiveAvgPool2d": [Row({"output_size": (2, None)}, IMAGE), Row({"output_size": (2, 3)}, IMAGE)],
    "ConstantPad2d": [Row({"padding": (1, 2, 0, 1), "value": 0.5}, IMAGE)],
    "Flatten": [Row({"start_dim": 1, "end_dim": 2}, IMAGE)],
    "Unflatten": [Row({"dim": 2, "unflattened_size": (2, 2)})],
    "Upsample": [
        Row({"scale_factor": (2.0, 1.5), "mode": "bicubic", "align_corners": False}, IMAGE),
        Row({"scale_factor": 1.5, "mode": "bilinear", "recompute_scale_factor": True}, IMAGE),
    ],
    "UpsamplingBilinear2d": [Row({"size": (5, 6)}, IMAGE)],
    "UpsamplingNearest2d": [Row({"scale_factor": 2}, IMAGE)],
    "CosineSimilarity": [Row({"dim": 2, "eps": 1e-3}, ((6, 4), (6, 4)))],
    "PairwiseDistance": [Row({"p": 1.0, "eps": 1e-3, "keepdim": False}, ((4,), (4,)))],
    "Mean": [Row({"dim": 1, "keepdim": True})],
    "SelfAttention": [
        Row(
            {"num_heads": 2, "bias": False, "out_bias": True, "causal": True, "rotary": True, "rope_original_steps": 99}
            | ROPE
        ),
        Row({"num_heads": 2, "num_kv_heads": 1, "head_dim": 6, "dropout": 0.2, "scale": 0.3, "out_bias": False}),
    ],
    "CrossAttention": [
        Row(
            {
                "num_heads": 4,
                "num_kv_heads": 2,
                "head_dim": 3,
                "bias": False,
                "out_bias": True,
                "dropout": 0.1,
                "scale": 0.3,
            },
            ((6, 4), (7, 3)),
        ),
    ],
}
"""Arguments that are not the defaults, beyond those of `tests/layers/rows.py`."""
CASES = [
    (name, index, row)
    for name in ROWS
    if registry.get(name).make is not None
    for index, row in enumerate([*ROWS[name], *MORE.get(name, [])])
]


@pytest.mark.parametrize(("name", "index", "row"), CASES, ids=[f"{name}-{index}" for name, index, _ in CASES])
def test_what_is_read_makes_the_same_layer_again(name, index, row):
    plan = mf.plan(mf.parse(config(name, row), init={"scheme": "normal", "std": 0.1}))
    made = mf.build(plan).eval()
    layer = made.layer
    kind = layer_of(layer)
    assert kind is registry.get(name)
    arguments = read(layer, kind)
    assert kind.spec.model_validate({"type": name, **arguments})
    assert kind.make is not None
    twin = kind.make(**arguments, **kind.fixed).eval()
    assert extra(twin) == extra(layer)
    state = layer.state_dict()
    assert {key: value.shape for key, value in twin.state_dict().items()} == {k: v.shape for k, v in state.items()}
    twin.load_state_dict(state)
    inputs = batch(row, 3)
    expected = made(*inputs)
    made.layer = twin
    same(made(*inputs), expected, exact=name not in RANDOM)
    given = {key: plain(value) for key, value in plan.layers[len(row.before)].arguments.items()}
    read_again = {key: plain(value) for key, value in arguments.items()}
    for key in row.args:
        assert read_again[key] == given[key] or (name, key) in SAID_OTHERWISE, key


RANDOM = {"FractionalMaxPool2d", "FractionalMaxPool3d"}
SAID_OTHERWISE = {
    ("MultiheadAttention", "kdim"): "as wide as the queries is the default",
    ("Embedding", "padding_idx"): "torch counts it from the front",
    ("MaxPool2d", "stride"): "as large as the kernel is the default",
    ("SelfAttention", "out_bias"): "as the others is the default",
    ("CrossAttention", "out_bias"): "as the others is the default",
}


def plain(value: Any) -> Any:
    """One number for several equal ones."""
    if isinstance(value, tuple | list) and value and len(set(value)) == 1:
        return value[0]
    return tuple(value) if isinstance(value, list) else value


def extra(layer: nn.Module) -> str:
    return re.sub(r"\((\d+)(?:, \1)*,?\)", r"\1", layer.extra_repr())


def same(one: Any, other: Any, *, exact: bool) -> None:
    if isinstance(one, tuple):
        for mine, its in zip(one, other, strict=True):
            same(mine, its, exact=exact)
    elif exact:
        torch.testing.assert_close(one, other, equal_nan=True)  # an odd norm of negative numbers is not a number
    else:
        assert one.shape == other.shape


def test_every_argument_has_a_case_that_is_not_the_default():
    """So that a reader that gives the default instead would be seen."""
    missing = []
    for name in registry.names():
        layer = registry.get(name)
        if layer.make is None:
            continue
        rows = [*ROWS[name], *MORE.get(name, [])]
        for key, info in layer.spec.model_fields.items():
            if key in layer.spec.own_fields or key in layer.infer or info.is_required():
                continue
            if all(row.args.get(key, info.default) == info.default for row in rows):
                missing.append(f"{name}.{key}")
    # Families whose classes share their code with one that has all cases.
    family = re.compile(
        r"(Conv|ConvTranspose|MaxPool|AvgPool|LPPool|MaxUnpool|AdaptiveMaxPool|BatchNorm|InstanceNorm)\dd\."
    )
    assert {entry for entry in missing if not family.match(entry)} <= KNOWN.keys()


KNOWN = {"EmbeddingBag.include_last_offset": "it speaks of bags in one row, which have no batch"}


@pytest.mark.parametrize("kind", ["layer", "decoder", "whole"])
def test_dropouts_of_a_transformer_that_differ_are_refused(kind: str):
    """The usual loop over `nn.Dropout` misses that of attention, which no output in evaluation shows."""
    made = {
        "layer": lambda: nn.TransformerEncoderLayer(8, 2, 16, batch_first=True),
        "decoder": lambda: nn.TransformerDecoderLayer(8, 2, 16, batch_first=True),
        "whole": lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True),
    }
    module = made[kind]()
    layer = layer_of(module)
    assert layer is not None
    assert read(module, layer).get("dropout", 0.1) == 0.1
    for part in module.modules():
        if isinstance(part, nn.Dropout):
            part.p = 0.5
    with pytest.raises(Refusal, match=r"`.*self_attn.dropout` is 0.1"):
        read(module, layer)
    for part in module.modules():
        if isinstance(part, nn.MultiheadAttention):
            part.dropout = 0.5
    assert read(module, layer)["dropout"] == 0.5
