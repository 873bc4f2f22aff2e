"""What can be composed of two folders, and each composition on one side."""

from __future__ import annotations

from pathlib import Path

from modelforge.planning.plan import Plan
from modelforge.planning.study import Studies
from modelforge.review.affected import Entry, Reach, composed, entries
from modelforge.review.changed_files import content
from tests.review.trees import FILES, edit, side


def test_every_option_of_a_group_is_an_entry_the_model_first():
    found = entries(["init/b.yaml", "other/c.yaml", "config.yaml", "main.yaml", "model/a.yaml", "notes.txt"], [])
    assert [entry.label for entry in found] == ["the default", "model=a", "init=b", "other=c", "--config-name=main"]
    assert [entry.config_name for entry in found] == ["config"] * 4 + ["main"]


def test_a_group_that_an_override_chooses_is_fixed():
    files = ["init/a.yaml", "model/a.yaml", "extra/a.yaml"]
    labels = [entry.label for entry in entries(files, ["init=b", "+extra@model=a"])]
    assert labels == ["the default", "model=a"]


def test_a_composition_knows_its_files_and_its_plan(trees: Path):
    found = composed(side("conf"), Entry("the default"), (), Studies())
    assert found.files == {"config.yaml", "model/mlp.yaml", "init/xavier.yaml"}
    assert isinstance(found.decided, Plan)
    assert found.values["choices"]["model"] == "mlp"
    assert "runtime" not in found.values["hydra"]


def test_what_cannot_be_composed_has_its_problems(trees: Path):
    edit("conf/model/mlp.yaml", "shape: [8]", "shape: [8")
    found = composed(side("conf"), Entry("the default"), (), Studies())
    assert found.config is None
    assert found.decided == found.problems
    assert [problem.code for problem in found.problems] == ["MF002"]


def test_a_group_that_the_defaults_list_lacks_is_added(trees: Path):
    edit("conf/config.yaml", ", optional extra: null", "")
    found = composed(side("conf"), Entry("extra=wide", ("extra=wide",)), (), Studies())
    assert found.values["model"]["layers"]["hidden"]["out_features"] == 16


def test_plans_are_alike_where_the_model_sections_are(trees: Path):
    edit("old/config.yaml", "seed: 0", "seed: 0\nbatch: 8")
    edit("conf/config.yaml", "seed: 0", "seed: 0\nbatch: 9")
    old, new = (composed(side(folder), Entry("the default"), (), Studies()) for folder in ("old", "conf"))
    assert old.plans_like(new)
    for override in ("seed=1", "+dtype=float64", "init.gain=2"):
        assert not old.plans_like(composed(side("conf"), Entry("the default"), [override], Studies()))
    assert not old.plans_like(composed(side("conf"), Entry("the default"), ["~init"], Studies()))


def test_the_files_that_a_composition_may_read_follow_the_defaults_lists(trees: Path):
    conf = side("conf")
    contents = {path: found for path in FILES if (found := content(conf, path)) is not None}
    reach = Reach(conf, contents, ())
    default = {"config.yaml", "model/mlp.yaml", "init/xavier.yaml"}
    assert default <= reach.may_read(Entry("the default"))
    assert "model/deep.yaml" not in reach.may_read(Entry("the default"))
    assert reach.may_read(Entry("model=deep", ("model=deep",), file="model/deep.yaml")) >= default | {"model/deep.yaml"}
    assert "init/zeros.yaml" in Reach(conf, contents, ["init=zeros"]).may_read(Entry("the default"))


def test_a_group_that_has_to_be_added_says_what_stands_in_the_way(trees: Path):
    Path("conf/more").mkdir()
    Path("conf/more/x.yaml").write_text("# @package _global_\ndefaults: [override /init: nope]\n", encoding="utf-8")
    found = composed(side("conf"), Entry("more=x", ("more=x",), file="more/x.yaml"), (), Studies())
    assert [problem.message for problem in found.problems] == ["`init` has no option `nope`"]
