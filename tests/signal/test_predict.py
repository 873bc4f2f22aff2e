"""What is predicted: the numbers of the literature, agreement with built models, and what is not known."""

from __future__ import annotations

from math import inf, log, log10

import pytest
import torch

import modelforge as mf
from modelforge.core.matrix import Activation
from modelforge.layers import unregister_layer
from modelforge.signal.moments import correlation_depth, single
from tests.signal.nets import chain, check, mlp

TANH = Activation("tanh", torch.tanh)
# Weights of variance 1/(3n) and biases of U(-1/√n, 1/√n), n = 256: what torch's own layers start with.
TORCH = {"scheme": "torch_default", "bias": {"scheme": "uniform", "low": -1 / 16, "high": 1 / 16}}
DEEP = {
    "xavier": ({"scheme": "xavier"}, 2.0**-29, 2.0**-30),
    "he": ({"scheme": "kaiming"}, 2.0, 1.0),
    "torch": (TORCH, 1 / 640, 6.0**-30),
}
ACTIVATIONS = (
    *("ReLU", "LeakyReLU", "PReLU", "ReLU6", "ELU", "SELU", "CELU", "GELU", "SiLU", "Mish", "Hardswish", "Tanh"),
    *("Hardtanh", "Softsign", "Softplus", "Sigmoid", "Hardsigmoid"),
)


@pytest.mark.parametrize("name", DEEP)
def test_thirty_layers_of_relu(name):
    """Closed forms: each layer multiplies both energies by σ_w²/2, and a bias keeps the signal from vanishing."""
    init, second, ratio = DEEP[name]
    prediction = mf.predict(mf.plan(mlp("ReLU", 30, 256, init)))
    signal = prediction.node("linear58").signal
    assert signal.second == pytest.approx(second, rel=1e-6)
    last, first = prediction.node("relu59").gradient, prediction.node("input").gradient
    assert first.energy / last.energy == pytest.approx(ratio, rel=1e-6)
    chi = prediction.node("relu59").chi
    assert chi == pytest.approx(ratio ** (1 / 30), rel=1e-6)


@pytest.mark.parametrize("name", DEEP)
def test_thirty_layers_of_relu_as_measured(name):
    check(mlp("ReLU", 30, 256, DEEP[name][0]), seeds=4)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_each_activation_as_measured(activation):
    check(mlp(activation, 10, 128, {"scheme": "kaiming", "gain": "auto"}))


def test_a_layer_without_a_rule_is_named():
    spec = chain({"type": "LPPool1d", "norm_type": 3, "kernel_size": 2}, "ReLU", shape=[4, 8], init=None)
    prediction = mf.predict(mf.plan(spec))
    assert [node.path for node in prediction.unknown] == ["lppool1d0", "relu1"]
    assert (
        prediction.node("lppool1d0").note
        == "unknown from here on: pools by the 3-norm have no closed form; those by the norms 1 and 2 have"
    )
    assert prediction.node("input").gradient is None
    assert prediction.node("relu1").gradient.energy == 1


def test_a_module_that_starts_by_itself():
    """1/(3n) for weights and biases: half of a third of the energy stays, and a third of 1/n comes in."""
    prediction = mf.predict(mf.plan(mlp("ReLU", 30, 256, {"scheme": "torch"})))
    assert prediction.node("linear58").signal.second == pytest.approx(1 / 640, rel=1e-6)


@pytest.mark.parametrize(("gain", "depth"), [(1.0, 3.6), (1.5, 15.8), (2.0, 25.2), (2.5, 11.8), (4.0, 7.0)])
def test_correlation_depth_of_tanh(gain, depth):
    """The numbers for biases of variance 0.05: ordered below a gain of 1.76, chaotic above."""
    found = 1.0
    for _ in range(200):
        found = gain * single(TANH, 0.0, found).second + 0.05
    assert correlation_depth(TANH, found, gain) == pytest.approx(depth, abs=0.15)


@pytest.mark.parametrize(("gain", "depth"), [(2**0.5, inf), (2.0, None), (1.0, 1 / log(2))])
def test_correlation_depth_of_relu(gain, depth):
    """On the edge of chaos at He's gain, by rounding only near it; above, no variance is a fixed point."""
    prediction = mf.predict(mf.plan(mlp("ReLU", 10, 64, {"scheme": "lecun", "gain": gain})))
    found = prediction.node("relu19").correlation_depth
    assert found == (depth if depth is None else pytest.approx(depth))


def test_it_prints_as_a_table_and_as_data():
    prediction = mf.predict(mf.plan(mlp("ReLU", 2, 8, {"scheme": "kaiming"})))
    header, _, *lines = str(prediction).splitlines()
    assert header.split()[:4] == ["layer", "type", "mean", "E"]
    assert [line.split()[0] for line in lines] == ["input", "linear0", "relu1", "linear2", "relu3"]
    assert prediction.to_dict()["nodes"][1]["second_moment"] == 2
    with pytest.raises(KeyError, match="the prediction has no layer or input 'linear00': did you mean `linear0`"):
        prediction["linear00"]
    assert prediction["linear0"] is prediction.node("linear0")
    assert [node.path for node in prediction if node.path in prediction] == [*prediction.by_path]
    assert "linear00" not in prediction


@pytest.mark.parametrize(
    ("activation", "gain"), [("Tanh", 1e-30), ("ReLU", 1e30), ("PReLU", 1e-30), ("Identity", 1e30)]
)
def test_signals_end_as_unknown_before_their_squares_leave_double_precision(activation, gain):
    init = {"scheme": "kaiming", "gain": gain}
    prediction = mf.predict(
        mf.plan(chain(*[{"type": "Linear", "out_features": 8}, activation] * 8, shape=[8], init=init))
    )
    assert "is beyond double precision" in prediction.unknown[0].note
    seconds = [node.signal.second for node in prediction.nodes if node.signal is not None]
    assert abs(log10(seconds[-1])) == pytest.approx(120, abs=5)


def test_a_layer_that_was_registered_without_a_rule_is_named():
    @mf.register_layer
    class Opaque(torch.nn.Identity):
        """Does nothing that anyone knows."""

    try:
        note = mf.predict(mf.plan(chain("Opaque", shape=[4], init=None))).nodes[1].note
    finally:
        unregister_layer("Opaque")
    assert note == "unknown from here on: `Opaque` has no signal rule, register one"


@pytest.mark.parametrize("function", [mf.predict, mf.solve, mf.diagnose])
@pytest.mark.parametrize("batch", [0, -1, 1.5, "a", True])
def test_a_batch_is_a_number_of_examples(function, batch):
    plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": {"act": "Tanh"}}, init="xavier"))
    with pytest.raises(ValueError, match=r"takes `batch_size` examples, a whole number from 1 on, but gets"):
        function(plan, batch_size=batch)
