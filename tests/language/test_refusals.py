"""What the language refuses because it would go wrong later, or in silence."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf

SHAPE = {"shape": [3, 8, 8]}


def problems(layers: dict[str, Any], **model: Any) -> list[str]:
    with pytest.raises(mf.ForgeError) as refusal:
        mf.plan(mf.parse({"input": SHAPE, "layers": layers, **model}, init="kaiming"))
    return [f"{problem.code} {problem.key}: {problem.message}; {problem.hint}" for problem in refusal.value.problems]


def test_nothing_happens_in_place() -> None:
    assert problems({"act": {"type": "ReLU", "inplace": True}}) == [
        "MF012 model.layers.act.inplace: ReLU has no argument `inplace`; "
        "it would overwrite what other layers, or the caller, still read"
    ]


@pytest.mark.parametrize("argument", ["kernel_size", "stride", "dilation", "groups"])
@pytest.mark.parametrize("value", [0, -1])
def test_sizes_that_are_nothing(argument: str, value: int) -> None:
    conv = {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, argument: value}
    (problem,) = problems({"conv": conv})
    assert problem == f"MF014 model.layers.conv.{argument}: `{argument}` must be positive, but is {value}; "


def test_inputs_have_the_precision_of_parameters() -> None:
    (problem,) = problems({"flat": "Flatten"}, input={"shape": [4], "dtype": "float64"})
    assert problem.startswith("MF014 model.input.dtype: `dtype` must be 'float32', 'int64'")


def test_a_near_miss_of_type_is_named() -> None:
    assert problems({"flat": {"typ": "Flatten"}}) == [
        "MF011 model.layers.flat: this layer has no `type`; did you mean `type` where it says `typ`?"
    ]
    assert problems({"flat": "torch.nn.Flaten"}) == [
        "MF010 model.layers.flat: unknown layer type `torch.nn.Flaten`; did you mean `Flatten` or `Unflatten`?"
    ]


def test_a_new_model_has_nothing_to_keep() -> None:
    (problem,) = problems({"flat": "Flatten", "head": {"type": "Linear", "out_features": 2, "init": "keep"}})[:1]
    assert "it keeps values, but the parameter is new" in problem


def test_a_plan_is_made_from_a_spec() -> None:
    with pytest.raises(TypeError, match=r"plan takes a ModelSpec or a Plan, .* but gets a dict"):
        mf.plan({"layers": {}})
