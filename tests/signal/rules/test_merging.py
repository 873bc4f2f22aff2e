"""Layers in which signals meet, as predicted and as measured."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.signal.value import Signal
from tests.signal.measured import measured
from tests.signal.nets import chain, check

LINEAR = {"type": "Linear", "out_features": 64, "bias": False}
PADDED = {"type": "Conv2d", "out_channels": 16, "kernel_size": 3, "padding": 1}


def branches(merge, width=96):
    ends = {name: {"type": "Linear", "out_features": width} for name in ("one", "two")}
    ends["two"] = {"type": "Sequential", "layers": {"proj": ends["two"], "act": "SiLU"}}
    layers = {
        "both": {"type": "Parallel", "branches": ends, "merge": merge},
        "head": {"type": "Linear", "out_features": 64},
    }
    return mf.parse({"input": {"shape": [64]}, "layers": layers}, init={"scheme": "kaiming"})


@pytest.mark.parametrize("merge", ["Add", "Multiply", "Concat"])
def test_two_branches(merge):
    check(branches(merge), seeds=16)


def test_residual_branches_double_the_energy():
    branch = {"norm": "Identity", "up": {"type": "Linear", "out_features": 128}, "act": "ReLU"}
    branch["down"] = {"type": "Linear", "out_features": 128}
    layers = {"deep": {"type": "Repeat", "times": 6, "layers": {"add": {"type": "Residual", "layers": branch}}}}
    spec = mf.parse({"input": {"shape": [128]}, "layers": layers}, init={"scheme": "kaiming"})
    check(spec)
    assert mf.predict(mf.plan(spec)).node("deep.5.add.merge").signal.second == pytest.approx(3.0**6)


@pytest.mark.parametrize("std", [0.1, 1.0])
def test_energies_by_position_of_a_sum(std):
    """A norm of small vectors leaves some smaller, by a law that the same energy everywhere makes more even."""
    layers = {
        "small": {**LINEAR, "inputs": "one", "init": {"scheme": "normal", "std": 0.0045}},
        "norm": "LayerNorm",
        "other": {**LINEAR, "inputs": "two", "init": {"scheme": "normal", "std": std / 8}},
        "sum": {"type": "Add", "inputs": ["norm", "other"]},
    }
    inputs = {"one": {"shape": [64, 2]}, "two": {"shape": [64, 64]}}
    prediction = mf.predict(mf.plan(mf.parse({"input": inputs, "layers": layers}, init="lecun")))
    norm, other, made = (prediction.node(name).signal for name in ("norm", "other", "sum"))
    v = np.random.default_rng(0).gamma(1, 1, size=10_000)
    energies = v / (v + norm.level.bottom)
    energies = energies / energies.mean() * norm.second + other.second
    found = (v + made.level.top) / (v + made.level.bottom)
    assert found / found.mean() == pytest.approx(energies / energies.mean(), rel=0.03)


MOMENTS = ("mean", "second", "along", "across", "placed", "drift", "lift", "own_chance", "third", "tail", "near")


def moments(signal: Signal, *more: str) -> dict[str, float]:
    return {name: getattr(signal, name) for name in (*MOMENTS, *more)}


@pytest.mark.parametrize("dim", [1, 2])
def test_side_by_side_with_itself_a_signal_stays_what_it_is(dim):
    layers = {
        "first": PADDED,
        "act": "ReLU",
        "second": PADDED,
        "last": "GELU",
        "both": {"type": "Concat", "dim": dim, "inputs": ["last", "last"]},
    }
    prediction = mf.predict(mf.plan(mf.parse({"input": {"shape": [4, 4, 4]}, "layers": layers}, init="kaiming")))
    last, both = (prediction.node(name).signal for name in ("last", "both"))
    assert last.placed > 0
    assert last.lift != 0
    more = ("swing",) if dim == 2 else ()  # units side by side are taken as independent, and share less
    assert moments(both, *more) == pytest.approx(moments(last, *more))


@pytest.mark.parametrize("dim", [1, 2])
def test_side_by_side_the_first_is_no_other_than_the_last(dim):
    both = {"type": "Concat", "dim": dim}
    layers = {
        "first": PADDED,
        "act": "ReLU",
        "second": PADDED,
        "third": "GELU",
        "one": both | {"inputs": ["act", "third"]},
        "two": both | {"inputs": ["third", "act"]},
        "sum": {"type": "Add", "inputs": ["one", "two"]},
    }
    prediction = mf.predict(mf.plan(mf.parse({"input": {"shape": [4, 4, 4]}, "layers": layers}, init="kaiming")))
    one, two = (prediction.node(name).signal for name in ("one", "two"))
    assert moments(one, "swing") == pytest.approx(moments(two, "swing"))


def test_times_a_gate_that_is_one_half_everywhere():
    layers = {
        "first": PADDED,
        "act": "ReLU",
        "second": PADDED,
        "last": "GELU",
        "gate": {**PADDED, "init": "zeros"},
        "open": "Sigmoid",
        "both": {"type": "Multiply", "inputs": ["last", "open"]},
        "times": {"type": "Rescale", "factor": 0.5, "inputs": "last"},
        "sum": {"type": "Add", "inputs": ["both", "times"]},
    }
    prediction = mf.predict(mf.plan(mf.parse({"input": {"shape": [4, 4, 4]}, "layers": layers}, init="kaiming")))
    names = ("mean", "second", "along", "across", "placed", "drift", "lift", "swing")
    both, times = ([getattr(prediction.node(path).signal, name) for name in names] for path in ("both", "times"))
    assert both == pytest.approx(times)


def test_a_norm_of_a_sum_takes_out_of_each_part_its_share_of_a_direction():
    layers = {
        "first": LINEAR,
        "norm": "BatchNorm1d",
        "skip": {**LINEAR, "inputs": "input", "init": {"scheme": "normal", "std": 3**0.5 / 8}},
        "sum": {"type": "Add", "inputs": ["norm", "skip"]},
        "own": {"type": "Unflatten", "dim": 1, "unflattened_size": [64, 1]},
        "kernels": {"type": "Conv1d", "out_channels": 64, "kernel_size": 1, "groups": 64, "bias": False},
        "again": "BatchNorm1d",
    }
    prediction = mf.predict(mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="lecun")))
    torch.manual_seed(0)
    first, skip = torch.randn(32, 8000), torch.randn(32, 8000) * 3**0.5
    total = (first + skip).requires_grad_()
    nn.BatchNorm1d(8000)(total).backward(torch.randn(32, 8000))
    given = total.grad
    assert given is not None
    for name, part in (("norm", first), ("skip", skip)):
        part = part - part.mean(dim=0)
        left = ((given * part).sum(dim=0) ** 2).mean() / ((given**2).mean() * (part**2).sum(dim=0).mean())
        assert prediction.node(name).gradient.square == pytest.approx(1 - float(left), abs=0.05)


def test_weights_of_one_part_of_a_sum_take_back_their_share_of_what_a_norm_made_uneven():
    layers = {
        "own": {"type": "Identity", "inputs": "input"},
        "part": LINEAR,
        "skip": {**LINEAR, "inputs": "input"},
        "sum": {"type": "Add", "inputs": ["part", "skip"]},
        "norm": "BatchNorm1d",
    }
    spec = mf.parse({"input": {"shape": [4]}, "layers": layers}, init="lecun")
    plan = mf.plan(spec)
    gradient = mf.predict(plan, batch_size=64).node("own").gradient
    logs = measured(plan, spec, seeds=16, batch=64)["own"].backward
    assert np.mean(logs) == pytest.approx(gradient.log_mean, abs=3 * gradient.spread / 4)


@pytest.mark.parametrize("merge", ["Add", "Multiply"])
@pytest.mark.parametrize("more", [False, True])
def test_one_tensor_twice(merge, more):
    reads = ["first", "first", "skip"] if more else ["first", "first"]
    layers = {
        "skip": {**LINEAR, "inputs": "input"},
        "first": {**LINEAR, "inputs": "input"},
        "both": {"type": merge, "inputs": reads},
        "head": LINEAR,
    }
    plan = check(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="kaiming"), seeds=24)
    first, both = (mf.predict(plan).node(name) for name in ("first", "both"))
    if not more:
        assert both.signal.mean == pytest.approx(0.0 if merge == "Add" else first.signal.second)
        assert first.gradient.energy == pytest.approx(
            both.gradient.energy * 4 * (1 if merge == "Add" else first.signal.second)
        )


@pytest.mark.parametrize(
    "branch", [["Identity"], ["Tanh"], ["Dropout"], ["LayerNorm"], [{**LINEAR, "init": "identity"}, "ReLU"]]
)
def test_branches_without_drawn_weights_depend_on_each_other(branch):
    layers = {f"layer{place}": layer for place, layer in enumerate(branch)}
    model = {"input": {"shape": [64]}, "layers": {"first": LINEAR, "add": {"type": "Residual", "layers": layers}}}
    plan = mf.plan(mf.parse(model, init="kaiming"))
    (unknown,) = mf.predict(plan).unknown
    assert unknown.note.endswith("what it joins depends on each other: no drawn weights are between")
    assert mf.solve(plan).after.unknown


@pytest.mark.parametrize(
    "branch", [["Tanh", LINEAR], [LINEAR, "Tanh"], [{**LINEAR, "init": "zeros"}], ["LayerNorm", "ReLU", LINEAR, "ReLU"]]
)
def test_branches_with_drawn_weights_do_not(branch):
    layers = {f"layer{place}": layer for place, layer in enumerate(branch)}
    residual = {"type": "Residual", "layers": layers}
    check(mf.parse({"input": {"shape": [64]}, "layers": {"first": LINEAR, "one": residual}}, "kaiming"))


def unequal(dim, *after, shape=(32,), gain=5.0, kind="Linear", init="xavier"):
    """Two layers of different gains side by side, and what reads both."""
    one = {"type": kind, "inputs": "input"}
    one |= {"out_features": 32} if kind == "Linear" else {"out_channels": 32, "kernel_size": 1}
    layers = {
        "a": one,
        "b": {**one, "init": {"gain": gain}},
        "both": {"type": "Concat", "inputs": ["a", "b"], "dim": dim},
    }
    layers |= {f"after{index}": layer for index, layer in enumerate(after)}
    return mf.parse({"input": {"shape": [*shape]}, "layers": layers}, init=init)


@pytest.mark.parametrize(
    ("dim", "norm", "shape", "kind"),
    [
        (1, "BatchNorm1d", (32,), "Linear"),
        (1, "LayerNorm", (32,), "Linear"),
        (1, "LayerNorm", (6, 32), "Linear"),
        (2, "LayerNorm", (6, 32), "Linear"),
        (1, "BatchNorm2d", (32, 4, 4), "Conv2d"),
        (1, {"type": "GroupNorm", "num_groups": 4}, (32, 4, 4), "Conv2d"),
        (1, {"type": "GroupNorm", "num_groups": 1}, (32, 4, 4), "Conv2d"),
    ],
    ids=str,
)
def test_a_norm_divides_each_part_by_its_own_energy(dim, norm, shape, kind):
    """25 times the energy, and a 25th of the gradient where the parts are normed apart."""
    head = (
        {"type": kind, "out_features": 16} if kind == "Linear" else {"type": kind, "out_channels": 16, "kernel_size": 1}
    )
    check(unequal(dim, norm, head, shape=shape, kind=kind), batch=32)


def test_a_batch_norm_takes_out_the_mean_of_each_unit():
    """Beside each other, as in a DenseNet: maxima, whose mean is above 0, and sums, whose mean is 0."""
    conv = {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1, "bias": False}
    branch = {"norm": "BatchNorm2d", "act": "ReLU", "conv": conv}
    joined = {"type": "Residual", "layers": branch, "merge": {"type": "Concat", "dim": 1}}
    pool = {"type": "MaxPool2d", "kernel_size": 3}
    spec = chain(conv, "ReLU", pool, joined, "BatchNorm2d", "ReLU", conv, shape=[8, 18, 18], init="kaiming")
    check(spec, spare=0.02)


def test_an_activation_that_keeps_scale_reads_parts_of_any_energy():
    check(unequal(1, "ReLU", LINEAR), batch=32)


@pytest.mark.parametrize(("gain", "shape", "known"), [(5.0, (32,), False), (5.0, (6, 32), False), (1.0, (32,), True)])
def test_an_activation_of_parts_of_several_energies_is_not_predicted(gain, shape, known):
    prediction = mf.predict(mf.plan(unequal(1, "Tanh", LINEAR, gain=gain, shape=shape)))
    assert (prediction.node("after0").signal is not None) == known
    if not known:
        assert "several variances side by side" in prediction.node("after0").note


def test_a_sum_with_a_branch_of_zeros_is_its_other_part():
    """ReLU of what a ReLU made and zeros, as where residual branches start at zero."""
    zeros = {"type": "Residual", "layers": {"end": {**LINEAR, "init": "zeros"}}}
    layers = {"first": LINEAR, "act": "ReLU", "branch": zeros, "act2": "ReLU", "head": LINEAR}
    spec = mf.parse({"input": {"shape": [64]}, "layers": layers}, init="kaiming")
    check(spec)
    assert mf.predict(mf.plan(spec)).node("first").gradient.energy == pytest.approx(1.0)
