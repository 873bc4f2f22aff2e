"""Two sides compared: every composition that reads a file that differs."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.core.errors import ForgeError
from modelforge.review.compare import review as review_pair
from modelforge.review.documented import documented
from modelforge.review.pair import open_sides
from tests.review.trees import FILES, edit, review


def test_equal_folders_are_equal_and_nothing_but_the_default_is_composed(trees: Path):
    found = review("old", "conf")
    assert found.equal
    assert [entry.label for entry in found.entries] == ["the default"]
    assert (found.num_files, found.num_unaffected, found.files) == (6, 5, ())


def test_only_compositions_that_read_a_changed_file_are_compared(trees: Path):
    edit("conf/model/deep.yaml", "out_features: 2", "out_features: 3")
    found = review("old", "conf")
    default, deep = found.entries
    assert default.equal
    assert (deep.label, deep.kind, deep.equal) == ("model=deep", "changed", False)
    assert [(change.name, change.old, change.new) for change in deep.values] == [
        ("model.layers.more.out_features", 2, 3)
    ]
    assert found.num_unaffected == 4


def test_a_file_of_one_side_is_a_composition_of_one_side(trees: Path):
    Path("conf/init/ones.yaml").write_text("scheme: ones\n")
    Path("conf/model/deep.yaml").unlink()
    kinds = {entry.label: entry.kind for entry in review("old", "conf").entries}
    assert kinds == {"the default": "changed", "model=deep": "removed", "init=ones": "added"}


def test_an_edit_that_a_composition_shows_is_not_noted_again(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    Path("conf/notes.txt").write_text("new\n")
    shown, noted = review("old", "conf").files
    assert (shown.file.path, shown.edits, shown.reason) == ("init/xavier.yaml", (), "")
    assert (noted.file.path, noted.reason) == ("notes.txt", "composition reads only .yaml files")


def test_the_clock_is_no_difference_and_another_pattern_is(trees: Path):
    for folder in ("old", "conf"):
        edit(f"{folder}/config.yaml", "seed: 0", "seed: ${oc.decode:${now:%S}}\nname: run-${now:%f}\nagain: ${name}")
    assert review("old", "conf").equal
    edit("conf/init/xavier.yaml", "1.0", "1.5")
    found, again = (review("old", "conf").to_dict() for _ in range(2))
    assert found == again
    assert [change["name"] for change in found["compositions"][0]["values"]] == ["init.gain"]
    edit("conf/config.yaml", "%S", "%M")
    values = {change.name: (change.old, change.new) for change in review("old", "conf").default.values}
    assert values == {"seed": (58, 45), "init.gain": (1.0, 1.5)}


def test_a_further_composition_of_the_same_files_with_another_value_is_compared(trees: Path):
    for folder in ("old", "conf"):
        edit(f"{folder}/config.yaml", "seed: 0", "seed: 0\nsize: small\nsizes: {small: 4, big: 8}")
        edit(f"{folder}/model/mlp.yaml", "out_features: 4", "out_features: '${sizes.${size}}'")
    edit("conf/config.yaml", "big: 8", "big: 16")
    with open_sides("old", "conf", None, ()) as pair:
        found = {entry.label: entry for entry in review_pair(pair, further=["size=big", "model=mlp"]).entries}
    assert "model=mlp" not in found  # it reads what the default does
    shown = found["size=big"].diff
    assert shown is not None
    assert [layer.path for layer in shown.layers] == ["hidden"]


def test_overrides_apply_to_both_sides(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    assert not review("old", "conf").default.equal
    assert review("old", "conf", overrides=["init.gain=3"]).default.equal


@pytest.mark.parametrize(
    ("old", "new", "override"),
    [
        ("model/one", "model/other", "model=other"),
        ("model/one", "model/it's", r"model='it\'s'"),
        ("model/sub/one", "model/sub/other", "model=sub/other"),
        ("extra/one", "extra/other", "extra=[other]"),
        ("init/one", "init/other", "+init@model.layers.hidden.init=other"),
    ],
)
def test_overrides_choose_a_renamed_option_on_both_sides(trees: Path, old: str, new: str, override: str):
    text = {"model": FILES["model/mlp.yaml"], "init": "scheme: zeros\n", "extra": FILES["extra/wide.yaml"]}
    for folder, name in (("old", old), ("conf", new)):
        file = Path(folder, f"{name}.yaml")
        file.parent.mkdir(exist_ok=True)
        file.write_text(text[name.partition("/")[0]].replace("4", "7"), encoding="utf-8")
        edit(f"{folder}/config.yaml", "optional extra: null", "extra: []")
    found = review("old", "conf", overrides=[override])
    assert (found.default.broken, found.default.values) == ("", ())
    edit("conf/config.yaml", "seed: 0", "seed: 1")
    assert [change.name for change in review("old", "conf", overrides=[override]).default.values] == ["seed"]


def test_a_default_that_cannot_be_planned_is_an_error_that_names_its_side(trees: Path):
    edit("conf/model/mlp.yaml", "out_features: 4", "out_features: many")
    with pytest.raises(ForgeError, match="`conf`"):
        review("old", "conf")


def test_a_range_takes_only_overrides_beside_it(git):
    with pytest.raises(ForgeError, match=r"`main\.\.HEAD` names both sides, but `old` is another one"):
        review("main..HEAD", "old")
    assert review("main..HEAD", "init=zeros").overrides == ("init=zeros",)


def test_what_cannot_be_composed_alone_has_its_reason(trees: Path):
    for folder in ("old", "conf"):
        Path(folder, "model/part.yaml").write_text("defaults: [missing]\n", encoding="utf-8")
    edit("conf/config.yaml", "seed: 0", "seed: 1")
    assert {label: "missing" in why for label, why in review("old", "conf").alone.items()} == {"model=part": True}


def test_a_value_in_place_of_an_interpolation_is_named(trees: Path):
    for folder in ("old", "conf"):
        edit(f"{folder}/config.yaml", "seed: 0", "seed: 0\nwidth: 4")
    edit("old/model/mlp.yaml", "out_features: 4", 'out_features: "${width}"')
    document = documented(review("old", "conf"))
    assert document.equal
    assert document.verdict == (
        "no semantic change: model/mlp.yaml differs in how it writes values that are the same in all compositions"
    )
    assert document.notes == (
        "the same value in all compositions: layers.hidden.out_features ${width} → 4 (model/mlp.yaml)",
    )


@pytest.mark.parametrize(("text", "equal"), [("gain: 1", True), ("gain: true", False), ("gain: 2", False)])
def test_a_number_in_another_notation_is_no_edit(trees: Path, text: str, equal: bool):
    edit("conf/init/xavier.yaml", "gain: 1.0", text)
    if text == "gain: true":
        with pytest.raises(ForgeError, match="must be a positive number"):
            review("old", "conf")
        return
    found = review("old", "conf")
    assert found.equal is equal
    document = documented(found)
    assert any("gain 1.0 → 1 (init/xavier.yaml)" in note for note in document.notes) is equal


def test_a_folder_that_no_override_can_name_is_no_group(trees: Path):
    Path("conf/model/deep.yaml").unlink()
    Path("conf/model/deep.yaml").mkdir()
    Path("conf/model/deep.yaml/a.yaml").write_text("x: 1\n", encoding="utf-8")
    document = documented(review("old", "conf"))
    assert [(one.kind, one.title) for one in document.changes] == [
        ("model-removed", "model=deep removed: 2 layers, 46 parameters"),
        ("file-added", "model/deep.yaml/a.yaml: no composition reads it"),
    ]
