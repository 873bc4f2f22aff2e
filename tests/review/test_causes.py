"""The edit that a difference comes from, and what each edit does by itself."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from modelforge.review.cause import TracedCause
from tests.review.trees import edit, review

BLOCK = """
input: {shape: [8]}
blocks:
  cell:
    args: {width: "???"}
    layers:
      up: {type: Linear, out_features: "${arg:width}"}
      down: {type: Linear, out_features: "${calc:'2 * width'}"}
layers:
  first: {type: cell, width: 4}
  second: {type: cell, width: 4}
"""


def causes(*sides: str) -> dict[str, TracedCause]:
    """The causes by the key of the first edit."""
    return {one.edits[0].change.name: one for one in review(*(sides or ("old", "conf"))).causes}


def both(name: str, text: str) -> None:
    for folder in ("old", "conf"):
        Path(folder, name).write_text(text, encoding="utf-8")


def test_an_edit_is_one_cause_in_all_compositions_that_show_it(trees: Path):
    edit("conf/init/xavier.yaml", "gain: 1.0", "gain: 2.0")
    (cause,) = causes().values()
    (written,) = cause.edits
    assert (written.kind, written.how, written.file, written.change.name) == (
        "value",
        "set",
        "init/xavier.yaml",
        "gain",
    )
    assert str(written.change.new_place) == "conf/init/xavier.yaml:2:7"
    assert set(cause.labels) == {"the default", "model=deep", "extra=wide"}


def test_an_argument_of_a_block_is_the_cause_of_all_layers_that_use_it(trees: Path):
    both("model/mlp.yaml", BLOCK)
    edit("conf/model/mlp.yaml", "first: {type: cell, width: 4}", "first: {type: cell, width: 6}")
    outcome = causes()["layers.first.width"].outcomes[0]
    assert outcome.diff is not None
    assert {item.path for item in outcome.diff.parameters} == {
        *("first.up.weight", "first.up.bias", "first.down.weight", "first.down.bias", "second.up.weight")
    }


def test_a_value_behind_interpolations_is_the_cause(trees: Path):
    both("config.yaml", "defaults: [_self_, model: mlp, init: xavier]\nseed: 0\nwidth: 4\nhalf: ${width}\n")
    both("model/mlp.yaml", "input: {shape: [8]}\nlayers: {a: {type: Linear, out_features: '${half}'}}\n")
    edit("conf/config.yaml", "width: 4", "width: 6")
    (cause,) = causes().values()
    assert cause.edits[0].change.name == "width"
    assert [change.name for change in cause.outcomes[0].derived] == ["half", "model.layers.a.out_features"]
    assert cause.outcomes[0].diff is not None


def test_two_edits_of_one_parameter_are_one_cause_of_it(trees: Path):
    edit("conf/init/xavier.yaml", "gain: 1.0", "gain: 2.0")
    edit("conf/model/mlp.yaml", "out_features: 4", "out_features: 6")
    changes = {
        tuple(one.change.name for one in cause.edits): {
            item.path: {change.name for change in item.changes} for item in cause.outcomes[0].diff.parameters
        }
        for cause in review("old", "conf").causes
        if cause.outcomes[0].diff is not None
    }
    width = "layers.hidden.out_features"
    assert changes[(width,)] == {"hidden.bias": {"shape"}}
    assert changes[(width, "gain")] == {"hidden.weight": {"gain", "shape", "fan_out", "std"}}


def test_edits_that_have_a_plan_only_together_are_one_cause(trees: Path):
    both("model/mlp.yaml", BLOCK)
    renamed = BLOCK.replace("width", "size").replace("first: {type: cell, size: 4}", "first: {type: cell, size: 6}")
    Path("conf/model/mlp.yaml").write_text(renamed, encoding="utf-8")
    (cause,) = causes().values()
    assert [written.change.name for written in cause.edits] == [
        *("blocks.cell.args.size", "blocks.cell.layers.up.out_features", "blocks.cell.layers.down.out_features"),
        *("layers.first.size", "layers.first.width", "layers.second.size", "layers.second.width"),
    ]
    assert cause.outcomes[0].diff is not None


def test_another_option_is_blamed_on_the_list_of_defaults(trees: Path):
    edit("conf/config.yaml", "init: xavier", "init: zeros")
    (cause,) = causes().values()
    (written,) = cause.edits
    assert (written.kind, written.file) == ("defaults", "config.yaml")
    assert str(written.change.new_place) == "conf/config.yaml:1:11"


def test_a_file_that_comes_or_goes_is_a_cause(trees: Path):
    Path("conf/model/deep.yaml").unlink()
    edit("conf/init/zeros.yaml", "scheme: zeros", "scheme: zeros  # none")
    Path("conf/model/new.yaml").write_text("defaults: [mlp]\n", encoding="utf-8")
    found = causes()
    assert {name: (one.edits[0].how, one.outcomes[0].arrival) for name, one in found.items()} == {
        "model/deep.yaml": ("removed", "removed"),
        "model/new.yaml": ("added", "added"),
    }


def test_a_renamed_layer_is_one_edit(trees: Path):
    edit("conf/model/mlp.yaml", "hidden:", "first:")
    cause = causes()["layers.first"]
    assert (cause.edits[0].how, cause.edits[0].old_name) == ("renamed", "hidden")


def test_the_edit_that_breaks_a_composition_is_named(trees: Path):
    edit("conf/init/xavier.yaml", "gain: 1.0", "gain: 2.0")
    edit("conf/model/deep.yaml", "type: Linear", "type: Linaer")
    broken = [one for one in causes().values() if any(outcome.arrival == "broken" for outcome in one.outcomes)]
    (cause,) = broken
    assert [written.change.name for written in cause.edits] == ["layers.more.type"]


def test_overrides_are_causes(trees: Path):
    found = causes("init.gain=1", "init.gain=2 +model.layers.more=ReLU")
    assert {name: one.edits[0].kind for name, one in found.items()} == {
        "init.gain=2": "override",
        "+model.layers.more=ReLU": "override",
    }


def test_causes_are_plain_data(trees: Path):
    edit("conf/init/xavier.yaml", "gain: 1.0", "gain: 2.0")
    (cause,) = causes().values()
    data = cause.to_dict()
    assert data["edits"][0]["file"] == "init/xavier.yaml"
    assert data["outcomes"][0]["compositions"][0] == "the default"


def test_sections_that_change_places_are_blamed_on_the_defaults_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    layers = "layers: {flat: Flatten, head: {type: Linear, out_features: 10}}"
    inline = f"model: {{input: '${{data.input}}', {layers}}}\ninit: {{scheme: xavier, gain: 2}}\n"
    for folder, option in (("old", "null"), ("conf", "xavier")):
        shutil.copytree(Path(__file__).parent / "pairs" / "base", folder)
        head = f"# @package _global_\ndefaults: [{{override /model: null}}, {{override /init: {option}}}]\n"
        Path(folder, "experiment/own.yaml").write_text(head + inline, encoding="utf-8")
    assert [cause.edits[0].file for cause in causes().values()] == ["experiment/own.yaml"]


def test_an_optional_file_that_comes_is_the_cause_of_its_choice(trees: Path):
    for folder in ("old", "conf"):
        edit(f"{folder}/config.yaml", "optional extra: null", "optional extra: null, optional local: default")
    Path("conf/local").mkdir()
    Path("conf/local/default.yaml").write_text("# @package _global_\nseed: 3\n", encoding="utf-8")
    causes = review("old", "conf").causes
    assert {edit.change.name for cause in causes for edit in cause.edits} == {"local/default.yaml"}
