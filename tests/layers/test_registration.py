"""register_layer: the module is the declaration. What it says becomes schema, shapes and roles."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge import plugins
from modelforge.block import Block
from modelforge.layers import layouts, registry
from modelforge.layers.combinators import Combinator
from modelforge.layers.layouts import ParameterLayout, layout
from modelforge.layers.register import register_layer


@pytest.fixture(autouse=True)
def _unregister() -> Iterator[None]:
    registry.names()
    types, known = dict(registry._TYPES), dict(layouts._LAYOUTS)
    yield
    for table, before in ((registry._TYPES, types), (layouts._LAYOUTS, known)):
        table.clear()
        table.update(before)


def one(type_name: str, *shape: int, init: object = None, **arguments: object) -> mf.ModelSpec:
    layers = {"layer": {"type": type_name, **arguments}}
    return mf.parse({"input": {"shape": list(shape)}, "layers": layers}, init=init)


class Gated(nn.Module):
    """A gate for each feature."""

    def __init__(self, dim: int, sharp: float = 1.0) -> None:
        super().__init__()
        self.sharp = sharp
        self.gate = nn.Parameter(torch.empty(dim))
        self.mix = nn.Parameter(torch.empty(2 * dim, dim))

    def forward(self, x: Tensor) -> Tensor:
        return (x * (self.sharp * self.gate).sigmoid()) @ self.mix.T


def test_signature_shape_and_roles():
    register_layer(axes="... features", infer={"dim": -1}, roles={"gate": "scale", "mix": "weight"})(Gated)
    plan = mf.plan(one("Gated", 3, init="xavier"))
    assert plan.layers[0].arguments == {"dim": 3, "sharp": 1.0}
    assert str(plan.output) == "(6,)"
    assert [(item.path, item.role, item.scheme) for item in plan.parameters] == [
        ("layer.gate", "scale", "constant"),
        ("layer.mix", "weight", "xavier"),
    ]
    assert plan.parameter("layer.mix").std == pytest.approx((2 / (3 + 6)) ** 0.5)
    model = mf.build(plan)
    assert model.ledger.ok
    assert model(torch.ones(2, 3)).shape == (2, 6)


def test_a_parameter_without_a_role_must_be_named():
    register_layer(infer={"dim": -1})(Gated)
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(one("Gated", 3, init="xavier"))
    assert [(problem.code, problem.message) for problem in caught.value.problems] == [
        ("MF025", "no rule covers layer.gate (3,), and its role is not known"),
        ("MF025", "no rule covers layer.mix (6, 3), and its role is not known"),
    ]
    assert "params: {gate: ...}" in caught.value.problems[0].hint
    named = {"params": {"*.gate": "ones", "layer.mix": {"scheme": "normal", "std": 0.1}}}
    assert mf.build(mf.parse(one("Gated", 3).to_dict(), init=named)).ledger.ok


def test_a_layout_gives_logical_blocks():
    def halves(module: Gated) -> dict[str, ParameterLayout]:
        rows = module.mix.shape[0] // 2
        blocks = tuple(
            Block(shape=(rows, rows), fan_in=rows, fan_out=rows, name=name, start=start * rows)
            for start, name in enumerate(("up", "down"))
        )
        return {
            "mix": ParameterLayout("weight", blocks),
            "gate": ParameterLayout("scale", (layouts.whole(module.gate),)),
        }

    register_layer(infer={"dim": -1}, layout=halves)(Gated)
    model = mf.build(one("Gated", 4, init="orthogonal"))
    for half in model.layer.mix.chunk(2):
        assert torch.allclose(half @ half.T, torch.eye(4), atol=1e-6)
    assert model.ledger["layer.mix"].blocks == ("up", "down")


def test_layouts_are_inherited():
    class MyLinear(nn.Linear):
        """Linear, with another name."""

    assert layout(MyLinear(3, 2)).keys() == {"weight", "bias"}
    assert layout(MyLinear(3, 2))["weight"].role == "weight"


def test_unknown_modules_are_not_guessed():
    class Unknown(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(2, 3))
            self.bias = nn.Parameter(torch.zeros(2))
            self.other = nn.Parameter(torch.zeros(2))

    known = layout(Unknown())
    assert {name: item.role for name, item in known.items()} == {"weight": None, "bias": "bias", "other": None}


def test_a_matrix_called_bias_is_not_a_bias():
    class Pairwise(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(4, 4))

    assert layout(Pairwise())["bias"].role is None


RECURRENT = {
    "LSTM": (lambda cls: cls(3, 4, proj_size=2, num_layers=2), ("i", "f", "g", "o"), ()),
    "GRU": (lambda cls: cls(3, 4), ("r", "z", "n"), ()),
    "RNN": (lambda cls: cls(3, 4, nonlinearity="relu"), ("",), ("ReLU",)),
    "LSTMCell": (lambda cls: cls(3, 4), ("i", "f", "g", "o"), ()),
    "GRUCell": (lambda cls: cls(3, 4), ("r", "z", "n"), ()),
    "RNNCell": (lambda cls: cls(3, 4), ("",), ("Tanh",)),
}


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("other", ["My", "GRULike", "LSTMLike", "RNNLike"])
def test_gates_come_from_the_class_and_not_from_its_name(name: str, other: str):
    make, gates, follows = RECURRENT[name]
    known = layout(make(type(other, (getattr(nn, name),), {})))
    for parameter, item in known.items():
        names = ("",) if "_hr_" in parameter else gates
        after = () if "_hr_" in parameter else follows
        assert tuple(block.name for block in item.blocks) == names, parameter
        for block in item.blocks if item.role != "bias" else ():
            assert block.activations is not None, parameter
            assert tuple(activation.name for activation in block.activations) == after, parameter


ARGUMENTS = {
    "Linear": (3, 2),
    "Bilinear": (3, 2, 4),
    "MultiheadAttention": (4, 2),
    "Embedding": (5, 3),
    "EmbeddingBag": (5, 3),
    "LayerNorm": (3,),
    "GroupNorm": (1, 3),
    "RMSNorm": (3,),
    "PReLU": (),
    "RNNBase": ("GRU", 3, 4),
    "_ConvNd": None,
    "_NormBase": None,
} | {name: (3, 4) for name in RECURRENT}


@pytest.mark.parametrize("cls", [cls for cls in layouts._LAYOUTS if cls.__module__.startswith("torch.nn")])
def test_subclasses_are_laid_out_like_their_class(cls: type[nn.Module]):
    assert cls.__name__ in ARGUMENTS
    arguments: tuple[object, ...] | None = ARGUMENTS[cls.__name__]  # pyright: ignore[reportAssignmentType]  # of mixed values
    if arguments is None:  # abstract: its subclasses are the classes that people know
        cls, arguments = {"_ConvNd": (nn.Conv2d, (3, 4, 2)), "_NormBase": (nn.BatchNorm1d, (3,))}[cls.__name__]
    assert layout(type("Another", (cls,), {})(*arguments)) == layout(cls(*arguments))


def test_a_name_is_taken_once():
    register_layer(name="Gate")(Gated)
    with pytest.raises(ValueError, match=r"a layer named 'Gate' is registered already: .*\.Gated"):
        register_layer(name="Gate")(nn.Tanh)


def test_a_class_that_is_defined_again_replaces_the_old_one():
    def define(width: int, roles: dict[str, str] | None) -> type[nn.Module]:
        @register_layer(roles=roles)
        class Table(nn.Module):
            """A table."""

            def __init__(self) -> None:
                super().__init__()
                self.weight = nn.Parameter(torch.empty(width, 2))

            def forward(self, x: Tensor) -> Tensor:
                return x @ self.weight.T

        return Table

    old = define(3, {"weight": "weight"})
    assert str(mf.plan(one("Table", 2, init="xavier")).output) == "(3,)"
    new = define(5, None)
    assert str(mf.plan(one("Table", 2, init={"params": {"*": "ones"}})).output) == "(5,)"
    assert registry.get("Table").make is new
    assert layout(old())["weight"].role is None


def test_unregister_forgets_the_layout():
    register_layer(roles={"mix": "weight"})(Gated)
    assert layout(Gated(2))["mix"].role == "weight"
    registry.unregister("Gated")
    assert layout(Gated(2))["mix"].role is None
    register_layer(name="Dense")(nn.Linear)
    registry.unregister("Dense")
    assert layout(nn.Linear(3, 2))["weight"].role == "weight"


def test_tuples_arrive_where_no_axes_are_named():
    @register_layer(infer={"dim": -1})
    class LastHidden(nn.Module):
        """The hidden state of an LSTM's state."""

        def __init__(self, dim: int = 7) -> None:
            super().__init__()

        def forward(self, state: tuple[Tensor, Tensor]) -> Tensor:
            return state[0][-1]

    layers = {"rnn": {"type": "LSTM", "hidden_size": 6}, "last": {"type": "LastHidden", "inputs": "rnn.1"}}
    plan = mf.plan(mf.parse({"input": {"shape": [5, 3]}, "layers": layers}, init="xavier"))
    assert str(plan.output) == "(6,)"


