"""Arguments of a composed file for another type: left out with a note; those of an override are errors."""

from __future__ import annotations

from pathlib import Path
from shutil import copytree

import pytest

from modelforge.config.compose import compose
from modelforge.core.errors import ForgeError
from modelforge.train.optimizers.optimizer import optimizers
from modelforge.train.prepare import prepare

CONF = Path(__file__).parents[3] / "conf"


@pytest.mark.parametrize("kind", sorted({*optimizers()} - {"Muon"}))
def test_every_optimizer_can_be_chosen_by_type_alone(config, kind: str):
    """Muon takes matrices alone, and says so."""
    job = prepare(config("model=mlp", f"optimizer.type={kind}"))
    assert job.optimizer.kind.__name__ == kind
    assert {warning.code for warning in job.warnings} <= {"MW212"}


def test_the_note_names_what_is_left_out(config):
    (note,) = prepare(config("model=mlp", "optimizer.type=SGD")).warnings
    assert (note.key, note.message) == ("optimizer.betas", "`betas` is left out: SGD does not have it")
    assert note.place is not None
    assert (Path(str(note.place.file)).name, note.place.override) == ("adamw.yaml", None)
    overrides = ("scheduler=plateau", "scheduler.type=ExponentialLR", "+scheduler.gamma=0.9")
    (note,) = prepare(config("model=mlp", *overrides)).warnings
    assert note.message == "`factor` and `patience` are left out: ExponentialLR does not have them"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optimizer.type=SGD", "optimizer.betas=[0.9,0.99]"], "SGD has no argument `betas`"),
        (["optimizer.type=SGD", "+optimizer.eps=1e-3"], "SGD has no argument `eps`"),
        (["optimizer.type=SGD", "+optimizer.momentun=0.9"], "SGD has no argument `momentun`"),
        (["+optimizer.momentum=0.9"], "AdamW has no argument `momentum`"),
    ],
)
def test_what_an_override_gives_is_an_error(config, overrides: list[str], message: str):
    with pytest.raises(ForgeError) as caught:
        prepare(config("model=mlp", *overrides))
    (problem,) = caught.value.problems
    assert problem.message == message
    assert problem.place is not None
    assert problem.place.override == overrides[-1]


def test_a_file_that_is_wrong_in_itself_stays_wrong(tmp_path: Path):
    copytree(CONF, tmp_path / "conf")
    (tmp_path / "conf" / "optimizer" / "mine.yaml").write_text("type: SGD\nbetas: [0.9, 0.99]\n")
    with pytest.raises(ForgeError, match="SGD has no argument `betas`"):
        prepare(compose(tmp_path / "conf", ["model=mlp", "optimizer=mine"]))


def test_a_file_with_a_type_of_its_own_leaves_those_of_its_base(tmp_path: Path):
    copytree(CONF, tmp_path / "conf")
    (tmp_path / "conf" / "optimizer" / "mine.yaml").write_text("defaults: [adamw]\ntype: SGD\nmomentum: 0.9\n")
    job = prepare(compose(tmp_path / "conf", ["model=mlp", "optimizer=mine"]))
    assert job.optimizer.arguments == {"lr": 2e-3, "weight_decay": 0.01, "momentum": 0.9}
    assert [warning.message for warning in job.warnings] == ["`betas` is left out: SGD does not have it"]
