"""Each argument of each layer type is read by its rule, as measured, or known not to matter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from modelforge.language import registry
from modelforge.signal.rule import RULES
from tests.signal.nets import chain, check
from tests.signal.rules.test_all import WITHOUT

ROW, MAP, VOLUME, STEPS = [64], [32, 10], [16, 4, 4, 4], [10, 64]
INIT = {"scheme": "lecun", "embedding": {"scheme": "normal", "std": 1.0}, "bias": {"scheme": "normal", "std": 0.2}}
FAINT = {"scheme": "normal", "std": 0.05}
"""Weights of an attention whose logits are so small that gradients through them do not count."""


def of(
    kind: str, shape: list[int], /, *cases: dict[str, Any], **common: Any
) -> Iterator[tuple[dict[str, Any], list[int]]]:
    """Layers of a type, each with some arguments."""
    for case in cases or ({},):
        yield {"type": kind, **common, **case}, shape


CASES = [
    *of("Linear", ROW, {}, {"bias": False}, out_features=48),
    *of(
        "Embedding", [12], {"padding_idx": 0}, {"max_norm": 2.0, "norm_type": 2.0}, num_embeddings=50, embedding_dim=48
    ),
    *of(
        "EmbeddingBag",
        [12],
        {"mode": "sum"},
        {"mode": "max"},
        {"max_norm": 2.0, "norm_type": 2.0},
        num_embeddings=50,
        embedding_dim=48,
    ),
    *of("RNN", STEPS, {"nonlinearity": "relu"}, {"bias": False}, {"bidirectional": True}, hidden_size=48),
    *of("RNN", STEPS, {"num_layers": 2, "dropout": 0.5}, hidden_size=48),
    *of("GRU", STEPS, {"bias": False}, {"bidirectional": True}, hidden_size=48),
    *of("LSTM", STEPS, {"bias": False}, {"bidirectional": True}, {"proj_size": 24}, hidden_size=48),
    *of("RNNCell", ROW, {"nonlinearity": "relu"}, {"bias": False}, hidden_size=48),
    *of("Conv1d", MAP, {"stride": 2}, {"dilation": 2}, {"groups": 4}, {"bias": False}, out_channels=16, kernel_size=3),
    *of(
        "Conv1d",
        MAP,
        {},
        {"padding_mode": "circular"},
        {"padding_mode": "reflect"},
        out_channels=16,
        kernel_size=3,
        padding=2,
    ),
    *of(
        "ConvTranspose1d",
        MAP,
        {},
        {"padding": 1},
        {"dilation": 2},
        {"groups": 4},
        {"bias": False},
        out_channels=16,
        kernel_size=3,
    ),
    *of("ConvTranspose1d", MAP, {"output_padding": 1}, out_channels=16, kernel_size=3, stride=2),
    *of("BatchNorm1d", MAP, {"affine": False}, {"bias": False}, {"eps": 0.2}, {"track_running_stats": False}),
    *of(
        "InstanceNorm1d",
        MAP,
        {},
        {"affine": True},
        {"eps": 0.2},
        {"track_running_stats": True},
        {"affine": True, "bias": False},
    ),
    *of("GroupNorm", MAP, {"num_groups": 8}, {"affine": False}, {"bias": False}, {"eps": 0.2}, num_groups=4),
    *of("LayerNorm", STEPS, {"elementwise_affine": False}, {"bias": False}, {"eps": 0.2}),
    *of("LayerNorm", STEPS, {"normalized_shape": [10, 64]}),
    *of("RMSNorm", STEPS, {"elementwise_affine": False}, {"eps": 0.2}, {"normalized_shape": [10, 64]}),
    *of("LocalResponseNorm", MAP, {"alpha": 0.5}, {"alpha": 0.5, "beta": 0.5}, {"k": 2.0}, size=5),
    *of("CELU", ROW, alpha=2.0),
    *of("ELU", ROW, alpha=2.0),
    *of("GELU", ROW, approximate="tanh"),
    *of("Hardshrink", ROW, lambd=1.0),
    *of("Softshrink", ROW, lambd=1.0),
    *of("Hardtanh", ROW, min_val=-0.5, max_val=2.0),
    *of("LeakyReLU", ROW, negative_slope=0.5),
    *of("RReLU", ROW, lower=0.0, upper=1.0),
    *of("Softplus", ROW, {"beta": 3.0}, {"threshold": 0.5}),
    *of("Threshold", ROW, threshold=0.5, value=2.0),
    *of("PReLU", ROW, num_parameters=64),
    *of("GLU", STEPS, {"dim": 2}, {"dim": 1}),
    *of("Softmax", STEPS, {"dim": 2}, {"dim": 1}),
    *of("LogSoftmax", STEPS, {"dim": 2}, {"dim": 1}),
    *of("Dropout", ROW, p=0.3),
    *of("AlphaDropout", ROW, p=0.3),
    *of("Dropout1d", MAP, p=0.3),
    *of("DropPath", STEPS, p=0.3),
    *of("MaxPool1d", MAP, {"stride": 1}, {"padding": 1}, {"dilation": 2}, {"ceil_mode": True}, kernel_size=3),
    *of(
        "AvgPool1d",
        MAP,
        {"stride": 1},
        {"padding": 1},
        {"padding": 1, "count_include_pad": False},
        {"ceil_mode": True},
        kernel_size=3,
    ),
    *of("AvgPool2d", [16, 6, 6], kernel_size=2, divisor_override=1),
    *of("LPPool1d", MAP, {"norm_type": 1}, {"stride": 1}, norm_type=2, kernel_size=3),
    *of("AdaptiveMaxPool1d", MAP, {"output_size": 5}, {"output_size": 3}),
    *of("AdaptiveAvgPool1d", MAP, {"output_size": 5}, {"output_size": 3}),
    *of("FractionalMaxPool2d", [16, 8, 8], {"output_size": 4}, {"output_ratio": 0.5}, kernel_size=2),
    *of("ConstantPad1d", MAP, {"value": 0.0}, {"value": 2.0}, padding=2),
    *of("CircularPad1d", MAP, padding=2),
    *of("ReflectionPad1d", MAP, padding=2),
    *of("ReplicationPad1d", MAP, padding=2),
    *of("ZeroPad1d", MAP, padding=2),
    *of("Unfold", [8, 6, 6], {"stride": 2}, {"padding": 1}, {"dilation": 2}, kernel_size=2),
    *of("Fold", [32, 16], {"stride": 2}, output_size=8, kernel_size=2),
    *of("Fold", [32, 25], {"padding": 1, "stride": 2}, output_size=8, kernel_size=2),
    *of("Fold", [32, 36], {"dilation": 2}, output_size=8, kernel_size=2),
    *of("Flatten", VOLUME, {"start_dim": 2}, {"end_dim": 2}),
    *of("Unflatten", ROW, dim=1, unflattened_size=[8, 8]),
    *of("Reshape", ROW, shape=[8, 8]),
    *of("Permute", MAP, dims=[0, 2, 1]),
    *of("ChannelShuffle", MAP, groups=4),
    *of("PixelShuffle", [16, 4, 4], upscale_factor=2),
    *of("PixelUnshuffle", [16, 4, 4], downscale_factor=2),
    *of("Upsample", MAP, {"size": 15}, {"scale_factor": 2}, {"scale_factor": 2, "mode": "linear"}),
    *of("Upsample", MAP, {"align_corners": True}, {"recompute_scale_factor": True}, scale_factor=2, mode="linear"),
    *of("UpsamplingNearest2d", [8, 4, 4], {"size": 6}, {"scale_factor": 2}),
    *of("Select", STEPS, {"dim": 1}, {"dim": 2}, index=3),
    *of("Mean", STEPS, {}, {"keepdim": True}, dim=1),
    *of("Rescale", ROW, factor=0.3),
    *of("PositionEmbedding", STEPS, num_positions=20),
    *of("SinusoidalEmbedding", STEPS, num_positions=20),
    *of("SegmentEmbedding", STEPS, num_segments=3),
    *of(
        "SelfAttention",
        STEPS,
        {"num_kv_heads": 2},
        {"head_dim": 8},
        {"causal": True},
        {"bias": False},
        {"out_bias": False},
        num_heads=4,
    ),
    *of("SelfAttention", STEPS, {"dropout": 0.3}, {"scale": 1.0}, {"rotary": True}, num_heads=4),
    *of(
        "TransformerEncoderLayer",
        STEPS,
        {"dim_feedforward": 64},
        {"dropout": 0.5},
        {"activation": "gelu"},
        {"layer_norm_eps": 0.2},
        nhead=4,
    ),
    *of("TransformerEncoderLayer", STEPS, {"norm_first": True}, {"bias": False}, nhead=4),
]
SIZES = {
    *("in_features", "in_channels", "input_size", "num_features", "num_channels", "features", "embed_dim", "d_model"),
    *("out_features", "out_channels", "hidden_size", "embedding_dim", "kernel_size", "num_embeddings", "kdim"),
}
"""Arguments that shapes and fans say."""
HARMLESS = {
    "momentum": "of statistics that begin with a mean of 0 and a variance of 1",
    "return_indices": "which have no signal",
    "scale_grad_by_freq": "of the gradient of a table, which no layer before it gets",
    "sparse": "how that gradient is stored",
    "include_last_offset": "of bags whose sizes no shape says, which are refused",
}
ELSEWHERE = {
    *("Add", "Multiply", "Concat", "Bilinear", "CosineSimilarity", "PairwiseDistance", "MaxUnpool1d", "LSTMCell"),
    *("MultiheadAttention", "TransformerDecoderLayer", "Transformer", "RelativePositionBias"),
}
"""What reads several tensors, or gives some, is compared beside its rule."""
LEFT = {
    ("SelfAttention", "rope_theta"): "the angles of a rotation keep lengths",
    ("SelfAttention", "rope_factor"): "likewise",
    ("SelfAttention", "rope_low_freq_factor"): "likewise",
    ("SelfAttention", "rope_high_freq_factor"): "likewise",
    ("SelfAttention", "rope_original_steps"): "likewise",
    ("PaddingMask", "padding_idx"): "how many steps are padding is not known",
    ("EmbeddingBag", "padding_idx"): "of 50 rows one, which is left out of means",
    ("ConvTranspose1d", "padding_mode"): "torch pads with zeros only",
    ("LPPool1d", "ceil_mode"): "gradients of windows that are cut off are known to be less exact",
}


def test_every_argument_is_read_or_known_not_to_matter():
    """The types of one rule stand for each other."""
    read: dict[Callable[..., Any] | str, set[str]] = {}
    for layer, _ in CASES:
        read.setdefault(rule_of(layer["type"]), set()).update(layer)
    elsewhere = set(map(rule_of, ELSEWHERE))
    missing = {
        (name, argument)
        for name in registry.names()
        if (it := registry.get(name)).make is not None and name not in WITHOUT and rule_of(name) not in elsewhere
        for argument in it.spec.model_fields
        if argument not in {"type", "inputs", "init", *SIZES, *HARMLESS}
        and argument not in read.get(rule_of(name), set())
    }
    stands_for = {rule_of(name): name for name, _ in LEFT}
    assert {(stands_for.get(rule_of(name), name), argument) for name, argument in missing} == set(LEFT)


def rule_of(name: str) -> Callable[..., Any] | str:
    """The rule of a layer type; an activation has none of its own."""
    return RULES.get(name).predict if name in RULES else name


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=lambda it: str(it) if isinstance(it, dict) else "")
@pytest.mark.filterwarnings("ignore:.*:UserWarning")
def test_an_argument_is_read(layer, shape):
    table = layer["type"] in ("Embedding", "EmbeddingBag")
    init = FAINT if "Attention" in layer["type"] or "Transformer" in layer["type"] else INIT
    # An argument that were ignored would be off by more than what is let pass here.
    check(chain(layer, shape=shape, init=init, dtype="int64" if table else "float32"), spare=0.03)
