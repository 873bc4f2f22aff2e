"""Solved initial values: closed forms, ten networks as predicted and as measured, and what they are worth."""

from __future__ import annotations

import re
from itertools import pairwise
from math import log, sqrt
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import cross_entropy

import modelforge as mf
from modelforge.signal.flow import flow
from modelforge.signal.levers import levers
from modelforge.signal.predict import by_owner
from modelforge.signal.rules import elementwise
from tests.signal.measured import measured, misses
from tests.signal.nets import chain, mlp

XAVIER = {"scheme": "xavier", "distribution": "normal"}


def gains(solution):
    return {change.before.path: change.fields.get("gain") for change in solution.changes}


@pytest.mark.parametrize(("activation", "second"), [("ReLU", 0.5), ("Tanh", 0.394294), ("GELU", 0.425221)])
def test_signals_of_a_chain_have_closed_forms(activation, second):
    """σ_w² = 1/E φ(z)², z ~ N(0, 1)."""
    solution = mf.solve(mf.plan(mlp(activation, 4, 32, XAVIER)))
    assert set(gains(solution)) == {"linear2.weight", "linear4.weight", "linear6.weight"}
    assert all(gain == pytest.approx(1 / sqrt(second), rel=1e-4) for gain in gains(solution).values())
    energies = [node.signal.second for node in solution.after.nodes if node.type == "Linear"]
    assert energies == pytest.approx([1] * 4, rel=1e-3)


def test_gradients_of_a_deep_tanh_net_are_flat():
    """No gain is right for all layers: as signals become smaller, so does what tanh takes from gradients."""
    solution = mf.solve(mf.plan(mlp("Tanh", 6, 64, XAVIER)), "backward")
    energies = [node.gradient.energy for node in solution.after.nodes if node.type in ("input", "Linear")]
    ratios = [after / before for before, after in pairwise(energies)]
    assert ratios == pytest.approx([1] * len(ratios), rel=0.05)


def test_a_layer_without_a_rule_is_named_and_the_rest_is_solved():
    unknown = {"type": "LPPool1d", "norm_type": 3, "kernel_size": 2}
    linear = {"type": "Linear", "out_features": 8}
    layers = (linear, unknown, linear, "ReLU", "LayerNorm", linear, "Tanh", linear)
    solution = mf.solve(mf.plan(chain(*layers, shape=[4, 8], init="lecun")))
    assert [node.path for node in solution.after.unknown] == ["lppool1d1", "linear2", "relu3"]
    assert list(gains(solution)) == ["linear7.weight"]
    assert {one.path: one.reason for one in solution.left}["linear2.weight"] == "what it reads is not known"


def test_settings_serve_models_without_hydra():
    """A key of the `init` group is one of `init=`, and `model.init` is the model's own key."""
    model = {"input": {"shape": [16]}, "layers": {"one": {"type": "Linear", "out_features": 16}, "act": "Tanh"}}
    model["layers"] |= {"two": {"type": "Linear", "out_features": 16}}
    solution = mf.solve(mf.plan(mf.parse(model, init=XAVIER)))
    (setting,) = solution.settings
    assert setting.key == "model.init.params"
    again = mf.predict(mf.plan(mf.parse({**model, "init": {"params": setting.value}}, init=XAVIER)))
    assert again.to_dict() == solution.after.to_dict()


def test_a_direction_has_a_name():
    with pytest.raises(ValueError, match="forward, backward, both"):
        mf.solve(mf.plan(mlp("ReLU", 1, 4, XAVIER)), "up")  # pyright: ignore[reportArgumentType]  # that is the point


TEN = {
    "mlp": ("init=torch",),
    "cnn": (),
    "resnet_small": ("init=kaiming_normal",),
    "unet": (),
    "autoencoder": (),
    "transformer": ("init=xavier_normal",),
    "gpt2": ("data.context=32", "data.vocab_size=64"),
    "rnn": (),
    "lstm": (),
    "gru": (),
}
BATCH = 16


@pytest.mark.slow
@pytest.mark.parametrize("model", TEN)
def test_networks_as_predicted_and_as_measured(model):
    """Every solved layer meets its condition within 5 % of its energy, and a few draws within three spreads of that."""
    overrides = [f"model={model}", *TEN[model]]
    plan = mf.plan(mf.load("conf", overrides=overrides))
    solution = mf.solve(plan, batch_size=BATCH)
    spec = mf.load("conf", overrides=[*overrides, *solution.overrides])
    again = mf.plan(spec)
    assert mf.predict(again, batch_size=BATCH).to_dict() == solution.after.to_dict()
    found, _ = levers(flow(again), by_owner({parameter.path: parameter for parameter in again.parameters}))
    ends = [solution.after.node(path).signal.second for path, lever in found.items() if lever.branches]
    assert all(abs(log(energy / ends[0])) < 0.05 for energy in ends if model in ("transformer", "gpt2"))
    plain = [path for path, lever in found.items() if not lever.branches and not lever.recurrent]
    assert [solution.after.node(path).signal.second for path in plain] == pytest.approx([1] * len(plain), rel=0.05)
    logs = {path: it._replace(backward=[]) for path, it in measured(again, spec, seeds=4, batch=BATCH).items()}
    assert not misses(solution.after, {path: logs[path] for path in found})


