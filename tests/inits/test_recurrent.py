"""Recurrent starts: identities, and gate biases whose two signs are one draw."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from scipy import integrate, stats
from torch import Tensor, nn

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.core.rng import Key
from modelforge.inits import Matrix

SPREAD: list[dict[str, Any]] = [{"scheme": "chrono", "max_time": 784}, {"scheme": "uniform_gate"}]
spread = pytest.mark.parametrize("scheme", SPREAD, ids=str)


def build(cell: str, init: dict[str, Any], **arguments: Any) -> nn.Module:
    layers = {"rnn": {"type": cell, "hidden_size": 400, **arguments}}
    model = mf.build(mf.parse({"input": {"shape": [5, 3]}, "layers": layers}, init={"scheme": "xavier", **init}))
    assert model.ledger.ok
    return model


def gates(model: nn.Module, name: str, names: str) -> dict[str, Tensor]:
    bias = model.get_parameter(f"rnn.{name}").detach()
    return dict(zip(names, bias.chunk(len(names)), strict=True))


# --- identities -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("cell", "num_gates"), [("RNN", 1), ("GRU", 3), ("LSTM", 4)])
def test_each_recurrent_matrix_is_the_identity(cell: str, num_gates: int):
    model = build(cell, {"recurrent": {"scheme": "irnn", "alpha": 0.5}})
    assert torch.equal(model.get_parameter("rnn.weight_hh_l0"), 0.5 * torch.eye(400).repeat(num_gates, 1))


def test_a_relu_network_remembers_without_end():
    model = build("RNN", {"recurrent": "irnn"}, nonlinearity="relu")
    state = torch.rand(1, 2, 400, generator=Key(1).generator())
    with torch.no_grad():
        _, last = model.get_submodule("rnn")(torch.zeros(2, 100, 3), state)
    assert torch.equal(last, state)


@pytest.mark.parametrize(("shape", "shown"), [((8, 4), "8 x 4"), ((4, 4, 3), "4 x 4 x 3")])
def test_only_squares_have_an_identity(shape: tuple[int, ...], shown: str):
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": "irnn"}).resolve(Matrix(shape, 1, 1))
    assert caught.value.reason == f"`irnn` needs a square matrix, but this is {shown}"
    assert caught.value.hint == "it is for `recurrent:`; elsewhere use `eye` or `orthogonal`"


def test_a_vector_has_no_identity():
    with pytest.raises(Refusal, match="`irnn` needs a matrix, but this is a vector of 4"):
        inits.create({"scheme": "irnn"}).resolve(Matrix((4,), 1, 1))


# --- biases of gates --------------------------------------------------------------------------------------------------


@spread
def test_the_input_gate_mirrors_the_forget_gate_exactly(scheme: dict[str, Any]):
    model = build("LSTM", {"bias": scheme}, num_layers=2, bidirectional=True)
    seen: list[Tensor] = []
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        bias = gates(model, f"bias_ih_{suffix}", "ifgo")
        assert torch.equal(bias["i"], -bias["f"])
        assert not bias["g"].any()
        assert not bias["o"].any()
        assert not model.get_parameter(f"rnn.bias_hh_{suffix}").any(), "both biases count as one"
        seen.append(bias["f"])
    assert len(torch.stack(seen).unique(dim=0)) == 4, "each layer and direction draws its own"


@spread
def test_mirrors_stay_exact_when_rounded(scheme: dict[str, Any]):
    spec = mf.parse(
        {"input": {"shape": [5, 3]}, "layers": {"rnn": {"type": "LSTM", "hidden_size": 40}}},
        init={"scheme": "xavier", "bias": scheme},
    )
    bias = gates(mf.build(spec, dtype=torch.bfloat16), "bias_ih_l0", "ifgo")
    assert torch.equal(bias["i"], -bias["f"])


@spread
def test_the_update_gate_of_a_gru_keeps_the_state(scheme: dict[str, Any]):
    bias = gates(build("GRU", {"bias": scheme}), "bias_ih_l0", "rzn")
    assert bias["z"].unique().numel() > 390
    assert not bias["r"].any()
    assert not bias["n"].any()
    if scheme["scheme"] == "chrono":
        assert bias["z"].min() >= 0


def test_chrono_spreads_time_scales_uniformly_up_to_the_longest():
    model = build("LSTM", {"bias": {"scheme": "chrono", "max_time": 784}})
    forget = gates(model, "bias_ih_l0", "ifgo")["f"].double()
    time_scales = 1 / (1 - forget.sigmoid())
    assert 2 <= time_scales.min() <= time_scales.max() <= 784
    assert stats.kstest(time_scales.numpy(), stats.uniform(2, 782).cdf).pvalue > 1e-3


def test_a_chrono_lstm_s_state_decays_at_these_time_scales():
    # Zero weights and no input: c' = σ(b_f)·c, so what is left after a step is 1 - 1 / (the time scale).
    layers = {"rnn": {"type": "LSTM", "hidden_size": 50, "init": {"bias": {"scheme": "chrono", "max_time": 100}}}}
    model = mf.build(mf.parse({"input": {"shape": [5, 3]}, "layers": layers}, init="zeros"))
    forget = gates(model, "bias_ih_l0", "ifgo")["f"]
    with torch.no_grad():
        state = (torch.zeros(1, 1, 50), torch.ones(1, 1, 50))
        _, (_, after) = model.get_submodule("rnn")(torch.zeros(1, 1, 3), state)
    assert torch.allclose(after.ravel(), 1 - 1 / (1 + forget.exp()), atol=1e-6)


def test_uniform_gate_opens_the_gates_uniformly():
    bias = gates(build("LSTM", {"bias": "uniform_gate"}), "bias_ih_l0", "ifgo")
    opened = bias["f"].double().sigmoid().numpy()
    assert stats.kstest(opened, stats.uniform(1 / 400, 1 - 2 / 400).cdf).pvalue > 1e-3


@pytest.mark.parametrize("max_time", [2.000001, 3.0, 50.0, 784.0, 1e6, 1e37])
def test_chrono_promises_the_moments_of_its_law(max_time: float):
    # Of s = ln m - ln u, whose density is exp(-s) / (1 - 1/m) on [0, ln m], with m = max_time - 1.
    fill = inits.create({"scheme": "chrono", "max_time": max_time}).resolve(Matrix((10,), 10, 10, name="i"))
    length = math.log(max_time - 1)

    def expectation(power: int, about: float = 0.0) -> float:
        weight = -math.expm1(-length)
        return integrate.quad(lambda s: (s - about) ** power * math.exp(-s) / weight, 0, length, epsabs=0)[0]

    mean = expectation(1)
    assert fill.mean is not None
    assert fill.mean == pytest.approx(mean - length, rel=1e-9)
    variance = expectation(2, mean)
    assert fill.std == pytest.approx(math.sqrt(variance), rel=1e-6)
    assert fill.promise.kurtosis == pytest.approx(expectation(4, mean) / variance**2, rel=1e-5)
    assert (fill.numbers["low"], fill.numbers["high"]) == (pytest.approx(-length), 0)


@pytest.mark.parametrize("num_units", [3, 64, 10**6])
def test_uniform_gate_promises_the_moments_of_its_law(num_units: int):
    fill = inits.create({"scheme": "uniform_gate"}).resolve(Matrix((num_units,), 1, 1, name="f"))
    end = math.log(num_units - 1)
    density = stats.logistic.pdf
    mass, second, fourth = (integrate.quad(lambda b, k=k: b**k * density(b), -end, end)[0] for k in (0, 2, 4))
    assert fill.mean == pytest.approx(0, abs=1e-9)
    assert fill.std == pytest.approx(math.sqrt(second / mass), rel=1e-8)
    assert fill.promise.kurtosis == pytest.approx(fourth * mass / second**2, rel=1e-8)
    assert (fill.numbers["low"], fill.numbers["high"]) == (pytest.approx(-end), pytest.approx(end))


def test_two_units_have_one_place_between_closed_and_open():
    fill = inits.create({"scheme": "uniform_gate"}).resolve(Matrix((2,), 2, 2, name="f"))
    assert (fill.mean, fill.std) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("block", "reason", "hint"),
    [
        (Matrix((5,), 5, 5), "fills the biases of LSTM and GRU, but this parameter has no gates", "use `constant`"),
        (Matrix((5, 5), 5, 5, name="f"), "fills biases, but this is a weight", "move it below `bias:`"),
    ],
)
@spread
def test_what_has_no_gates_is_refused(scheme: dict[str, Any], block: Matrix, reason: str, hint: str):
    with pytest.raises(Refusal) as caught:
        inits.create(scheme).resolve(block)
    assert (caught.value.reason, caught.value.hint) == (f"`{scheme['scheme']}` {reason}", hint)


def test_one_unit_cannot_be_spread():
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": "uniform_gate"}).resolve(Matrix((1,), 1, 1, name="f"))
    assert caught.value.reason == "`uniform_gate` spreads the gates of several units, but this layer has one"
    assert caught.value.hint == "use `gates`"


@pytest.mark.parametrize("max_time", [2, 1.5, -1, 1e38])
def test_the_longest_time_is_more_than_two_steps(max_time: float):
    with pytest.raises(ValidationError, match=r"should be (greater than 2|less than or equal to 10+)"):
        inits.create({"scheme": "chrono", "max_time": max_time})
    with pytest.raises(ValidationError, match="Field required"):
        inits.create({"scheme": "chrono"})
