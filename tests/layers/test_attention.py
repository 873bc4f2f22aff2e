"""Attention on torch's kernels computes what its formula says, whatever is masked, grouped or turned."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torch.utils._python_dispatch import TorchDispatchMode

import modelforge as mf
from modelforge.language import registry
from modelforge.layers.rotary import Rotary
from modelforge.planning.flops import num_flops
from modelforge.planning.study import describe

SelfAttention: Any = registry.get("SelfAttention").make
CrossAttention: Any = registry.get("CrossAttention").make
STEPS, DIM = 7, 12
generator = torch.Generator().manual_seed(0)
X = torch.randn(3, STEPS, DIM, generator=generator)
SOURCE = torch.randn(3, 5, 9, generator=generator)
PADDING = torch.arange(STEPS) < torch.tensor([[7], [4], [5]])
BIAS = torch.randn(1, 4, STEPS, STEPS, generator=generator)
WINDOW = (torch.arange(STEPS) - torch.arange(STEPS)[:, None]).abs().le(3).expand(3, -1, -1)
LATER = torch.ones(STEPS, STEPS, dtype=torch.bool).triu(1)


def by_hand(module: Any, x: Tensor, source: Tensor, hidden: Tensor, bias: Tensor | float) -> Tensor:
    """The formula, one head at a time."""
    q, k, v = module.q_proj(x), module.k_proj(source), module.v_proj(source)
    size, group = module.head_dim, module.num_heads // module.num_kv_heads
    scale = size**-0.5 if module.scale is None else module.scale
    heads = []
    for head in range(module.num_heads):
        own = slice(head * size, (head + 1) * size)
        shared = slice(head // group * size, (head // group + 1) * size)
        logits = scale * q[..., own] @ k[..., shared].mT
        logits = logits + (bias[:, head] if isinstance(bias, Tensor) else bias)
        heads.append(logits.masked_fill(hidden, -torch.inf).softmax(-1) @ v[..., shared])
    return module.out_proj(torch.cat(heads, -1))


def gradients(module: torch.nn.Module, output: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(output.square().sum(), list(module.parameters()), retain_graph=True))


def assert_same(module: torch.nn.Module, found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradients(module, found), gradients(module, expected), atol=1e-4, rtol=1e-5)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"num_kv_heads": 2, "bias": False},
    {"num_kv_heads": 1, "head_dim": 5, "scale": 1.0, "out_bias": False},
]
MASKS: dict[str, tuple[tuple[Tensor, ...], Tensor, Tensor | float]] = {
    # what is given, what it hides, what it adds
    "none": ((), torch.tensor(False), 0.0),
    "padding": ((PADDING,), ~PADDING[:, None], 0.0),
    "each_target": ((WINDOW,), ~WINDOW, 0.0),
    "each_head": ((PADDING[:, None, None],), ~PADDING[:, None], 0.0),
    "bias": ((BIAS,), torch.tensor(False), BIAS),
    "bias_and_padding": ((BIAS, PADDING), ~PADDING[:, None], BIAS),
    "padding_and_window": ((PADDING, WINDOW), ~(PADDING[:, None] & WINDOW), 0.0),
    "two_biases": ((BIAS, PADDING.float()), torch.tensor(False), BIAS + PADDING.float()[:, None, None]),
}


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("name", MASKS)
def test_self_attention_is_its_formula(name, options, causal):
    given, hidden, bias = MASKS[name]
    torch.manual_seed(0)
    module = SelfAttention(DIM, 4, causal=causal, **options)
    expected = by_hand(module, X, X, hidden | LATER if causal else hidden, bias)
    for training in (True, False):
        assert_same(module.train(training), module(X, *given), expected)


@pytest.mark.parametrize("options", OPTIONS)
def test_cross_attention_is_its_formula(options):
    torch.manual_seed(0)
    module = CrossAttention(DIM, 4, kdim=9, **options)
    assert_same(module, module(X, SOURCE), by_hand(module, X, SOURCE, torch.tensor(False), 0.0))
    keep = torch.tensor([[True] * 5, [True] * 2 + [False] * 3, [False] + [True] * 4])
    assert_same(module, module(X, SOURCE, keep), by_hand(module, X, SOURCE, ~keep[:, None], 0.0))


def test_steps_that_are_padding_might_as_well_not_be_there():
    module = SelfAttention(DIM, 2, rotary=True)
    torch.testing.assert_close(module(X, PADDING)[1, :4], module(X[1:2, :4])[0])


def test_a_step_that_may_attend_to_nothing_mixes_nothing():
    module = SelfAttention(DIM, 4, causal=True)
    first_hidden = torch.arange(STEPS) > 0
    for given in ((first_hidden.expand(3, -1),), (first_hidden.expand(3, -1), BIAS)):
        output = module(X, *given)
        torch.testing.assert_close(output[:, 0], module.out_proj.bias.expand(3, -1))
        assert all(gradient.isfinite().all() for gradient in gradients(module, output))


def test_dropout_is_for_training():
    module = SelfAttention(DIM, 4, dropout=0.5)
    assert not torch.equal(module(X), module(X))
    module.eval()
    assert torch.equal(module(X), module(X))


class Sizes(TorchDispatchMode):
    """The shapes of all tensors that are made."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[torch.Size] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        self.shapes += [
            item.shape for item in (made if isinstance(made, tuple) else (made,)) if isinstance(item, Tensor)
        ]
        return made


