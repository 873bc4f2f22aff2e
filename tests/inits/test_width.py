"""Width-aware schemes: at the base width they are the standard ones, and learning rates follow the table."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import pytest
import torch

import modelforge as mf
from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.inits import Context, Matrix
from modelforge.train.optimizers.optimizer import parse_optimizer


def layers(width: int) -> dict[str, Any]:
    return {
        "one": {"type": "Linear", "out_features": width},
        "act1": "ReLU",
        "two": {"type": "Linear", "out_features": width},
        "act2": "ReLU",
        "head": {"type": "Linear", "out_features": 10},
    }


def parameters(width: int, **fields: Any) -> dict[str, Any]:
    block = {"scheme": "mup", "width": width, "base_width": 64, **fields}
    model = {"input": {"shape": [16]}, "layers": layers(width)}
    return {item.path: item for item in mf.plan(mf.parse(model, init={**block, "bias": block})).parameters}


@pytest.mark.parametrize("m", [1, 4])
def test_the_rows_of_the_table(m):
    found = parameters(64 * m)
    assert found["one.weight"].std == pytest.approx(1 / 4)
    assert found["two.weight"].std == pytest.approx(1 / sqrt(64 * m))
    assert found["head.weight"].std == pytest.approx(1 / (8 * m))
    assert found["two.bias"].std == 0
    rates = {path: item.numbers["learning_rate_multiplier"] for path, item in found.items()}
    assert rates == {
        "one.weight": 1,
        "one.bias": 1,
        "two.weight": 1 / m,
        "two.bias": 1,
        "head.weight": 1 / m,
        "head.bias": 1,
    }


def rates(layers: dict[str, Any], shape: list[int], **fields: Any) -> dict[str, float]:
    """Multipliers of all parameters, where every role has the scheme."""
    block = {"scheme": "mup", "width": 256, "base_width": 64, **fields}
    init = {**block, **dict.fromkeys(("bias", "scale", "embedding"), block)}
    plan = mf.plan(mf.parse({"input": {"shape": shape}, "layers": layers}, init=init))
    return {item.path: item.numbers["learning_rate_multiplier"] for item in plan.parameters}


def linear(width: int) -> dict[str, Any]:
    return {"type": "Linear", "out_features": width}


def test_learning_rates_of_sgd():
    assert rates(layers(256), [16], optimizer="sgd") == {
        "one.weight": 4,
        "one.bias": 4,
        "two.weight": 1,
        "two.bias": 4,
        "head.weight": 1 / 4,
        "head.bias": 1,
    }


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        ("adam", {"input": 1, "vector": 1, "hidden": 1 / 4, "output": 1 / 4, "fixed": 1}),
        ("sgd", {"input": 4, "vector": 4, "hidden": 1, "output": 1 / 4, "fixed": 1}),
    ],
)
def test_every_row_for_every_kind_of_parameter(optimizer, expected):
    """What grows with the width decides: norms and scales before the first kernel and after the last do not."""
    net = {
        "before": "BatchNorm1d",
        "one": linear(256),
        "norm": "LayerNorm",
        "act": "PReLU",
        "two": linear(256),
        "gate": {"type": "PReLU", "num_parameters": 256},
        "head": linear(10),
        "behind": "LayerScale",
    }
    rows = {
        "before.weight": "fixed",
        "before.bias": "fixed",
        "one.weight": "input",
        "one.bias": "vector",
        "norm.weight": "vector",
        "norm.bias": "vector",
        "act.weight": "fixed",
        "two.weight": "hidden",
        "two.bias": "vector",
        "gate.weight": "vector",
        "head.weight": "output",
        "head.bias": "fixed",
        "behind.weight": "fixed",
    }
    assert rates(net, [16], optimizer=optimizer) == {path: expected[row] for path, row in rows.items()}


def test_rows_of_convolutions_recurrent_layers_and_narrow_layers():
    def positions(net: dict[str, Any], shape: list[int]) -> dict[str, str]:
        block = {"scheme": "mup", "width": 64, "base_width": 16}
        plan = mf.plan(mf.parse({"input": {"shape": shape}, "layers": net}, init={**block, "bias": "zeros"}))
        return {item.path: item.numbers.get("position", "") for item in plan.parameters if item.role != "bias"}

    kernel = {"type": "Conv1d", "kernel_size": 3, "out_channels": 64}
    net = {"one": kernel, "deep": {**kernel, "groups": 64}, "some": {**kernel, "groups": 4}}
    net = {**net, "mean": {"type": "Mean", "dim": 2}, "head": linear(3)}
    found = positions(net, [5, 30])
    assert [found[f"{name}.weight"] for name in ("one", "deep", "some", "head")] == [
        "input",
        "input",
        "hidden",
        "output",
    ]
    net = {"rnn": {"type": "LSTM", "hidden_size": 64, "bidirectional": True}}
    net = {**net, "last": {"type": "Select", "dim": 1, "index": -1}, "head": linear(3)}
    assert positions(net, [5, 7]) == {
        "rnn.weight_ih_l0": "input",
        "rnn.weight_hh_l0": "hidden",
        "rnn.weight_ih_l0_reverse": "input",
        "rnn.weight_hh_l0_reverse": "hidden",
        "head.weight": "output",
    }
    assert positions({"one": linear(64), "narrow": linear(1), "wide": linear(64), "head": linear(3)}, [5]) == {
        "one.weight": "input",
        "narrow.weight": "output",
        "wide.weight": "input",
        "head.weight": "output",
    }
    assert positions({"head": linear(3)}, [5]) == {"head.weight": "fixed"}


def test_a_single_layer_from_input_to_output_starts_as_at_any_width():
    block = {"scheme": "mup", "width": 1024, "base_width": 64}
    plan = mf.plan(mf.parse({"input": {"shape": [16]}, "layers": {"head": linear(3)}}, init=block))
    assert plan.parameters[0].std == pytest.approx(1 / 4)


def test_scales_start_as_without_the_scheme():
    block = {"scheme": "mup", "width": 64, "base_width": 16}
    net = {"one": linear(64), "norm": "LayerNorm", "act": "PReLU", "head": linear(3)}
    plan = mf.plan(mf.parse({"input": {"shape": [5]}, "layers": net}, init={**block, "scale": block}))
    means = {item.path: item.mean for item in plan.parameters if item.role == "scale"}
    assert means == {"norm.weight": 1.0, "act.weight": 0.25}


TIED = {
    "embed": {"type": "Embedding", "num_embeddings": 12},
    "one": {"type": "Linear"},
    "act": "ReLU",
    "scale": {"type": "Rescale"},
    "head": {"type": "Linear", "out_features": 12},
}


def tied(width: int, position: str, factor: float) -> dict[str, Any]:
    net: dict[str, Any] = {name: dict(layer) if isinstance(layer, dict) else layer for name, layer in TIED.items()}
    net["embed"]["embedding_dim"] = net["one"]["out_features"] = width
    net["scale"]["factor"] = factor
    net["embed"]["init"] = {"embedding": {"scheme": "mup", "width": width, "base_width": 16, "position": position}}
    return {"input": {"shape": [5], "dtype": "int64"}, "layers": net, "tie": {"head.weight": "embed.weight"}}


def test_a_tied_table_is_refused_unless_the_model_divides():
    block = {"scheme": "mup", "width": 64, "base_width": 16}
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(mf.parse(tied(64, "auto", 1.0), init={**block, "bias": block}))
    (problem,) = caught.value.problems
    assert (problem.code, problem.message, problem.hint) == (
        "MF026",
        "`mup` cannot fill embed.weight (12, 64): it is a table and, tied, an output too, which `mup` treats apart",
        "leave it out of `tie`; or multiply what the head reads by base_width / width (layer `Rescale`), "
        "and say so: `position: input`",
    )
    given = inits.create({**block, "position": "input", "optimizer": "sgd"})
    for fan_in, role in ((1, "embedding"), (64, "weight")):
        fill = given.resolve(Matrix((12, 64), fan_in=fan_in, fan_out=64, role=role, tied=True))
        assert (fill.std, fill.numbers["learning_rate_multiplier"]) == (1.0, 4)


# --- the coordinate check: by how much a step changes the output, at several widths -----------------------------------


def convolutions(width: int) -> dict[str, Any]:
    kernel = {"type": "Conv2d", "out_channels": width, "kernel_size": 3, "padding": 1}
    return {
        "one": kernel,
        "act1": "ReLU",
        "deep": {**kernel, "groups": width},
        "point": {**kernel, "kernel_size": 1, "padding": 0},
        "act2": "ReLU",
        "mean": {"type": "Mean", "dim": [2, 3]},
        "head": linear(10),
    }


def recurrent(width: int) -> dict[str, Any]:
    return {
        "rnn": {"type": "LSTM", "hidden_size": width, "bidirectional": True},
        "last": {"type": "Select", "dim": 1, "index": -1},
        "head": linear(10),
    }


def normed(width: int) -> dict[str, Any]:
    net = layers(width)
    return {"before": "BatchNorm1d", **net, "behind": "LayerScale"}


NETS = {
    "mlp": lambda width: {"input": {"shape": [16]}, "layers": layers(width)},
    "norms": lambda width: {"input": {"shape": [16]}, "layers": normed(width)},
    "convolutions": lambda width: {"input": {"shape": [3, 4, 4]}, "layers": convolutions(width)},
    "recurrent": lambda width: {"input": {"shape": [4, 8]}, "layers": recurrent(width)},
    "tied": lambda width: tied(width, "input", 16 / width),
}


def change(model: dict[str, Any], width: int, optimizer: str, seed: int) -> float:
    """Root mean square change of the output by one step along fixed directions."""
    block = {"scheme": "mup", "width": width, "base_width": 16, "optimizer": "sgd" if optimizer == "SGD" else "adam"}
    if "embed" in model["layers"]:
        model["layers"]["embed"]["init"]["embedding"]["optimizer"] = block["optimizer"]
    plan = mf.plan(mf.parse(model, init={**block, **dict.fromkeys(("bias", "scale", "embedding"), block)}))
    factory, problems = parse_optimizer({"type": optimizer, "mup": True, "lr": 0.1 if optimizer == "SGD" else 0.003})
    assert factory is not None
    factory, more = factory.grouped(plan)
    assert not problems + more
    net = mf.build(plan, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    shape = (16, *model["input"]["shape"])
    whole = model["input"].get("dtype") == "int64"
    x = torch.randint(0, 12, shape, generator=generator) if whole else torch.randn(shape, generator=generator)
    step = factory(net.named_parameters())
    before = net(x)
    (before * torch.randn(before.shape, generator=generator)).mean().backward()
    step.step()
    with torch.no_grad():
        return float((net(x) - before).square().mean().sqrt())


@pytest.mark.parametrize("optimizer", ["SGD", "Adam"])
@pytest.mark.parametrize("net", NETS)
def test_what_one_step_changes_does_not_grow_with_the_width(net: str, optimizer: str):
    widths, seeds = [64, 128, 256], range(4)
    changes = np.array([[change(NETS[net](width), width, optimizer, seed) for seed in seeds] for width in widths])
    slopes = np.polyfit(np.log2(widths), np.log2(changes), 1)[0]
    # Four standard errors of the mean over seeds, and what narrow nets lack of their limit.
    assert abs(slopes.mean()) < 4 * slopes.std(ddof=1) / 2 + 0.06


def test_without_a_graph_the_block_says_what_it_is():
    block = Matrix((8, 8), fan_in=8, fan_out=8, role="weight")
    with pytest.raises(Refusal, match="`mup` treats input, hidden and output weights apart, and no graph is known"):
        inits.create({"scheme": "mup", "width": 8, "base_width": 4}).resolve(block)
    given = inits.create({"scheme": "mup", "width": 8, "base_width": 4, "position": "output"})
    assert given.resolve(block).std == pytest.approx(1 / 4)
    bias = Matrix((8,), fan_in=8, fan_out=8, role="bias")
    adam, sgd = ({"scheme": "mup", "width": 8, "base_width": 4, "optimizer": name} for name in ("adam", "sgd"))
    assert inits.create(adam).resolve(bias).numbers["learning_rate_multiplier"] == 1
    with pytest.raises(Refusal, match="for SGD `mup` treats vectors after the last weights apart"):
        inits.create(sgd).resolve(bias)
    for position, rate in (("hidden", 2), ("output", 1)):
        fill = inits.create({**sgd, "position": position}).resolve(bias)
        assert fill.numbers["learning_rate_multiplier"] == rate


def test_a_base_width_must_be_given():
    with pytest.raises(mf.ForgeError, match="scheme `mup` needs the field `base_width`"):
        mf.parse({"input": {"shape": [4]}, "layers": layers(8)}, init={"scheme": "mup", "width": 8})


@pytest.mark.parametrize(("shape", "std"), [((64, 16), 1 / 4), ((16, 64), 1 / 16)])
def test_spectral(shape, std):
    block = Matrix(shape, fan_in=shape[1], fan_out=shape[0], context=Context(0))
    fill = inits.create({"scheme": "spectral"}).resolve(block)
    assert fill.std == pytest.approx(std)
    assert fill.numbers["learning_rate_multiplier"] == 1 / shape[1]
    sgd = inits.create({"scheme": "spectral", "optimizer": "sgd"}).resolve(block)
    assert sgd.numbers["learning_rate_multiplier"] == shape[0] / shape[1]
    with pytest.raises(Refusal, match="`spectral` needs a matrix"):
        inits.create({"scheme": "spectral"}).resolve(replace(block, shape=(4,)))
