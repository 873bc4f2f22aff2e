"""Depth-aware schemes against hand-computed numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.inits import Branch, Context, Matrix
from modelforge.layers import forget_class, register_branches

WIDE = Matrix((256, 64), fan_in=64, fan_out=256, role="weight")
NARROW = Matrix((64, 256), fan_in=256, fan_out=64, role="weight")
TABLE = Matrix((1000, 64), fan_in=1, fan_out=64, role="embedding")
SCALE = Matrix((64,), fan_in=64, fan_out=64, role="scale")
LAYERS = 12


def standing(block: Matrix, *, ends: bool = False, inside: bool = True, index: int = 5, num_weights: int = 2) -> Matrix:
    branch = Branch(index, num_weights, ends) if inside else None
    return replace(block, context=Context(2 * LAYERS, branch, False, False))


END, INSIDE, OUTSIDE = standing(NARROW, ends=True), standing(WIDE), standing(WIDE, inside=False)
QUERY = replace(INSIDE, name="q")
EMBEDDING = standing(TABLE, inside=False)
XAVIER = sqrt(2 / 320)


@pytest.mark.parametrize(
    ("config", "block", "std"),
    [
        ({"scheme": "gpt2"}, END, 0.02 / sqrt(24)),
        ({"scheme": "gpt2"}, INSIDE, 0.02),
        ({"scheme": "gpt2"}, EMBEDDING, 0.02),
        ({"scheme": "gpt2", "branches": 4, "ends": True}, WIDE, 0.01),
        ({"scheme": "llama_depth"}, END, 0.02 / sqrt(6)),  # the third layer: branches 4 and 5
        ({"scheme": "llama_depth"}, standing(NARROW, ends=True, index=0), 0.02 / sqrt(2)),
        ({"scheme": "llama_depth"}, OUTSIDE, 0.02),
        ({"scheme": "mitchell"}, INSIDE, 1 / 8),
        ({"scheme": "mitchell"}, END, 1 / sqrt(2 * 256 * 3)),
        ({"scheme": "mitchell"}, EMBEDDING, 1 / 8),
        ({"scheme": "small_init"}, WIDE, sqrt(2 / 320)),
        ({"scheme": "small_init"}, NARROW, sqrt(2 / 320)),
        ({"scheme": "small_init"}, TABLE, sqrt(2 / 320)),
        ({"scheme": "wang"}, INSIDE, sqrt(2 / 320)),
        ({"scheme": "wang"}, END, 2 / (12 * 8)),
        ({"scheme": "deepnorm"}, END, XAVIER * 96**-0.25),
        ({"scheme": "deepnorm"}, INSIDE, XAVIER * 96**-0.25),
        ({"scheme": "deepnorm"}, QUERY, XAVIER),
        ({"scheme": "deepnorm"}, OUTSIDE, XAVIER),
        ({"scheme": "t_fixup"}, INSIDE, XAVIER * 0.67 * 12**-0.25),
        ({"scheme": "t_fixup", "part": "decoder"}, END, XAVIER * 108**-0.25),
        ({"scheme": "t_fixup"}, QUERY, XAVIER),
        ({"scheme": "t_fixup"}, EMBEDDING, 108**-0.25 / 8),
        ({"scheme": "fixup"}, INSIDE, sqrt(2 / 64) * 24**-0.5),
        ({"scheme": "fixup"}, standing(WIDE, num_weights=3), sqrt(2 / 64) * 24**-0.25),
        ({"scheme": "fixup"}, END, 0.0),
        ({"scheme": "fixup"}, OUTSIDE, sqrt(2 / 64)),
        ({"scheme": "fixup"}, replace(OUTSIDE, context=Context(24, None, False, True)), 0.0),
    ],
    ids=str,
)
def test_std(config: dict[str, Any], block: Matrix, std: float):
    assert inits.create(config).resolve(block).std == pytest.approx(std, rel=1e-9)


@pytest.mark.parametrize(
    ("config", "branches", "value"),
    [
        ({"scheme": "zero_gamma"}, 24, 0.0),
        ({"scheme": "rezero"}, 24, 0.0),
        ({"scheme": "layerscale"}, 36, 0.1),
        ({"scheme": "layerscale"}, 48, 1e-5),
        ({"scheme": "layerscale"}, 50, 1e-6),
        ({"scheme": "layerscale", "value": 0.5}, 50, 0.5),
    ],
    ids=str,
)
def test_scales(config: dict[str, Any], branches: int, value: float):
    scheme = inits.create(config)
    assert scheme.resolve(replace(SCALE, context=Context(branches, Branch(0, 2, True)))).mean == value
    assert scheme.resolve(replace(SCALE, context=Context(branches, Branch(0, 2, False)))).mean == 1
    assert scheme.resolve(replace(SCALE, context=Context(branches))).mean == 1


class ShiftedNorm(nn.Module):
    """It multiplies by 1 + weight, as Gemma's norms do."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4))

    def forward(self, x: Tensor) -> Tensor:
        return x * (1 + self.weight)


