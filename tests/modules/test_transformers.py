"""mf.initialize on models of `transformers`, built from small configs: nothing is downloaded."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.inits import statistics
from tests.building.test_attention import assert_mimetic, expected

transformers = pytest.importorskip("transformers", reason="a development dependency")

SIZES = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64}
WORDS = {"vocab_size": 60, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
HEADS = {"num_key_value_heads": 2, "head_dim": 8}
IMAGE = {"image_size": 16, "patch_size": 8}
GPT2 = {"n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 16} | WORDS
T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0} | WORDS
CASES: dict[str, tuple[str, dict[str, Any], int]] = {
    # class of the model, config, residual branches
    "bert": ("BertForMaskedLM", SIZES | WORDS, 4),
    "roberta": ("RobertaForMaskedLM", SIZES | WORDS, 4),
    "gpt2": ("GPT2LMHeadModel", GPT2, 6),
    "gpt2_cross": ("GPT2LMHeadModel", GPT2 | {"add_cross_attention": True}, 9),
    "llama": ("LlamaForCausalLM", SIZES | WORDS | HEADS, 4),
    "mistral": ("MistralForCausalLM", SIZES | WORDS | HEADS, 4),
    "gemma": ("GemmaForCausalLM", SIZES | WORDS | HEADS, 4),
    "qwen2": ("Qwen2ForCausalLM", SIZES | WORDS | {"num_key_value_heads": 2}, 4),
    "qwen3": ("Qwen3ForCausalLM", SIZES | WORDS | HEADS, 4),
    "phi3": ("Phi3ForCausalLM", SIZES | WORDS | {"num_key_value_heads": 2}, 4),
    "vit": ("ViTForImageClassification", SIZES | IMAGE, 4),
    "resnet": (
        "ResNetForImageClassification",
        {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 2], "layer_type": "basic"},
        3,
    ),
    "resnet_bottleneck": (
        "ResNetForImageClassification",
        {"embedding_size": 8, "hidden_sizes": [16, 32], "depths": [1, 1], "layer_type": "bottleneck"},
        2,
    ),
    "t5": ("T5ForConditionalGeneration", T5, 10),
    "t5_gated": ("T5ForConditionalGeneration", T5 | {"feed_forward_proj": "gated-gelu"}, 10),
}
MIXTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "mixtral": ("MixtralForCausalLM", {"num_local_experts": 3, "num_experts_per_tok": 1}),
    "olmoe": ("OlmoeForCausalLM", {"num_experts": 3, "num_experts_per_tok": 1}),
    "qwen2_moe": ("Qwen2MoeForCausalLM", {"num_experts": 3, "num_experts_per_tok": 1, "moe_intermediate_size": 64}),
    "qwen3_moe": ("Qwen3MoeForCausalLM", {"num_experts": 3, "num_experts_per_tok": 1, "moe_intermediate_size": 64}),
    "deepseek_v3": (
        "DeepseekV3ForCausalLM",
        {"n_routed_experts": 3, "n_group": 1, "topk_group": 1, "num_experts_per_tok": 1, "first_k_dense_replace": 0}
        | {"moe_intermediate_size": 64, "q_lora_rank": 8, "kv_lora_rank": 8, "qk_rope_head_dim": 4}
        | {"qk_nope_head_dim": 4, "v_head_dim": 8, "num_key_value_heads": 4, "head_dim": 4},
    ),
    "llama4": (
        "Llama4ForCausalLM",
        {"num_local_experts": 3, "interleave_moe_layer_step": 1, "intermediate_size_mlp": 64} | HEADS,
    ),
}
TIED = {
    "bert": ("bert.embeddings.word_embeddings.weight", "cls.predictions.decoder.weight"),
    "gpt2": ("transformer.wte.weight", "lm_head.weight"),
    "t5": ("shared.weight", "decoder.embed_tokens.weight"),
}


def make(name: str, **changes: Any) -> nn.Module:
    cls, config, _ = CASES[name]
    model: Any = getattr(transformers, cls)
    return model(model.config_class(**config | changes)).eval()


def forward(model: Any) -> torch.Tensor:
    if model.main_input_name == "pixel_values":
        return model(torch.ones(2, 3, 16, 16, dtype=model.dtype)).logits
    words = torch.tensor([[3, 4, 5], [6, 7, 8]])
    return model(words, **({"decoder_input_ids": words} if model.config.is_encoder_decoder else {})).logits


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", CASES)
def test_every_parameter_is_covered(name, dtype):
    model = make(name).to(dtype)
    for weight in model.parameters():
        nn.init.constant_(weight, torch.nan)
    ledger = mf.initialize(model, {"scheme": "xavier", "distribution": "uniform"})
    assert ledger.ok
    assert {entry.verdict for entry in ledger} == {"pass"}
    assert [entry.path for entry in ledger] == [path for path, _ in model.named_parameters()]
    assert {entry.dtype for entry in ledger} == {str(dtype).removeprefix("torch.")}
    assert forward(model).isfinite().all()


@pytest.mark.parametrize("name", TIED)
def test_tied_weights_have_one_rule_and_two_names(name):
    model = make(name, tie_word_embeddings=True)
    first, other = TIED[name]
    assert model.get_parameter(first) is model.get_parameter(other)
    for pattern in (first, other):
        ledger = mf.initialize(model, {"scheme": "xavier", "params": {pattern: {"scheme": "normal", "std": 0.5}}})
        assert ledger.ok
        assert (ledger[first].role, ledger[first].rule) == ("embedding", f"init.params.{pattern}")
        assert other not in {entry.path for entry in ledger}
        assert model.get_parameter(first) is model.get_parameter(other)


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("resnet")])
def test_the_residual_rule_reaches_the_output_projections_and_nothing_else(name):
    """huggingface/transformers#47458: there it matched a name that never occurs, and so was never applied."""
    ledger = mf.initialize(make(name), {"scheme": "gpt2", "std": 0.02})
    count = CASES[name][2]
    scaled = [entry for entry in ledger if entry.role == "weight" and entry.target_std != 0.02]
    assert len(scaled) == count
    assert {entry.path.rsplit(".", 2)[-2] for entry in scaled} <= {
        "c_proj",
        "o_proj",
        "down_proj",
        "fc2",
        "o",
        "wo",
    } | ({"dense"} if "bert" in name else set())
    for entry in scaled:
        assert entry.target_std == pytest.approx(0.02 / sqrt(count), rel=1e-12)
    assert ledger.ok


