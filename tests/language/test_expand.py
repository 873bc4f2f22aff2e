"""Blocks: what is written out is what would be written by hand, and every fault has its place in the block."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.language.expand import expand

DENSE: dict[str, Any] = {
    "args": {"width": "???", "act": "ReLU", "norm": False, "hidden": '${calc:"4 * width"}'},
    "layers": {
        "norm": {"type": "LayerNorm", "when": "${arg:norm}"},
        "up": {"type": "Linear", "out_features": "${arg:hidden}"},
        "act": "${arg:act}",
        "down": {"type": "Linear", "out_features": "${arg:width}", "init": {"gain": '${calc:"1 / width"}'}},
    },
}


def model(layers: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"input": {"shape": [8]}, "layers": layers, **more}


def by_hand(width: int, act: str, *, norm: bool) -> dict[str, Any]:
    layers: dict[str, Any] = {"norm": "LayerNorm"} if norm else {}
    return layers | {
        "up": {"type": "Linear", "out_features": 4 * width},
        "act": act,
        "down": {"type": "Linear", "out_features": width, "init": {"gain": 1 / width}},
    }


def parameters(config: dict[str, Any]) -> dict[str, torch.Tensor]:
    return dict(mf.build(mf.parse(config, init="xavier")).named_parameters())


def equal(one: dict[str, Any], other: dict[str, Any]) -> bool:
    first, second = parameters(one), parameters(other)
    return list(first) == list(second) and all(torch.equal(value, second[name]) for name, value in first.items())


def test_a_use_is_what_would_be_written_by_hand():
    used = model({"body": {"type": "dense", "width": 8, "act": "Tanh", "norm": True}}, blocks={"dense": DENSE})
    assert equal(used, model({"body": {"type": "Sequential", "layers": by_hand(8, "Tanh", norm=True)}}))


def test_the_short_form_uses_the_defaults():
    block = {"args": {"act": "Tanh"}, "layers": {"act": "${arg:act}"}}
    written, problems = expand(model({"body": "tanh"}, blocks={"tanh": block}))
    assert not problems
    assert written["layers"]["body"]["layers"] == {"act": "Tanh"}


def test_blocks_in_blocks_and_arguments_that_name_blocks():
    twice = {
        "args": {"kind": "???", "width": "???"},
        "layers": {name: {"type": "${arg:kind}", "width": "${arg:width}"} for name in ("one", "two")},
    }
    used = model({"body": {"type": "twice", "kind": "dense", "width": 8}}, blocks={"twice": twice, "dense": DENSE})
    inner = {"type": "Sequential", "layers": by_hand(8, "ReLU", norm=False)}
    assert equal(used, model({"body": {"type": "Sequential", "layers": {"one": inner, "two": inner}}}))


def test_copies_count_from_zero():
    layers = {"fc": {"type": "Linear", "out_features": '${calc:"8 + index"}'}}
    used = model({"body": {"type": "Repeat", "times": 3, "layers": layers}})
    sizes = [weight.shape[0] for name, weight in parameters(used).items() if name.endswith("weight")]
    assert sizes == [8, 9, 10]
    plan = mf.plan(mf.parse(used, init="xavier"))
    assert {layer.key for layer in plan.layers if layer.type == "Linear"} == {"model.layers.body.layers.fc"}


def test_copies_that_do_not_count_are_copies_as_before():
    layers = {"fc": {"type": "Linear", "out_features": 8}}
    written, _ = expand(model({"body": {"type": "Repeat", "times": 10_000, "layers": layers}}))
    assert written["layers"]["body"]["layers"] == layers


def test_the_index_of_the_inner_repeat_counts():
    inner = {"type": "Repeat", "times": 2, "layers": {"fc": {"type": "Linear", "out_features": '${calc:"8 + index"}'}}}
    used = model({"body": {"type": "Repeat", "times": 2, "layers": {"inner": inner}}})
    assert [weight.shape[0] for name, weight in parameters(used).items() if name.endswith("weight")] == [8, 9, 8, 9]


def test_a_blocks_own_init_goes_behind_that_of_its_use():
    block = {"init": {"scheme": "normal", "std": 0.5}, "layers": {"fc": {"type": "Linear", "out_features": 8}}}
    layers = {"plain": "fc", "refined": {"type": "fc", "init": {"std": 0.25}}, "other": {"type": "fc", "init": "zeros"}}
    plan = mf.plan(mf.parse(model(layers, blocks={"fc": block}), init="xavier"))
    assert [plan.parameter(f"{name}.fc.weight").std for name in layers] == [0.5, 0.25, 0.0]
    assert plan.parameter("plain.fc.weight").rule.key == "model.blocks.fc.init"


def test_what_is_written_out_parses_to_the_same():
    used = model(
        {
            "one": {"type": "dense", "width": 8},
            "many": {
                "type": "Repeat",
                "times": 2,
                "layers": {"fc": {"type": "Linear", "out_features": '${calc:"8 + index"}'}},
            },
        },
        blocks={"dense": DENSE | {"init": "kaiming"}},
    )
    spec = mf.parse(used, init="xavier")
    again = mf.parse(spec.to_dict())
    assert again == spec
    assert mf.plan(again).to_dict() == mf.plan(spec).to_dict()


def test_a_size_gives_what_is_missing_and_an_argument_goes_before_it():
    args = {"width": "???", "act": "ReLU"}
    sizes = {"small": {"width": 4}, "large": {"width": 16}}
    layers = {"fc": {"type": "Linear", "out_features": "${arg:width}"}, "act": "${arg:act}"}

    def width(**more: Any) -> int:
        config = model(layers, **{"args": args, "size": "small", "sizes": sizes, **more})
        return mf.parse(config).layers["fc"].out_features

    assert width() == 4
    assert width(size="large") == 16
    assert width(size="large", args=args | {"width": 5}) == 5


def test_an_argument_can_stand_beside_args_as_in_the_use_of_a_block():
    layers = {"fc": {"type": "Linear", "out_features": "${arg:width}"}}
    args = {"width": "???"}
    sizes = {"sizes": {"small": {"width": 4}}, "size": "small"}
    assert mf.parse(model(layers, args=args, width=8)).layers["fc"].out_features == 8
    assert mf.parse(model(layers, args=args, width=8, **sizes)).layers["fc"].out_features == 8
    assert told(model(layers, args=args | {"width": 4}, width=8)) == [
        ("model.args.width", "`args` gives `width` a value, and so does `model.width`")
    ]
    [(key, _)] = told(model(layers, args=args, width=[]))
    assert key == "model.layers.fc.out_features"


def told(config: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(mf.parse(config, init="xavier"))
    return [(problem.key, problem.message) for problem in caught.value.problems]


def test_all_faults_are_told_at_once_each_at_its_place():
    blocks = {"dense": DENSE}
    layers = {
        "a": {"type": "dense"},
        "b": {"type": "dense", "width": "8", "acts": "Tanh"},
        "c": {"type": "Linear", "out_features": "${arg:width}"},
        "d": {"type": "dense", "width": 8, "norm": "yes"},
    }
    assert told(model(layers, blocks=blocks)) == [
        ("model.layers.a", "the block `dense` needs the argument `width`"),
        ("model.layers.b.acts", "the block `dense` has no argument `acts`"),
        (
            "model.blocks.dense.args.hidden",
            "`width` must be a number to calculate with, but is '8' (where model.layers.b uses it)",
        ),
        ("model.layers.c.out_features", "there is no argument `width` here"),
        (
            "model.layers.d.norm",
            "`norm` of the block `dense` must be true or false, like its default False, but is 'yes'",
        ),
    ]


@pytest.mark.parametrize("chain", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_block_of_itself_is_refused_with_the_cycle(chain: list[str]):
    blocks = {name: {"layers": {"x": after}} for name, after in zip(chain, [*chain[1:], chain[0]], strict=True)}
    (found,) = told(model({"body": chain[0]}, blocks=blocks))
    assert found[1] == "a block cannot contain itself: " + " → ".join(f"`{name}`" for name in [*chain, chain[0]])


def test_what_grows_without_bound_is_refused():
    blocks = {f"b{i}": {"layers": {"x": f"b{i + 1}", "y": f"b{i + 1}"}} for i in range(40)}
    blocks["b40"] = {"layers": {"act": "ReLU"}}
    assert told(model({"body": "b0"}, blocks=blocks))[0][1] == "the model has more than 20,000 layers"


def test_a_template_that_does_not_end_is_told():
    layers = {"fc": {"type": "Linear", "out_features": "${arg:width"}, "head": {"type": "Linear", "out_features": 2}}
    config = model(layers, args={"width": 3})
    assert ("model.layers.fc.out_features", "`${arg:width` is not a complete template") in told(config)


def test_too_many_layers_are_told_once():
    blocks = {"b0": {"layers": {"act": "ReLU"}}}
    for depth in range(1, 8):
        blocks[f"b{depth}"] = {"layers": {f"l{index}": f"b{depth - 1}" for index in range(9)}}
    assert len(told(model({"all": "b7"}, blocks=blocks))) == 1


@pytest.mark.parametrize("name", [True, None])
def test_yaml_values_do_not_name_layers(name):
    with pytest.raises(mf.ForgeError, match="cannot name a layer"):
        mf.parse({"input": {"shape": [4]}, "layers": {name: {"type": "Linear", "out_features": 2}}})


def test_what_grows_is_bounded():
    doubling = {"a0": "x" * 10} | {f"a{n}": f"${{arg:a{n - 1}}}" * 2 for n in range(1, 30)}
    layers = {"fc": {"type": "Linear", "out_features": "${arg:a29}"}}
    assert any("more than 10,000 characters" in message for _, message in told(model(layers, args=doubling)))
    lists = {"a0": [1]} | {f"a{n}": [f"${{arg:a{n - 1}}}"] * 2 for n in range(1, 30)}
    layers = {"fc": {"type": "Permute", "dims": "${arg:a29}"}}
    assert any("more than 10,000 values" in message for _, message in told(model(layers, args=lists)))
    layers = {"fc": {"type": "Linear", "out_features": '${calc:"round(5, -10 ** 12)"}'}}
    assert len(told(model(layers))) == 1


def test_no_copies_are_no_layer():
    repeat = {"type": "Repeat", "times": '${calc:"depth - 1"}', "layers": {"fc": {"type": "Linear", "out_features": 4}}}
    layers = {"rest": repeat, "head": {"type": "Linear", "out_features": 2}}
    assert list(mf.parse(model(layers, args={"depth": 1})).layers) == ["head"]
    assert list(mf.parse(model(layers, args={"depth": 3})).layers) == ["rest", "head"]
    assert told(model({"rest": {**repeat, "times": 0}}))


def test_a_computed_number_of_copies_below_0_names_what_it_comes_from():
    repeat = {"type": "Repeat", "times": '${calc:"depth - 3"}', "layers": {"fc": {"type": "Linear", "out_features": 4}}}
    with pytest.raises(mf.ForgeError) as caught:
        mf.parse({"input": {"shape": [4]}, "args": {"depth": 1}, "layers": {"rest": repeat}}, init="xavier")
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("MF014", "model.layers.rest.times")
    assert problem.message == '`${calc:"depth - 3"}` is -2, but must be 0 or more'
    assert problem.hint == "`depth` is 1: choose another value"


@pytest.mark.parametrize("when", [False, "${arg:on}"])
def test_a_container_of_which_all_is_left_out_needs_a_condition_itself(when: Any):
    inner = {"type": "Sequential", "layers": {"fc": {"type": "Linear", "out_features": 4, "when": when}}}
    layers = {"trunk": inner, "head": {"type": "Linear", "out_features": 2}}
    with pytest.raises(mf.ForgeError) as caught:
        mf.parse(model(layers, args={"on": False} if when else {}))
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("MF017", "model.layers.trunk.layers")
    assert problem.hint == "give what holds them the same `when`"
    whole = {"trunk": {**inner, "when": when}, "head": {"type": "Linear", "out_features": 2}}
    assert list(mf.parse(model(whole, args={"on": False} if when else {})).layers) == ["head"]


def test_copies_are_not_written_by_hand():
    fc = {"type": "Linear", "out_features": 16}
    copies = {"0": {"z": {"type": "Linear", "out_features": 3}}}
    repeat = {"type": "Repeat", "times": 2, "layers": {"b": fc}, "copies": copies}
    assert any("not by hand" in message for _, message in told(model({"a": repeat})))


def test_a_merge_cannot_be_dropped():
    branches = {"a": {"type": "Linear", "out_features": 2}, "b": {"type": "Linear", "out_features": 2}}
    parallel = {"type": "Parallel", "branches": branches, "merge": {"type": "Add", "when": False}}
    assert told(model({"both": parallel})) == [("model.layers.both.merge.when", "`merge` cannot be dropped")]


def test_an_argument_that_is_given_as_missing_is_missing():
    blocks = {"dense": DENSE}
    assert told(model({"a": {"type": "dense", "width": "???"}}, blocks=blocks))[0][0] == "model.layers.a"
