"""diagnose: what a document holds, and how large it is."""

from __future__ import annotations

import json

import jsonschema
import pytest
import torch

import modelforge as mf
from modelforge.core.errors import ForgeError
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.document import Stuck
from modelforge.diagnosis.formats import as_json
from modelforge.diagnosis.formats.markdown import markdown
from modelforge.diagnosis.formats.page import page
from modelforge.diagnosis.measuring import Batch
from modelforge.diagnosis.result import Diagnosis, diagnosis_schema
from modelforge.diagnosis.text import text
from modelforge.report.table import to_text
from tests.diagnosis.nets import HIDDEN, deep, recurrent

MAX_BYTES = 256 * 1024


def test_measured_energies_lie_beside_predicted_ones():
    start = diagnose(deep("kaiming"), jacobian=False).first
    assert start.measurement is not None
    assert start.measurement.seeds == (0, 1, 2)
    for level in start.levels:
        assert level.signal is not None
        assert level.measured_signal is not None
        spread = level.signal.spread
        assert abs(level.measured_signal.energy / level.signal.typical - 1) < 4 * spread, level.path


def test_a_recurrent_network_has_steps_and_eigenvalues():
    found = diagnose(recurrent()).first.measurement
    assert {one.path for one in found.steps} >= {"rnn.h_l0"}
    assert len(found.spectra) == 4
    assert all(abs(one.radius - 1) < 1e-3 for one in found.spectra)  # each gate is orthogonal
    assert {one.kind for one in found.histograms} == {"weights", "activations"}


def test_json_follows_its_schema_and_reads_back():
    found = diagnose({"xavier": deep("xavier"), "kaiming": deep("kaiming")}, title="two", measure=False)
    data = json.loads(as_json(found))
    jsonschema.Draft202012Validator(diagnosis_schema()).validate(data)
    assert Diagnosis.model_validate_json(as_json(found)) == found
    assert [start["label"] for start in data["starts"]] == ["xavier", "kaiming"]


def test_a_network_without_values_says_why_it_was_not_measured():
    wide = {"type": "Linear", "out_features": 30_000}
    plan = mf.plan(mf.parse({"input": {"shape": [30_000]}, "layers": {"a": wide}}, init="kaiming"))
    start = diagnose(plan).first
    assert start.measurement is None
    assert start.unmeasured == "900 M parameters are too many to build for a measurement"
    assert start.levels[1].signal is not None


def test_copies_are_one_row_of_the_ledger_and_one_block():
    start = diagnose(deep(depth=5), measure=False).first
    assert [(row.path, row.copies) for row in start.ledger] == [("deep.*.hidden.weight", 5)]
    (block,) = start.network
    assert (block.type, block.children[0].name, block.children[0].copies) == ("Repeat", "0 … 4", 5)
    assert [child.name for child in block.children[0].children] == ["hidden", "act"]
    assert block.children[0].children[0].levels == (1, 3, 5, 7, 9)


def test_levels_are_thinned_out_and_counted():
    found = diagnose(deep(depth=130), measure=False)
    start = found.first
    assert start.num_levels == 261
    assert len(start.levels) == 240
    assert start.levels[-1].path == "deep.129.act"
    assert {level.copies for level in start.levels[1:]} == {130}
    assert len(as_json(found)) < MAX_BYTES


def test_what_training_cannot_change_is_shown():
    zeros = {"type": "Linear", "out_features": 16, "init": "zeros"}
    layers = {"first": HIDDEN, "act": "Tanh", "down": zeros, "up": zeros}
    found = diagnose(mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers}, init="xavier")), solve=False)
    stuck = found.first.measurement.stuck
    assert stuck.zero_gradients == ("first.weight", "down.weight", "down.bias", "up.weight")
    assert (stuck.equal_units, stuck.unused) == ((), ())
    shown = "no gradient, also after one step: `first.weight`, `down.weight`, `down.bias` and `up.weight`"
    assert shown in to_text(text(found.starts), width=200)
    assert f"- {shown}" in markdown(found)
    assert "What training cannot change" in page(found)
    clean = diagnose(deep("kaiming", depth=2), jacobian=False)
    assert clean.first.measurement.stuck == Stuck()
    assert "What training cannot change" not in page(clean)


def test_units_that_stay_equal_are_counted_on_the_model_that_is_built():
    layers = {"first": HIDDEN, "act": "Tanh", "head": {"type": "Linear", "out_features": 2}}
    plan = mf.plan(mf.parse({"input": {"shape": [8]}, "layers": layers}, init="xavier"))
    model = mf.build(plan)
    with torch.no_grad():
        for name in ("first.weight", "head.weight"):
            model.get_parameter(name).fill_(0.1)
    found = diagnose(plan, model=model, jacobian=False)
    (units,) = found.first.measurement.stuck.equal_units
    assert (units.path, units.num_units, units.num_distinct) == ("first.weight", 64, 1)
    assert "`first.weight`: units start equal and stay equal, 64 units are worth 1" in to_text(
        text(found.starts), width=200
    )


def test_many_configs_side_by_side():
    one = deep(depth=2)
    found = diagnose({str(number): one for number in range(241)}, measure=False, solve=False)
    assert {len(start.levels) for start in found.starts} == {2}


def test_a_model_that_is_built_has_its_own_seed():
    plan = deep("kaiming", depth=2)
    start = diagnose(plan, model=torch.compile(mf.build(plan, seed=7), backend="eager")).first
    assert start.seed == 7
    assert start.measurement.seeds == (7,)


def test_arguments_are_checked():
    plan = deep(depth=2)
    batch = Batch((torch.ones(4, 64),), "ones")
    for wrong in (0, -3, 2.0, True):
        with pytest.raises(
            ValueError, match=f"diagnose takes `batch_size` examples, a whole number from 1 on, but gets {wrong}"
        ):
            diagnose(plan, batch_size=wrong)
    with pytest.raises(ValueError, match="one plan or more"):
        diagnose({})
    with pytest.raises(ValueError, match="no config has the label 'b', `data` has nothing for 'a'"):
        diagnose({"a": plan}, data={"b": batch})
    with pytest.raises(ForgeError, match="it is empty"):
        diagnose(plan, data=Batch((torch.ones(0, 64),), "nothing"))
    with pytest.raises(ValueError, match=r"of another plan: only one of both has deep\.2\.hidden\.weight"):
        diagnose(plan, model=mf.build(deep(depth=3)))
    with pytest.raises(TypeError, match="diagnose takes a Model"):
        diagnose(plan, model=torch.nn.Linear(64, 64))


@pytest.mark.slow
@pytest.mark.parametrize("model", ["mlp", "resnet", "vit", "gpt2", "t5", "lstm", "bilstm", "unet", "convnext"])
def test_the_json_of_models_that_ship_is_small(model):
    plan = mf.plan(mf.load("conf", overrides=[f"model={model}"]))
    assert len(as_json(diagnose(plan))) < MAX_BYTES


def test_no_plan_is_none_to_diagnose():
    with pytest.raises(ValueError, match="takes one plan or more, but gets none"):
        diagnose({})