def test_gpt2_s_own_rule():
    """std 0.02/√(2·L) for exactly the 2·L output projections (Radford et al. 2019, §2.3), by the values themselves."""
    model = make("gpt2")
    mf.initialize(model, "gpt2")
    ends = {f"transformer.h.{i}.{part}.c_proj.weight" for i in range(3) for part in ("attn", "mlp")}
    for path, weight in model.named_parameters():
        if weight.ndim == 2 and path != "transformer.wte.weight":
            # The error of a sample's spread is σ/√(2·n); six of them.
            target = 0.02 / sqrt(6) if path in ends else 0.02
            assert abs(weight.std() - target) < 6 * target / sqrt(2 * weight.numel()), path


def test_conv1d_has_its_inputs_first():
    ledger = mf.initialize(make("gpt2"), "lecun")
    assert ledger["transformer.h.0.mlp.c_proj.weight"].shape == (128, 32)
    assert ledger["transformer.h.0.mlp.c_proj.weight"].target_std == pytest.approx(128**-0.5)
    ledger = mf.initialize(make("gpt2"), "xavier")
    # Packed queries, keys and values start as three matrices of their own would.
    packed = ledger["transformer.h.0.attn.c_attn.weight"]
    assert packed.target_std == pytest.approx(32**-0.5)
    assert (packed.shape, packed.transposed, packed.matrices) == ((32, 96), (0, 1), ("q", "k", "v"))
    assert ledger["transformer.h.0.attn.c_attn.bias"].matrices == ("q", "k", "v")