class Rectified(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.act, self.end = ShiftedNorm(), nn.PReLU(), ShiftedNorm()


class EndsInASlope(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm, self.act = ShiftedNorm(), nn.PReLU(init=0.5)


@pytest.fixture
def branching() -> Iterator[None]:
    register_branches(Rectified, ("norm", "act", "end"))
    register_branches(EndsInASlope, ("norm", "act"))
    yield
    forget_class(Rectified)
    forget_class(EndsInASlope)


@pytest.mark.usefixtures("branching")
@pytest.mark.parametrize(
    ("config", "factor"), [("zero_gamma", 0.0), ("rezero", 0.0), ({"scheme": "layerscale", "value": 0.1}, 0.1)], ids=str
)
def test_what_changes_nothing_is_not_always_one(config: Any, factor: float):
    """Norms that multiply by 1 + weight, and slopes of PReLU, which are no scales."""
    x = torch.linspace(-1.0, 2.0, 4)[None, None]
    net = Rectified()
    assert mf.initialize(net, {"scheme": "kaiming", "scale": config}).ok
    assert net.act.weight.tolist() == [0.25]
    assert torch.equal(net.norm(x), x)
    assert torch.allclose(net.end(x), factor * x, atol=1e-7)
    last = EndsInASlope()
    assert mf.initialize(last, {"scheme": "kaiming", "scale": config}).ok
    assert (last.norm.weight.tolist(), last.act.weight.tolist()) == ([0.0] * 4, [0.5])


@pytest.mark.parametrize("scheme", ["llama_depth", "mitchell"])
def test_a_layer_of_three_branches_is_one(scheme: str):
    decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(16, 2, 16), 4)
    ledger = mf.initialize(decoder, scheme)
    for layer in range(4):
        ends = ("self_attn.out_proj", "multihead_attn.out_proj", "linear2")
        shown = [ledger[f"layers.{layer}.{name}.weight"].numbers for name in ends]
        assert [(numbers["layer"], numbers["ends_branch"]) for numbers in shown] == [(layer + 1, True)] * 3
    assert "branches" not in ledger["layers.0.linear1.weight"].numbers
    block = {"nhead": 2, "dim_feedforward": 16}
    layers = {
        "first": {"type": "TransformerEncoderLayer", **block},
        "second": {"type": "TransformerDecoderLayer", "inputs": ["first", "first"], **block},
        "third": {"type": "TransformerDecoderLayer", "inputs": ["second", "first"], **block},
        "fourth": {"type": "TransformerDecoderLayer", "inputs": ["third", "first"], **block},
        "last": {"type": "Residual", "layers": {"fc": {"type": "Linear", "out_features": 16}}},
    }
    config = {"input": {"shape": [5, 16]}, "layers": layers}
    built = mf.build(mf.parse(config, init=scheme)).ledger
    found = [built[f"{name}.linear2.weight"].numbers["layer"] for name in layers if name != "last"]
    assert found == [1, 2, 3, 4]
    assert built["last.fc.weight"].numbers["layer"] == 5


@pytest.mark.parametrize("scheme", ["llama_depth", "mitchell", "gpt2", "deepnorm"])
def test_the_way_out_of_an_unknown_graph_works(scheme: str):
    """With the very text of the hint."""

    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 4)

    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(Own(), scheme)
    said = "`layer: 3` and `ends: true`" if scheme in ("llama_depth", "mitchell") else "`branches: 24` and `ends: true`"
    assert {problem.hint for problem in caught.value.problems} == {
        f"say so in the block, for the parameters in question: {said}"
    }
    fields = yaml.safe_load("{" + said.replace("`", "").replace(" and ", ", ") + "}")
    ledger = mf.initialize(Own(), {"scheme": scheme, **fields})
    assert ledger.ok
    assert ledger["inner.weight"].numbers["ends_branch"] is True


