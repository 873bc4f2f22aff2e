"""The torch.nn table: every class that maps tensors to tensors, and why the others are left out.

A row names what comes in (axes of one example) and what the incoming shape determines; names, types and defaults of
the arguments come from the constructor's own signature.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from modelforge.language import registry
from modelforge.language.registry import Infer, Shapes
from modelforge.layers import register
from modelforge.layers.register import size

add = partial(register.add, numeric=True)

SAMPLES = "samples", "channels length", "channels height width", "channels depth height width"
CALLABLES = {name: "needs a Python object, which a config cannot hold" for name in ("custom_encoder", "custom_decoder")}


def differing(of_input: int) -> Infer:
    """The last axis of an input where it differs from the first input's, else the constructor's default."""

    def infer(shapes: Shapes) -> int | None:
        last = [shape[-1:] for shape in shapes]
        return last[of_input][0] if of_input < len(last) and last[of_input] and last[of_input] != last[0] else None

    return infer


class MultiheadAttention(nn.MultiheadAttention):
    """Multi-head attention that attends to itself when given one input, and gives its output alone.

    With `need_weights` it gives the attention weights, averaged over heads, as a second output; without, it can take
    torch's fused kernels.
    """

    def __init__(self, *args: Any, need_weights: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.need_weights = need_weights

    def forward(self, query: Tensor, key: Tensor | None = None, value: Tensor | None = None) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]  # fewer arguments on purpose
        key = query if key is None else key
        value = key if value is None else value
        output, weights = super().forward(query, key, value, need_weights=self.need_weights)
        return (output, weights) if self.need_weights else output


BATCH_FIRST = {"batch_first": True}
RECURRENT_FIELDS = {"nonlinearity": Literal["tanh", "relu"]}


def _rnn_signature(
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    nonlinearity: Literal["tanh", "relu"] = "tanh",
    bias: bool = True,
    dropout: float = 0.0,
    bidirectional: bool = False,
    device: None = None,
    dtype: None = None,
) -> None: ...


def _gru_signature(
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    bias: bool = True,
    dropout: float = 0.0,
    bidirectional: bool = False,
    device: None = None,
    dtype: None = None,
) -> None: ...


def _lstm_signature(
    input_size: int,
    hidden_size: int,
    num_layers: int = 1,
    bias: bool = True,
    dropout: float = 0.0,
    bidirectional: bool = False,
    proj_size: int = 0,
    device: None = None,
    dtype: None = None,
) -> None: ...


def _identity_signature() -> None: ...


# --- dense, embedding, attention --------------------------------------------------------------------------------------

add(nn.Linear, "... features", infer={"in_features": -1})
add(nn.Bilinear, "... features", infer={"in1_features": -1, "in2_features": size(-1, of_input=1)})
add(nn.Identity, kind="passthrough", signature=_identity_signature)
_WEIGHT = {"_weight": "weights come from `init`"}
register.add(nn.Embedding, without=_WEIGHT | {"_freeze": "freezing belongs to training"})
register.add(nn.EmbeddingBag, "bag", without=_WEIGHT, types={"mode": Literal["mean", "sum", "max"]})
add(
    MultiheadAttention,
    "steps features",
    infer={"embed_dim": -1, "kdim": differing(1), "vdim": differing(2)},
    fixed=BATCH_FIRST,
    signature=nn.MultiheadAttention,
    types={
        "embed_dim": int,
        "num_heads": int,
        "dropout": float,
        "bias": bool,
        "add_bias_kv": bool,
        "add_zero_attn": bool,
        "kdim": int,
        "vdim": int,
    },
    extra={"need_weights": (bool, False)},
)
_ACTIVATION = {"activation": Literal["relu", "gelu"]}
for _cls in (nn.TransformerEncoderLayer, nn.TransformerDecoderLayer):
    add(
        _cls,
        "steps features",
        infer={"d_model": -1},
        fixed=BATCH_FIRST,
        types=_ACTIVATION,
        defaults={"activation": "relu"},
    )
add(
    nn.Transformer,
    "steps features",
    infer={"d_model": -1},
    fixed=BATCH_FIRST,
    types=_ACTIVATION,
    without=CALLABLES,
    defaults={"activation": "relu"},
)

# --- recurrent --------------------------------------------------------------------------------------------------------

add(nn.RNN, "steps features", infer={"input_size": -1}, fixed=BATCH_FIRST, signature=_rnn_signature)
add(nn.GRU, "steps features", infer={"input_size": -1}, fixed=BATCH_FIRST, signature=_gru_signature)
add(nn.LSTM, "steps features", infer={"input_size": -1}, fixed=BATCH_FIRST, signature=_lstm_signature)
add(nn.RNNCell, "features", infer={"input_size": -1}, types=RECURRENT_FIELDS)
add(nn.GRUCell, "features", infer={"input_size": -1})
add(nn.LSTMCell, "features", infer={"input_size": -1})

# --- convolution ------------------------------------------------------------------------------------------------------

for _n, _axes in enumerate(SAMPLES[1:], start=1):
    add(getattr(nn, f"Conv{_n}d"), _axes, infer={"in_channels": 1})
    add(getattr(nn, f"ConvTranspose{_n}d"), _axes, infer={"in_channels": 1}, types={"padding_mode": Literal["zeros"]})
add(nn.Unfold, SAMPLES[2])
add(nn.Fold, "columns blocks")

# --- normalisation ----------------------------------------------------------------------------------------------------

add(nn.BatchNorm1d, "features | channels length", infer={"num_features": 1}, mixes_batch=True)
add(nn.InstanceNorm1d, SAMPLES[1], infer={"num_features": 1})
for _n in (2, 3):
    add(getattr(nn, f"BatchNorm{_n}d"), SAMPLES[_n], infer={"num_features": 1}, mixes_batch=True)
    add(getattr(nn, f"InstanceNorm{_n}d"), SAMPLES[_n], infer={"num_features": 1})
add(nn.GroupNorm, "channels ...", infer={"num_channels": 1})
_NORMALIZED = {"normalized_shape": int | tuple[int, ...]}
add(nn.LayerNorm, "... features", infer={"normalized_shape": -1}, types=_NORMALIZED)
add(nn.RMSNorm, "... features", infer={"normalized_shape": -1}, types=_NORMALIZED)
add(nn.LocalResponseNorm, "channels ...")
add(nn.CrossMapLRN2d, SAMPLES[2])

# --- activations ------------------------------------------------------------------------------------------------------

for _cls in (
    *(nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.LeakyReLU, nn.LogSigmoid),
    *(nn.Mish, nn.RReLU, nn.ReLU, nn.ReLU6, nn.SELU, nn.SiLU, nn.Sigmoid, nn.Softplus, nn.Softshrink, nn.Softsign),
    *(nn.Tanh, nn.Tanhshrink, nn.Threshold),
):
    _types = {"approximate": Literal["none", "tanh"]} if _cls is nn.GELU else {}
    _old = "an old name of `{}_val`"
    _hidden = {"min_value": _old.format("min"), "max_value": _old.format("max")} if _cls is nn.Hardtanh else {}
    _share = _cls in (nn.Sigmoid, nn.Hardsigmoid)
    add(_cls, kind="activation", types=_types, without=_hidden, is_share=_share)
add(
    nn.PReLU,
    "channels ... | ",
    kind="activation",
    without={"init": "the slope starts at 0.25; `init: {scale: {scheme: constant, value: ...}}` changes it"},
)
add(nn.GLU, kind="unknown")  # a gate and a value: no single gain
for _cls in (nn.Softmax, nn.Softmin):
    add(_cls, is_share=True)
add(nn.LogSoftmax)
add(nn.Softmax2d, SAMPLES[2], is_share=True)

# --- dropout ----------------------------------------------------------------------------------------------------------

for _cls in (nn.Dropout, nn.AlphaDropout, nn.FeatureAlphaDropout):
    add(_cls, kind="passthrough")
for _n, _axes in enumerate(SAMPLES[1:], start=1):
    add(getattr(nn, f"Dropout{_n}d"), _axes, kind="passthrough")

# --- pooling, padding, reshaping --------------------------------------------------------------------------------------

_OUTPUT_SIZE = {"output_size": int | None | tuple[int | None, ...]}
_SAMPLES = {"_random_samples": "drawn again in every pass"}
for _n, _axes in enumerate(SAMPLES[1:], start=1):
    for _name in ("MaxPool", "AvgPool", "LPPool", "MaxUnpool"):
        add(getattr(nn, f"{_name}{_n}d"), _axes, kind="passthrough")
    for _name in ("AdaptiveMaxPool", "AdaptiveAvgPool"):
        add(getattr(nn, f"{_name}{_n}d"), _axes, kind="passthrough", types=_OUTPUT_SIZE)
    for _name in ("CircularPad", "ConstantPad", "ReflectionPad", "ReplicationPad", "ZeroPad"):
        add(getattr(nn, f"{_name}{_n}d"), _axes, kind="passthrough")
for _n in (2, 3):
    add(getattr(nn, f"FractionalMaxPool{_n}d"), SAMPLES[_n], kind="passthrough", without=_SAMPLES)
add(nn.Flatten, kind="passthrough")
add(nn.Unflatten, kind="passthrough", types={"unflattened_size": tuple[int, ...], "dim": int})
add(nn.ChannelShuffle, "channels ...", kind="passthrough")
add(nn.PixelShuffle, SAMPLES[2], kind="passthrough")
add(nn.PixelUnshuffle, SAMPLES[2], kind="passthrough")
add(
    nn.Upsample,
    "channels ...",
    kind="passthrough",
    types={"mode": Literal["nearest", "linear", "bilinear", "bicubic", "trilinear", "nearest-exact"]},
)
add(nn.UpsamplingBilinear2d, SAMPLES[2], kind="passthrough")
add(nn.UpsamplingNearest2d, SAMPLES[2], kind="passthrough")

# --- two tensors in, one out ------------------------------------------------------------------------------------------

add(nn.CosineSimilarity)
add(nn.PairwiseDistance)

# --- left out ---------------------------------------------------------------------------------------------------------

registry.LEFT_OUT.update(
    {
        "Module": "it is the base class of all layers",
        "Container": "a deprecated base class; use `Sequential`",
        "ModuleList": "it has no forward; use `Sequential`, `Repeat` or `Parallel`",
        "ModuleDict": "it has no forward; use `Sequential`, `Repeat` or `Parallel`",
        "ParameterList": "it holds parameters but computes nothing; register a layer of your own",
        "ParameterDict": "it holds parameters but computes nothing; register a layer of your own",
        "DataParallel": "it wraps a built model; training does that",
        "SyncBatchNorm": "it runs on several GPUs only; declare `BatchNorm` and let training convert it",
        "RNNBase": "the base class of `RNN`, `GRU` and `LSTM`",
        "RNNCellBase": "the base class of `RNNCell`, `GRUCell` and `LSTMCell`",
        "TransformerEncoder": "it takes a module; use `Repeat` over a `TransformerEncoderLayer`",
        "TransformerDecoder": "it takes a module; use `Repeat` over a `TransformerDecoderLayer`",
        **{
            name: "shapes are inferred here: use the class without `Lazy`"
            for name in dir(nn)
            if name.startswith("Lazy")
        },
        **{name: "a loss is part of training, not of a model" for name in dir(nn) if name.endswith(("Loss", "Loss2d"))},
        "AdaptiveLogSoftmaxWithLoss": "it needs the targets; losses belong to training",
    }
)
