"""A review as a document: each edit once, with its section, its severity and its place."""

from __future__ import annotations

from pathlib import Path

from modelforge.core.errors import Place, Problem
from modelforge.review.diff import diff
from modelforge.review.document import Change, Document
from modelforge.review.documented import documented, documented_diff, documented_failure
from tests.review.trees import edit, review


def document() -> Document:
    return documented(review("old", "conf"))


def kinds(found: Document) -> list[str]:
    return [change.kind for change in found.changes]


def only(found: Document, kind: str) -> Change:
    (change,) = [change for change in found.changes if change.kind == kind]
    return change


def test_equal_folders_have_no_changes(trees: Path):
    found = document()
    assert (found.equal, found.changes, found.num_changes) == (True, (), 0)
    assert (found.compared.num_files, found.compared.num_changed_files) == (6, 0)


def test_an_edit_is_a_cause_with_both_places(trees: Path):
    edit("conf/init/xavier.yaml", "scheme", "# larger\nscheme")
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    change = only(document(), "init-changed")
    cause = change.cause
    assert cause is not None
    assert cause.old_spot is not None
    assert cause.new_spot is not None
    assert (cause.key, cause.old, cause.new, cause.ratio) == ("init.gain", "1", "2", 2.0)
    assert (cause.old_spot.line, cause.new_spot.line) == (2, 3)
    assert change.spot == cause.new_spot
    assert (change.section, change.severity, change.num_redrawn) == ("init", "warning", 2)
    assert change.follows == "2 parameters start differently"


def test_each_section_has_its_kind(trees: Path):
    edit("conf/config.yaml", "seed: 0", "seed: 1\nbatch: 8\noptimizer: {lr: 0.1}\ndata: {path: a}\ntrainer: {gpus: 1}")
    found = document()
    assert set(kinds(found)) == {"seed-changed", "training-changed", "data-changed", "setting-changed"}
    assert only(found, "seed-changed").follows == "every drawn value changes"


def test_severest_sections_come_first(trees: Path):
    edit("conf/model/deep.yaml", "out_features: 2", "out_features: many")
    edit("conf/config.yaml", "seed: 0", "seed: 1")
    Path("conf/notes.txt").write_text("new\n")
    found = document()
    assert [change.section for change in found.changes] == ["broken", "model", "init", "files"]
    broken = found.changes[0]
    assert (broken.kind, broken.severity, broken.entries) == ("broken-new", "error", ("model=deep",))
    assert broken.spot is not None
    assert (broken.spot.file, broken.spot.line) == ("conf/model/deep.yaml", 3)


def test_options_of_one_side(trees: Path):
    Path("conf/model/small.yaml").write_text("input: {shape: [8]}\nlayers: {a: {type: Linear, out_features: 2}}\n")
    Path("conf/init/zeros.yaml").unlink()
    found = document()
    added = only(found, "model-added")
    assert (added.title, added.mark) == ("model=small added: 1 layer, 18 parameters", "+")
    assert added.spot is not None
    assert added.spot.file == "conf/model/small.yaml"
    assert only(found, "option-removed").title == "init=zeros removed"


def test_what_was_not_compared_is_said_twice(trees: Path):
    """As a change, because the file differs, and as a gap."""
    edit("conf/extra/wide.yaml", "16", "32")
    Path("conf/notes.txt").write_text("new\n")
    found = document()
    assert [one.name for one in found.not_compared] == ["notes.txt"]
    assert "file-added" in kinds(found)


def test_an_edit_without_effect(trees: Path):
    for folder in ("old", "conf"):
        edit(f"{folder}/extra/wide.yaml", "16}", "16}, init: {gain: 1.0}")
        edit(f"{folder}/extra/wide.yaml", "model: {", "init: {gain: 3.0}\nmodel: {")
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    assert "init-changed" in kinds(document())


def test_a_fingerprint_outlives_lines_and_compositions(trees: Path):
    edit("conf/init/xavier.yaml", "1.0", "2.0")
    first = only(document(), "init-changed").fingerprint
    edit("conf/init/xavier.yaml", "scheme", "\n\n# moved\nscheme")
    Path("conf/model/deep.yaml").unlink()
    again = only(document(), "init-changed")
    assert again.fingerprint == first
    edit("conf/init/xavier.yaml", "2.0", "2.5")
    assert only(document(), "init-changed").fingerprint != first


def test_two_plans_have_a_document_as_well(plan):
    layer = {"type": "Linear", "out_features": 4}
    found = documented_diff(diff(plan("zeros", a=layer), plan("ones", a=layer)), "before", "after")
    assert (found.old, found.new, found.equal) == ("before", "after", False)
    assert {effect.name for change in found.changes for effect in change.effects} == {"a.weight"}


def test_a_side_that_cannot_be_read_has_a_document(trees: Path):
    place = Place("conf/config.yaml", 3, 1)
    found = documented_failure("old", "conf", [Problem("MF001", "seed", "no such key", place=place)])
    assert (found.equal, found.verdict) == (False, "cannot be compared: no such key")
    (change,) = found.changes
    assert (change.title, change.severity) == ("MF001: no such key", "error")
    assert change.spot is not None
    assert change.spot.line == 3


def test_edits_that_work_only_together_are_recognized_by_their_values(trees: Path):
    prints: set[str] = set()
    for value in ("0.1", "0.2"):
        Path("conf/init/xavier.yaml").write_text(f"scheme: constant\nvalue: {value}\n")
        (change,) = [one for one in document().changes if "act together" in one.title]
        assert only(document(), change.kind).fingerprint == change.fingerprint
        prints.add(change.fingerprint)
    assert len(prints) == 2
