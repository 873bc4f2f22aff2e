"""Layers against the modules of `transformers` that they stand for: the same outputs and gradients.

Their modules are made from small configs: nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf

transformers = pytest.importorskip("transformers", reason="a development dependency")
models: Any = transformers.models

STEPS, DIM, HEADS = 6, 16, 4
Get = Callable[[str], Tensor]
Weights = Mapping[str, Callable[[Get], Tensor]]
"""For each parameter of ours, where its values (or its gradient) are in the other module, by the names there."""


def config(cls: str, **changes: Any) -> Any:
    return getattr(transformers, cls)(**changes, attn_implementation="eager")


def layer(*shapes: list[int], dtypes: tuple[str, ...] = (), **arguments: Any) -> Any:
    """A model of one layer, which reads inputs of these shapes."""
    names = [f"x{index}" for index in range(len(shapes))]
    kinds = dtypes or ("float32",) * len(shapes)
    inputs = {name: {"shape": shape, "dtype": kind} for name, shape, kind in zip(names, shapes, kinds, strict=True)}
    return mf.build(mf.parse({"input": inputs, "layers": {"it": {**arguments, "inputs": names}}}, init="xavier")).it


def randomise(module: nn.Module) -> None:
    """No two values equal, biases and scales included."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.copy_(torch.randn(weight.shape, generator=generator) * 0.3 + (weight.ndim == 1) * 0.5)


def same(names: Mapping[str, str], *locals: str) -> Weights:
    """Parameters that are stored alike: our module's name → theirs."""
    return {
        f"{ours}.{local}" if ours else local: lambda get, path=f"{theirs}.{local}": get(path)
        for ours, theirs in names.items()
        for local in locals or ("weight", "bias")
    }


def assert_same(
    ours: Any,
    theirs: nn.Module,
    weights: Weights,
    run_ours: Callable[..., Tensor],
    run_theirs: Callable[..., Tensor],
    *inputs: Tensor,
) -> None:
    """Equal outputs, and equal gradients of all parameters and floating-point inputs, in training and evaluation."""
    randomise(theirs)
    with torch.no_grad():
        for name, weight in ours.named_parameters():
            weight.copy_(weights[name](theirs.get_parameter))
    assert dict(ours.named_parameters()).keys() == weights.keys()
    for training in (True, False):
        found: list[tuple[Tensor, list[Tensor | None]]] = []
        for module, run in ((ours, run_ours), (theirs, run_theirs)):
            module.train(training).zero_grad()
            given = [item.clone().requires_grad_(item.is_floating_point()) for item in inputs]
            output = run(*given)
            (output * torch.linspace(-1, 1, output.numel()).view(output.shape)).sum().backward()
            found.append((output.detach(), [item.grad for item in given]))
        torch.testing.assert_close(*found, atol=1e-5, rtol=1e-5)
        for name, weight in ours.named_parameters():
            expected = weights[name](lambda path: theirs.get_parameter(path).grad)
            torch.testing.assert_close(
                weight.grad, expected, atol=1e-5, rtol=1e-4, msg=lambda text, at=name: f"{at}: {text}"
            )


X = torch.randn(2, STEPS, DIM, generator=torch.Generator().manual_seed(1))
SOURCE = torch.randn(2, 5, DIM, generator=torch.Generator().manual_seed(2))
PADDING = torch.tensor([[True] * STEPS, [True] * 4 + [False] * 2])
CAUSAL = torch.zeros(STEPS, STEPS).masked_fill(torch.ones(STEPS, STEPS, dtype=torch.bool).triu(1), -torch.inf)
PROJECTIONS = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "out_proj": "o_proj"}
ROPES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({"rope_type": "default", "rope_theta": 500.0}, {"rope_theta": 500.0}),
    "llama3": (
        {
            "rope_type": "llama3",
            "rope_theta": 10000.0,
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 64,
        },
        {"rope_factor": 8.0, "rope_original_steps": 64},
    ),
}


@pytest.mark.parametrize("name", ROPES)
@pytest.mark.parametrize("bias", [True, False])
def test_llama(name, bias):
    theirs, ours = ROPES[name]
    sizes = {"hidden_size": DIM, "num_attention_heads": HEADS, "num_key_value_heads": 2, "head_dim": 8}
    settings = config("LlamaConfig", **sizes, attention_bias=bias, rope_parameters=theirs, max_position_embeddings=512)
    attention = models.llama.modeling_llama.LlamaAttention(settings, 0)
    angles = models.llama.modeling_llama.LlamaRotaryEmbedding(settings)
    mine = layer(
        [STEPS, DIM],
        type="SelfAttention",
        num_heads=HEADS,
        num_kv_heads=2,
        head_dim=8,
        causal=True,
        bias=bias,
        rotary=True,
        **ours,
    )
    weights = same(PROJECTIONS, *(["weight", "bias"] if bias else ["weight"]))
    positions = angles(X, torch.arange(STEPS)[None])
    assert_same(mine, attention, weights, mine, lambda x: attention(x, positions, CAUSAL)[0], X)


