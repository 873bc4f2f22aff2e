"""Layouts, activations and residual branches of other libraries' classes, by their full names: none is imported."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn

from modelforge.core.matrix import Attention, Matrix, Projection
from modelforge.modules.parameters import ParameterLayout, present, register_layout, rows, transposed, vector, whole
from modelforge.modules.structure import Follows, reads, register_branches, register_inside

_GPT2 = ("gpt2.modeling_gpt2.GPT2",)
_GPT = (
    *_GPT2,
    "imagegpt.modeling_imagegpt.ImageGPT",
    "openai.modeling_openai.",
    "decision_transformer.modeling_decision_transformer.DecisionTransformerGPT2",
)
_LLAMA = (
    "llama.modeling_llama.Llama",
    "mistral.modeling_mistral.Mistral",
    "gemma.modeling_gemma.Gemma",
    "qwen2.modeling_qwen2.Qwen2",
    "qwen3.modeling_qwen3.Qwen3",
)
_PHI = ("phi3.modeling_phi3.Phi3",)
_QWEN_MOE = ("qwen2_moe.modeling_qwen2_moe.Qwen2Moe", "qwen3_moe.modeling_qwen3_moe.Qwen3Moe")
_MOE = ("mixtral.modeling_mixtral.Mixtral", "olmoe.modeling_olmoe.Olmoe", *_QWEN_MOE)
_DEEPSEEK = ("deepseek_v2.modeling_deepseek_v2.DeepseekV2", "deepseek_v3.modeling_deepseek_v3.DeepseekV3")
_BERT = ("bert.modeling_bert.Bert", "roberta.modeling_roberta.Roberta")
_VIT = ("vit.modeling_vit.ViT", "deit.modeling_deit.DeiT")
_T5 = ("t5.modeling_t5.T5",)
_TOKENS = ("cls_token", "mask_token", "distillation_token", "position_embeddings")


def _models(names: tuple[str, ...], *suffixes: str) -> list[str]:
    return [f"transformers.models.{name}{suffix}" for name in names for suffix in suffixes]


# --- layouts ----------------------------------------------------------------------------------------------------------


@register_layout("transformers.pytorch_utils.Conv1D")
def _inputs_first(module: Any) -> dict[str, ParameterLayout]:
    """A linear layer whose weight is (inputs, outputs)."""
    return present(weight=transposed("weight", module.weight), bias=vector("bias", module.bias))


@register_layout(*_models(_GPT, "Attention"))
def _packed_attention(module: Any) -> dict[str, ParameterLayout]:
    """Queries, keys and values side by side; where they attend to others, the queries are on their own."""
    cross = "q_attn" in module._modules
    packings: tuple[tuple[str, tuple[Projection, ...]], ...]
    packings = (("c_attn", ("k", "v")), ("q_attn", ("q",))) if cross else (("c_attn", ("q", "k", "v")),)
    num_heads, width = getattr(module, "num_heads", None) or module.n_head, module.c_proj.weight.shape[0]
    known = partial(Attention, num_heads=num_heads, head_size=width // num_heads, width=width)
    layouts: dict[str, ParameterLayout] = {}
    for child, names in packings:
        linear = module._modules[child]
        packed = transposed("weight", linear.weight, *names, activations=())
        layouts[f"{child}.weight"] = _attending(packed, names, known)
        layouts[f"{child}.bias"] = ParameterLayout("bias", rows(linear.bias, names, activations=()))
    layouts["c_proj.weight"] = _attending(transposed("weight", module.c_proj.weight), ("o",), known)
    return layouts


def _attending(
    layout: ParameterLayout, names: tuple[Projection, ...], known: Callable[[tuple[Projection, ...]], Attention]
) -> ParameterLayout:
    """Matrices that are the projections of one attention, in this order."""
    pairs = zip(layout.matrices, names, strict=True)
    return replace(layout, matrices=tuple(replace(matrix, attention=known((name,))) for matrix, name in pairs))


@register_layout(*_models(_PHI, "Attention"))
def _grouped_attention(module: Any) -> dict[str, ParameterLayout]:
    """Queries, and below them keys and values, of which there may be fewer."""
    weight, size = module.qkv_proj.weight, module.num_key_value_heads * module.head_dim
    queries = weight.shape[0] - 2 * size
    spans = {"q": (0, queries), "k": (queries, queries + size), "v": (queries + size, queries + 2 * size)}
    matrices = (
        whole(weight, shape=(b - a, weight.shape[1]), fan_out=float(b - a), name=name, start=a, activations=())
        for name, (a, b) in spans.items()
    )
    return {"qkv_proj.weight": ParameterLayout("weight", tuple(matrices))}


@register_layout(*_models(_PHI, "MLP"))
def _packed_gate(module: Any) -> dict[str, ParameterLayout]:
    matrices = _gated(rows(module.gate_up_proj.weight, ("gate", "up")), module.activation_fn)
    return {"gate_up_proj.weight": ParameterLayout("weight", matrices)}


@register_layout(*_models(_MOE + _DEEPSEEK, "Experts"))
def _experts(module: Any) -> dict[str, ParameterLayout]:
    """A stack of MLPs, each with its gate above what is gated."""
    return _stack(module, None)


@register_layout("transformers.models.llama4.modeling_llama4.Llama4TextExperts")
def _experts_inputs_first(module: Any) -> dict[str, ParameterLayout]:
    return _stack(module, (1, 2))


@register_layout(*_models(_MOE, "TopKRouter"), *_models(_DEEPSEEK, "TopkRouter"))
def _router(module: Any) -> dict[str, ParameterLayout]:
    return {"weight": ParameterLayout("weight", (whole(module.weight),))}


@register_layout(*_models(_LLAMA + _MOE + _VIT, "Attention"))
def _projections(module: Any) -> dict[str, ParameterLayout]:
    return _named(module, module.head_dim, q="q_proj", k="k_proj", v="v_proj", o="o_proj")


@register_layout(*_models(_BERT, "Attention"))
def _bert_projections(module: Any) -> dict[str, ParameterLayout]:
    head_size = module.self.attention_head_size
    return _named(module, head_size, q="self.query", k="self.key", v="self.value", o="output.dense")


@register_layout(*_models(_T5, "Attention"))
def _t5_projections(module: Any) -> dict[str, ParameterLayout]:
    return _named(module, module.key_value_proj_dim, q="q", k="k", v="v", o="o")


@register_layout(*_models(_VIT, "Embeddings"))
def _tokens(module: nn.Module) -> dict[str, ParameterLayout]:
    """Learned vectors that are put before, or added to, what stands for the patches."""
    own = {name: weight for name, weight in module._parameters.items() if weight is not None and name in _TOKENS}
    return {
        name: ParameterLayout("embedding", (whole(weight, fan_in=1.0, fan_out=float(weight.shape[-1])),))
        for name, weight in own.items()
    }


def _stack(module: Any, transposed: tuple[int, int] | None) -> dict[str, ParameterLayout]:
    """Each expert has matrices of its own. The outputs of the experts are weighted and added."""
    # Their shapes alone: a copy of all experts would be large.
    up, down = (
        torch.empty(weight.shape, device="meta").transpose(*transposed or (1, 1)).flatten(0, 1)
        for weight in (module.gate_up_proj, module.down_proj)
    )
    experts = [str(expert) for expert in range(module.gate_up_proj.shape[0])]
    halves = [f"{expert}.{half}" for expert in experts for half in ("gate", "up")]
    ups = _gated(rows(up, halves, kind="stack"), module.act_fn)
    downs = rows(down, experts, activations=(), kind="stack")
    return {
        name: ParameterLayout("weight", matrices, transposed=transposed)
        for name, matrices in (("gate_up_proj", ups), ("down_proj", downs))
    }


def _gated(matrices: tuple[Matrix, ...], activation: object) -> tuple[Matrix, ...]:
    """In turn a gate, which the activation reads, and what is multiplied by that."""
    follows = reads(activation)
    gate = follows if isinstance(follows, tuple) else None
    return tuple(replace(matrix, activations=() if index % 2 else gate) for index, matrix in enumerate(matrices))


def _named(module: nn.Module, head_size: int, *, q: str, k: str, v: str, o: str) -> dict[str, ParameterLayout]:
    """Linear layers that make queries, keys and values, which nothing but a bilinear form reads, and the output. Where
    other modules stand in their place, nothing is known."""
    children = {path: module.get_submodule(path) for path in (q, k, v, o)}
    linears = {path: child for path, child in children.items() if isinstance(child, nn.Linear)}
    if len(linears) < len(children):
        return {}
    inner, width = linears[q].weight.shape
    known = partial(Attention, num_heads=inner // head_size, head_size=head_size, width=width)
    read: tuple[tuple[str, Projection], ...] = ((q, "q"), (k, "k"), (v, "v"))
    matrices = {
        path: whole(linears[path].weight, name=name, activations=(), attention=known((name,))) for path, name in read
    } | {o: whole(linears[o].weight, attention=known(("o",)))}
    return {f"{path}.weight": ParameterLayout("weight", (matrix,)) for path, matrix in matrices.items()}


# --- activations ------------------------------------------------------------------------------------------------------


@register_inside(*_models(_GPT2, "MLP"))
def _gpt2_mlp(module: Any) -> dict[str, Follows]:
    return {"c_fc": reads(module.act), "c_proj": "output"}


@register_inside(*_models(_LLAMA + _QWEN_MOE, "MLP"))
def _gated_mlp(module: Any) -> dict[str, Follows]:
    """What goes up is multiplied by what the activation makes of the gate."""
    return {"gate_proj": reads(module.act_fn), "up_proj": (), "down_proj": "output"}


@register_inside(*_models(_PHI, "MLP"))
def _packed_mlp(module: Any) -> dict[str, Follows]:
    del module
    return {"down_proj": "output"}


@register_inside(*_models(_VIT, "MLP"))
def _vit_mlp(module: Any) -> dict[str, Follows]:
    return {"fc1": reads(module.activation_fn), "fc2": "output"}


@register_inside(*_models(_T5, "DenseActDense"))
def _t5_mlp(module: Any) -> dict[str, Follows]:
    return {"wi": reads(module.act), "wo": "output"}


@register_inside(*_models(_T5, "DenseGatedActDense"))
def _t5_gated_mlp(module: Any) -> dict[str, Follows]:
    return {"wi_0": reads(module.act), "wi_1": (), "wo": "output"}


@register_inside(*_models(_BERT, "Intermediate"))
def _bert_up(module: Any) -> dict[str, Follows]:
    return {"dense": reads(module.intermediate_act_fn)}


@register_inside(*_models(_BERT, "Output", "SelfOutput"))
def _bert_down(module: Any) -> dict[str, Follows]:
    """A residual sum and a norm read it."""
    del module
    return {"dense": ()}


@register_inside(*_models(_BERT + _VIT, "Pooler"))
def _pooler(module: Any) -> dict[str, Follows]:
    return {"dense": reads(module.activation)}


@register_inside("transformers.models.bert.modeling_bert.BertPredictionHeadTransform")
def _bert_head(module: Any) -> dict[str, Follows]:
    return {"dense": reads(module.transform_act_fn)}


@register_inside(*_models(_GPT2 + _LLAMA + _PHI + _MOE + _VIT + _T5, "Attention"))
def _output_projection(module: Any) -> dict[str, Follows]:
    del module
    return {"c_proj": "output", "o_proj": "output", "o": "output"}


@register_inside(*_models(_GPT2, "Block"), *_models(_LLAMA + _PHI + _MOE, "DecoderLayer"), *_models(_VIT, "Layer"))
@register_inside(*_models(_T5, "LayerSelfAttention", "LayerCrossAttention", "LayerFF"))
def _residual(module: nn.Module) -> dict[str, Follows]:
    """Norms read the residual stream, and so what is added to it."""
    return {name: () for name in module._modules}


# --- residual branches ------------------------------------------------------------------------------------------------

register_branches(
    "transformers.models.gpt2.modeling_gpt2.GPT2Block",
    ("ln_1", "attn", "attn.c_proj"),
    ("ln_cross_attn", "crossattention", "crossattention.c_proj"),
    ("ln_2", "mlp", "mlp.c_proj"),
)
for _name in _models(_LLAMA + _PHI, "DecoderLayer"):
    register_branches(
        _name,
        ("input_layernorm", "self_attn", "self_attn.o_proj"),
        ("post_attention_layernorm", "mlp", "mlp.down_proj"),
    )
# The norms come after the sums, and so are in no branch.
for _name in _models(_BERT, "Layer"):
    register_branches(
        _name,
        ("attention.self", "attention.output.dense"),
        ("crossattention.self", "crossattention.output.dense"),
        ("intermediate", "output.dense"),
    )
for _name in _models(_VIT, "Layer"):
    register_branches(
        _name,
        ("layernorm_before", "attention", "attention.o_proj"),
        ("layernorm_after", "mlp", "mlp.fc2"),
    )
register_branches(
    "transformers.models.t5.modeling_t5.T5LayerSelfAttention", ("layer_norm", "SelfAttention", "SelfAttention.o")
)
register_branches(
    "transformers.models.t5.modeling_t5.T5LayerCrossAttention", ("layer_norm", "EncDecAttention", "EncDecAttention.o")
)
register_branches("transformers.models.t5.modeling_t5.T5LayerFF", ("layer_norm", "DenseReluDense", "DenseReluDense.wo"))
register_branches("transformers.models.resnet.modeling_resnet.ResNetBasicLayer", ("layer", "layer.1.normalization"))
register_branches(
    "transformers.models.resnet.modeling_resnet.ResNetBottleNeckLayer", ("layer", "layer.2.normalization")
)
