"""entry_diff: options that come with a change are planned, too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from modelforge.cli.diff import fails
from modelforge.review.document import Document
from modelforge.review.documented import documented
from tests.review.trees import edit, review


def wrong(document: Document) -> list[tuple[str, str, str]]:
    return [
        (one.kind, one.title, one.spot.words if one.spot else "") for one in document.changes if one.section == "broken"
    ]


@pytest.mark.parametrize(
    ("file", "text", "title", "place"),
    [
        (
            "model/new.yaml",
            "input: {shape: [8]}\nlayers:\n  a: {type: Linear, out_featurs: 2}\n",
            "model=new cannot be planned on the new side: Linear needs the argument `out_features`"
            " (and 1 more problem)",
            "conf/model/new.yaml:3",
        ),
        (
            "init/new.yaml",
            "scheme: xavier\ngian: 2\n",
            "init=new cannot be planned on the new side: scheme `xavier` has no field `gian`",
            "conf/init/new.yaml:2",
        ),
        (
            "extra/new.yaml",
            "# @package _global_\nmodel: {layers: {hidden: {out_features: many}}}\n",
            "extra=new cannot be planned on the new side: `out_features` must be a whole number, but is 'many'",
            "conf/extra/new.yaml:2",
        ),
    ],
)
def test_a_new_option_that_cannot_be_planned(trees: Path, file: str, text: str, title: str, place: str):
    Path("conf", file).write_text(text, encoding="utf-8")
    document = documented(review("old", "conf"))
    assert wrong(document) == [("new-unplanned", title, place)]
    assert document.verdict.endswith("1 composition that cannot be planned")


@pytest.mark.parametrize("text", ["scheme: normal\nstd: 0.1\n", "scheme: normal\nstd: ???\n"])
def test_a_new_option_with_a_plan_or_with_a_value_that_is_to_be_given(trees: Path, text: str):
    Path("conf/init/new.yaml").write_text(text, encoding="utf-8")
    document = documented(review("old", "conf"))
    assert [one.title for one in document.changes] == ["init=new added"]


@pytest.mark.parametrize("plugins", [True, False])
def test_a_name_that_a_plugin_may_register_is_no_mistake_of_two_revisions(
    trees: Path, git: Callable[..., str], plugins: bool
):
    Path("pyproject.toml").write_text(f"[tool.modelforge]\nplugins = {['mine'] if plugins else []}\n")
    Path("conf/init/new.yaml").write_text("scheme: toeplitz\n", encoding="utf-8")
    text = Path("conf/model/deep.yaml").read_text(encoding="utf-8")
    Path("conf/model/deep.yaml").write_text(text + "  act: ScaledTanh\n", encoding="utf-8")
    git("add", ".")
    git("commit", "--quiet", "--message=two")
    document = documented(review("HEAD~1", "HEAD"))
    kinds = [kind for kind, _, _ in wrong(document)]
    if plugins:
        assert kinds == ["needs-plugins", "needs-plugins"]
        assert "2 compositions not compared without plugins" in document.verdict
        assert any(note.startswith("compared without the project's plugins") for note in document.notes)
    else:
        assert kinds == ["broken-new", "new-unplanned"]
    of_working_tree = documented(review("HEAD~1", "."))
    assert [kind for kind, _, _ in wrong(of_working_tree)] == ["broken-new", "new-unplanned"]


OWN = """\
input: {shape: [8]}
layers:
  up: {type: Linear, out_features: 4, init: {gain: 1.0}}
  own: Mine
  act: ReLU
"""


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (OWN.replace("  own: Mine\n  act: ReLU\n", "  act: ReLU\n  own: Mine\n"), "model.layers act now behind up"),
        (OWN.replace("gain: 1.0", "gain: 2.0"), "model.layers.up.init.gain 1 → 2"),
    ],
)
def test_an_edit_of_a_model_that_neither_side_can_plan_is_no_silence(trees: Path, text: str, title: str):
    Path("old/model/own.yaml").write_text(OWN, encoding="utf-8")
    Path("conf/model/own.yaml").write_text(text, encoding="utf-8")
    document = documented(review("old", "conf"))
    assert not document.equal
    assert [(one.kind, one.severity, one.title) for one in document.changes] == [("model-unplanned", "warning", title)]
    assert [fails(document, name) for name in ("warning", "changed-init", "changed-training")] == [True, True, False]


def test_a_model_that_neither_side_can_plan_in_another_notation_is_the_same(trees: Path):
    Path("old/model/own.yaml").write_text(OWN, encoding="utf-8")
    other = OWN.replace("{type: Linear, out_features: 4", "{out_features: 4, type: Linear").replace("1.0", "1")
    Path("conf/model/own.yaml").write_text(other, encoding="utf-8")
    assert documented(review("old", "conf")).equal


def test_an_edit_that_a_plan_shows_is_not_one_of_unknown_effect(trees: Path):
    Path("conf/init/own.yaml").write_text("scheme: mine\n", encoding="utf-8")
    Path("old/init/own.yaml").write_text("scheme: mine\n", encoding="utf-8")
    edit("conf/model/mlp.yaml", "out_features: 4", "out_features: 6")
    assert [one.kind for one in documented(review("old", "conf")).changes if one.cause] == ["layers-changed"]
