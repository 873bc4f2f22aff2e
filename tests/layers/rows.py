"""ROWS: for every registered layer, ways to declare it, what it reads, and which parameters it must then have.

Parameters are written as `role fan_in→fan_out`, with the number of logical blocks behind `x`; the fans are worked out
by hand from what each output sums over and what each input reaches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One way to declare a layer."""

    args: Mapping[str, Any] = field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = ((6, 4),)
    """Shapes of one example, one an input."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    dtype: str = "float32"
    before: Mapping[str, Any] = field(default_factory=dict)
    """Layers in front."""
    inputs: tuple[str, ...] = ()
    """What it reads, where that is not the inputs of the model."""


STEPS = ((6, 4),)
SAMPLES = ((4, 12), (4, 8, 8), (4, 8, 8, 8))
BOTH = {"weight": "scale", "bias": "bias"}
MLP = {"up": {"type": "Linear", "out_features": 5}, "act": "ReLU", "down": {"type": "Linear", "out_features": 4}}
UP_DOWN = {"up.weight": "weight 4→5", "up.bias": "bias", "down.weight": "weight 5→4", "down.bias": "bias"}


def attention(prefix: str = "", size: int = 4) -> dict[str, str]:
    """The parameters of a packed MultiheadAttention."""
    projections = {"in_proj_weight": f"weight {size}→{size} x3", "in_proj_bias": "bias x3"}
    projections |= {"out_proj.weight": f"weight {size}→{size}", "out_proj.bias": "bias"}
    return {f"{prefix}{name}": what for name, what in projections.items()}


def projections(heads: int = 4, keys: int = 4, source: int = 4, bias: bool = True) -> dict[str, str]:
    """The parameters of an attention with a projection each: 4 features to `heads` and back, `source` to `keys`."""
    found = {"q_proj.weight": f"weight 4→{heads}", "out_proj.weight": f"weight {heads}→4"}
    found |= {f"{name}_proj.weight": f"weight {source}→{keys}" for name in "kv"}
    return found | ({f"{name}_proj.bias": "bias" for name in ("q", "k", "v", "out")} if bias else {})


def norms(*names: str) -> dict[str, str]:
    """Scale and bias of each."""
    return {f"{name}.{local}": what for name in names for local, what in BOTH.items()}


def feed_forward(prefix: str = "") -> dict[str, str]:
    """The two Linear layers in a Transformer layer, 4 → 7 → 4."""
    layers = {"linear1.weight": "weight 4→7", "linear2.weight": "weight 7→4"}
    layers |= {"linear1.bias": "bias", "linear2.bias": "bias"}
    return {f"{prefix}{name}": what for name, what in layers.items()}


def under(prefix: str, parameters: Mapping[str, str]) -> dict[str, str]:
    """The same parameters, one level deeper."""
    return {f"{prefix}.{name}": what for name, what in parameters.items()}


ENCODER = attention("self_attn.") | feed_forward() | norms("norm1", "norm2")
DECODER = ENCODER | attention("multihead_attn.") | norms("norm3")


def gated(cell: str, gates: int) -> list[Row]:
    """LSTM, GRU and RNN alike; every gate is a matrix of its own."""
    x = f" x{gates}" if gates > 1 else ""
    first = {"weight_ih_l0": f"weight 4→5{x}", "weight_hh_l0": f"recurrent 5→5{x}"}
    biases = {"bias_ih_l0": f"bias{x}", "bias_hh_l0": f"bias{x}"}
    back = {f"{name}_reverse": what for name, what in (first | biases).items()}
    second = {"weight_ih_l1": f"weight 10→5{x}", "weight_hh_l1": f"recurrent 5→5{x}"}
    second |= {"bias_ih_l1": f"bias{x}", "bias_hh_l1": f"bias{x}"}
    second_back = {f"{name}_reverse": what for name, what in second.items()}
    return [
        Row({"hidden_size": 5}, STEPS, first | biases),
        Row({"hidden_size": 5, "bias": False}, STEPS, first),
        Row(
            {"hidden_size": 5, "num_layers": 2, "bidirectional": True, "dropout": 0.2},
            STEPS,
            first | biases | back | second | second_back,
        ),
    ]


def cell(gates: int) -> list[Row]:
    """One step: a batch of features."""
    x = f" x{gates}" if gates > 1 else ""
    weights = {"weight_ih": f"weight 4→5{x}", "weight_hh": f"recurrent 5→5{x}"}
    biases = {"bias_ih": f"bias{x}", "bias_hh": f"bias{x}"}
    return [
        Row({"hidden_size": 5}, ((4,),), weights | biases),
        Row({"hidden_size": 5, "bias": False}, ((4,),), weights),
    ]


BIAS = {"weight": "embedding 1→3"}
PROJECTED = {
    "weight_ih_l0": "weight 4→5 x4",
    "weight_hh_l0": "recurrent 2→5 x4",
    "weight_hr_l0": "weight 5→2",
    "bias_ih_l0": "bias x4",
    "bias_hh_l0": "bias x4",
}

ROWS: dict[str, list[Row]] = {
    "Sequential": [Row({"layers": MLP}, STEPS, UP_DOWN)],
    "Residual": [
        Row({"layers": MLP}, STEPS, UP_DOWN),
        Row({"layers": MLP, "merge": "Multiply"}, STEPS, UP_DOWN),
        Row(
            {"layers": {"up": MLP["up"]}, "shortcut": {"type": "Linear", "out_features": 5, "bias": False}},
            STEPS,
            {"up.weight": "weight 4→5", "up.bias": "bias", "shortcut.weight": "weight 4→5"},
        ),
    ],
    "Parallel": [
        Row({"branches": MLP}, ((4,),), UP_DOWN | {"down.weight": "weight 4→4"}),
        Row({"branches": {"a": "Tanh", "b": "ReLU"}, "merge": {"type": "Concat", "dim": 2}}),
        Row({"branches": {"a": "Tanh", "b": "ReLU"}, "merge": "Add"}),
    ],
    "Repeat": [Row({"times": 2, "layers": MLP}, STEPS, under("0", UP_DOWN) | under("1", UP_DOWN))],
    "Linear": [
        Row({"out_features": 5}, ((4,),), {"weight": "weight 4→5", "bias": "bias"}),
        Row({"out_features": 5, "bias": False, "in_features": 4}, ((3, 6, 4),), {"weight": "weight 4→5"}),
    ],
    "Bilinear": [
        # Each output sums over the 4 · 3 pairs; back, an entry of the one input reaches 5 · 3, of the other 5 · 4.
        Row({"out_features": 5}, ((4,), (3,)), {"weight": "weight 12→17.5", "bias": "bias"}),
        Row({"out_features": 5, "bias": False}, ((4,), (4,)), {"weight": "weight 16→20"}),
    ],
    "Identity": [Row()],
    "Embedding": [
        Row({"num_embeddings": 9, "embedding_dim": 5}, ((6,),), {"weight": "embedding 1→5"}, "int64"),
        Row(
            {"num_embeddings": 9, "embedding_dim": 5, "padding_idx": 3, "max_norm": 1.0},
            ((6,),),
            {"weight": "embedding 1→5 x3"},
            "int64",
        ),
        Row(
            {"num_embeddings": 9, "embedding_dim": 5, "padding_idx": -1},
            ((6,),),
            {"weight": "embedding 1→5 x2"},
            "int64",
        ),
    ],
    "EmbeddingBag": [
        Row({"num_embeddings": 9, "embedding_dim": 5}, ((6,),), {"weight": "embedding 1→5"}, "int64"),
        Row(
            {"num_embeddings": 9, "embedding_dim": 5, "mode": "sum", "padding_idx": 0},
            ((6,),),
            {"weight": "embedding 1→5 x2"},
            "int64",
        ),
    ],
    "MultiheadAttention": [
        Row({"num_heads": 2}, STEPS, attention()),
        Row({"num_heads": 2, "need_weights": True, "dropout": 0.1}, STEPS, attention()),
        Row(
            {"num_heads": 2, "bias": False, "add_bias_kv": False},
            STEPS,
            {"in_proj_weight": "weight 4→4 x3", "out_proj.weight": "weight 4→4"},
        ),
        Row({"num_heads": 2, "add_bias_kv": True}, STEPS, attention() | {"bias_k": "bias", "bias_v": "bias"}),
        Row(
            {"num_heads": 2},
            ((6, 4), (7, 3), (7, 5)),
            {
                "q_proj_weight": "weight 4→4",
                "k_proj_weight": "weight 3→4",
                "v_proj_weight": "weight 5→4",
                "in_proj_bias": "bias x3",
                "out_proj.weight": "weight 4→4",
                "out_proj.bias": "bias",
            },
        ),
    ],
    "TransformerEncoderLayer": [
        Row({"nhead": 2, "dim_feedforward": 7}, STEPS, ENCODER),
        Row(
            {"nhead": 2, "dim_feedforward": 7, "activation": "gelu", "norm_first": True, "bias": False},
            STEPS,
            {name: what for name, what in ENCODER.items() if what.split()[0] != "bias"},
        ),
    ],
    "TransformerDecoderLayer": [Row({"nhead": 2, "dim_feedforward": 7}, ((6, 4), (5, 4)), DECODER)],
    "Transformer": [
        Row(
            {"nhead": 2, "dim_feedforward": 7, "num_encoder_layers": 1, "num_decoder_layers": 1},
            ((6, 4), (5, 4)),
            under("encoder.layers.0", ENCODER)
            | under("decoder.layers.0", DECODER)
            | norms("encoder.norm", "decoder.norm"),
        )
    ],
    "RNN": [*gated("RNN", 1), Row({"hidden_size": 5, "nonlinearity": "relu"}, STEPS, gated("RNN", 1)[0].parameters)],
    "GRU": gated("GRU", 3),
    "LSTM": [*gated("LSTM", 4), Row({"hidden_size": 5, "proj_size": 2}, STEPS, PROJECTED)],
    "RNNCell": [*cell(1), Row({"hidden_size": 5, "nonlinearity": "relu"}, ((4,),), cell(1)[0].parameters)],
    "GRUCell": cell(3),
    "LSTMCell": cell(4),
    "Unfold": [Row({"kernel_size": 3, "padding": 1}, (SAMPLES[1],))],
    "Fold": [Row({"output_size": (4, 5), "kernel_size": (2, 2)}, ((8, 12),))],
    "BatchNorm1d": [
        Row({}, ((4,),), BOTH),
        Row({"momentum": None, "eps": 1e-3}, (SAMPLES[0],), BOTH),
        Row({"affine": False, "track_running_stats": False}, ((4,),)),
    ],
    "InstanceNorm1d": [Row({}, (SAMPLES[0],)), Row({"affine": True}, (SAMPLES[0],), BOTH)],
    "GroupNorm": [Row({"num_groups": 2}, (shape,), BOTH) for shape in ((4,), *SAMPLES)],
    "LayerNorm": [
        Row({}, STEPS, BOTH),
        Row({"bias": False}, STEPS, {"weight": "scale"}),
        Row({"elementwise_affine": False}, STEPS),
        Row({"normalized_shape": (6, 4)}, STEPS, BOTH),
    ],
    "RMSNorm": [Row({}, STEPS, {"weight": "scale"}), Row({"normalized_shape": (6, 4)}, STEPS, {"weight": "scale"})],
    "LocalResponseNorm": [Row({"size": 3}, (SAMPLES[1],))],
    "CrossMapLRN2d": [Row({"size": 3}, (SAMPLES[1],))],
    "Threshold": [Row({"threshold": 0.1, "value": 0.5})],
    "PReLU": [
        Row({}, STEPS, {"weight": "scale"}),
        Row({"num_parameters": 6}, STEPS, {"weight": "scale"}),
        Row({}, ((),), {"weight": "scale"}),
    ],
    "GLU": [Row(), Row({"dim": 1})],
    "Softmax": [Row({"dim": -1})],
    "Softmin": [Row({"dim": -1})],
    "LogSoftmax": [Row({"dim": -1})],
    "Softmax2d": [Row({}, (SAMPLES[1],))],
    "Flatten": [Row({}, (SAMPLES[2],)), Row({"start_dim": 2}, (SAMPLES[2],))],
    "Unflatten": [Row({"dim": 1, "unflattened_size": (2, 3)})],
    "ChannelShuffle": [Row({"groups": 2}, (SAMPLES[1],))],
    "PixelShuffle": [Row({"upscale_factor": 2}, (SAMPLES[1],))],
    "PixelUnshuffle": [Row({"downscale_factor": 2}, (SAMPLES[1],))],
    "Upsample": [
        Row({"scale_factor": 2.0}, (SAMPLES[1],)),
        Row({"size": (5, 6), "mode": "bilinear", "align_corners": True}, (SAMPLES[1],)),
        Row({"size": 7, "mode": "linear"}, (SAMPLES[0],)),
    ],
    "UpsamplingBilinear2d": [Row({"scale_factor": 2}, (SAMPLES[1],))],
    "UpsamplingNearest2d": [Row({"size": 5}, (SAMPLES[1],))],
    "CosineSimilarity": [Row({"dim": 2}, ((6, 4), (6, 4)))],
    "PairwiseDistance": [Row({"keepdim": True}, ((4,), (4,)))],
    "Add": [Row({}, ((4,), (4,))), Row({}, ((4,), (4,), (4,)))],
    "Multiply": [Row({}, ((4,), (4,)))],
    "Concat": [Row({}, ((4,), (5,))), Row({"dim": 2}, ((6, 4), (6, 2)))],
    "Select": [Row({"dim": 1, "index": -1})],
    "Mean": [Row({"dim": 1}), Row({"dim": (1, 2), "keepdim": True})],
    "PaddingMask": [Row({"padding_idx": 0}, ((6,),), dtype="int64")],
    "Scale": [Row({}, STEPS, {"weight": "scale"})],
    "LayerScale": [Row({}, STEPS, {"weight": "scale"})],
    "PositionEmbedding": [
        Row({}, STEPS, {"weight": "embedding 1→4"}),
        Row({"num_positions": 9}, STEPS, {"weight": "embedding 1→4"}),
    ],
    "SinusoidalEmbedding": [Row({}, STEPS), Row({"num_positions": 9}, ((6, 5),))],
    "RelativePositionBias": [
        Row({"num_heads": 3}, STEPS, {"weight": "embedding 1→3"}),
        Row({"num_heads": 3, "bidirectional": False, "num_buckets": 4, "max_distance": 5}, STEPS, BIAS),
    ],
    "ClassToken": [Row({}, STEPS, {"weight": "embedding 1→4"})],
    "SegmentEmbedding": [
        Row({}, STEPS, {"weight": "embedding 1→4"}),
        Row({"num_segments": 3}, STEPS, {"weight": "embedding 1→4"}),
    ],
    "SelfAttention": [
        Row({"num_heads": 2}, STEPS, projections()),
        Row({"num_heads": 2, "bias": False, "causal": True, "rotary": True}, STEPS, projections(bias=False)),
        # Eight heads of 3 for queries, two for keys and values.
        Row(
            {"num_heads": 8, "num_kv_heads": 2, "head_dim": 3, "scale": 1.0, "dropout": 0.1},
            STEPS,
            projections(heads=24, keys=6),
        ),
        Row(
            {"num_heads": 2, "bias": False, "out_bias": True},
            ((6, 4), (6,)),
            projections(bias=False) | {"out_proj.bias": "bias"},
        ),
        Row({"num_heads": 2, "causal": True}, ((6, 4), (1, 1, 6), (2, 6, 6)), projections()),
    ],
    "CrossAttention": [
        Row({"num_heads": 2}, ((6, 4), (7, 4)), projections()),
        Row({"num_heads": 2, "num_kv_heads": 1}, ((6, 4), (7, 3), (6, 7)), projections(keys=2, source=3)),
    ],
    "Permute": [Row({"dims": (0, 2, 1)}), Row({"dims": (0, 2, 3, 1)}, (SAMPLES[1],))],
    "Reshape": [Row({"shape": (2, -1)}), Row({"shape": ()}, ((1,),)), Row({"shape": (4, 6)})],
    "Rescale": [Row({"factor": 0.5})],
}

for _name in (
    *("CELU", "ELU", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU", "Mish", "RReLU", "ReLU", "ReLU6", "SELU"),
    *("SiLU", "Dropout", "AlphaDropout", "FeatureAlphaDropout", "DropPath"),
):
    ROWS[_name] = [Row()]
for _name in ("Hardshrink", "LogSigmoid", "Sigmoid", "Softplus", "Softshrink", "Softsign", "Tanh", "Tanhshrink"):
    ROWS[_name] = [Row()]
ROWS["GELU"] = [Row({"approximate": "tanh"}), Row()]

for _n, _shape in enumerate(SAMPLES, start=1):
    _at = (_shape,)
    _taps = 3**_n
    ROWS[f"Conv{_n}d"] = [
        Row({"out_channels": 6, "kernel_size": 3}, _at, {"weight": f"weight {4 * _taps}→{6 * _taps}", "bias": "bias"}),
        Row(
            {"out_channels": 6, "kernel_size": 3, "groups": 2, "padding": "same", "bias": False},
            _at,
            {"weight": f"weight {2 * _taps}→{3 * _taps} x2"},
        ),
        # Depthwise: every channel is a convolution of its own.
        Row(
            {"out_channels": 4, "kernel_size": 3, "groups": 4, "stride": 2, "padding_mode": "circular", "padding": 1},
            _at,
            {"weight": f"weight {_taps}→{_taps} x4", "bias": "bias"},
        ),
    ]
    ROWS[f"ConvTranspose{_n}d"] = [
        Row({"out_channels": 6, "kernel_size": 3}, _at, {"weight": f"weight {4 * _taps}→{6 * _taps}", "bias": "bias"}),
        # With stride s, an output meets only taps / sⁿ of the taps of each input channel.
        Row(
            {"out_channels": 6, "kernel_size": 4, "stride": 2, "padding": 1, "groups": 2, "bias": False},
            _at,
            {"weight": f"weight {2 * 4**_n // 2**_n}→{3 * 4**_n} x2"},
        ),
    ]
    ROWS[f"Dropout{_n}d"] = [Row({"p": 0.3}, _at)]
    ROWS[f"MaxPool{_n}d"] = [
        Row({"kernel_size": 2}, _at),
        Row({"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True, "return_indices": True}, _at),
    ]
    ROWS[f"MaxUnpool{_n}d"] = [
        Row(
            {"kernel_size": 2},
            _at,
            before={"pool": {"type": f"MaxPool{_n}d", "kernel_size": 2, "return_indices": True}},
            inputs=("pool", "pool.1"),
        )
    ]
    ROWS[f"AvgPool{_n}d"] = [Row({"kernel_size": 2}, _at)]
    ROWS[f"LPPool{_n}d"] = [Row({"norm_type": 2.0, "kernel_size": 2}, _at)]
    ROWS[f"AdaptiveMaxPool{_n}d"] = [Row({"output_size": 2}, _at), Row({"output_size": 2, "return_indices": True}, _at)]
    ROWS[f"AdaptiveAvgPool{_n}d"] = [Row({"output_size": (2,) * _n}, _at)]
    if _n > 1:
        ROWS[f"AdaptiveAvgPool{_n}d"].append(Row({"output_size": (None,) * _n}, _at))
        ROWS[f"FractionalMaxPool{_n}d"] = [
            Row({"kernel_size": 2, "output_size": 3}, _at),
            Row({"kernel_size": 2, "output_ratio": 0.5, "return_indices": True}, _at),
        ]
        ROWS[f"BatchNorm{_n}d"] = [Row({}, _at, BOTH), Row({"bias": False}, _at, {"weight": "scale"})]
        ROWS[f"InstanceNorm{_n}d"] = [Row({}, _at), Row({"affine": True, "track_running_stats": True}, _at, BOTH)]
    for _name in ("CircularPad", "ReflectionPad", "ReplicationPad", "ZeroPad"):
        ROWS[f"{_name}{_n}d"] = [Row({"padding": 1}, _at), Row({"padding": (1, 2) * _n}, _at)]
    ROWS[f"ConstantPad{_n}d"] = [Row({"padding": 1, "value": 0.5}, _at)]

CASES = [(name, index, row) for name, rows in ROWS.items() for index, row in enumerate(rows)]
IDS = [f"{name}-{index}" for name, index, _ in CASES]
