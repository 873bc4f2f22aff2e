"""Options that have another file on the new side."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelforge.review.acceptances import Acceptances
from modelforge.review.changed_files import changed_files
from modelforge.review.compare import review
from modelforge.review.document import Document
from modelforge.review.documented import documented
from modelforge.review.renames import renamed_files
from tests.review.trees import FILES, side

GATES = "scheme: normal\nstd: 0.1\nbias: {scheme: gates, forget: 1.0}\n"


def reviewed(*further: str) -> Document:
    return documented(review("old", "conf", opened=lambda sides: further), Acceptances())


def names() -> list[tuple[str, str]]:
    files, _ = changed_files(side("old"), side("conf"))
    return [(file.old_path, file.path) for file in renamed_files(files)]


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


def test_a_name_that_hydra_wants_in_quotation_marks(trees: Path):
    Path("conf/model/deep.yaml").rename("conf/model/größe a.yaml")
    found = reviewed()
    assert [change.title for change in found.changes] == ["model=größe a, was model=deep"]
    assert "model=größe a" in found.compared.entries


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
    assert [change.title for change in reviewed().changes] == ["--config-name=tiny, was --config-name=small"]
