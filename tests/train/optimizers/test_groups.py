"""Parameter groups as pure values: members, rules, and the layers that depth counts."""

from __future__ import annotations

import pytest

from modelforge.train.optimizers.groups import Grouping, Member, units_of

BASE = {"lr": 1.0, "weight_decay": 0.5}


@pytest.mark.parametrize(
    ("paths", "units"),
    [
        (["a.weight", "a.bias", "b.weight"], ["a", "a", "b"]),
        (["0.weight", "2.weight"], ["0", "2"]),
        (["embed.weight", "blocks.0.up.weight", "blocks.10.up.weight"], ["embed", "blocks.0", "blocks.10"]),
        # Of lists in lists the outer one counts.
        (["layers.0.mlp.0.weight", "layers.0.mlp.2.weight"], ["layers.0", "layers.0"]),
        (
            ["bert.embeddings.word.weight", "bert.encoder.layer.0.a.weight", "bert.pooler.dense.weight", "head.weight"],
            ["bert.embeddings", "bert.encoder.layer.0", "bert.pooler", "head"],
        ),
        (["token", "patch.weight", "body.scale", "body.layer.0.weight"], ["", "patch", "body", "body.layer.0"]),
    ],
)
def test_layers_as_depth_counts_them(paths: list[str], units: list[str]):
    assert [*units_of(paths).values()] == units


def test_each_layer_has_the_rate_of_its_depth():
    paths = ["token", "patch.weight", "body.0.weight", "body.1.weight", "body.1.bias", "head.weight"]
    groups = Grouping(layer_decay=0.5).assign([Member(path, None) for path in paths], BASE, decays_by_rate=True)
    assert [groups[path].options.get("lr", 1.0) for path in paths] == [1 / 16, 1 / 8, 1 / 4, 1 / 2, 1 / 2, 1.0]
    assert groups["body.1.weight"] is groups["body.1.bias"]


def test_a_tied_parameter_goes_by_all_of_its_names():
    tied = Member("token.weight", "embedding", ("head.weight",))
    assert tied.is_meant("head.*")
    assert tied.is_meant("token.*")
    assert tied.is_meant("embedding")
    assert not tied.is_meant("weight")


def test_a_group_with_a_decay_of_its_own_keeps_it():
    grouping = Grouping(no_decay=("bias",), groups={"a.*": {"weight_decay": 0.1}})
    groups = grouping.assign([Member("a.bias", "bias"), Member("b.bias", "bias")], BASE, decays_by_rate=True)
    assert [group.options["weight_decay"] for group in groups.values()] == [0.1, 0.0]


def test_names_are_different_where_groups_are():
    both = [(layer, role) for layer in "ab" for role in ("bias", "scale")]
    members = [Member(f"{layer}.{role}{rate}", role, rate=rate) for layer, role in both for rate in (1.0, 1 / 3)]
    members += [Member("a.weight", "weight"), Member("c.weight", None, rate=0.3333333)]
    grouping = Grouping(no_decay=("bias",), groups={"a.*": {"lr": 2.0}}, layer_decay=0.9)
    groups = grouping.assign(members, BASE, decays_by_rate=False)
    by_name = {group.name: group for group in groups.values()}
    assert {id(group) for group in groups.values()} == {id(group) for group in by_name.values()}
