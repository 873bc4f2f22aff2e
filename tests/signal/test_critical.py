"""The critical gain: where the gradient keeps its energy, by closed forms."""

from typing import Any

import pytest

import modelforge as mf
from modelforge.core.errors import ForgeError, Problem
from modelforge.signal.critical import critical_gain, drift


def deep(activation: str | None, scheme: str = "xavier", depth: int = 12, norm: str | None = None) -> Any:
    """Plans of equally wide layers by their gain."""
    layers: dict[str, Any] = {}
    for index in range(depth):
        layers[f"linear{index}"] = {"type": "Linear", "out_features": 128}
        if norm:
            layers[f"norm{index}"] = norm
        if activation:
            layers[f"act{index}"] = activation
    model = {"input": {"shape": [128]}, "layers": layers}
    return lambda gain: mf.plan(mf.parse(model, init={"scheme": scheme, "gain": gain}))


@pytest.mark.parametrize(("activation", "expected"), [(None, 1.0), ("ReLU", 2**0.5)])
def test_linear_and_relu_nets_have_their_known_gains(activation: str | None, expected: float) -> None:
    found = critical_gain(deep(activation))
    assert found is not None
    assert found.gain == pytest.approx(expected, rel=0.02)  # an interval of a factor of 2, halved five times
    assert abs(found.drift) < 0.5


@pytest.mark.parametrize(("activation", "expected"), [(None, 1.0), ("ReLU", 2**0.5)])
@pytest.mark.parametrize(("inputs", "outputs"), [(1024, 10), (8, 128)])
def test_widths_of_input_and_output_do_not_count(activation, expected, inputs, outputs) -> None:
    layers = [{"type": "Linear", "out_features": 64}, *[activation] * (activation is not None)] * 10
    layers = {f"layer{number}": layer for number, layer in enumerate([*layers, {**layers[0], "out_features": outputs}])}
    model = {"input": {"shape": [inputs]}, "layers": layers}
    found = critical_gain(lambda gain: mf.plan(mf.parse(model, init={"scheme": "lecun", "gain": gain})))
    assert found is not None
    assert found.gain == pytest.approx(expected, rel=0.02)


def test_it_is_found_from_other_gains_too() -> None:
    found = critical_gain(deep("ReLU", "kaiming"), around=0.3)
    assert found is not None
    assert found.gain == pytest.approx(2**0.5, rel=0.02)


def test_gains_that_a_config_refuses_are_left_out() -> None:
    def planned(gain: float) -> Any:
        if gain > 3:
            raise ForgeError([Problem("MF001", "init.gain", "too large")])
        return deep("ReLU", depth=4)(gain)

    found = critical_gain(planned)
    assert found is not None
    assert found.gain == pytest.approx(2**0.5, rel=0.02)


def test_the_drift_is_the_logarithm_of_what_is_gained_backwards() -> None:
    assert drift(deep(None)(1.0)) == pytest.approx(0.0, abs=1e-9)
    assert drift(deep(None)(2.0)) == pytest.approx(11 * 2 * 0.6931, rel=1e-3)  # from the last of 12 layers to the first


def test_a_single_table_has_no_such_gain() -> None:
    model = {
        "input": {"shape": [64], "dtype": "int64"},
        "layers": {"table": {"type": "Embedding", "num_embeddings": 9, "embedding_dim": 8}},
    }
    assert critical_gain(lambda gain: mf.plan(mf.parse(model, init={"scheme": "normal", "std": gain}))) is None