@pytest.mark.parametrize("name", ROPES)
def test_angles_of_llama_at_all_steps(name):
    theirs, ours = ROPES[name]
    settings = config("LlamaConfig", hidden_size=32, num_attention_heads=1, rope_parameters=theirs)
    cos, sin = models.llama.modeling_llama.LlamaRotaryEmbedding(settings)(X, torch.arange(500)[None])
    x = torch.randn(1, 1, 500, 32)
    expected, _ = models.llama.modeling_llama.apply_rotary_pos_emb(x, x, cos, sin)
    turned, _ = layer([5, 32], type="SelfAttention", num_heads=1, rotary=True, **ours).rotary(x, x)
    torch.testing.assert_close(turned, expected, atol=1e-5, rtol=0)


def test_gpt2():
    settings = config("GPT2Config", n_embd=DIM, n_head=HEADS, attn_pdrop=0.0, resid_pdrop=0.0)
    attention = models.gpt2.modeling_gpt2.GPT2Attention(settings, layer_idx=0)
    mine = layer([STEPS, DIM], type="SelfAttention", num_heads=HEADS, causal=True)
    weights: dict[str, Callable[[Get], Tensor]] = {}
    for index, name in enumerate(("q_proj", "k_proj", "v_proj")):
        part = slice(index * DIM, (index + 1) * DIM)
        weights[f"{name}.weight"] = lambda get, part=part: get("c_attn.weight")[:, part].T
        weights[f"{name}.bias"] = lambda get, part=part: get("c_attn.bias")[part]
    weights |= {"out_proj.weight": lambda get: get("c_proj.weight").T, "out_proj.bias": lambda get: get("c_proj.bias")}
    assert_same(mine, attention, weights, mine, lambda x: attention(x, attention_mask=CAUSAL)[0], X)


def test_gpt2_cross_attention():
    settings = config("GPT2Config", n_embd=DIM, n_head=HEADS, attn_pdrop=0.0, resid_pdrop=0.0)
    attention = models.gpt2.modeling_gpt2.GPT2Attention(settings, is_cross_attention=True, layer_idx=0)
    mine = layer([STEPS, DIM], [5, DIM], type="CrossAttention", num_heads=HEADS)
    weights: dict[str, Callable[[Get], Tensor]] = {
        "q_proj.weight": lambda get: get("q_attn.weight").T,
        "q_proj.bias": lambda get: get("q_attn.bias"),
        "k_proj.weight": lambda get: get("c_attn.weight")[:, :DIM].T,
        "k_proj.bias": lambda get: get("c_attn.bias")[:DIM],
        "v_proj.weight": lambda get: get("c_attn.weight")[:, DIM:].T,
        "v_proj.bias": lambda get: get("c_attn.bias")[DIM:],
        "out_proj.weight": lambda get: get("c_proj.weight").T,
        "out_proj.bias": lambda get: get("c_proj.bias"),
    }
    assert_same(mine, attention, weights, mine, lambda x, y: attention(x, encoder_hidden_states=y)[0], X, SOURCE)


class Bert(nn.Module):
    """BERT's attention up to where its output is summed."""

    def __init__(self, settings: Any) -> None:
        super().__init__()
        self.self = models.bert.modeling_bert.BertSelfAttention(settings)
        self.dense = models.bert.modeling_bert.BertSelfOutput(settings).dense

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return self.dense(self.self(x, mask)[0])


def test_bert():
    sizes = {"hidden_size": DIM, "num_attention_heads": HEADS, "attention_probs_dropout_prob": 0.0}
    attention = Bert(config("BertConfig", **sizes))
    mine = layer([STEPS, DIM], [STEPS], dtypes=("float32", "bool"), type="SelfAttention", num_heads=HEADS)
    weights = same({"q_proj": "self.query", "k_proj": "self.key", "v_proj": "self.value", "out_proj": "dense"})
    hidden = torch.zeros(2, 1, 1, STEPS).masked_fill(~PADDING[:, None, None], torch.finfo(torch.float32).min)
    assert_same(mine, attention, weights, lambda x: mine(x, PADDING), lambda x: attention(x, hidden), X)


