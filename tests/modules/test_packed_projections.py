"""Projections side by side in one linear layer have the fans of each alone, in classes that nobody registered too."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.layers.register import unregister_layer

WIDTH, HEADS = 48, 4
XAVIER = {"scheme": "xavier", "distribution": "normal"}
ALONE = sqrt(2 / (2 * WIDTH))


class Attention(nn.Module):
    """As timm writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.num_heads, self.head_dim, self.embed_dim = HEADS, WIDTH // HEADS, WIDTH
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, _ = x.shape
        qkv = self.qkv(x).reshape(batch, steps, 3, self.num_heads, self.head_dim).permute(2, 0, 3, 1, 4)
        q, k, v = qkv.unbind(0)
        return self.proj((q @ k.mT @ v).transpose(1, 2).flatten(2))


class Chunked(Attention):
    def forward(self, x: Tensor) -> Tensor:
        projected = self.qkv(x)
        q, k, v = projected.chunk(3, dim=-1)
        return self.proj(q + k + v)


class Cut(Attention):
    """As nanoGPT writes it: of three dimensions, 2 is the last."""

    def forward(self, x: Tensor) -> Tensor:
        _b, _t, _c = x.size()
        q, k, v = self.qkv(x).split(self.embed_dim, dim=2)
        return self.proj(q + k + v)


class CutByName(Attention):
    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.qkv(x).split(self.embed_dim, dim=2)
        return self.proj(query + key + value)


class Starred(Attention):
    """As ModernBERT's."""

    def forward(self, x: Tensor) -> Tensor:
        shape = x.shape[:-1]
        q, k, v = self.qkv(x).view(*shape, 3, -1, self.head_dim).unbind(dim=-3)
        return self.proj((q + k + v).flatten(-2))


class Unflattened(Attention):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(-3)
        return self.proj((q + k + v).flatten(-2))


class Interleaved(Attention):
    """As Bloom has it: the rows of each head together."""

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, _ = x.shape
        fused = self.qkv(x).view(batch, steps, self.num_heads, 3, self.head_dim)
        return self.proj((fused[..., 0, :] + fused[..., 1, :] + fused[..., 2, :]).flatten(2))