@pytest.mark.parametrize("options", [{}, {"num_kv_heads": 2, "rotary": True}])
def test_nothing_grows_with_the_square_of_the_steps(options):
    module, x = SelfAttention(8, 4, causal=True, head_dim=4, **options), torch.randn(1, 300, 8)
    with Sizes() as seen:
        module(x).sum().backward()
    assert len(seen.shapes) > 10
    assert max(shape.numel() for shape in seen.shapes) < 300**2


def test_operations_are_counted():
    layers = {"mix": {"type": "SelfAttention", "num_heads": 4, "num_kv_heads": 2, "causal": True}}
    plan = mf.plan(mf.parse({"input": {"shape": [6, 8]}, "layers": layers}, init="xavier"))
    projections, attention = 2 * 6 * 8 * (8 + 4 + 4 + 8), 2 * 2 * 6 * 6 * 8
    assert num_flops(plan) == {"mix": projections + attention}


# --- rotary positions -------------------------------------------------------------------------------------------------


def test_a_pair_of_features_is_turned_by_the_angle_of_its_step():
    x = torch.randn(2, 1, STEPS, 6)
    turned, _ = Rotary(6, theta=100.0)(x, x)
    pairs = torch.complex(x[..., :3].double(), x[..., 3:].double())
    angles = torch.arange(STEPS)[:, None] * 100.0 ** (-torch.arange(3) / 3).double()
    expected = pairs * torch.polar(torch.ones_like(angles), angles)
    torch.testing.assert_close(turned, torch.cat((expected.real, expected.imag), -1).float())


def test_products_depend_on_distances_alone():
    query, key = torch.randn(2, 1, 1, 1, 8).expand(2, 1, 1, 9, 8)
    query, key = Rotary(8)(query, key)
    logits = (query @ key.mT)[0, 0]
    torch.testing.assert_close(logits[1:, 1:], logits[:-1, :-1])


def test_angles_keep_their_precision_in_a_model_of_half_the_precision():
    layers = {"mix": {"type": "SelfAttention", "num_heads": 1, "rotary": True}}
    model = mf.build(mf.parse({"input": {"shape": [600, 8]}, "layers": layers}, init="xavier"), dtype=torch.bfloat16)
    x = torch.ones(1, 1, 600, 8)
    exact, _ = Rotary(8)(x, x)
    rounded, _ = model.mix.rotary(x.bfloat16(), x.bfloat16())
    torch.testing.assert_close(rounded.float(), exact, atol=0.02, rtol=0)


