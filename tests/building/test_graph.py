"""What combinators compute is what one would write by hand; nothing lives longer than by hand."""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.building.graph import _steps
from modelforge.planning.references import Read

LINEAR = {"type": "Linear", "out_features": 4}


def built(layers: dict[str, Any], *shape: int, inputs: dict[str, Any] | None = None) -> Any:
    spec = {"input": inputs or {"shape": list(shape)}, "layers": layers}
    return mf.build(mf.parse(spec, init={"scheme": "xavier", "bias": {"scheme": "normal", "std": 0.1}})).eval()


def test_residual():
    body = {"up": {"type": "Linear", "out_features": 8}, "act": "ReLU", "down": LINEAR}
    net = built({"plain": {"type": "Residual", "layers": body}}, 4)
    x = torch.randn(5, 4)
    assert torch.equal(net(x), net.plain.down(net.plain.up(x).relu()) + x)


@pytest.mark.parametrize(
    ("merge", "join"),
    [
        ("Add", lambda main, around: main + around),
        ("Multiply", lambda main, around: main * around),
        ({"type": "Concat", "dim": 1}, lambda main, around: torch.cat([main, around], 1)),
    ],
)
def test_residual_with_a_shortcut(merge, join):
    shortcut = {"type": "Sequential", "layers": {"lin": {"type": "Linear", "out_features": 6}, "act": "Tanh"}}
    layers = {"main": {"type": "Linear", "out_features": 6}}
    net = built({"block": {"type": "Residual", "layers": layers, "shortcut": shortcut, "merge": merge}}, 4)
    x = torch.randn(5, 4)
    # The main path comes first: it matters for Concat.
    assert torch.equal(net(x), join(net.block.main(x), net.block.shortcut.lin(x).tanh()))


def test_parallel():
    branches = {"a": LINEAR, "b": {"type": "Sequential", "layers": {"act": "ReLU", "lin": LINEAR}}, "c": "Identity"}
    net = built({"wide": {"type": "Parallel", "branches": branches}}, 3)
    x = torch.randn(5, 3)
    assert torch.equal(net(x), torch.cat([net.wide.a(x), net.wide.b.lin(x.relu()), x], 1))


def test_repeat_makes_independent_copies():
    block = {"mix": {"type": "Residual", "layers": {"lin": LINEAR, "act": "Tanh"}}}
    net = built({"body": {"type": "Repeat", "times": 3, "layers": block}}, 4)
    x = y = torch.randn(5, 4)
    weights = [net.get_submodule(f"body.{index}.mix.lin").weight for index in range(3)]
    for index in range(3):
        y = net.get_submodule(f"body.{index}.mix.lin")(y).tanh() + y
    assert torch.equal(net(x), y)
    assert len({weight.data_ptr() for weight in weights}) == 3
    assert not torch.equal(weights[0], weights[1])


def test_all_copies_read_the_further_inputs_as_they_are():
    gate = {"lin": LINEAR, "gate": {"type": "Multiply", "inputs": ["lin", "input.1"]}}
    body = {"type": "Repeat", "times": 3, "inputs": ["x", "open", "other"], "layers": gate}
    shapes = {name: {"shape": [4]} for name in ("x", "open", "other")}
    net = built({"body": body}, inputs=shapes)
    x, gates = torch.randn(2, 5, 4)
    y = x
    for index in range(3):
        y = net.get_submodule(f"body.{index}.lin")(y) * gates
    assert torch.equal(net(x, gates, torch.zeros(5, 4)), y)
    taken = torch.export.export(net, (x, gates, torch.zeros(5, 4))).module()
    torch.testing.assert_close(taken(x, gates, torch.zeros(5, 4)), y)


def test_inputs_by_name():
    layers = {
        "a": LINEAR,
        "b": dict(LINEAR, inputs="input"),
        "c": {"type": "Add", "inputs": ["a", "b", "input"]},
        "d": {"type": "ReLU", "inputs": "a"},
        "e": {"type": "Multiply", "inputs": ["c", "d"]},
        "f": LINEAR,
        "g": {"type": "Concat", "inputs": ["f", "b", "f"]},
    }
    net = built(layers, 4)
    x = torch.randn(5, 4)
    a, b = net.a(x), net.b(x)
    f = net.f((a + b + x) * a.relu())
    assert torch.equal(net(x), torch.cat([f, b, f], 1))


def test_second_outputs_and_states():
    layers = {
        "encoder": {"type": "LSTM", "hidden_size": 3},
        "decoder": {"type": "LSTM", "hidden_size": 3, "inputs": ["input", "encoder.1"]},
        "cell": {"type": "Select", "dim": 0, "index": -1, "inputs": "decoder.1.1"},
        "last": {"type": "Select", "dim": 1, "index": -1, "inputs": "decoder"},
        "both": {"type": "Concat", "inputs": ["cell", "last"]},
    }
    net = built(layers, 6, 4)
    x = torch.randn(5, 6, 4)
    _, state = net.encoder(x)
    output, (_, cell) = net.decoder(x, state)
    assert torch.equal(net(x), torch.cat([cell[-1], output[:, -1]], 1))


