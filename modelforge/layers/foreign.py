"""Layouts and residual branches of other libraries' classes, by their full names: none of them is imported here."""

from __future__ import annotations

from functools import partial
from typing import Any

from torch import Tensor, nn

from modelforge.block import Attention, Projection
from modelforge.layers.inside import register_branches
from modelforge.layers.layouts import ParameterLayout, present, register_layout, vector, whole

_LLAMA = ("llama.modeling_llama.Llama", "mistral.modeling_mistral.Mistral", "gemma.modeling_gemma.Gemma")
_QWEN = ("qwen2.modeling_qwen2.Qwen2", "qwen3.modeling_qwen3.Qwen3")
_BERT = ("bert.modeling_bert.Bert", "roberta.modeling_roberta.Roberta")
_TOKENS = ("cls_token", "mask_token", "distillation_token", "position_embeddings")


def _models(names: tuple[str, ...], *suffixes: str) -> list[str]:
    return [f"transformers.models.{name}{suffix}" for name in names for suffix in suffixes]


# --- layouts ----------------------------------------------------------------------------------------------------------


@register_layout("transformers.pytorch_utils.Conv1D")
def _inputs_first(module: Any) -> dict[str, ParameterLayout]:
    """A linear layer whose weight is (inputs, outputs)."""
    return present(weight=ParameterLayout("weight", (_transposed(module.weight),)), bias=vector("bias", module.bias))


@register_layout(*_models(("gpt2.modeling_gpt2.GPT2",), "Attention"))
def _packed_attention(module: Any) -> dict[str, ParameterLayout]:
    """Queries, keys and values side by side in one weight: each has as many outputs as there are inputs.

    They lie along dimension 1, so that they are no blocks of their own: schemes for matrices see one wide matrix.
    """
    width = float(module.embed_dim)
    known = partial(Attention, num_heads=module.num_heads, head_size=module.head_dim, width=module.embed_dim)
    packed = known(("k", "v") if "q_attn" in module._modules else ("q", "k", "v"))
    blocks = {
        "c_attn": partial(_transposed, fan_out=width, activations=(), attention=packed),
        "q_attn": partial(_transposed, fan_out=width, activations=(), attention=known(("q",))),
        "c_proj": partial(_transposed, attention=known(("o",))),
    }
    return {
        f"{name}.weight": ParameterLayout("weight", (block(module._modules[name].weight),))
        for name, block in blocks.items()
        if name in module._modules
    }


@register_layout(*_models(_LLAMA + _QWEN, "Attention"), *_models(("vit.modeling_vit.ViT",), "Attention"))
def _projections(module: Any) -> dict[str, ParameterLayout]:
    return _named(module, module.head_dim, q="q_proj", k="k_proj", v="v_proj", o="o_proj")


@register_layout(*_models(_BERT, "Attention"))
def _bert_projections(module: Any) -> dict[str, ParameterLayout]:
    head_size = module.self.attention_head_size
    return _named(module, head_size, q="self.query", k="self.key", v="self.value", o="output.dense")


@register_layout("transformers.models.t5.modeling_t5.T5Attention")
def _t5_projections(module: Any) -> dict[str, ParameterLayout]:
    return _named(module, module.key_value_proj_dim, q="q", k="k", v="v", o="o")


@register_layout(*_models(("vit.modeling_vit.ViT", "deit.modeling_deit.DeiT"), "Embeddings"))
def _tokens(module: nn.Module) -> dict[str, ParameterLayout]:
    """Learned vectors that are put before, or added to, what stands for the patches."""
    own = {name: weight for name, weight in module._parameters.items() if weight is not None and name in _TOKENS}
    return {
        name: ParameterLayout("embedding", (whole(weight, fan_in=1.0, fan_out=float(weight.shape[-1])),))
        for name, weight in own.items()
    }


def _transposed(weight: Tensor, **changes: Any) -> Any:
    inputs, outputs = weight.shape
    return whole(weight, input_first=True, **{"fan_in": float(inputs), "fan_out": float(outputs)} | changes)


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
    blocks = {
        path: whole(linears[path].weight, name=name, activations=(), attention=known((name,))) for path, name in read
    } | {o: whole(linears[o].weight, attention=known(("o",)))}
    return {f"{path}.weight": ParameterLayout("weight", (block,)) for path, block in blocks.items()}


# --- residual branches ------------------------------------------------------------------------------------------------

register_branches(
    "transformers.models.gpt2.modeling_gpt2.GPT2Block",
    ("ln_1", "attn", "attn.c_proj"),
    ("ln_cross_attn", "crossattention", "crossattention.c_proj"),
    ("ln_2", "mlp", "mlp.c_proj"),
)
for _name in _models(_LLAMA + _QWEN, "DecoderLayer"):
    register_branches(
        _name,
        ("input_layernorm", "self_attn", "self_attn.o_proj"),
        ("post_attention_layernorm", "mlp", "mlp.down_proj"),
    )
# The norms come behind the sums, and so are in no branch.
for _name in _models(_BERT, "Layer"):
    register_branches(
        _name,
        ("attention.self", "attention.output.dense"),
        ("crossattention.self", "crossattention.output.dense"),
        ("intermediate", "output.dense"),
    )
register_branches(
    "transformers.models.vit.modeling_vit.ViTLayer",
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