class Again(Attention):
    """As Segment anything's: reshaped a second time, below the parts."""

    def forward(self, x: Tensor) -> Tensor:
        batch, steps, _ = x.shape
        qkv = self.qkv(x).reshape(batch, steps, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.reshape(3, batch * self.num_heads, steps, -1).unbind(0)
        return self.proj((query + key + value).view(batch, self.num_heads, steps, -1).transpose(1, 2).flatten(2))


class OneByOne(Attention):
    def forward(self, x: Tensor) -> Tensor:
        qkv = self.qkv(x).view(x.shape[0], x.shape[1], 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).contiguous()
        q, k, v = qkv[0], qkv[1], qkv[2]
        return self.proj((q + k + v).transpose(1, 2).flatten(2))


class AsFunction(Attention):
    def forward(self, x: Tensor) -> Tensor:
        q, k, v = torch.chunk(self.qkv(x), chunks=3, dim=-1)
        return self.proj(q + k + v)


class Unclear(Attention):
    def forward(self, x: Tensor) -> Tensor:
        return self.proj(mix(self.qkv(x)))


class Whole(Attention):
    """A name that tells of packing, and nothing else."""

    def forward(self, x: Tensor) -> Tensor:
        shape = (*x.shape[:-1], -1, 3 * self.head_dim)
        q, k, v = self.qkv(x).view(shape).chunk(3, dim=-1)
        return self.proj((q + k + v).flatten(-2))


def mix(x: Tensor) -> Tensor:
    q, k, v = x.chunk(3, dim=-1)
    return q + k + v


class Grouped(nn.Module):
    """Fewer keys and values than queries."""

    def __init__(self) -> None:
        super().__init__()
        self.q_size, self.kv_size = 48, 12
        self.qkv_proj = nn.Linear(WIDTH, 72)

    def forward(self, x: Tensor) -> Tensor:
        q, _k, _v = self.qkv_proj(x).split([self.q_size, self.kv_size, self.kv_size], dim=-1)
        return q


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w_in, self.w_out = nn.Linear(WIDTH, 2 * 96, bias=False), nn.Linear(96, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, up = self.w_in(x).chunk(2, dim=-1)
        return self.w_out(gate.sigmoid() * up)


class Whole64(nn.Module):
    """Linear layers that stay one matrix each, whatever is done with what they make."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.proj = nn.Linear(64, width)
        self.norm = nn.LayerNorm(width)
        self.rnn = nn.RNN(width, width, batch_first=True)


class HeadsAsANumber(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        return self.proj(x).view(b, t, 8, 8).transpose(1, 2)


class EachHeadAlone(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        return torch.stack(self.proj(x).view(b, t, 8, 8).unbind(2)).sum(0)


class Pictures(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).view(-1, 3, 8, 8).tanh()


class OneColour(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).view(-1, 3, 8, 8)[:, 0]


class Feature(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).view(-1, 8, 4, 4)


class Steps(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        _b, _t, _c = x.shape
        early, late = self.proj(x).chunk(2, dim=1)
        return early + late


class Examples(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).split(32)[0]


class SizesOfExamples(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        return self.proj(x).split([4, 60])[0]


class StepsByThree(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        first, second, third = self.proj(x).view(b, 3, t // 3, -1).unbind(1)
        return first + second + third


class BoundAnew(Whole64):
    """What is cut is the recurrent network's output."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.proj(x)
        h, _ = self.rnn(h)
        a, b = h.chunk(2, -1)
        return a * b


class BoundInALoop(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        h = self.proj(x)
        for x in (self.norm(h), h):
            h = self.norm(x)
            a, b = h.chunk(2, -1)
        return a * b


class BoundInside(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        h = self.proj(x)
        halves = [part for h in (x, x) for part in h.chunk(2, dim=-1)]
        return h + torch.cat(halves[:2], dim=-1)


class Normed(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        a, b = self.norm(self.proj(x)).chunk(2, -1)
        return a * b


class Doubtful(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        scale, shift = self.proj(x).chunk(2, dim=1)
        return scale + shift


class ThreeOfSomething(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        b, t, _ = x.shape
        first, second, third = self.proj(x).view(b, t, 3, 64).unbind(2)
        return first + second + third


class TwoGatesAndAValue(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        i, o, value = self.proj(x).chunk(3, -1)
        return i * o * value


class KeysFirst(Whole64):
    def forward(self, x: Tensor) -> Tensor:
        keys, queries, values = self.proj(x).chunk(3, -1)
        return keys + queries + values


class Cell(nn.Module):
    """An LSTM as it is written by hand: gates are cut out of a sum."""

    def __init__(self) -> None:
        super().__init__()
        self.size = WIDTH
        self.x2h, self.h2h = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(WIDTH, 4 * WIDTH, bias=False)
        self.drop = nn.Dropout(0.1)

    def gated(self, i: Tensor, f: Tensor, g: Tensor, o: Tensor) -> Tensor:
        return o.sigmoid() * (f.sigmoid() + i.sigmoid() * g.tanh()).tanh()

    def forward(self, x: Tensor) -> Tensor:
        gates = self.x2h(x) + self.h2h(x)
        return self.gated(*gates.chunk(4, dim=-1))


class AddedInPlace(Cell):
    def forward(self, x: Tensor) -> Tensor:
        gates = self.x2h(x)
        gates += self.h2h(x)
        size = self.size
        i, f, g, o = self.drop(gates).split(size, dim=-1)
        return self.gated(i, f, g, o)


class OfUnknownSize(Cell):
    """Of which dimension, and of how many rows each, only a run shows."""

    def forward(self, x: Tensor) -> Tensor:
        size = x.shape[-1]
        i, f, g, o = (self.x2h(x) + self.h2h(x)).split(size, dim=-1)
        return self.gated(i, f, g, o)


class OfUnknownDimension(Cell):
    def forward(self, x: Tensor) -> Tensor:
        i, f, g, o = (self.x2h(x) + self.h2h(x)).chunk(4, 1)
        return self.gated(i, f, g, o)


class Stream(Whole64):
    """What is cut is a stream, to which the layer adds."""

    def forward(self, x: Tensor) -> Tensor:
        a, b = (x + self.proj(x)).chunk(2, -1)
        return a * b


class Pixels(nn.Module):
    """Attention of pixels, and a recurrence of pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.to_qkv, self.gates = nn.Conv2d(8, 24, 1, bias=False), nn.Conv2d(8, 32, 3, padding=1)
        self.grouped, self.heads = nn.Conv2d(8, 24, 1, groups=2), nn.Conv2d(8, 24, 1)

    def forward(self, x: Tensor) -> Tensor:
        b, _c, h, w = x.shape
        q, k, v = self.to_qkv(x).chunk(3, dim=1)
        i, f, o, u = torch.split(self.gates(x), 8, dim=-3)
        left, right = self.grouped(x).chunk(2, dim=1)
        query, key, value = self.heads(x).reshape(b, 3, 2, 4, h * w).unbind(1)
        top, _bottom = self.heads(x).chunk(2, dim=2)
        return (q * k * v + i * f * o * u).sum() + (left * right).sum() + (query * key * value).sum() + top.sum()


def std_of(module: nn.Module, path: str, init: Any = XAVIER) -> tuple[float, tuple[str, ...]]:
    ledger = mf.initialize(module, init)
    assert ledger.ok
    assert mf.verify(module, ledger).ok
    assert not ledger.warnings
    std = ledger[path].target_std
    assert std is not None
    return std, ledger[path].matrices


@pytest.mark.parametrize("cls", [Attention, Chunked, Cut, CutByName, Starred, Unflattened, Again, OneByOne, AsFunction])
def test_what_forward_takes_apart_is_several(cls):
    module = cls()
    assert std_of(module, "qkv.weight") == (pytest.approx(ALONE), ("q", "k", "v"))
    assert float(module.qkv.weight.detach().std()) == pytest.approx(ALONE, rel=0.05)
    mf.initialize(module, "orthogonal")
    for part in module.qkv.weight.detach().chunk(3):
        assert torch.allclose(part @ part.T, torch.eye(WIDTH), atol=1e-5)


@pytest.mark.parametrize(
    ("cls", "width", "shape"),
    [
        (HeadsAsANumber, 64, (2, 5, 64)),
        (EachHeadAlone, 64, (2, 5, 64)),
        (Pictures, 192, (2, 64)),
        (OneColour, 192, (2, 64)),
        (Feature, 128, (2, 64)),
        (Steps, 64, (2, 4, 64)),
        (Examples, 64, (64, 64)),
        (SizesOfExamples, 64, (64, 64)),
        (StepsByThree, 192, (2, 6, 64)),
        (BoundAnew, 64, (2, 5, 64)),
        (BoundInALoop, 64, (2, 5, 64)),
        (BoundInside, 64, (2, 5, 64)),
        (Normed, 64, (2, 5, 64)),
    ],
)
def test_what_stays_whole(cls, width, shape):
    module = cls(width)
    module(torch.zeros(shape))
    assert std_of(module, "proj.weight") == (pytest.approx(sqrt(2 / (64 + width))), ())
    mf.initialize(module, "orthogonal")
    weight = module.proj.weight.detach()
    assert torch.allclose(weight.T @ weight, torch.eye(64), atol=1e-5)


@pytest.mark.parametrize(("cls", "parts", "width"), [(Doubtful, 2, 64), (ThreeOfSomething, 3, 192)])
def test_a_cut_that_leaves_a_doubt_is_said(cls, parts, width):
    module = cls(width)
    ledger = mf.initialize(module, XAVIER)
    assert ledger["proj.weight"].target_std == pytest.approx(sqrt(2 / (64 + width)))
    (warning,) = ledger.warnings
    assert warning.message == f"`proj.weight` ({width}, 64) may be {parts} matrices side by side, and counts as one"
    declared = mf.initialize(module, XAVIER | {"params": {"proj.weight": {"matrices": parts}}})
    assert not declared.warnings
    assert declared["proj.weight"].target_std == pytest.approx(sqrt(2 / (64 + width / parts)))


@pytest.mark.parametrize(
    ("cls", "names"), [(TwoGatesAndAValue, ("0", "1", "2")), (KeysFirst, ("k", "q", "v"))], ids=["gates", "k q v"]
)
def test_parts_are_q_k_and_v_where_the_code_says_so(cls, names):
    assert std_of(cls(192), "proj.weight") == (pytest.approx(sqrt(2 / 128)), names)


def test_heads_that_have_rows_of_all():
    std, blocks = std_of(Interleaved(), "qkv.weight")
    assert std == pytest.approx(ALONE)
    assert blocks[:4] == ("0.q", "0.k", "0.v", "1.q")
    assert len(blocks) == 3 * HEADS


def test_parts_of_other_sizes():
    module = Grouped()
    ledger = mf.initialize(module, XAVIER)
    weight = module.qkv_proj.weight.detach()
    assert ledger["qkv_proj.weight"].matrices == ("q", "k", "v")
    for part in weight.split([48, 12, 12]):
        assert float(part.std()) == pytest.approx(sqrt(2 / (WIDTH + len(part))), rel=0.15)


@pytest.mark.parametrize("cls", [Cell, AddedInPlace])
def test_gates_are_cut_out_of_a_sum(cls):
    module = cls()
    module(torch.zeros(2, WIDTH))
    for path in ("x2h.weight", "h2h.weight"):
        assert std_of(module, path) == (pytest.approx(ALONE), ("0", "1", "2", "3"))


@pytest.mark.parametrize(
    ("cls", "parts", "paths"),
    [
        (OfUnknownSize, 4, ["x2h.weight", "h2h.weight"]),
        (OfUnknownDimension, 4, ["x2h.weight", "h2h.weight"]),
        (Stream, 2, ["proj.weight"]),
    ],
)
def test_a_cut_of_a_sum_that_leaves_a_doubt_is_said(cls, parts, paths):
    ledger = mf.initialize(cls(), XAVIER)
    assert [(warning.code, warning.key) for warning in ledger.warnings] == [("MW113", path) for path in paths]
    assert all(f"may be {parts} matrices" in warning.message for warning in ledger.warnings)


def test_channels_of_a_convolution():
    module = Pixels()
    module(torch.zeros(1, 8, 4, 4))
    assert std_of(module, "to_qkv.weight") == (pytest.approx(sqrt(2 / 16)), ("q", "k", "v"))
    assert std_of(module, "gates.weight") == (pytest.approx(sqrt(2 / (9 * 16))), ("0", "1", "2", "3"))
    assert std_of(module, "heads.weight") == (pytest.approx(sqrt(2 / 16)), ("q", "k", "v"))
    assert std_of(module, "grouped.weight") == (pytest.approx(sqrt(2 / 16)), ("0", "1"))
    mf.initialize(module, {"scheme": "orthogonal", "params": {"grouped.weight": "keep"}})
    for part in module.to_qkv.weight.detach().flatten(1).chunk(3):
        assert torch.allclose(part @ part.T, torch.eye(8), atol=1e-5)


def test_a_convolution_whose_name_alone_tells_of_packing_is_said():
    class Einops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.to_qkv = nn.Conv2d(8, 24, 1)

        def forward(self, x: Tensor) -> Tensor:
            return mix(self.to_qkv(x))

    (warning,) = mf.initialize(Einops(), XAVIER).warnings
    assert warning.message == "`to_qkv.weight` (24, 8, 1, 1) may be 3 matrices side by side, and counts as one"


def test_a_gate_beside_what_it_gates():
    assert std_of(Gated(), "w_in.weight") == (pytest.approx(sqrt(2 / (WIDTH + 96))), ("0", "1"))
    assert std_of(Gated(), "w_out.weight") == (pytest.approx(sqrt(2 / (WIDTH + 96))), ())


@pytest.mark.parametrize("cls", [Unclear, Whole])
def test_what_is_not_certain_is_said(cls):
    ledger = mf.initialize(cls(), XAVIER)
    assert ledger["qkv.weight"].target_std == pytest.approx(sqrt(2 / (4 * WIDTH)))
    (warning,) = ledger.warnings
    assert (warning.code, warning.key, warning.severity) == ("MW113", "qkv.weight", "warning")
    assert warning.message == "`qkv.weight` (144, 48) may be 3 matrices side by side, and counts as one"
    assert warning.hint == (
        "say what it is: `params: {qkv.weight: {matrices: 3}}`, or `matrices: [...]` with the rows of each"
    )
    printed = str(ledger)
    assert "warning[MW113]: `qkv.weight` (144, 48) may be 3 matrices" in printed
    assert warning.hint in printed
    assert not mf.initialize(cls(), {"scheme": "normal", "std": 0.02}).warnings


def test_what_is_not_certain_of_a_layer_of_a_plan_is_said():
    mf.register_layer(Unclear)
    try:
        layers = {"a": "Unclear", "b": {"type": "Unclear", "init": {"params": {"qkv.weight": {"matrices": 3}}}}}
        plan = mf.plan(mf.parse({"input": {"shape": [5, WIDTH]}, "layers": layers}, init=XAVIER))
    finally:
        unregister_layer("Unclear")
    (warning,) = [warning for warning in plan.warnings if warning.code == "MW113"]
    assert (warning.key, warning.severity) == ("model.layers.a", "warning")
    assert warning.message == "`a.qkv.weight` (144, 48) may be 3 matrices side by side, and counts as one"
    assert warning.hint.startswith("say what it is: `params: {qkv.weight: {matrices: 3}}`")


@pytest.mark.parametrize("matrices", [3, [48, 48, 48]])
@pytest.mark.parametrize("glob", ["qkv.weight", "*.weight"])
def test_params_declare_it(matrices, glob):
    if glob != "qkv.weight" and matrices != 3:
        pytest.skip("each weight has other rows")
    std, blocks = std_of(Unclear(), "qkv.weight", XAVIER | {"params": {glob: {"matrices": matrices}}})
    assert (std, blocks) == (pytest.approx(ALONE), ("0", "1", "2"))


def test_one_matrix_after_all():
    std, blocks = std_of(Attention(), "qkv.weight", XAVIER | {"params": {"qkv.weight": {"matrices": [3 * WIDTH]}}})
    assert (std, len(blocks)) == (pytest.approx(sqrt(2 / (4 * WIDTH))), 1)


def test_a_scheme_and_matrices_together():
    init = XAVIER | {"params": {"qkv.weight": {"scheme": "orthogonal", "gain": 2.0, "matrices": 3}}}
    module = Unclear()
    mf.initialize(module, init)
    for part in module.qkv.weight.detach().chunk(3):
        assert torch.allclose(part @ part.T, 4 * torch.eye(WIDTH), atol=1e-5)


def test_in_a_config():
    layers = {"wide": {"type": "Linear", "out_features": 30, "init": {"params": {"weight": {"matrices": [10, 20]}}}}}
    ledger = mf.build(mf.parse({"input": {"shape": [5]}, "layers": layers}, init=XAVIER)).ledger
    assert ledger["wide.weight"].matrices == ("0", "1")


@pytest.mark.parametrize(
    ("matrices", "code", "message"),
    [
        (5, "MF026", "`xavier` cannot fill qkv.weight (144, 48): its 144 rows do not make 5 equal matrices"),
        ([40, 40], "MF026", "`xavier` cannot fill qkv.weight (144, 48): it has 144 rows, but `matrices` makes 40 + 40 = 80"),  # noqa: E501  # one row a case
        ("q", "MF022", "`matrices` must be a number of equal parts above 1, or the rows of each, but is 'q'"),
        (1, "MF022", "`matrices` must be a number of equal parts above 1, or the rows of each, but is 1"),
        ([3, 0], "MF022", "`matrices` must be a number of equal parts above 1, or the rows of each, but is [3, 0]"),
    ],
)  # fmt: skip
def test_what_cannot_be(matrices, code, message):
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(Unclear(), XAVIER | {"params": {"qkv.weight": {"matrices": matrices}}})
    assert [(problem.code, problem.message) for problem in caught.value.problems] == [(code, message)]


def test_only_by_name():
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(Unclear(), XAVIER | {"matrices": 3})
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("MF021", "init.matrices")
    assert problem.hint == "name the parameter: `params: {qkv.weight: {matrices: 3}}`"


def test_models_of_transformers():
    """Segment anything's vision encoder, Bloom and Falcon-like stacks, a fused gate."""
    transformers = pytest.importorskip("transformers", reason="a development dependency")
    vision = transformers.SamVisionConfig(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=4, image_size=32, patch_size=8, output_channels=16,
        global_attn_indexes=[1], window_size=2, mlp_dim=96,
    )  # fmt: skip
    net = transformers.SamVisionModel(vision)
    ledger = mf.initialize(net, XAVIER | {"embedding": "zeros", "params": {"*pos*": "zeros"}})
    packed = [entry for entry in ledger if entry.path.endswith("qkv.weight")]
    assert len(packed) == 2
    assert all(entry.target_std == pytest.approx(ALONE) and entry.matrices == ("q", "k", "v") for entry in packed)
    bloom = transformers.BloomModel(transformers.BloomConfig(hidden_size=48, n_layer=1, n_head=4, vocab_size=40))
    ledger = mf.initialize(bloom, XAVIER)
    (entry,) = (entry for entry in ledger if entry.path.endswith("query_key_value.weight"))
    assert entry.target_std == pytest.approx(ALONE) or any(warning.key == entry.path for warning in ledger.warnings)