SOME = ("mlp", "unet", "gru", "transformer")


@pytest.mark.parametrize("direction", ["backward", "both"])
@pytest.mark.parametrize(
    "model", [pytest.param(name, marks=pytest.mark.slow if name in SOME else pytest.mark.thorough) for name in TEN]
)
def test_gradients_as_predicted_and_as_measured(model, direction):
    """Conditions on gradients are met within 5 % of their energy, and a few draws within three spreads of that."""
    overrides = [f"model={model}", *TEN[model]]
    solution = mf.solve(mf.plan(mf.load("conf", overrides=overrides)), direction, batch_size=BATCH)
    spec = mf.load("conf", overrides=[*overrides, *solution.overrides])
    again = mf.plan(spec)
    assert mf.predict(again, batch_size=BATCH).to_dict() == solution.after.to_dict()
    found, _ = levers(flow(again), by_owner({parameter.path: parameter for parameter in again.parameters}))
    nodes = {path: solution.after.node(path) for path in found}
    if model in ("mlp", "cnn", "autoencoder"):  # one way, without residual sums
        flat = [1 if direction == "backward" else node.signal.second for node in nodes.values()]
        ratios = [node.gradient.energy / each for node, each in zip(nodes.values(), flat, strict=True)]
        assert ratios == pytest.approx([ratios[-1]] * len(ratios), rel=0.05)
    if model in ("transformer", "gpt2") and direction == "backward":
        starts = [(nodes[path].gradient.energy, lever.begins) for path, lever in found.items() if lever.begins]
        growth = [(before / after, 1 + 1 / count) for (before, count), (after, _) in pairwise(starts)]
        assert [one for one, _ in growth] == pytest.approx([other for _, other in growth], rel=0.05)
    assert not misses(solution.after, {path: it for path, it in _measured(again, spec).items() if path in found})


def _measured(plan, spec):
    return measured(plan, spec, seeds=4, batch=BATCH)


def trained(spec: mf.ModelSpec) -> float:
    """Cross entropy on digits after some steps."""
    digits = load_digits()
    images = torch.tensor(digits.data, dtype=torch.float32)
    images, labels = (images - images.mean()) / images.std(), torch.tensor(digits.target)
    model = mf.build(spec)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for rows in torch.randint(0, len(labels), (150, 64), generator=torch.Generator().manual_seed(0)):
        optimizer.zero_grad()
        cross_entropy(model(images[rows]), labels[rows]).backward()
        optimizer.step()
    with torch.no_grad():
        return float(cross_entropy(model(images), labels))


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["Tanh", "GELU"])
def test_thirty_layers_learn_with_solved_values_and_not_with_those_of_torch(activation):
    """ln 10 is the loss of a network that has learnt nothing."""
    layers = {"hidden": {"type": "Linear", "out_features": 128}, "act": activation}
    model = {"input": {"shape": [64]}, "layers": {"deep": {"type": "Repeat", "times": 30, "layers": layers}}}
    model["layers"] |= {"head": {"type": "Linear", "out_features": 10}}
    default = mf.parse(model, init="torch")
    settings = {setting.key: setting.value for setting in mf.solve(mf.plan(default)).settings}
    own = {"params": settings.get("model.init.params", {})}
    solved = mf.parse({**model, "init": own}, init=settings["init"])
    losses = trained(default), trained(solved)
    print(losses)
    assert losses[0] == pytest.approx(log(10), abs=0.02)
    assert losses[1] < 1.5


def test_the_example_of_the_page_runs(capsys):
    page = (Path(__file__).parents[2] / "docs" / "solve.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(example, {})
    assert "('++model.init.params={head.weight: {gain: 1.5335}}',)\n1.0" in capsys.readouterr().out


def test_recurrent_weights_that_start_at_almost_nothing_are_solved():
    """Gradients underflow over the steps, so that a step multiplies them by 0."""
    layer = {"type": "RNN", "hidden_size": 4}
    found = [
        gains(mf.solve(mf.plan(chain(layer, shape=[50, 4], init={"scheme": "kaiming", "gain": gain}))))
        for gain in (1e-30, 0.5)
    ]
    assert found[0] == pytest.approx(found[1], rel=0.05)


def test_draws_are_only_for_the_predictions_before_and_after(monkeypatch: pytest.MonkeyPatch):
    """In each of some ten passes through 60 sigmoids they were most of the work, which took a minute."""
    asked = list[bool]()
    over_draws = elementwise._over_draws

    def counted(*given: Any, apart: bool) -> Any:
        asked.append(apart)
        return over_draws(*given, apart=apart)

    monkeypatch.setattr(elementwise, "_over_draws", counted)
    layers = {
        "deep": {
            "type": "Repeat",
            "times": 6,
            "layers": {"dense": {"type": "Linear", "out_features": 16}, "act": "Sigmoid"},
        }
    }
    mf.solve(mf.parse({"input": {"shape": [16]}, "layers": layers}, init="xavier"), "both")
    assert asked.count(True) == 2 * 6
    assert asked.count(False) >= 3 * 6
