"""mf.verify: is a model still as its ledger says? Ledgers that are read back, and `modelforge verify`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from typer.testing import CliRunner

import modelforge as mf
from modelforge.building.verify import Verification
from modelforge.cli.app import app
from modelforge.config.compose import compose
from modelforge.core.frozen import plain
from tests.models import MODELS, spec

NORMAL = {"scheme": "normal", "std": 0.1, "bias": {"scheme": "normal", "std": 0.1}}


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6))


def states(found: Verification) -> dict[str, str]:
    return {path: state for path, state in found.states.items() if state != "same"}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_a_built_model_is_as_its_ledger_says(name, dtype):
    model = mf.build(spec(name), dtype=dtype)
    found = mf.verify(model)
    assert found.ok, str(found)
    assert list(found.states) == [entry.path for entry in model.ledger]
    again = mf.Ledger.from_dict(json.loads(json.dumps(model.ledger.to_dict())))
    assert mf.verify(model, again).ok
    assert mf.verify(copy.deepcopy(model)).ok


@pytest.mark.parametrize("path", ["0.weight", "1.bias"])
@pytest.mark.parametrize(
    "edit",
    [
        lambda weight: weight.view(-1)[3].add_(1e-7),
        lambda weight: weight.view(-1)[3].neg_(),
        lambda weight: weight.copy_(weight.flip(0)),
        lambda weight: weight.mul_(2),
        lambda weight: weight.mul_(0),
    ],
    ids=["one bit", "a sign", "another order", "scaled", "zeros"],
)
def test_an_edit_shows(edit: Callable[[Tensor], Any], path: str):
    module = net()
    ledger = mf.initialize(module, NORMAL)
    with torch.no_grad():
        edit(module.get_parameter(path))
    found = mf.verify(module, ledger)
    assert not found.ok
    assert states(found) == {path: "changed"}
    (problem,) = found.problems
    assert (problem.code, problem.key) == ("MF065", path)
    assert problem.message == f"`{path}` is not what the ledger says: its values were changed"


def test_a_swap_shows_as_one():
    module = net()
    ledger = mf.initialize(module, NORMAL)
    module[0].weight, module[1].weight = module[1].weight, module[0].weight
    found = mf.verify(module, ledger)
    assert states(found) == {"0.weight": "elsewhere", "1.weight": "elsewhere"}
    assert found.problems[0].message == "`0.weight` has the values that the ledger has for `1.weight`"


def test_what_else_shows():
    module = net()
    module.append(nn.Linear(6, 6, bias=False))
    module[2].weight = module[0].weight
    ledger = mf.initialize(module, NORMAL)
    assert mf.verify(module, ledger).ok
    module[2].weight = nn.Parameter(module[0].weight.detach().clone())
    module[1].weight = nn.Parameter(torch.zeros(5, 6))
    module[0].bias = None
    module.append(nn.PReLU())
    module[1].to(torch.float64)
    found = mf.verify(module, ledger)
    assert [(problem.code, problem.message) for problem in found.problems] == [
        ("MF065", "`2.weight` and `0.weight` are one parameter in the ledger, but not in the model"),
        ("MF067", "`0.bias` is in the ledger, but not in the model"),
        ("MF065", "`1.weight` is not what the ledger says: it is (5, 6) of float64, and was (6, 6) of float32"),
        ("MF065", "`1.bias` is not what the ledger says: it is (6,) of float64, and was (6,) of float32"),
        ("MF067", "the ledger has no row of `3.weight`"),
    ]
    assert json.loads(json.dumps(found.to_dict()))["ok"] is False
    assert "untied" in str(found)


def test_without_values():
    module = net()
    ledger = mf.initialize(module, NORMAL)
    found = mf.verify(module.to("meta"), ledger)
    assert found.problems[0].message == "`0.weight` is not what the ledger says: it has no values"


def test_a_failed_proof_is_no_sound_start():
    from dataclasses import replace

    module = net()
    ledger = mf.initialize(module, NORMAL)
    first, *rest = ledger.entries
    broken = replace(ledger, entries=(replace(first, verdict="fail", reason="a std of 2"), *rest))
    (problem,) = mf.verify(module, broken).problems
    assert problem.message == "the values of `0.weight` were not as promised when it was filled: a std of 2"


@pytest.mark.parametrize("init", ["torch", "keep", NORMAL, "orthogonal"], ids=str)
def test_however_it_was_filled(init):
    module = nn.Sequential(parametrizations.weight_norm(nn.Linear(5, 4)), nn.Linear(4, 3))
    ledger = mf.initialize(module, init)
    assert mf.verify(module, ledger).ok
    with torch.no_grad():
        next(module[0].parametrizations.parameters()).mul_(-1.5)
    assert set(states(mf.verify(module, ledger))) == {"0.weight"}


def test_stored_inputs_first():
    pytest.importorskip("transformers", reason="a development dependency")
    from transformers.pytorch_utils import Conv1D

    module = nn.Sequential(Conv1D(30, 50))
    assert mf.verify(module, mf.initialize(module, NORMAL)).ok


def test_after_a_calibration_it_is_the_new_ledger_that_holds():
    module = net()
    before = mf.initialize(module, "orthogonal")
    after = mf.calibrate(module, torch.randn(64, 6, generator=torch.Generator().manual_seed(0)) * 3, ledger=before)
    assert mf.verify(module, after).ok
    assert not mf.verify(module, before).ok


def test_who_calls_it_wrongly():
    with pytest.raises(TypeError, match=r"verify takes an nn\.Module, but gets a dict"):
        mf.verify({})  # pyright: ignore[reportArgumentType]  # on purpose
    with pytest.raises(TypeError, match="ledger must be a Ledger, as `initialize` gives, but is None"):
        mf.verify(net())


# --- ledgers in files -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", MODELS)
def test_a_ledger_comes_back_as_it_was(name):
    ledger = mf.build(spec(name)).ledger
    again = mf.Ledger.from_dict(json.loads(json.dumps(ledger.to_dict())))
    assert again.to_dict() == json.loads(json.dumps(ledger.to_dict()))
    assert [entry.digest for entry in again] == [entry.digest for entry in ledger]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no such file or directory"),
        ("{", "it is not valid JSON: EOF while parsing an object at line 1 column 1"),
        ("[]", "it must be a mapping, but is []"),
        ("[" * 100_000, "it is not valid JSON: recursion limit exceeded at line 1 column 202"),
    ],
)
def test_what_is_no_ledger(tmp_path: Path, text, reason):
    path = tmp_path / "ledger.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(mf.ForgeError) as caught:
        mf.Ledger.load(path)
    (problem,) = caught.value.problems
    assert problem.code == "MF066"
    assert problem.message == f"`{path}` cannot be read as a ledger: {reason}"


# --- modelforge verify ------------------------------------------------------------------------------------------------


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """What a training leaves, without the training."""
    config = compose(overrides=["model=mlp", "data=digits"])
    model = mf.build(mf.parse(config))
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(plain(config.values), sort_keys=False))
    (tmp_path / "ledger.json").write_text(json.dumps(model.ledger.to_dict()))
    (tmp_path / "checkpoints").mkdir()
    path = next(iter(dict(model.named_parameters())))
    with torch.no_grad():
        model.get_parameter(path).add_(1.0)
    tensors = {f"model.{name}": value for name, value in model.state_dict().items()}
    torch.save({"epoch": 1, "state_dict": tensors}, tmp_path / "checkpoints" / "best.ckpt")
    return tmp_path


def test_a_run_is_built_again(run: Path):
    result = CliRunner().invoke(app, ["verify", str(run)])
    assert result.exit_code == 0, result.output
    assert "the start, built again from config.yaml: " in result.output
    assert "changed" not in result.output
    assert "compared: the seed, buffers, names, shapes, types, roles, schemes" in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        ({"scheme": "zeros"}, "`scheme` is 'zeros', but should be"),
        ({"target_std": 0.5}, "`target_std` is 0.5, but should be"),
        ({"measured_std": 0.5}, "`measured_std` is 0.5, but is"),
        ({"role": "bias"}, "`role` is 'bias', but should be 'weight'"),
        ({"rule": "model.init"}, "`rule` is 'model.init', but should be"),
        ({"numbers": {}}, "`numbers` is {}, but should be"),
        ({"matrices": ["q"]}, "`matrices` is ('q',), but should be ()"),
        ({"std_tolerance": None}, "`std_tolerance` is None, but should be"),
    ],
    ids=str,
)
def test_a_row_that_was_edited_does_not_pass(run: Path, edit, message):
    data = json.loads((run / "ledger.json").read_text())
    data["parameters"][0] |= edit
    (run / "ledger.json").write_text(json.dumps(data))
    result = CliRunner().invoke(app, ["verify", str(run), "--json"])
    assert result.exit_code == 1
    found = json.loads(result.output)
    (problem,) = found["problems"]
    path = data["parameters"][0]["path"]
    assert (problem["code"], problem["path"]) == ("MF069", path)
    assert found["parameters"][path] == "misstated"
    assert message in problem["message"]


def test_another_seed_or_buffer_is_seen(run: Path):
    data = json.loads((run / "ledger.json").read_text())
    (run / "ledger.json").write_text(json.dumps(data | {"seed": 7, "buffers": {"norm.mean": "x.pt"}}))
    result = CliRunner().invoke(app, ["verify", str(run), "--json"])
    assert [problem["path"] for problem in json.loads(result.output)["problems"]] == ["seed", "buffers"]


@pytest.mark.parametrize("text", ["[" * 5000, "!!bool text", "a: !!int ''", "1", "\ud800", "{a: [1, 2}"])
def test_a_config_that_cannot_be_read(run: Path, text: str):
    (run / "config.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
    result = CliRunner().invoke(app, ["verify", str(run)])
    assert result.exit_code == 1
    assert "MF068" in result.output


def test_a_run_whose_config_was_edited(run: Path):
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(
        text.replace("seed: 0", "seed: 1").replace("out_features: 128", "out_features: 64")
    )
    result = CliRunner().invoke(app, ["verify", str(run)])
    assert result.exit_code == 1
    assert "MF065" in result.output


def test_a_checkpoint_shows_what_training_changed(run: Path):
    result = CliRunner().invoke(app, ["verify", str(run), "--ckpt", "best", "--json"])
    assert result.exit_code == 1
    data = json.loads(result.output)
    assert list(data["parameters"].values()).count("changed") == 1
    result = CliRunner().invoke(app, ["verify", str(run), "--ckpt", "last"])
    assert result.exit_code == 1
    assert "MF110" in result.output


def test_a_folder_without_config(run: Path):
    (run / "config.yaml").unlink()
    result = CliRunner().invoke(app, ["verify", str(run)])
    assert result.exit_code == 1
    assert "MF068" in result.output


def test_a_compiled_model_is_the_model():
    model = nn.Linear(3, 2)
    ledger = mf.initialize(model, "xavier")
    assert mf.verify(torch.compile(model), ledger).ok  # pyright: ignore[reportArgumentType]  # a module in fact


def test_a_tie_of_two_parameters_with_equal_values_shows():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    ledger = mf.initialize(net, "xavier")
    net[1].bias = net[0].bias
    found = mf.verify(net, ledger)
    assert found.states["1.bias"] == "tied"
    (problem,) = found.problems
    assert problem.message == "`1.bias` and `0.bias` are two parameters in the ledger, but one in the model"


@pytest.mark.parametrize("cut", [slice(0, 4), slice(3, 7)])
def test_parameters_that_share_memory_show_also_where_their_values_are_as_they_were(cut: slice):
    module = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 4))
    ledger = mf.initialize(module, {"scheme": "normal", "std": 0.1, "bias": "zeros"})
    module[1].bias = nn.Parameter(module[0].bias.detach()[cut])
    found = mf.verify(module, ledger)
    assert found.states["1.bias"] == "tied"
    [problem] = found.problems
    assert problem.message == "`1.bias` and `0.bias` are two parameters in the ledger, but share memory in the model"


def test_parameters_side_by_side_in_one_memory_are_two():
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    ledger = mf.initialize(module, "orthogonal")
    whole = torch.cat([module[0].weight.detach().flatten(), module[1].weight.detach().flatten()])
    module[0].weight, module[1].weight = (nn.Parameter(part.view(4, 4)) for part in whole.chunk(2))
    assert mf.verify(module, ledger).ok


def test_equal_constants_are_no_place_that_values_came_from():
    module = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    ledger = mf.initialize(
        module, {"scheme": "normal", "std": 0.1, "params": {"1.bias": {"scheme": "constant", "value": 0.1}}}
    )
    with torch.no_grad():
        module[1].bias.zero_()
    (problem,) = mf.verify(module, ledger).problems
    assert problem.message == "`1.bias` is not what the ledger says: its values were changed"