# --- what initializers see --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", [SelfAttention, CrossAttention])
def test_initializers_know_the_projections(cls):
    names = {facts.name: [block.name for block in facts.layout.matrices] for facts in describe(cls(DIM, 4))}
    assert names == {
        f"{name}_proj.{local}": [name if name in "qkv" else ""]
        for name in ("q", "k", "v", "out")
        for local in ("weight", "bias")
    }


def decided(init: Any) -> mf.Plan:
    block = {
        "norm": "LayerNorm",
        "mix": {"type": "SelfAttention", "num_heads": 2},
    }
    layers = {"body": {"type": "Repeat", "times": 2, "layers": {"block": {"type": "Residual", "layers": block}}}}
    return mf.plan(mf.parse({"input": {"shape": [6, 8]}, "layers": layers}, init=init))


def test_the_output_projection_ends_a_residual_branch():
    plan = decided({"scheme": "gpt2", "std": 0.02})
    smaller = {item.path for item in plan.parameters if item.scheme == "gpt2" and item.std != 0.02}
    assert smaller == {f"body.{index}.block.mix.out_proj.weight" for index in range(2)}


def test_queries_and_keys_are_told_from_values():
    gains = {
        item.path.split(".")[-2]: item.numbers["gain"]
        for item in decided("deepnorm").parameters
        if item.role == "weight"
    }
    assert gains["q_proj"] == gains["k_proj"] == 1
    assert gains["v_proj"] == gains["out_proj"] < 1


def test_no_activation_follows_the_projections():
    plan = decided({"scheme": "kaiming", "gain": "auto"})
    assert all(item.numbers["gain"] == 1 for item in plan.parameters if item.role == "weight")


# --- what does not fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 5}, "embed_dim must be a multiple of num_heads, but is 8 with 5 heads: change one of them, or"),
        ({"num_heads": 4, "num_kv_heads": 3}, "num_heads must be a multiple of num_kv_heads, but is 4 with 3"),
        ({"num_heads": 4, "dropout": 1.5}, "dropout must be between 0 and 1, but is 1.5"),
        ({"num_heads": 8, "rotary": True}, "rotary positions turn pairs of features, but a head has 1"),
        ({"num_heads": 4, "rotary": True, "rope_factor": 0.5}, "factor at least 1, low below high, but they are"),
        ({"num_heads": 0}, r"`num_heads` must be positive, but is 0"),
        ({"num_heads": 2, "num_kv_heads": 0}, r"`num_kv_heads` must be positive, but is 0"),
    ],
)
def test_arguments_that_cannot_be(arguments, message):
    layers = {"mix": {"type": "SelfAttention", **arguments}}
    with pytest.raises(mf.ForgeError, match=message):
        mf.plan(mf.parse({"input": {"shape": [6, 8]}, "layers": layers}, init="xavier"))


def test_whole_numbers_are_no_mask():
    inputs = {"x": {"shape": [6, 8]}, "keep": {"shape": [6], "dtype": "int64"}}
    layers = {"mix": {"type": "SelfAttention", "num_heads": 2, "inputs": ["x", "keep"]}}
    with pytest.raises(mf.ForgeError, match=r"a mask is bool \(true where to attend\), .* but this is torch\.int64"):
        mf.plan(mf.parse({"input": inputs, "layers": layers}, init="xavier"))


def test_the_fused_kernel_is_torch_s_own():
    module = SelfAttention(DIM, 4, causal=True)
    q, k, v = (
        project(X).unflatten(-1, (4, 3)).transpose(1, 2) for project in (module.q_proj, module.k_proj, module.v_proj)
    )
    mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
    assert torch.equal(module(X), module.out_proj(mixed.transpose(1, 2).flatten(2)))


def test_what_it_shows():
    module = SelfAttention(DIM, 4, num_kv_heads=2, scale=1.0)
    assert module.extra_repr() == "num_heads=4, head_dim=3, num_kv_heads=2, scale=1.0, dropout=0.0, causal=False"
