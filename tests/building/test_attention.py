"""Schemes that draw all projections of an attention together: planned models, models of others, orders and names."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.core.rng import Key, split
from modelforge.inits import Attention
from modelforge.inits.schemes.mimetic import product, top_moments
from modelforge.layers import ParameterLayout, forget_class, register_layout, whole

INIT: dict[str, Any] = {"scheme": "xavier", "types": {"MultiheadAttention": "mimetic"}}
YAML = """
defaults: [_self_]
seed: 5
init:
  scheme: xavier
model:
  input: {shape: [5, 48]}
  layers:
    encoder:
      type: Repeat
      times: 2
      layers:
        block:
          type: TransformerEncoderLayer
          nhead: 6
          dim_feedforward: 64
          init: {types: {MultiheadAttention: {scheme: mimetic, alpha_qk: 0.5, beta_vo: 0.3}}}
    decoder:
      type: TransformerDecoderLayer
      nhead: 6
      dim_feedforward: 64
      inputs: [encoder, input]
      init: {types: {MultiheadAttention: {scheme: mimetic}}}
    mix:
      type: MultiheadAttention
      num_heads: 6
      init: mimetic
"""
ATTENTIONS = {
    "encoder.0.block.self_attn": (0.5, 0.7, 0.4, 0.3),
    "encoder.1.block.self_attn": (0.5, 0.7, 0.4, 0.3),
    "decoder.self_attn": (0.7, 0.7, 0.4, 0.4),
    "decoder.multihead_attn": (0.7, 0.7, 0.4, 0.4),
    "mix": (0.7, 0.7, 0.4, 0.4),
}


def products(q: Tensor, k: Tensor, v: Tensor, o: Tensor, num_heads: int) -> list[Tensor]:
    """What the projections make together: W_qᵀW_k head by head, then W_vᵀW_oᵀ."""
    heads = zip(q.double().chunk(num_heads), k.double().chunk(num_heads), strict=True)
    return [*(queries.T @ keys for queries, keys in heads), v.double().T @ o.double().T]


def expected(
    path: str,
    num_heads: int,
    width: int,
    fields: tuple[float, float, float, float] = (0.7, 0.7, 0.4, 0.4),
    seed: int = 0,
) -> list[Tensor]:
    """The same from the draws of the attention at this path."""
    alpha_qk, beta_qk, alpha_vo, beta_vo = fields
    key = split(Key(seed, path, "attention").generator())
    made: list[Tensor] = []
    for head in range(num_heads):
        left, values, right = torch.linalg.svd(product(alpha_qk, beta_qk, width, key.sub("qk", head)))
        rank = width // num_heads
        made.append(left[:, :rank] * values[:rank] @ right[:rank])
    return [*made, product(alpha_vo, -beta_vo, width, key.sub("vo"))]


def assert_mimetic(weights: list[Tensor], num_heads: int, wanted: list[Tensor]) -> None:
    for made, target in zip(products(*weights, num_heads), wanted, strict=True):
        torch.testing.assert_close(made, target, rtol=0, atol=2e-6)


# --- planned models ---------------------------------------------------------------------------------------------------


@pytest.fixture
def plan(tmp_path) -> mf.Plan:
    (tmp_path / "config.yaml").write_text(YAML)
    return mf.plan(mf.load(tmp_path))


def test_a_planned_model(plan):
    model = mf.build(plan)
    assert model.ledger.ok
    for path, fields in ATTENTIONS.items():
        packed, o = model.get_parameter(f"{path}.in_proj_weight"), model.get_parameter(f"{path}.out_proj.weight")
        assert_mimetic([*packed.detach().chunk(3), o.detach()], 6, expected(path, 6, 48, fields, seed=5))


def test_its_plan_and_its_ledger(plan):
    ledger = mf.build(plan).ledger
    for path, (alpha_qk, beta_qk, alpha_vo, beta_vo) in ATTENTIONS.items():
        packed, output = plan.parameter(f"{path}.in_proj_weight"), plan.parameter(f"{path}.out_proj.weight")
        assert packed.scheme == output.scheme == "mimetic"
        variances = [top_moments(alpha_qk, beta_qk, 1 / 6)[0] / 48, top_moments(alpha_vo, beta_vo, 1.0)[0] / 48]
        assert packed.std == pytest.approx(((2 * variances[0] + variances[1]) / 3) ** 0.5)
        assert output.std == pytest.approx(variances[1] ** 0.5)
        assert [fill.numbers["projections"] for _, fill in packed.fills] == ["q", "k", "v"]
        assert output.numbers == {
            "projections": "o",
            "alpha_vo": alpha_vo,
            "beta_vo": beta_vo,
            "num_heads": 6,
            "head_size": 8,
        }
        for item in (packed, output):
            entry = ledger[item.path]
            assert (entry.verdict, entry.target_mean, entry.target_std) == ("pass", 0.0, item.std)
            assert entry.measured_std == pytest.approx(item.std, rel=0.03)


def test_the_rest_of_the_model_does_not_matter(plan):
    """Nor the order, nor what else an attention stands beside, nor whether it is initialised afterwards."""
    model = mf.build(plan)
    alone = {"input": {"shape": [7, 48]}, "layers": {"mix": {"type": "MultiheadAttention", "num_heads": 6}}}
    other = mf.build(mf.parse(alone, init="mimetic"), seed=5)
    again = nn.ModuleDict({"first": nn.Linear(3, 3), "mix": nn.MultiheadAttention(48, 6)})
    mf.initialize(again, INIT, seed=5)
    for name in ("mix.in_proj_weight", "mix.out_proj.weight"):
        assert torch.equal(other.get_parameter(name), model.get_parameter(name))
        assert torch.equal(again.get_parameter(name), model.get_parameter(name))
    weights = [model.get_parameter(f"{path}.in_proj_weight") for path in ATTENTIONS]
    assert not any(torch.equal(first, second) for first, second in pairwise(weights))


# --- models of others -------------------------------------------------------------------------------------------------


def test_projections_of_their_own_are_those_that_are_packed():
    """torch keeps them apart where keys or values have a width of their own; here they only could have."""
    packed, apart = nn.MultiheadAttention(48, 6), nn.MultiheadAttention(48, 6, kdim=48, vdim=20)
    mf.initialize(packed, "mimetic")
    apart.v_proj_weight = nn.Parameter(torch.empty(48, 48))
    mf.initialize(apart, "mimetic")
    names = ("q_proj_weight", "k_proj_weight", "v_proj_weight")
    assert torch.equal(torch.cat([apart.get_parameter(name) for name in names]), packed.in_proj_weight)
    assert torch.equal(apart.out_proj.weight, packed.out_proj.weight)
    assert_mimetic([*packed.in_proj_weight.detach().chunk(3), packed.out_proj.weight.detach()], 6, expected("", 6, 48))


def test_keys_of_another_width_are_refused():
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(nn.MultiheadAttention(48, 6, kdim=20, vdim=48), "mimetic")
    [problem] = caught.value.problems
    assert problem.code == "MF026"
    assert problem.message == (
        "`mimetic` cannot fill k_proj_weight (48, 20): `mimetic` joins projections of one width, but queries read 48 "
        "features, and this 20"
    )
    assert problem.hint == "give the projections of this attention another scheme, such as `xavier`"


def test_the_rest_of_a_model_is_refused():
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(nn.TransformerEncoderLayer(48, 6, 64), "mimetic")
    reason = "`mimetic` is for the projections of an attention, but this is not known to be one"
    assert [problem.message for problem in caught.value.problems] == [
        f"`mimetic` cannot fill {name}: {reason}" for name in ("linear1.weight (64, 48)", "linear2.weight (48, 64)")
    ]


class Joined(nn.Module):
    """An attention of someone's own: one matrix for keys and values, inputs first."""

    def __init__(self) -> None:
        super().__init__()
        self.ask = nn.Linear(24, 24, bias=False)
        self.offer = nn.Parameter(torch.empty(24, 48))
        self.end = nn.Linear(24, 24, bias=False)


def test_an_attention_of_ones_own():
    @register_layout(Joined)
    def joined(module: Joined) -> dict[str, ParameterLayout]:
        def part(weight: Tensor, *projections: Any, **changes: Any) -> ParameterLayout:
            attention = Attention(projections, num_heads=3, head_size=8, width=24)
            return ParameterLayout("weight", (whole(weight, attention=attention, **changes),))

        return {
            "ask.weight": part(module.ask.weight, "q"),
            "offer": part(module.offer, "k", "v", input_first=True),
            "end.weight": part(module.end.weight, "o"),
        }

    try:
        model = nn.ModuleDict({"mix": Joined()})
        ledger = mf.initialize(model, "mimetic", seed=1)
    finally:
        forget_class(Joined)
    assert ledger.ok
    k, v = model.mix.offer.detach().T.chunk(2)
    weights = [model.mix.ask.weight.detach(), k, v, model.mix.end.weight.detach()]
    assert_mimetic(weights, 3, expected("mix", 3, 24, seed=1))
