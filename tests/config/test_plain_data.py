"""plain_data: a node of a program's own Hydra config as plain data."""

from __future__ import annotations

from typing import Any

import pytest
from omegaconf import DictConfig, OmegaConf

from modelforge.config.plain_data import plain_data
from modelforge.core.errors import ForgeError

MODEL = {
    "input": {"shape": ["${width}"]},
    "blocks": {"mlp": {"args": {"size": "???"}, "layers": {"up": {"type": "Linear", "out_features": "${arg:size}"}}}},
    "layers": {"body": {"type": "mlp", "size": 3}, "head": {"type": "Linear", "out_features": "${data.classes}"}},
}
ELSEWHERE = {"width": 8, "data": {"classes": 2, "path": "???"}}


def config(**more: Any) -> DictConfig:
    return OmegaConf.create({**ELSEWHERE, **more})


def refused(value: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(ForgeError) as caught:
        plain_data(value, ("model", "init"))
    return [(problem.code, problem.key, problem.message) for problem in caught.value.problems]


@pytest.mark.parametrize("value", [None, "xavier", {"a": [1]}, [1, 2]])
def test_what_is_no_node_stays_what_it_is(value):
    assert plain_data(value) is value


@pytest.mark.parametrize("name", ["net", "model"])
def test_a_section_is_resolved_by_the_whole_config_and_keeps_its_templates(name: str):
    found = plain_data(config(**{name: MODEL})[name])
    assert found["input"] == {"shape": [8]}
    assert type(found["input"]["shape"]) is list
    assert found["layers"]["head"]["out_features"] == 2
    assert found["blocks"]["mlp"]["args"] == {"size": "???"}
    assert found["blocks"]["mlp"]["layers"]["up"]["out_features"] == "${arg:size}"


def test_of_a_whole_config_only_the_sections_are_read_wherever_they_stand():
    found = plain_data(
        config(net=MODEL, model="${net}", init="${start}", start={"scheme": "xavier"}), ("model", "init")
    )
    assert {*found} == {"model", "init"}
    assert found["init"] == {"scheme": "xavier"}
    assert found["model"]["input"] == {"shape": [8]}
    assert found["model"]["blocks"]["mlp"]["args"] == {"size": "???"}


def test_a_resolver_of_the_program_may_be_used():
    OmegaConf.register_new_resolver("twice", lambda number: 2 * number)
    try:
        assert plain_data(OmegaConf.create({"net": {"a": "${twice:4}"}}).net) == {"a": 8}
    finally:
        OmegaConf.clear_resolver("twice")


def test_all_that_is_missing_or_broken_is_named():
    broken = {"input": {"shape": ["${nowhere}"]}, "layers": {"head": {"type": "Linear", "out_features": "???"}}}
    assert refused(config(model=broken, init="${a}", a="${init}")) == [
        ("MF003", "model.input.shape.0", "`${nowhere}` leads nowhere: there is no key `nowhere`"),
        ("MF011", "model.layers.head.out_features", "`model.layers.head.out_features` must be given"),
        ("MF003", "a", "interpolations that lead back to themselves: `a` → `init` → `a`"),
    ]
    assert refused(config(model="???")) == [("MF011", "model", "`model` must be given")]
