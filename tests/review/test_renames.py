"""Options that have another file on the new side."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import pytest

from modelforge.review import renames
from modelforge.review.acceptances import Acceptances
from modelforge.review.changed_files import FileDiff, changed_files, content
from modelforge.review.document import Document
from modelforge.review.documented import documented
from modelforge.review.renames import renamed_files
from tests.review.trees import CONF, FILES, edit, review, side

GATES = "scheme: normal\nstd: 0.1\nmean: 0\nlast: {std: 0.01}\nbias: {scheme: gates, forget: 1.0}\n"


def reviewed(*further: str) -> Document:
    return documented(review("old", "conf", further=further), Acceptances())


def names() -> list[tuple[str, str]]:
    files, _ = changed_files(side("old"), side("conf"))
    return [(file.old_path, file.path) for file in renamed_files(files)]


def test_no_option_that_ships_is_taken_for_another():
    shipped = side(CONF.as_posix())
    paths = [path.relative_to(CONF).as_posix() for path in sorted(CONF.rglob("*.yaml"))]
    found = {path: content(shipped, path) for path in paths}
    assert len(found) > 100
    assert [
        (old, new)
        for old, new in permutations(paths, 2)
        if old.rpartition("/")[0] == new.rpartition("/")[0]
        and len(renamed_files([FileDiff(old, "removed", found[old], None), FileDiff(new, "added", None, found[new])]))
        < 2
    ] == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("scheme: normal\nstd: 0.1\n", "scheme: normal\nstd: 10\n"),
        ("scheme: normal\nstd: 0.1\nbias: zeros\n", "scheme: normal\nstd: 10\nbias: zeros\n"),
        (GATES, GATES.replace("gates", "zeros")),  # another scheme
        (GATES, GATES.replace("0.1", "10").replace("0.01", "10")),
    ],
)
def test_an_option_that_replaces_another_is_another(trees: Path, old: str, new: str):
    Path("old/init/small.yaml").write_text(old, encoding="utf-8")
    Path("conf/init/huge.yaml").write_text(new, encoding="utf-8")
    kinds = {change.kind for change in reviewed().changes}
    assert kinds - {"new-unplanned"} == {"option-removed", "option-added"}


def test_a_model_of_other_layers_is_another_model(trees: Path):
    layers = [f"  {name}: {{type: Linear, out_features: 4, bias: false}}\n" for name in "abcdef"]
    for folder, name, act in (("old", "wide", "ReLU"), ("conf", "broad", "GELU")):
        text = f"input: {{shape: [8]}}\nlayers:\n{''.join(layers)}  act: {act}\n"
        Path(folder, f"model/{name}.yaml").write_text(text, encoding="utf-8")
    assert {change.kind for change in reviewed().changes} == {"model-removed", "model-added"}


def test_of_too_many_files_only_equal_ones_are_pairs(trees: Path, monkeypatch: pytest.MonkeyPatch):
    for index in range(4):
        Path(f"old/init/a{index}.yaml").write_text(GATES.replace("0.1", str(index)), encoding="utf-8")
        Path(f"conf/init/b{index}.yaml").write_text(GATES.replace("0.1", str(index % 2)), encoding="utf-8")
    equal = [("init/a0.yaml", "init/b0.yaml"), ("init/a1.yaml", "init/b1.yaml")]
    assert [pair for pair in names() if all(pair)] == [
        *equal,
        ("init/a2.yaml", "init/b2.yaml"),
        ("init/a3.yaml", "init/b3.yaml"),
    ]
    monkeypatch.setattr(renames, "MAX_PAIRS", 3)
    assert [pair for pair in names() if all(pair)] == equal


def test_the_likest_files_are_pairs(trees: Path):
    for folder, found in (("old", ("a", "b")), ("conf", ("c", "d"))):
        for name, std in zip(found, ("0.1", "0.2"), strict=True):
            Path(folder, f"init/{name}.yaml").write_text(GATES.replace("0.1", std), encoding="utf-8")
    Path("conf/init/c.yaml").write_text(GATES.replace("0.1", "0.2"), encoding="utf-8")
    Path("conf/init/d.yaml").write_text(GATES.replace("0.1", "0.3"), encoding="utf-8")
    assert names() == [("init/b.yaml", "init/c.yaml"), ("init/a.yaml", "init/d.yaml")]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("init/ones.yaml", "scheme: ones\n"),  # says something else
        ("init/zeros_.yaml", "# @package model.init\nscheme: zeros\n"),  # sets something else
        ("extra/zeros.yaml", "scheme: zeros\n"),  # an option of another group
        ("init/zeros.yml", "scheme: zeros\n"),  # no config
        ("init/nothing.yaml", "scheme: [\n"),  # cannot be read
    ],
)
def test_other_files_are_not(trees: Path, file: str, text: str):
    Path("conf/init/zeros.yaml").unlink()
    Path("conf", file).write_text(text, encoding="utf-8")
    assert {old for old, _ in names()} == {""}


def test_a_name_that_differs_in_case_alone(trees: Path):
    Path("conf/model/deep.yaml").rename("conf/model/Deep.yaml")
    assert [change.title for change in reviewed().changes] == ["model=Deep, was model=deep"]


@pytest.mark.parametrize("name", ["größe a", "it's", "it's 'so'", "null", "1e3", "a=b"])
def test_a_name_that_hydra_wants_in_quotation_marks(trees: Path, name: str):
    Path("conf/model/deep.yaml").rename(f"conf/model/{name}.yaml")
    found = reviewed()
    assert [change.title for change in found.changes] == [f"model={name}, was model=deep"]
    assert f"model={name}" in found.compared.entries
    Path("old/model/deep.yaml").rename(f"old/model/{name}.yaml")
    edit(f"conf/model/{name}.yaml", "out_features: 2", "out_features: 3")
    assert {change.kind for change in reviewed().changes} == {"layers-changed", "costs-changed", "checkpoint-keys"}


def test_a_base_under_another_name_is_the_same_in_what_reads_it(trees: Path):
    Path("old/model/base.yaml").write_text(FILES["model/mlp.yaml"], encoding="utf-8")
    Path("conf/model/basis.yaml").write_text(FILES["model/mlp.yaml"], encoding="utf-8")
    for folder, name in (("old", "base"), ("conf", "basis")):
        Path(folder, "model/deep.yaml").write_text(FILES["model/deep.yaml"].replace("mlp", name), encoding="utf-8")
    found = reviewed()
    assert [change.title for change in found.changes] == ["model=basis, was model=base"]
    assert "model/deep.yaml" in found.notes[0]


def test_further_compositions_go_by_the_names_of_their_side(trees: Path):
    Path("conf/model/deep.yaml").rename("conf/model/deeper.yaml")
    found = reviewed("model=deeper init=zeros", "model=deep init=zeros")
    assert [change.title for change in found.changes] == [
        "model=deeper, was model=deep",
        "model=deep init=zeros removed: 2 layers, 46 parameters",
    ]
    assert found.compared.entries == (
        "the default",
        "model=deeper",
        "model=deeper init=zeros",
        "model=deep init=zeros",
    )


def test_a_primary_config(trees: Path):
    for folder, name in (("old", "small"), ("conf", "tiny")):
        text = FILES["config.yaml"].replace("xavier", "zeros")
        Path(folder, f"{name}.yaml").write_text(text, encoding="utf-8")
    (change,) = reviewed().changes
    assert change.title == "--config-name=tiny, was --config-name=small"
    assert change.spot is not None
    assert (change.spot.file, change.spot.line) == ("conf/tiny.yaml", 1)


@pytest.mark.parametrize(
    ("text", "similar"), [("scheme: kaiming\ngain: 1.0\n", True), ("scheme: normal\nstd: 1.0\n", False)]
)
def test_another_thing_with_much_in_common_is_similar_to_what_went(trees: Path, text: str, similar: bool):
    for folder in ("old", "conf"):
        edit(f"{folder}/config.yaml", "init: xavier", "init: zeros")
    Path("conf/init/xavier.yaml").unlink()
    Path("conf/init/other.yaml").write_text(text, encoding="utf-8")
    words = ", similar to init=xavier, which is removed" if similar else ""
    assert [one.title for one in reviewed().changes] == ["init=xavier removed", f"init=other added{words}"]