@pytest.mark.parametrize("scheme", ["llama_depth", "mitchell"])
def test_a_number_of_branches_that_nothing_reads_is_no_field(scheme: str):
    with pytest.raises(mf.ForgeError, match="branches"):
        mf.initialize(nn.Linear(4, 4), {"scheme": scheme, "branches": 100, "ends": True})
    std = [
        mf.initialize(nn.Linear(4, 4), {"scheme": scheme, "layer": n, "ends": True})["weight"].target_std
        for n in (1, 4)
    ]
    assert std[0] == pytest.approx(2 * (std[1] or 0))


def test_what_the_ledger_shows():
    assert inits.create({"scheme": "gpt2"}).resolve(END).numbers == {"std": 0.02, "branches": 24, "ends_branch": True}
    numbers = inits.create({"scheme": "deepnorm"}).resolve(INSIDE).numbers
    assert numbers["alpha"] == pytest.approx(24**0.25)
    assert numbers["gain"] == pytest.approx(96**-0.25)


@pytest.mark.parametrize(
    ("config", "block", "reason"),
    [
        ({"scheme": "gpt2"}, WIDE, "`gpt2` starts the ends of residual branches differently, but no graph is known"),
        (
            {"scheme": "gpt2", "ends": True},
            WIDE,
            "`gpt2` needs the number of residual branches: no graph is known here",
        ),
        (
            {"scheme": "fixup"},
            replace(WIDE, context=Context(0)),
            "`fixup` counts residual branches, but the model has none",
        ),
        (
            {"scheme": "llama_depth", "ends": True},
            WIDE,
            "`llama_depth` needs the number of the layer: no residual branch is known here",
        ),
        ({"scheme": "zero_gamma"}, END, "`zero_gamma` is for scales, but this is a matrix"),
        ({"scheme": "mitchell"}, SCALE, "`mitchell` needs a matrix, but this is a vector of 64"),
        ({"scheme": "small_init"}, SCALE, "`small_init` needs a matrix, but this is a vector of 64"),
    ],
    ids=str,
)
def test_what_cannot_be_served(config: dict[str, Any], block: Matrix, reason: str):
    with pytest.raises(Refusal) as caught:
        inits.create(config).resolve(block)
    assert caught.value.reason.startswith(reason)
    assert caught.value.hint


class _Hand(nn.Module):
    """A residual branch that nobody registered."""

    def __init__(self) -> None:
        super().__init__()
        self.proj = nn.Linear(32, 32)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.proj(x)


class _Mixed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(32, 4, 64)
        self.mine = _Hand()


def test_a_known_branch_does_not_speak_for_the_others():
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(_Mixed(), "gpt2")
    assert all("mine.proj.weight" in problem.message for problem in caught.value.problems)
    told = {"params": {"mine.proj.weight": {"scheme": "gpt2", "branches": 3, "ends": True}}}
    ledger = mf.initialize(_Mixed(), {"scheme": "gpt2", "branches": 3, **told})
    assert ledger["mine.proj.weight"].target_std == pytest.approx(0.02 / 3**0.5)


def test_encoder_and_decoder_each_have_their_own_number_of_layers():
    def branch(**layers: Any) -> dict[str, Any]:
        return {"type": "Residual", "layers": layers}

    def stack(source: str, times: int, **layers: Any) -> dict[str, Any]:
        return {"type": "Repeat", "times": times, "inputs": source, "layers": layers}

    attend = branch(attend={"type": "SelfAttention", "num_heads": 4})
    cross = branch(norm="LayerNorm", attend={"type": "CrossAttention", "num_heads": 4, "inputs": ["norm", "encoder"]})
    mlp = branch(up={"type": "Linear", "out_features": 64}, act="ReLU", down={"type": "Linear", "out_features": 16})
    model = {
        "input": {"source": {"shape": [5, 16]}, "target": {"shape": [5, 16]}},
        "layers": {
            "encoder": stack("source", 2, attend=attend, mlp=mlp),
            "decoder": stack("target", 3, attend=attend, cross=cross, mlp=mlp)
            | {"init": {"branches": 6, "part": "decoder"}},
            "head": {"type": "Linear", "out_features": 3},
        },
    }
    plan = mf.plan(mf.parse(model, init={"scheme": "t_fixup", "branches": 4}))
    encoder, decoder = 0.67 * 2**-0.25, 27**-0.25
    for name, factor in {
        "encoder.1.attend.attend.v_proj": encoder,
        "decoder.0.cross.attend.v_proj": decoder,
        "decoder.2.attend.attend.out_proj": decoder,
        "decoder.2.attend.attend.q_proj": 1.0,
    }.items():
        assert plan.parameter(f"{name}.weight").std == pytest.approx(factor / 4)
