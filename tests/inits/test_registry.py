"""The registry: names and aliases, what it refuses, entry points, and what it tells of each scheme."""

from __future__ import annotations

import importlib.metadata
import sys
from types import ModuleType

import pytest
import torch
from torch import Tensor

from modelforge import inits
from modelforge.core import plugins
from modelforge.core.errors import ForgeError
from modelforge.core.rng import Key
from modelforge.inits import Constant, Elementwise, Law, Matrix, Matrixwise, registry


@pytest.fixture
def fresh_registry(monkeypatch: pytest.MonkeyPatch):
    inits.names()  # what modelforge ships is there
    monkeypatch.setattr(registry.SCHEMES, "_entries", dict(registry.SCHEMES._entries))
    monkeypatch.setattr(registry.SCHEMES, "_aliases", dict(registry.SCHEMES._aliases))
    monkeypatch.setattr(plugins, "_loaded", set())


def test_names_and_aliases():
    assert inits.names() == tuple(sorted(inits.names()))
    assert {"constant", "keep", "orthogonal", "torch", "xavier"} < set(inits.names())
    assert not set(inits.names()) & set(inits.aliases())
    assert set(inits.aliases().values()) < set(inits.names())
    assert inits.get("glorot") is inits.get("xavier")
    with pytest.raises(KeyError):
        inits.get("xavir")


def test_field_names_are_of_all_schemes():
    assert {"gain", "mode", "std", "low", "sparsity", "method", "forget"} < inits.field_names()
    assert not inits.field_names() & registry.RESERVED


def test_role_defaults_are_complete_and_read_only():
    assert {role: inits.create(block).scheme for role, block in inits.ROLE_DEFAULTS.items()} == {
        "bias": "constant",
        "scale": "constant",
        "embedding": "normal",
    }
    with pytest.raises(TypeError, match="does not support item assignment"):
        inits.ROLE_DEFAULTS["bias"] = {}  # pyright: ignore[reportIndexIssue]  # that is the point


@pytest.mark.usefixtures("fresh_registry")
def test_one_class_with_one_method_is_enough():
    @inits.register_initializer("ramp", aliases=("slope",))
    class Ramp(Matrixwise):
        """From 0 up."""

        step: float = 1.0
        """How much each element adds."""

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
            torch.arange(out.numel(), out=out.view(-1)).mul_(self.step)

    fill = inits.create({"scheme": "slope", "step": 0.5}).resolve(Matrix(shape=(2, 2), fan_in=2, fan_out=2))
    out = torch.empty(2, 2)
    fill.draw_(out, Key(0))
    assert out.tolist() == [[0.0, 0.5], [1.0, 1.5]]
    assert (fill.mean, fill.std, fill.promise.exact_std, fill.elementwise) == (None, None, False, False)
    assert fill.numbers == {"step": 0.5}
    assert inits.describe("slope")["fields"] == [
        {"name": "step", "type": "number", "required": False, "default": 1.0, "doc": "How much each element adds."}
    ]


@pytest.mark.usefixtures("fresh_registry")
def test_defining_a_class_again_replaces_it():
    def define() -> type[Elementwise]:
        @inits.register_initializer("again", aliases=("once_more",))
        class Again(Elementwise):
            """One."""

            def law(self, matrix: Matrix) -> Law:
                return Constant(1.0)

        return Again

    define()
    second = define()
    assert inits.get("again") is second is inits.get("once_more")


class _Undocumented(Elementwise):
    def law(self, matrix: Matrix) -> Law:
        return Constant(1.0)


class _Documented(_Undocumented):
    """One."""


class _Unfinished(Elementwise):
    """Nothing yet."""


class _Clash(_Undocumented):
    """One."""

    bias: float = 0.0


@pytest.mark.parametrize(
    ("cls", "names", "error", "message"),
    [
        (_Undocumented, ("new",), TypeError, "_Undocumented needs a docstring that says what it does"),
        (_Unfinished, ("new",), TypeError, "_Unfinished does not implement law"),
        (
            _Clash,
            ("new",),
            TypeError,
            "_Clash has a field `bias`, which is a key of every init block: give it another",
        ),
        (torch.nn.Linear, ("new",), TypeError, "torch.* is not a subclass of Elementwise or Matrixwise"),
        (_Documented, ("xavier",), ValueError, r"a scheme `xavier` exists already: .*\.Xavier"),
        (_Documented, ("glorot",), ValueError, r"a scheme `glorot` exists already: .*\.Xavier"),
        (_Documented, ("new", "he"), ValueError, r"a scheme `he` exists already: .*\.Kaiming"),
    ],
)
@pytest.mark.usefixtures("fresh_registry")
def test_what_is_refused(cls, names: tuple[str, ...], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        inits.register_initializer(names[0], aliases=names[1:])(cls)
    assert "new" not in inits.names()


def entry_point(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    found = importlib.metadata.EntryPoint("plugin", module, registry.SCHEMES.group)
    monkeypatch.setattr(plugins, "_offered", lambda group: [found] if group == registry.SCHEMES.group else [])


@pytest.mark.usefixtures("fresh_registry")
def test_entry_points_are_imported_when_the_registry_is_first_read(monkeypatch: pytest.MonkeyPatch):
    plugin = ModuleType("plugin_of_a_test")
    monkeypatch.setitem(sys.modules, plugin.__name__, plugin)
    entry_point(monkeypatch, plugin.__name__)

    def load(self: importlib.metadata.EntryPoint) -> None:
        assert "xavier" in inits.names(), "a plugin may read the registry while it is loaded"
        inits.register_initializer("from_plugin")(_Documented)

    monkeypatch.setattr(importlib.metadata.EntryPoint, "load", load)
    assert "from_plugin" in inits.names()


@pytest.mark.usefixtures("fresh_registry")
def test_a_broken_entry_point_says_which(monkeypatch: pytest.MonkeyPatch):
    entry_point(monkeypatch, "no_such_module_at_all")
    for _ in range(2):
        with pytest.raises(ForgeError) as caught:
            inits.names()
        (problem,) = caught.value.problems
        assert problem.key == "modelforge.initializers:plugin"
        assert problem.message == (
            "the entry point `plugin` offers `no_such_module_at_all` to modelforge, but that cannot be imported: "
            "ModuleNotFoundError: No module named 'no_such_module_at_all'"
        )


@pytest.mark.parametrize("name", inits.names())
def test_every_scheme_is_documented(name: str):
    facts = inits.describe(name)
    assert facts["summary"].endswith(".")
    assert facts["formula"]
    assert facts["source"]
    assert inits.create(facts["example"]).scheme == name
    for field in facts["fields"]:
        assert field["doc"].endswith("."), f"{name}.{field['name']} has no documentation"
        assert field["required"] or field["default"] is not None
        assert field["type"]


def test_descriptions_are_for_reading():
    facts = inits.describe("he")
    assert facts["aliases"] == ["he"]
    types = {field["name"]: field["type"] for field in facts["fields"]}
    assert types == {
        "gain": "number > 0 | auto | auto_backward | critical | activation | activation(…)",
        "mode": "fan_in | fan_out | fan_avg | fan_geo",
        "distribution": "uniform | normal | truncated_normal",
        "truncate": "number > 0",
    }
    assert {field["name"]: field["type"] for field in inits.describe("sparse")["fields"]} == {
        "sparsity": "number >= 0, < 1",
        "std": "number >= 0",
        "axis": "fan_in | fan_out",
    }
