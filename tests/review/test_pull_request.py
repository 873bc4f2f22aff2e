"""A pull request of ten edits, in a repository of its own: all of them are reported, each on its line."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from modelforge.review.cause import TracedCause
from modelforge.review.review import Review
from modelforge.train.effective import effective
from tests.review.conftest import repository
from tests.review.trees import CONF, edit, review

KEPT = (
    *("config.yaml", "hydra/default.yaml", "trainer/default.yaml", "trainer/few_epochs.yaml"),
    *("logger/default.yaml", "logger/csv.yaml", "logger/tensorboard.yaml", "experiment/gpt_nano.yaml"),
    *("optimizer/adamw.yaml", "optimizer/adamw_decoder.yaml", "scheduler/cosine.yaml", "scheduler/onecycle.yaml"),
    *("data/digits.yaml", "data/digits_rows.yaml", "data/text.yaml"),
    *("init/xavier_uniform.yaml", "init/gpt2.yaml", "init/torch.yaml", "init/kaiming_fan_out.yaml"),
    *("model/mlp.yaml", "model/lstm.yaml", "model/gpt2.yaml", "model/tcn.yaml", "model/vgg.yaml"),
)
TINY = (
    'input: ${data.input}\nlayers:\n  flatten: Flatten\n  head: {type: Linear, out_features: "${data.num_outputs}"}\n'
)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Review]:
    """The review of the branch `feature`, whose working tree has all ten edits."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        root = tmp_path_factory.mktemp("repository")
        monkeypatch.chdir(root)
        for name in KEPT:
            Path("conf", name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(CONF / name, Path("conf", name))
        git = repository(root, monkeypatch)
        git("checkout", "--quiet", "-b", "feature")
        edit("conf/model/lstm.yaml", "hidden_size: 64", "hidden_size: 96")
        edit("conf/model/lstm.yaml", "forget: 1.0", "forget: 2.0")
        edit("conf/model/gpt2.yaml", "width: 128, depth: 3", "width: 192, depth: 4")
        edit("conf/optimizer/adamw.yaml", "lr: 2e-3", "lr: 3e-2")
        edit("conf/init/xavier_uniform.yaml", "gain: 1.0", "gain: 1.4")
        edit("conf/data/digits.yaml", "batch_size: 64", "batch_size: 128")
        edit("conf/data/digits.yaml", "val_fraction: 0.15", "val_fraction: 0.2")
        edit("conf/model/vgg.yaml", "ReLU", "GELU")
        Path("conf/model/tiny.yaml").write_text(TINY, encoding="utf-8")
        Path("conf/model/tcn.yaml").unlink()
        git("add", ".")
        git("commit", "--quiet", "--message=two")
        git("checkout", "--quiet", "main")
        Path("other.txt").write_text("main goes on\n", encoding="utf-8")
        git("add", ".")
        git("commit", "--quiet", "--message=three")
        yield review("main...feature", effective=effective)


@pytest.fixture
def cause(found: Review) -> Callable[[str], TracedCause]:
    """The cause that an edit of this key is."""

    def of(name: str) -> TracedCause:
        (one,) = (one for one in found.causes if [edit.change.name for edit in one.edits] == [name])
        return one

    return of


def test_all_edits_are_causes_each_on_its_line(found: Review):
    lines: dict[str, str] = {}
    for written in (written for one in found.causes for written in one.edits):
        place = written.change.new_place or written.change.old_place
        assert place is not None
        lines[written.change.name] = f"{place.file}:{place.line}"
    assert lines == {
        "lr": "conf/optimizer/adamw.yaml:4",
        "batch_size": "conf/data/digits.yaml:9",
        "val_fraction": "conf/data/digits.yaml:11",
        "gain": "conf/init/xavier_uniform.yaml:5",
        "sizes.nano.width": "conf/model/gpt2.yaml:19",
        "sizes.nano.depth": "conf/model/gpt2.yaml:19",
        "layers.rnn.hidden_size": "conf/model/lstm.yaml:12",
        "layers.rnn.init.bias.forget": "conf/model/lstm.yaml:14",
        "model/tcn.yaml": "conf/model/tcn.yaml:1",
        "model/tiny.yaml": "conf/model/tiny.yaml:1",
        "blocks.stage.layers.convs.layers.act": "conf/model/vgg.yaml:35",
    }
    assert found.not_compared == ()


def test_what_several_edits_do_to_one_parameter_is_a_cause_of_its_own(found: Review):
    together = {
        frozenset(written.change.name for written in one.edits): {
            item.path for outcome in one.outcomes for item in (outcome.diff.parameters if outcome.diff else ())
        }
        for one in found.causes
        if len(one.edits) > 1
    }
    size, gain, forget = "layers.rnn.hidden_size", "gain", "layers.rnn.init.bias.forget"
    assert together.pop(frozenset({size, gain})) == {"rnn.weight_ih_l0", "rnn.weight_hh_l0", "head.weight"}
    assert together.pop(frozenset({size, forget})) == {"rnn.bias_ih_l0"}
    assert [*together] == [frozenset({"sizes.nano.width", "sizes.nano.depth"})]


def test_an_edit_has_the_effects_that_it_has_alone(cause: Callable[[str], TracedCause]):
    (width,) = cause("sizes.nano.width").outcomes
    assert width.labels == ("model=gpt2", "experiment=gpt_nano")
    assert width.diff is not None
    assert {item.kind for item in width.diff.layers} == {"changed"}
    (depth,) = cause("sizes.nano.depth").outcomes
    assert depth.diff is not None
    added = [item.path for item in depth.diff.layers if item.kind == "added"]
    assert added[0] == "blocks.3"
    assert all(path.startswith("blocks.3") for path in added)


def test_a_value_that_follows_by_an_interpolation_is_an_effect(cause: Callable[[str], TracedCause]):
    derived = {change.name: outcome.labels for outcome in cause("lr").outcomes for change in outcome.derived}
    assert derived == {"scheduler.max_lr": ("scheduler=onecycle",)}


def test_the_training_is_shorter_by_the_batch_size_and_the_split(found: Review):
    numbers = {change.name: (change.old, change.new) for change in found.default.effective}
    assert numbers == {
        "train_examples": (1257, 1168),
        "examples_per_step": (64, 128),
        "steps_per_epoch": (20, 10),
        "total_steps": (600, 300),
    }


def test_an_old_checkpoint_of_a_wider_model_loads_in_part(found: Review):
    (lstm,) = (entry for entry in found.entries if entry.label == "model=lstm")
    assert lstm.consequences is not None
    fits = lstm.consequences.checkpoint
    assert (fits.num_keys, fits.loads) == (6, ("head.bias",))
    assert len(fits.reshaped) == 5
    costs = lstm.consequences.costs
    assert costs is not None
    assert (costs.old.parameters, costs.new.parameters) == (19_594, 41_674)
