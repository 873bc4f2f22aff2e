"""What each group of edits does to one composition, by itself."""

from __future__ import annotations

from pathlib import Path

from modelforge.planning.plan import Plan
from modelforge.planning.study import Studies
from modelforge.review.affected import Composition, Entry, composed
from modelforge.review.apart import Part, apart, breaking
from modelforge.review.diff import diff
from modelforge.review.edits import Edit, edits
from modelforge.review.values import value_changes
from tests.review.trees import edit, side


def both() -> tuple[Composition, Composition, list[tuple[Edit, ...]]]:
    studies = Studies()
    old, new = (composed(side(folder), Entry("the default"), (), studies) for folder in ("old", "conf"))
    return old, new, [(one,) for one in edits(old.written, new.written)]


def parts(old: Composition, new: Composition, groups: list[tuple[Edit, ...]]) -> list[Part]:
    assert old.config is not None
    assert new.config is not None
    values = list(value_changes(old.values, new.values, old.config.origins.place, new.config.origins.place))
    assert isinstance(old.decided, Plan)
    assert isinstance(new.decided, Plan)
    return apart(old, new, groups, values, diff(old.decided, new.decided))


def test_one_group_does_all_that_differs(trees: Path):
    edit("conf/init/xavier.yaml", "gain: 1.0", "gain: 2.0")
    (part,) = parts(*both())
    assert [change.name for change in part.values] == ["init.gain"]
    assert part.diff is not None
    assert not part.empty


def test_what_several_do_is_found_by_doing_each(trees: Path):
    edit("conf/config.yaml", "seed: 0", "seed: 0\nfree: 1")
    edit("conf/init/xavier.yaml", "gain: 1.0", "gain: 2.0")
    edit("conf/model/mlp.yaml", "out_features: 4", "out_features: 6")
    old, new, groups = both()
    *alone, together = parts(old, new, groups)
    found = {part.values[0].name: part.diff for part in alone}
    assert found["free"] is None
    gain, width = found["init.gain"], found["model.layers.hidden.out_features"]
    assert gain is not None
    assert gain.equal, "the weight that both change is not its own"
    assert width is not None
    assert [[item.path for item in items] for items in (width.layers, width.parameters)] == [
        ["hidden"],
        ["hidden.bias"],
    ]
    assert together.diff is not None
    assert [item.path for item in together.diff.parameters] == ["hidden.weight"]
    assert [groups[number][0].path[-1] for number in together.groups] == ["out_features", "gain"]


def test_what_only_both_do_is_left_over(trees: Path):
    for folder in ("old", "conf"):
        edit(f"{folder}/config.yaml", "seed: 0", "seed: 0\nwhich: a\nsizes: {a: 4, b: 4}")
        edit(f"{folder}/model/mlp.yaml", "out_features: 4", "out_features: '${sizes.${which}}'")
    edit("conf/config.yaml", "which: a\nsizes: {a: 4, b: 4}", "which: b\nsizes: {a: 4, b: 6}")
    old, new, groups = both()
    together = [part for part in parts(old, new, groups) if part.diff is not None and not part.diff.equal]
    assert [part.groups for part in together] == [(0, 1)]


def test_the_group_without_a_plan_breaks_it(trees: Path):
    edit("conf/init/xavier.yaml", "gain: 1.0", "gain: 2.0")
    edit("conf/model/mlp.yaml", "type: Linear", "type: Linaer")
    old, new, groups = both()
    (number,) = breaking(old, new, groups)
    assert [one.path[-1] for one in groups[number]] == ["type"]
