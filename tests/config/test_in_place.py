"""A block with a scheme in place of the `init` group, and what stays where `init.scheme` alone is changed."""

from __future__ import annotations

import pytest

import modelforge as mf
from modelforge.train.command_line import overrides_first


@pytest.mark.parametrize("model", ["mlp", "resnet", "lstm"])
def test_a_block_with_a_scheme_takes_the_place_of_the_group(model: str):
    spec = mf.load(overrides=[f"model={model}", "init={scheme: mup, width: 128, base_width: 32}"])
    assert spec.default_init is not None
    assert spec.default_init.scheme == "mup"
    assert dict(spec.default_init.fields) == {"width": 128, "base_width": 32}


def test_a_mapping_without_a_scheme_refines_the_group():
    spec = mf.load(overrides=["init=kaiming_normal", "init={gain: 2}"])
    assert spec.default_init is not None
    assert dict(spec.default_init.fields) == {"distribution": "normal", "gain": 2, "mode": "fan_in"}


def test_the_order_of_later_overrides_stays():
    spec = mf.load(overrides=["init={scheme: normal, std: 0.02}", "init.std=0.1"])
    assert spec.default_init is not None
    assert dict(spec.default_init.fields) == {"std": 0.1}


def test_a_training_run_takes_the_same_block():
    given = ["model=rnn", "-m", "init={scheme: normal, std: 0.02}", "init.std=0.1,0.2", "init={gain: 2}"]
    assert overrides_first(given) == [
        "model=rnn",
        "~init",
        "+init={scheme: normal, std: 0.02}",
        "init.std=0.1,0.2",
        "init={gain: 2}",
        "-m",
    ]


def test_a_field_that_the_new_scheme_lacks_has_a_way_out():
    with pytest.raises(mf.ForgeError) as caught:
        mf.load(overrides=["init=orthogonal", "init.scheme=normal"])
    hint = "`init.scheme=normal` changes the scheme alone; to replace the whole block: `init={scheme: normal, ...}`"
    told = {(problem.code, problem.key, problem.hint) for problem in caught.value.problems}
    assert {item for item in told if item[0] == "MF021"} == {
        ("MF021", "init.gain", hint),
        ("MF021", "init.method", hint),
    }


def warnings(*overrides: str) -> list[tuple[str, str, str]]:
    found = mf.plan(mf.load(overrides=list(overrides))).warnings
    return [(problem.key, problem.message, problem.hint) for problem in found if problem.code == "MW110"]


def test_fields_that_the_new_scheme_has_too_stay_and_are_named():
    assert warnings("init=kaiming_normal", "init.scheme=xavier") == [
        (
            "init.scheme",
            "`init.scheme=xavier` changes the scheme alone: `distribution`, `gain` and `mode` stay as they were",
            "to replace the whole block: `init={scheme: xavier, ...}`",
        )
    ]
    assert warnings("model=rnn", "init=irnn", "init.scheme=normal") == [
        (
            "init.scheme",
            "`init.scheme=normal` changes the scheme alone: `std` and `recurrent` stay as they were",
            "to replace the whole block: `init={scheme: normal, ...}`",
        )
    ]


@pytest.mark.parametrize(
    "overrides",
    [
        ["init=kaiming_normal"],
        ["init=kaiming_normal", "init.mode=fan_out"],
        ["init=xavier_uniform", "init.scheme=xavier"],
        ["init={scheme: xavier, gain: 2}"],
        ["init=kaiming_normal", "init.scheme=xavier", "init.gain=2", "init.mode=fan_avg", "init.distribution=uniform"],
    ],
    ids=" ".join,
)
def test_what_was_said_with_the_scheme_is_not_named(overrides: list[str]):
    assert warnings(*overrides) == []


def test_irnn_follows_the_paper():
    plan = mf.plan(mf.load(overrides=["model=rnn", "init=irnn", "model.layers.rnn.nonlinearity=relu"]))
    started = {item.path: (item.scheme, item.std) for item in plan.parameters if item.role == "weight"}
    assert set(started.values()) == {("normal", 0.001)}
    assert plan.parameter("rnn.weight_hh_l0").scheme == "irnn"