@pytest.mark.parametrize("bias", [True, False])
def test_vit(bias):
    sizes = {"hidden_size": DIM, "num_attention_heads": HEADS, "attention_probs_dropout_prob": 0.0}
    attention = models.vit.modeling_vit.ViTAttention(config("ViTConfig", **sizes, qkv_bias=bias))
    mine = layer([STEPS, DIM], type="SelfAttention", num_heads=HEADS, bias=bias, out_bias=True)
    weights = same(PROJECTIONS, "weight") | same({"out_proj": "o_proj"}, "bias")
    weights |= same({name: name for name in PROJECTIONS if name != "out_proj"}, "bias") if bias else {}
    assert_same(mine, attention, weights, mine, lambda x: attention(x)[0], X)


T5_SIZES = {"d_model": DIM, "num_heads": HEADS, "d_kv": 5, "dropout_rate": 0.0}
T5_NAMES = {"q_proj": "q", "k_proj": "k", "v_proj": "v", "out_proj": "o"}
BUCKETS = {"relative_attention_num_buckets": 8, "relative_attention_max_distance": 12}


@pytest.mark.parametrize("decoder", [False, True])
def test_t5(decoder):
    settings = config("T5Config", **T5_SIZES, **BUCKETS, is_decoder=decoder)
    attention = models.t5.modeling_t5.T5Attention(settings, has_relative_attention_bias=True, layer_idx=0)
    near = {"type": "RelativePositionBias", "num_heads": HEADS, "num_buckets": 8, "max_distance": 12}
    mix = {"type": "SelfAttention", "num_heads": HEADS, "head_dim": 5, "bias": False, "scale": 1.0, "causal": decoder}
    layers = {
        "near": {**near, "bidirectional": not decoder, "inputs": ["x"]},
        "mix": {**mix, "inputs": ["x", "keep", "near"]},
    }
    inputs = {"x": {"shape": [STEPS, DIM]}, "keep": {"shape": [STEPS], "dtype": "bool"}}
    mine = mf.build(mf.parse({"input": inputs, "layers": layers}, init="xavier"))
    weights = {f"mix.{name}": get for name, get in same(T5_NAMES, "weight").items()}
    weights["near.weight"] = lambda get: get("relative_attention_bias.weight")
    hidden = torch.zeros(2, 1, 1, STEPS).masked_fill(~PADDING[:, None, None], torch.finfo(torch.float32).min)
    hidden = hidden + CAUSAL if decoder else hidden
    assert_same(mine, attention, weights, lambda x: mine(x, PADDING), lambda x: attention(x, hidden)[0], X)


def test_t5_cross_attention():
    settings = config("T5Config", **T5_SIZES, is_decoder=True)
    attention = models.t5.modeling_t5.T5Attention(settings, layer_idx=0)
    options = {"num_heads": HEADS, "head_dim": 5, "bias": False, "scale": 1.0}
    mine = layer([STEPS, DIM], [5, DIM], type="CrossAttention", **options)
    weights = same(T5_NAMES, "weight")
    assert_same(mine, attention, weights, mine, lambda x, y: attention(x, key_value_states=y)[0], X, SOURCE)


@pytest.mark.parametrize(("num_buckets", "max_distance"), [(32, 128), (16, 20), (64, 1000)])
@pytest.mark.parametrize("bidirectional", [True, False])
def test_buckets_of_t5(bidirectional, num_buckets, max_distance):
    options = {"num_buckets": num_buckets, "max_distance": max_distance, "bidirectional": bidirectional}
    bias = layer([5, 4], type="RelativePositionBias", num_heads=1, **options)
    distances = torch.arange(-1500, 1501)
    expected = models.t5.modeling_t5.T5Attention._relative_position_bucket(
        distances, bidirectional, num_buckets, max_distance
    )
    assert torch.equal(bias.buckets(distances), expected)


# --- what is around attention -----------------------------------------------------------------------------------------