def test_the_model_gives_its_first_output():
    net = built({"rnn": {"type": "LSTM", "hidden_size": 3}}, 6, 4)
    x = torch.randn(5, 6, 4)
    assert torch.equal(net(x), net.rnn(x)[0])


def test_a_combinator_reads_several_values():
    inner = {"first": LINEAR, "sum": {"type": "Add", "inputs": ["first", "input.1"]}}
    layers = {
        "a": LINEAR,
        "b": dict(LINEAR, inputs="input"),
        "block": {"type": "Sequential", "inputs": ["a", "b"], "layers": inner},
    }
    net = built(layers, 4)
    x = torch.randn(5, 4)
    assert torch.equal(net(x), net.block.first(net.a(x)) + net.b(x))


def test_a_combinator_reads_a_state():
    inner = {"cell": {"type": "Select", "dim": 0, "index": 0, "inputs": "input.1"}, "lin": LINEAR}
    layers = {
        "rnn": {"type": "LSTM", "hidden_size": 4},
        "block": {"type": "Sequential", "inputs": "rnn.1", "layers": inner},
    }
    net = built(layers, 6, 4)
    x = torch.randn(5, 6, 4)
    assert torch.equal(net(x), net.block.lin(net.rnn(x)[1][1][0]))


def test_several_model_inputs():
    inputs = {"left": {"shape": [4]}, "right": {"shape": [3]}}
    net = built({"score": {"type": "Bilinear", "out_features": 2, "inputs": ["left", "right"]}}, inputs=inputs)
    left, right = torch.randn(5, 4), torch.randn(5, 3)
    assert torch.equal(net(left, right), net.score(left, right))
    with pytest.raises(TypeError, match="forward takes 2 inputs, but gets 1"):
        net(left)


def test_unused_inputs_and_outputs():
    inputs = {"left": {"shape": [4]}, "right": {"shape": [3]}}
    layers = {"unused": dict(LINEAR, inputs="left"), "head": dict(LINEAR, inputs="left"), "act": "ReLU"}
    net = built(layers, inputs=inputs)
    left, right = torch.randn(5, 4), torch.randn(5, 3)
    assert torch.equal(net(left, right), net.head(left).relu())


def test_names_are_state_dict_keys_and_execution_order():
    body = {"norm": "LayerNorm", "lin": LINEAR}
    layers = {"z": LINEAR, "body": {"type": "Repeat", "times": 2, "layers": body}, "a": LINEAR}
    net = built(layers, 4)
    assert list(dict(net.named_children())) == ["z", "body", "a"]
    assert [name for name in net.state_dict() if name.endswith("weight")] == [
        "z.weight",
        "body.0.norm.weight",
        "body.0.lin.weight",
        "body.1.norm.weight",
        "body.1.lin.weight",
        "a.weight",
    ]


class Watch(nn.Module):
    """Counts which values of a run are still alive when a layer runs."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, weakref.ref[Tensor]] = {}
        self.alive: dict[str, set[str]] = {}

    def attach(self, net: nn.Module) -> None:
        for name, layer in net.named_children():
            layer.register_forward_pre_hook(lambda module, args, name=name: self.before(name))
            layer.register_forward_hook(lambda module, args, output, name=name: self.after(name, output))

    def before(self, name: str) -> None:
        self.alive[name] = {known for known, value in self.values.items() if value() is not None}

    def after(self, name: str, output: Tensor) -> None:
        self.values[name] = weakref.ref(output)


def test_a_value_is_freed_after_its_last_reader():
    layers = {
        "a": "Tanh",
        "b": "Sigmoid",
        "c": {"type": "Tanh", "inputs": "a"},
        "sum": {"type": "Add", "inputs": ["a", "b", "c"]},
        "d": "Tanh",
        "e": "Sigmoid",
        "f": {"type": "Multiply", "inputs": ["e", "d"]},
        "g": "Tanh",
    }
    net, watch = built(layers, 4), Watch()
    watch.attach(net)
    with torch.no_grad():
        net(torch.randn(2, 4))
    assert watch.alive == {
        "a": set(),
        "b": {"a"},
        "c": {"a", "b"},
        "sum": {"a", "b", "c"},
        "d": {"sum"},
        "e": {"d"},
        "f": {"d", "e"},
        "g": {"f"},
    }


def test_an_unread_value_is_freed_at_once():
    layers = {"unread": "Tanh", "a": {"type": "Sigmoid", "inputs": "input"}, "b": "Tanh"}
    net, watch = built(layers, 4), Watch()
    watch.attach(net)
    with torch.no_grad():
        net(torch.randn(2, 4))
    assert watch.alive == {"unread": set(), "a": set(), "b": {"a"}}


def test_steps_know_what_each_child_is_the_last_to_read():
    reads = {"a": [Read("x")], "b": [Read("x"), Read("a")], "c": [Read("b")], "d": [Read("c")]}
    found = _steps(reads, list(reads), ["x", "y"], [Read("b")])
    assert [(name, dead) for name, _, _, dead in found] == [
        ("a", ("y",)),
        ("b", ("x", "a")),
        ("c", ()),
        ("d", ("c", "d")),
    ]
