"""The JSON Schemas for editors: what ships is valid by them, and the mistakes that they can know are found."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

import modelforge as mf
from modelforge import inits
from modelforge.language import registry
from modelforge.language.schema import KINDS, schema
from modelforge.layers.register import unregister_layer

ROOT = Path(__file__).parents[2]
SHIPPED = [(kind, path) for kind in KINDS for path in sorted((ROOT / "conf" / kind).glob("*.yaml"))]


@cache
def validator(kind: str) -> Draft202012Validator:
    Draft202012Validator.check_schema(schema(kind))
    return Draft202012Validator(schema(kind))


def faults(kind: str, data: Any) -> list[tuple[str, str]]:
    return [(".".join(map(str, error.absolute_path)), error.message) for error in validator(kind).iter_errors(data)]


class Yaml12(yaml.SafeLoader):
    """As editors read YAML: `1e-6` is a number."""


Yaml12.add_implicit_resolver(
    "tag:yaml.org,2002:float", yaml.resolver.re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+"), list("-+0123456789")
)


@pytest.mark.parametrize(("kind", "path"), SHIPPED, ids=[f"{kind}-{path.stem}" for kind, path in SHIPPED])
def test_what_ships_is_valid(kind: str, path: Path):
    assert faults(kind, yaml.load(path.read_text(encoding="utf-8"), Yaml12)) == []


def test_every_layer_and_scheme_is_there():
    definitions = schema("model")["$defs"]
    assert definitions.keys() >= {*registry.names()}
    assert definitions.keys() >= {f"init.{name}" for name in (*inits.names(), *inits.aliases())}


@pytest.mark.parametrize(
    ("layer", "at", "says"),
    [
        ({"type": "Linear", "out_feature": 3}, "layers.a", "'out_feature' was unexpected"),
        ({"type": "Linear"}, "layers.a", "'out_features' is a required property"),
        ({"type": "Linear", "out_features": "x"}, "layers.a.out_features", "'x' is not valid"),
        ({"type": "Linear", "out_features": 3, "init": {"gian": 1}}, "layers.a.init", "'gian' was unexpected"),
        (
            {"type": "Linear", "out_features": 3, "init": {"scheme": "zeros", "gain": 1}},
            "layers.a.init",
            "'gain' was unexpected",
        ),
        (
            {"type": "LSTM", "hidden_size": 3, "init": {"bias": {"scheme": "normal", "std": "s"}}},
            "layers.a.init.bias.std",
            "'s'",
        ),
        ({"type": "Residual", "layers": {"b": {"type": "Dropout", "q": 1}}}, "layers.a.layers.b", "'q' was unexpected"),
        (
            {"type": "Residual", "layers": {"b": "ReLU"}, "shortcut": {"type": "Dropout", "q": 1}},
            "layers.a.shortcut",
            "'q'",
        ),
        ({"type": "Linear", "out_features": -3}, "layers.a.out_features", "-3 is not valid"),
        ({"type": "Conv1d", "out_channels": 3, "kernel_size": 0}, "layers.a.kernel_size", "0 is not valid"),
        ({"type": "Conv2d", "out_channels": 3, "kernel_size": [3, -1]}, "layers.a.kernel_size", "[3, -1] is not"),
        ({"type": "Linear", "out_features": 3, "init": {"gain": None}}, "layers.a.init.gain", "None is not valid"),
        ({"type": "Linear", "out_features": 3, "init": {"gain": -1.0}}, "layers.a.init.gain", "-1.0 is not valid"),
        ({"out_features": 3}, "layers.a", "'type' is a required property"),
        (3, "layers.a", "3 is not of type"),
    ],
)
def test_a_mistake_is_found_where_it_is(layer: Any, at: str, says: str):
    found = faults("model", {"input": {"shape": [3]}, "layers": {"a": layer}})
    assert any(place == at and says in message for place, message in found), found


def test_templates_stand_for_any_value():
    layer = {"type": "Linear", "out_features": "${arg:width}", "bias": "${arg:bias}", "when": "${arg:on}"}
    layers = {"a": layer, "b": {"type": "my_block", "width": 3}, "c": "ReLU"}
    assert faults("model", {"input": "${data.input}", "layers": layers}) == []


SECTIONS = ("args", "blocks", "init", "input", "layers", "lint", "outputs", "size", "sizes", "tie")


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_may_be_an_interpolation(section: str):
    model = {"input": {"shape": [3]}, "layers": {"a": "ReLU"}, section: "${common.part}"}
    assert faults("model", model) == []
    assert faults("model", {**model, section: 3.5}) != [] or section == "size"


@pytest.mark.parametrize("value", [3, "ReLU", [0, 1], {"scheme": "xavier"}, None, True])
def test_an_argument_beside_args_may_have_any_value(value: Any):
    block = {"args": {"x": None}, "layers": {"c": "ReLU"}}
    use = {"a": {"type": "b", "x": "${arg:own}"}}
    model = {"input": {"shape": [3]}, "args": {"own": "???"}, "own": value, "blocks": {"b": block}, "layers": use}
    mf.parse(model)
    assert faults("model", model) == []
    del model["args"]
    assert (faults("model", model) == []) is isinstance(value, int | str)


NOTHING = [
    *((name,) for name in ("args", "blocks", "init", "input", "layers", "lint", "outputs", "size", "sizes", "tie")),
    *(("layers", "a", name) for name in ("init", "inputs", "out_features", "in_features", "when", "type")),
    *(("layers", "a", "init", name) for name in ("scheme", "gain", "bias", "types", "params", "distribution")),
    *(("layers", "r", name) for name in ("layers", "shortcut", "merge")),
    *(("blocks", "b", name) for name in ("args", "init", "layers")),
]


@pytest.mark.parametrize("key", NOTHING, ids=".".join)
def test_null_is_valid_where_a_config_may_say_it(key: tuple[str, ...]):
    model: dict[str, Any] = {
        "input": {"shape": [3]},
        "blocks": {"b": {"layers": {"c": "ReLU"}}},
        "layers": {
            "a": {"type": "Linear", "out_features": 3, "init": {"scheme": "xavier"}},
            "r": {"type": "Residual", "layers": {"c": {"type": "Linear", "out_features": 3}}},
            "b": "b",
        },
    }
    place = model
    for name in key[:-1]:
        place = place[name]
    place[key[-1]] = None
    try:
        mf.parse(model, init="xavier")
    except mf.ForgeError:
        return  # `modelforge check` says why; a schema may leave it to that
    assert faults("model", model) == []


def test_a_layer_of_your_own_is_in_it():
    import torch

    @mf.register_layer(name="OfMyOwn")
    class OfMyOwn(torch.nn.Module):  # pyright: ignore[reportUnusedClass]  # the decorator uses it
        """Does nothing."""

        def __init__(self, strength: float) -> None:
            super().__init__()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    try:
        assert schema("model")["$defs"]["OfMyOwn"]["required"] == ["strength"]
    finally:
        unregister_layer("OfMyOwn")


CAN_KNOW = ("MF012", "MF013", "MF015", "MF020")
"""Codes of mistakes that a schema can see wherever they are in the file itself."""


def _can_know(path: Path) -> bool:
    said = path.with_suffix(".out").read_text(encoding="utf-8")
    elsewhere = "overrides:" in path.read_text(encoding="utf-8") or "--> override" in said
    return not elsewhere and any(f"[{code}]" in said for code in CAN_KNOW)


MISTAKES = [path for path in sorted((ROOT / "tests/configs/invalid").glob("*.yaml")) if _can_know(path)]


@pytest.mark.parametrize("path", MISTAKES, ids=lambda path: path.stem)
def test_a_mistake_that_a_schema_can_know_is_refused(path: Path):
    data = yaml.load(path.read_text(encoding="utf-8"), Yaml12)
    assert any(faults(kind, data[kind]) for kind in KINDS if data.get(kind) is not None)


def test_there_are_such_mistakes():
    assert len(MISTAKES) >= 15