def test_embeddings_of_bert():
    """A second whole-number input and `Add` are token types; the table of positions is longer than the input."""
    sizes = {"vocab_size": 11, "hidden_size": DIM, "max_position_embeddings": 20, "hidden_dropout_prob": 0.0}
    theirs = models.bert.modeling_bert.BertEmbeddings(config("BertConfig", **sizes))
    layers = {
        "words": {
            "type": "Embedding",
            "num_embeddings": 11,
            "embedding_dim": DIM,
            "padding_idx": 0,
            "inputs": ["word"],
        },
        "types": {"type": "Embedding", "num_embeddings": 2, "embedding_dim": DIM, "inputs": ["kind"]},
        "both": {"type": "Add", "inputs": ["words", "types"]},
        "place": {"type": "PositionEmbedding", "num_positions": 20},
        "norm": {"type": "LayerNorm", "eps": 1e-12},
    }
    indices = {"shape": [STEPS], "dtype": "int64"}
    ours = mf.build(mf.parse({"input": {"word": indices, "kind": indices}, "layers": layers}))
    tables = {"words": "word_embeddings", "types": "token_type_embeddings", "place": "position_embeddings"}
    weights = same(tables, "weight") | same({"norm": "LayerNorm"})
    words, kinds = torch.randint(1, 11, (2, STEPS)), torch.randint(2, (2, STEPS))
    assert_same(ours, theirs, weights, ours, theirs, words, kinds)


def test_embeddings_of_vit():
    sizes = {"hidden_size": DIM, "image_size": 12, "patch_size": 4, "hidden_dropout_prob": 0.0}
    theirs = models.vit.modeling_vit.ViTEmbeddings(config("ViTConfig", **sizes))
    layers = {
        "patches": {"type": "Conv2d", "out_channels": DIM, "kernel_size": 4, "stride": 4},
        "rows": {"type": "Flatten", "start_dim": 2},
        "steps": {"type": "Permute", "dims": [0, 2, 1]},
        "token": "ClassToken",
        "place": "PositionEmbedding",
    }
    ours = mf.build(mf.parse({"input": {"shape": [3, 12, 12]}, "layers": layers}, init="xavier"))
    weights = same({"patches": "patch_embeddings.projection"}) | {
        "token.weight": lambda get: get("cls_token")[0],
        "place.weight": lambda get: get("position_embeddings")[0],
    }
    assert_same(ours, theirs, weights, ours, theirs, torch.randn(2, 3, 12, 12))


def test_a_layer_of_convnext():
    settings = config("ConvNextConfig", layer_scale_init_value=1e-6)
    theirs = models.convnext.modeling_convnext.ConvNextLayer(settings, 6)
    scale = {"type": "LayerScale", "init": {"scale": {"scheme": "constant", "value": 1e-6}}}
    layers = {
        "depthwise": {"type": "Conv2d", "out_channels": 6, "kernel_size": 7, "padding": 3, "groups": 6},
        "last": {"type": "Permute", "dims": [0, 2, 3, 1]},
        "norm": {"type": "LayerNorm", "eps": 1e-6},
        "up": {"type": "Linear", "out_features": 24},
        "act": "GELU",
        "down": {"type": "Linear", "out_features": 6},
        "scale": scale,
        "first": {"type": "Permute", "dims": [0, 3, 1, 2]},
        "drop": {"type": "DropPath", "p": 0.0},
    }
    block = {"block": {"type": "Residual", "layers": layers}}
    ours = mf.build(mf.parse({"input": {"shape": [6, 8, 8]}, "layers": block}, init="xavier")).block
    assert torch.equal(ours.scale.weight, torch.full((6,), 1e-6))
    names = {"depthwise": "dwconv", "norm": "layernorm", "up": "pwconv1", "down": "pwconv2"}
    weights = same(names) | {"scale.weight": lambda get: get("layer_scale_parameter")}
    assert_same(ours, theirs, weights, ours, theirs, torch.randn(2, 6, 8, 8))


@pytest.mark.parametrize(("stride", "padding"), [(2, [0, 1, 0, 1]), (1, [1, 1, 1, 1])])
def test_padding_of_mobilenet(stride, padding):
    """What TensorFlow calls SAME is `ZeroPad2d` with four sides, which the size of the input determines."""
    settings = config("MobileNetV2Config", tf_padding=True)
    theirs = models.mobilenet_v2.modeling_mobilenet_v2.MobileNetV2ConvLayer(
        settings, 3, 4, kernel_size=3, stride=stride, use_activation="relu6"
    )
    layers = {
        "pad": {"type": "ZeroPad2d", "padding": padding},
        "conv": {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "stride": stride, "bias": False},
        "norm": {"type": "BatchNorm2d", "eps": settings.layer_norm_eps, "momentum": 0.997},
        "act": "ReLU6",
    }
    ours = mf.build(mf.parse({"input": {"shape": [3, 10, 10]}, "layers": layers}, init="xavier"))
    weights = same({"conv": "convolution"}, "weight") | same({"norm": "normalization"})
    assert_same(ours, theirs, weights, ours, theirs, torch.randn(2, 3, 10, 10))