def test_an_entry_point_that_fails_is_named(monkeypatch: pytest.MonkeyPatch):
    class Broken:
        name, value = "mine", "my_layers.broken"
        dist = SimpleNamespace(name="my-layers")

        def load(self) -> None:
            raise ImportError("no module named my_layers")

    monkeypatch.setattr(plugins, "_loaded", set())
    monkeypatch.setattr(plugins, "entry_points", lambda group: [Broken()] if group == registry.GROUP else [])
    for _ in range(2):
        with pytest.raises(mf.ForgeError) as caught:
            registry.names()
        (problem,) = caught.value.problems
        assert problem.message == (
            "the package `my-layers` offers `my_layers.broken` to modelforge, but that cannot be imported: "
            "ImportError: no module named my_layers"
        )
        assert problem.hint == "mend, update or uninstall it: `pip uninstall my-layers`"


def test_a_layer_must_give_tensors():
    @register_layer
    class Text(nn.Module):
        """Says something."""

        def forward(self, x: Tensor) -> str:
            return "x"

    with pytest.raises(mf.ForgeError, match=r"MF043\]: a layer must give tensors, but gives a str"):
        mf.plan(one("Text", 3))


def test_bare_decorator_and_plain_types():
    @register_layer
    class Scaled(nn.Module):
        """x times a number."""

        def __init__(self, by: float, names: list[str] | None = None) -> None:
            super().__init__()
            self.by = by
            self.names = names

        def forward(self, x: Tensor) -> Tensor:
            return x * self.by

    assert one("Scaled", 3, by=2).layers["layer"].arguments == {"by": 2.0, "names": None}
    with pytest.raises(mf.ForgeError, match="`by` must be a number, but is 'two'"):
        one("Scaled", 3, by="two")
    with pytest.raises(mf.ForgeError, match="Scaled needs the argument `by`"):
        one("Scaled", 3)


def test_activations_are_followed():
    @register_layer(kind="activation")
    class Square(nn.Module):
        """x²."""

        def forward(self, x: Tensor) -> Tensor:
            return x.square()

    layers = {"hidden": {"type": "Linear", "out_features": 4}, "drop": "Dropout", "act": "Square"}
    init = {"scheme": "kaiming", "gain": "auto"}
    plan = mf.plan(mf.parse({"input": {"shape": [3]}, "layers": layers}, init=init))
    # E[(x²)²] = 3 for a standard normal x: the gain that keeps the second moment is 1/√3.
    assert plan.parameter("hidden.weight").numbers["gain"] == pytest.approx(3**-0.5, rel=1e-6)


def test_a_combinator_must_say_how_it_is_wired():
    class Unwired(Combinator):
        type: Literal["Unwired"] = "Unwired"  # pyright: ignore[reportIncompatibleVariableOverride]  # narrower

    with pytest.raises(TypeError, match="abstract"):
        Unwired()  # pyright: ignore[reportAbstractUsage]  # that is the point