@pytest.mark.parametrize("name", ["gpt2", "gpt2_cross"])
def test_packed_queries_keys_and_values_are_each_orthogonal(name):
    model = make(name)
    ledger = mf.initialize(model, "orthogonal")
    assert ledger.ok
    packed = {
        path: weight for path, weight in model.named_parameters() if path.endswith(("c_attn.weight", "q_attn.weight"))
    }
    assert len(packed) == (3 if name == "gpt2" else 9)
    for path, weight in packed.items():
        assert "".join(ledger[path].matrices) == ("q" if "q_attn" in path else "kv" if "cross" in path else "qkv")
        for block in weight.split(32, dim=1):
            assert torch.allclose(block @ block.T, torch.eye(32), atol=1e-5), path


def test_grouped_queries_lie_above_keys_and_values():
    model = make("phi3")
    mf.initialize(model, "orthogonal")
    weight = model.get_parameter("model.layers.0.self_attn.qkv_proj.weight")
    for block in weight.split([32, 16, 16]):
        assert torch.allclose(block @ block.T, torch.eye(len(block)), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", MIXTURES)
def test_each_expert_has_matrices_of_its_own(name, dtype):
    cls, config = MIXTURES[name]
    made: Any = getattr(transformers, cls)
    model = made(made.config_class(**SIZES | WORDS | config)).eval().to(dtype)
    ledger = mf.initialize(model, "orthogonal")
    assert {entry.verdict for entry in ledger} == {"pass"}
    (path, *_) = (entry.path for entry in ledger if entry.path.endswith("experts.gate_up_proj"))
    assert ledger[path].matrices[:3] == ("0.gate", "0.up", "1.gate")
    up, down = model.get_parameter(path), model.get_parameter(path.replace("gate_up", "down"))
    if ledger[path].transposed:
        up, down = up.transpose(1, 2), down.transpose(1, 2)
    (size,) = {down.shape[2], up.shape[1] // 2}
    bound = {"atol": 1e-5} if dtype == torch.float32 else {"atol": 0.05}
    for matrix in (*(half for expert in up.float() for half in expert.split(size)), *down.float().transpose(1, 2)):
        assert torch.allclose(matrix.T @ matrix, torch.eye(32), rtol=0, **bound)


GAINS = {
    "bert": ("hidden_act", {"intermediate.dense", "predictions.transform.dense"}, set()),
    "roberta": ("hidden_act", {"intermediate.dense"}, {"lm_head.dense"}),
    "gpt2": ("activation_function", {"mlp.c_fc"}, set()),
    "llama": ("hidden_act", {"mlp.gate_proj"}, {"lm_head"}),
    "qwen3": ("hidden_act", {"mlp.gate_proj"}, {"lm_head"}),
    "vit": ("hidden_act", {"mlp.fc1"}, {"classifier", "patch_embeddings.projection"}),
    "t5": ("dense_act_fn", {"DenseReluDense.wi"}, set()),
    "t5_gated": ("dense_act_fn", {"DenseReluDense.wi_0"}, set()),
}
ACTIVATIONS = {
    "relu": ("ReLU", sqrt(2)),
    "silu": ("SiLUActivation", statistics("SiLU").forward_gain),
    "gelu_new": ("NewGELUActivation", statistics("GELU(approximate='tanh')").forward_gain),
    "gelu_10": ("ClippedGELUActivation(min=-10, max=10)", statistics("GELU").forward_gain),
    "leaky_relu": ("LeakyReLU(negative_slope=0.01)", sqrt(2 / (1 + 0.01**2))),
}


@pytest.mark.parametrize("act", ACTIVATIONS)
@pytest.mark.parametrize("name", GAINS)
def test_gains_of_their_activations(name, act):
    argument, ups, unknown = GAINS[name]
    model = make(name, **{argument: act})
    if name.startswith("t5"):
        for module in model.modules():
            if hasattr(module, "act"):
                module.act = transformers.activations.ACT2FN[act]
    init = {"scheme": "kaiming", "gain": "auto", "distribution": "normal"}
    rules = {f"*{path}.weight": {"gain": 1.0} for path in unknown}
    if unknown:
        with pytest.raises(mf.ForgeError) as caught:
            mf.initialize(model, init)
        refused = {problem.message.split()[3].removesuffix(".weight") for problem in caught.value.problems}
        assert len(refused) == len(unknown)
        assert all(path.endswith(tuple(unknown)) for path in refused)
    ledger = mf.initialize(model, init | {"params": rules})
    shown, gain = ACTIVATIONS[act]
    found = {entry.path for entry in ledger if entry.numbers.get("activation") == shown}
    assert found == {entry.path for entry in ledger if entry.path.removesuffix(".weight").endswith(tuple(ups))}
    for entry in ledger:
        if entry.role == "weight":
            assert entry.numbers["gain"] == pytest.approx(gain if entry.path in found else 1.0, rel=1e-6), entry.path


def test_activations_that_learn_are_not_known():
    model = make("llama", hidden_act="prelu")
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(model, {"scheme": "kaiming", "gain": "auto", "params": {"lm_head.weight": "zeros"}})
    refused = {problem.message.split()[3] for problem in caught.value.problems}
    assert refused == {f"model.layers.{index}.mlp.gate_proj.weight" for index in range(2)}


@pytest.mark.parametrize("name", ["bert", "llama", "vit", "t5"])
def test_queries_and_keys_are_known(name):
    """DeepNorm leaves them as Xavier has them."""
    ledger = mf.initialize(make(name), "deepnorm")
    unscaled = {entry.path.split(".")[-2] for entry in ledger if entry.numbers.get("gain") == 1.0}
    scaled = {entry.path.split(".")[-2] for entry in ledger if entry.numbers.get("gain", 1.0) != 1.0}
    assert not unscaled & scaled - {"dense"}
    assert unscaled & {"query", "q_proj", "q"}
    assert unscaled & {"key", "k_proj", "k"}
    assert scaled & {"value", "v_proj", "v"}


PROJECTIONS: dict[str, tuple[str, str, list[str]]] = {
    # class of the attention, the path of one, and its layers from queries to output
    "bert": (
        "BertAttention",
        "bert.encoder.layer.1.attention",
        ["self.query", "self.key", "self.value", "output.dense"],
    ),
    "roberta": (
        "RobertaAttention",
        "roberta.encoder.layer.1.attention",
        ["self.query", "self.key", "self.value", "output.dense"],
    ),
    "gpt2": ("GPT2Attention", "transformer.h.2.attn", ["c_attn", "c_proj"]),
    "gpt2_cross": ("GPT2Attention", "transformer.h.2.crossattention", ["q_attn", "c_attn", "c_proj"]),
    "llama": ("LlamaAttention", "model.layers.1.self_attn", ["q_proj", "k_proj", "v_proj", "o_proj"]),
    "vit": ("ViTAttention", "vit.layers.1.attention", ["q_proj", "k_proj", "v_proj", "o_proj"]),
    "t5": ("T5Attention", "decoder.block.1.layer.1.EncDecAttention", ["q", "k", "v", "o"]),
}


@pytest.mark.parametrize("name", PROJECTIONS)
def test_projections_belong_to_their_attention(name):
    cls, path, layers = PROJECTIONS[name]
    model = make(name, **{"num_key_value_heads": 4} if name == "llama" else {})
    ledger = mf.initialize(model, {"scheme": "xavier", "types": {cls: "mimetic"}}, seed=3)
    assert ledger.ok
    inside = {
        f"{prefix}.{parameter}"
        for prefix, module in model.named_modules()
        if type(module).__name__ == cls
        for parameter, weight in module.named_parameters()
        if weight.ndim == 2 and "relative" not in parameter
    }
    assert {entry.path for entry in ledger if entry.scheme == "mimetic"} == inside
    weights = [model.get_parameter(f"{path}.{layer}.weight").detach() for layer in layers]
    *qkv, output = [weight.T for weight in weights] if "gpt2" in name else weights
    assert_mimetic([*torch.cat(qkv).chunk(3), output], 4, expected(path, 4, 32, seed=3))


def test_heads_that_share_their_keys_are_refused():
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(make("llama"), {"scheme": "xavier", "types": {"LlamaAttention": "mimetic"}})
    assert [(problem.code, problem.message) for problem in caught.value.problems] == [
        (
            "MF026",
            f"`mimetic` cannot fill model.layers.{layer}.self_attn.{name}.weight (16, 32): `mimetic` makes keys and "
            "values for each of the 4 heads, but they share 2",
        )
        for layer in range(2)
        for name in ("k_proj", "v_proj")
    ]


@pytest.mark.parametrize("name", TIED)
def test_tables_that_are_the_output_head_too_are_smaller(name):
    model = make(name, tie_word_embeddings=True)
    ledger = mf.initialize(model, {"scheme": "xavier", "embedding": "embedding"})
    assert ledger.ok
    stds = {entry.path: entry.target_std for entry in ledger if entry.scheme == "embedding"}
    assert stds.pop(TIED[name][0]) == pytest.approx(1 / sqrt(32))
    assert stds
    assert set(stds.values()) == {1.0}
    for module in model.modules():
        if isinstance(module, nn.Embedding) and module.padding_idx is not None:
            assert module.weight[module.padding_idx].eq(0).all()


@pytest.mark.parametrize("name", ["bert", "gpt2", "t5"])
def test_tables_that_are_only_looked_up_have_size_one(name):
    """T5's has three names even so, those of the model, its encoder and its decoder; only a head would tie it."""
    model = make(name, tie_word_embeddings=False)
    if name == "t5":
        model = transformers.T5Model(model.config)
        assert model.encoder.embed_tokens.weight is model.shared.weight
    entry = mf.initialize(model, {"scheme": "xavier", "embedding": "embedding"})[TIED[name][0]]
    assert (entry.target_std, entry.numbers["tied"], entry.verdict) == (1.0, False, "pass")


def test_norms_that_add_one_start_at_zero():
    model = make("gemma")
    mf.initialize(model, "xavier")
    norms = [weight for path, weight in model.named_parameters() if "norm" in path]
    assert len(norms) == 5
    assert all(weight.eq(0).all() for weight in norms)
    mf.initialize(llama := make("llama"), "xavier")
    assert all(weight.eq(1).all() for path, weight in llama.named_parameters() if "norm" in path)


@pytest.mark.parametrize(("name", "last"), [("resnet", 1), ("resnet_bottleneck", 2)])
def test_zero_gamma_reaches_the_last_norm_of_each_block(name, last):
    model = make(name)
    mf.initialize(model, {"scheme": "kaiming", "scale": "zero_gamma"})
    zero = {path for path, weight in model.named_parameters() if path.endswith("n.weight") and weight.eq(0).all()}
    norms = {path for path, _ in model.named_parameters() if path.endswith(f"layer.{last}.normalization.weight")}
    assert len(norms) == CASES[name][2]
    assert zero == norms


def test_a_model_that_is_not_known_is_named_and_can_be_covered():
    """These experts have gates and what they gate in turn, so that they are no blocks."""
    config = SIZES | WORDS | {"num_local_experts": 2, "num_experts_per_tok": 1} | HEADS
    model = transformers.GptOssForCausalLM(transformers.GptOssConfig(**config))
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(model, "xavier")
    problems = caught.value.problems
    assert {problem.code for problem in problems} == {"MF025"}
    names = {problem.key.split(".", 4)[-1] for problem in problems}
    experts = {f"experts.{name}{bias}" for name in ("gate_up_proj", "down_proj") for bias in ("", "_bias")}
    assert names == experts | {"router.weight", "sinks"}
    normal = {"scheme": "normal", "std": 0.02}
    rules = {"*.experts.*": normal, "*.router.weight": normal, "*.sinks": "zeros"}
    assert mf.initialize(model, {"scheme": "xavier", "params": rules}).ok
