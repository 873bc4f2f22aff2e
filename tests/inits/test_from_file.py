"""The `pretrained` scheme: values from files, and everything that does not fit found before anything is allocated."""

from __future__ import annotations

import json
import os
from pathlib import Path
from time import process_time
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import modelforge as mf
from modelforge.inits.schemes.undrawn import Pretrained

LAYERS = {
    "embed": {"type": "Embedding", "num_embeddings": 7, "embedding_dim": 6, "padding_idx": 0},
    "rnn": {"type": "LSTM", "hidden_size": 5},
    "last": {"type": "Select", "dim": 1, "index": -1},
    "norm": {"type": "BatchNorm1d"},
    "head": {"type": "Linear", "out_features": 2},
}


def spec(
    init: Any, layers: dict[str, Any] = LAYERS, shape: tuple[int, ...] = (4,), dtype: str = "int64"
) -> mf.ModelSpec:
    return mf.parse({"input": {"shape": [*shape], "dtype": dtype}, "layers": layers}, init=init)


def dense(init: Any, **layers: Any) -> mf.ModelSpec:
    return spec(init, {"body": {"type": "Linear", "out_features": 3}, **layers}, (4,), "float32")


def tensors(model: nn.Module) -> dict[str, Tensor]:
    """What a checkpoint holds, with values that no scheme draws."""
    generator = torch.Generator().manual_seed(0)
    state = model.state_dict()
    return {name: torch.randn(value.shape, generator=generator).to(value.dtype) for name, value in state.items()}


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "weights.safetensors"
    save_file(tensors(mf.build(spec("xavier"))), path)
    return str(path)


def saved(path: Path, **values: Tensor) -> str:
    save_file({name.replace("__", "."): value for name, value in values.items()}, path)
    return str(path)


def problems(action: Any, *args: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        action(*args)
    return [(problem.code, problem.key, problem.message) for problem in caught.value.problems]


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_a_whole_model_with_its_running_statistics(file):
    model = mf.build(spec({"scheme": "pretrained", "path": file}))
    expected = tensors(model)
    for name, value in model.state_dict().items():
        assert torch.equal(value, expected[name]), name
    for entry in model.ledger:
        assert (entry.scheme, entry.verdict) == ("pretrained", "pass")
        assert dict(entry.numbers) == {"file": file, "tensor": entry.path, "file_dtype": "float32"}
        assert entry.measured_mean == pytest.approx(expected[entry.path].mean().item(), abs=1e-6)
    names = ("norm.running_mean", "norm.running_var", "norm.num_batches_tracked")
    assert model.ledger.buffers == {name: f"{file}: {name}" for name in names}
    assert json.loads(json.dumps(model.ledger.to_dict()))["ok"]


@pytest.mark.parametrize("nested", [False, True])
def test_a_checkpoint_of_torch(tmp_path, nested):
    expected = tensors(mf.build(spec("xavier")))
    path = str(tmp_path / "epoch=3.ckpt")
    torch.save({"epoch": 3, "state_dict": expected} if nested else expected, path)
    init = {"scheme": "pretrained", "path": path} | ({"rename": {"state_dict": ""}} if nested else {})
    model = mf.build(spec(init))
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())
    assert model.ledger["head.bias"].numbers["tensor"] == ("state_dict.head.bias" if nested else "head.bias")


def test_existing_modules(tmp_path):
    net = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    net[2].bias.requires_grad_(False)
    expected = tensors(net)
    path = tmp_path / "net.safetensors"
    save_file(expected, path)
    ledger = mf.initialize(net, {"scheme": "pretrained", "path": str(path)})
    assert all(torch.equal(value, expected[name]) for name, value in net.state_dict().items())
    assert ledger.ok
    assert len(ledger.buffers) == 3
    assert not net[2].bias.requires_grad


def test_the_rest_is_under_its_own_rules(file):
    model = mf.build(spec({"scheme": "pretrained", "path": file, "params": {"head.*": "ones"}}))
    assert model.head.weight.eq(1).all()
    assert model.ledger["head.weight"].scheme == "ones"
    layers = LAYERS | {"head": {"type": "Linear", "out_features": 9, "init": {"scheme": "xavier", "bias": "zeros"}}}
    model = mf.build(spec({"scheme": "pretrained", "path": file}, layers))
    assert torch.equal(model.norm.weight, tensors(mf.build(spec("xavier")))["norm.weight"])
    assert {entry.scheme for entry in model.ledger} == {"pretrained", "xavier", "zeros"}


def test_a_rule_on_one_layer_takes_what_is_its(file):
    layers = LAYERS | {"rnn": {"type": "LSTM", "hidden_size": 5, "init": {"scheme": "pretrained", "path": file}}}
    model = mf.build(spec("xavier", layers))
    expected = tensors(model)
    assert {entry.path for entry in model.ledger if entry.scheme == "pretrained"} == {
        f"rnn.{name}" for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    }
    assert torch.equal(model.rnn.weight_hh_l0, expected["rnn.weight_hh_l0"])


def test_subset_and_rename(tmp_path):
    path = saved(
        tmp_path / "bert.safetensors",
        bert__dense__kernel=torch.ones(3, 4),
        bert__dense__bias=torch.ones(3),
        cls__bias=torch.ones(9),
        cls__kernel=torch.ones(9),
    )
    init = {"scheme": "pretrained", "path": path, "subset": "bert.*"}
    model = mf.build(dense(init | {"rename": {"bert.dense.kernel": "body.weight", "bert.dense": "body"}}))
    assert model.body.weight.eq(1).all()
    assert model.ledger["body.weight"].numbers["tensor"] == "bert.dense.kernel"


@pytest.mark.parametrize(
    ("rename", "old", "new"),
    [
        ({"a": "b"}, "a.x", "b.x"),
        ({"a": "b"}, "a", "b"),
        ({"a": "b"}, "ab.x", "ab.x"),
        ({"a.": "b."}, "a.x", "b.x"),
        ({"a": ""}, "a.x.y", "x.y"),
        ({"": "model"}, "a.x", "model.a.x"),
        ({"a.b": "c"}, "a.b.x", "c.x"),
        ({"*.gamma": "*.weight"}, "a.b.gamma", "a.b.weight"),
        ({"h.*.attn.*": "layers.*.attention.*"}, "h.3.attn.q.bias", "layers.3.attention.q.bias"),
        ({"a": "first", "a.b": "second"}, "a.b.x", "first.b.x"),
        ({"a.b": "second", "a": "first"}, "a.b.x", "second.x"),
        ({"a+": "b"}, "a+.x", "b.x"),
        ({"a": "b", "*.gamma": "*.weight"}, "a.gamma", "b.weight"),
        ({"h.{n}": "blocks.{n}.block"}, "h.12.x", "blocks.12.block.x"),
        ({"h.{n}": "blocks.{n}.block"}, "h.a.x", "h.a.x"),
        ({"*.0.*": "*.first.*", "*.{n}.*": "*.rest.{n-1}.*"}, "stage.3.x", "stage.rest.2.x"),
        ({"*.0.*": "*.first.*", "*.{n}.*": "*.rest.{n-1}.*"}, "stage.0.x", "stage.first.x"),
        ({"{a}.*.{b}.*": "*.{b}.*.{a+1}"}, "1.x.2.y", "x.2.y.2"),
    ],
)
def test_how_names_change(rename, old, new):
    assert Pretrained(path="f", rename=rename).renamed(old).names == (new,)


def test_values_are_rounded_to_the_type_of_the_parameter(tmp_path):
    value = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    path = saved(tmp_path / "w.safetensors", body__weight=value.double(), body__bias=torch.ones(3, dtype=torch.float16))
    for dtype in (torch.float32, torch.bfloat16):
        model = mf.build(dense({"scheme": "pretrained", "path": path}), dtype=dtype)
        assert torch.equal(model.body.weight, value.to(dtype))
        assert (model.ledger["body.weight"].verdict, model.ledger["body.bias"].verdict) == ("pass", "pass")
        assert model.ledger["body.bias"].numbers["file_dtype"] == "float16"


def test_values_that_are_not_finite_fail(tmp_path):
    path = saved(tmp_path / "w.safetensors", body__weight=torch.full((3, 4), torch.nan), body__bias=torch.ones(3))
    model = mf.build(dense({"scheme": "pretrained", "path": path}))
    assert [entry.path for entry in model.ledger.failures] == ["body.weight"]


def test_the_padding_row_is_that_of_the_file(file):
    model = mf.build(spec({"scheme": "pretrained", "path": file}))
    assert torch.equal(model.embed.weight[0], tensors(model)["embed.weight"][0])


def test_tied_and_parametrised_tensors(tmp_path):
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), parametrizations.weight_norm(nn.Linear(3, 2)))
    net[1].weight = net[0].weight
    values = {"0.weight": torch.randn(3, 3), "2.weight": torch.randn(2, 3)}
    values |= {"1.weight": values["0.weight"].clone()}
    values |= {name: torch.ones(3 - (name == "2.bias")) for name in ("0.bias", "1.bias", "2.bias")}
    path = tmp_path / "w.safetensors"
    save_file(values, path)
    ledger = mf.initialize(net, {"scheme": "pretrained", "path": str(path)})
    assert torch.equal(net[1].weight, values["0.weight"])
    torch.testing.assert_close(net[2].weight.detach(), values["2.weight"])
    assert ledger.ok


# --- what does not fit ------------------------------------------------------------------------------------------------


def test_nothing_is_written_when_something_does_not_fit(tmp_path):
    net = nn.Sequential(nn.Linear(4, 3), nn.Linear(3, 2))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    path = tmp_path / "w.safetensors"
    save_file({"0.weight": torch.ones(3, 4), "1.weight": torch.ones(9, 9)}, path)
    found = problems(mf.initialize, net, {"scheme": "pretrained", "path": str(path), "bias": "ones"})
    assert [message.rpartition(": ")[2] for _, _, message in found] == ["1.weight is (9, 9) there, but must be (2, 3)"]
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


# --- files ------------------------------------------------------------------------------------------------------------


class Code:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.getenv, ("HOME",)


def test_a_pickle_with_code_is_refused(tmp_path):
    path = str(tmp_path / "model.pt")
    torch.save({"body.weight": torch.ones(3, 4), "x": Code()}, path)
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(dense({"scheme": "pretrained", "path": path}))
    [problem] = caught.value.problems
    assert (problem.code, problem.key) == ("MF111", "init.path")
    assert problem.message == (
        f"`{path}` cannot be loaded: it holds a pickle that would run code: `os.getenv`, and that is never loaded"
    )
    assert "safetensors.torch.save_file" in problem.hint


def test_files_that_give_nothing(tmp_path):
    text, broken, folder = tmp_path / "a.txt", tmp_path / "b.safetensors", tmp_path / "folder"
    text.write_text("hello")
    save_file({"body.weight": torch.ones(300, 4)}, broken)
    broken.write_bytes(broken.read_bytes()[:-100])
    folder.mkdir()
    scripted = tmp_path / "scripted.pt"
    with open(scripted, "wb") as out:
        out.write(b"PK\x05\x06" + b"\0" * 18)  # an empty zip archive
    reasons = {
        str(tmp_path / "none"): "there is no such file",
        str(folder): "it is a folder, not a file",
        str(text): "it is neither safetensors nor a checkpoint of torch 1.6 or later",
        str(broken): "it is damaged: ",
        str(scripted): "it is not a checkpoint of tensors: ",
    }
    for path, reason in reasons.items():
        [(code, where, message)] = problems(mf.plan, dense({"scheme": "pretrained", "path": path}))
        assert (code, where) == ("MF110", "init.path")
        assert message.startswith(f"`{path}` cannot be loaded: {reason}")
    [(code, where, message)] = problems(dense, {"scheme": "pretrained"})
    assert (code, where, message) == ("MF090", "init", "scheme `pretrained` needs the field `path`")


def test_a_file_that_changes_after_planning(tmp_path):
    path = saved(tmp_path / "w.safetensors", body__weight=torch.ones(3, 4), body__bias=torch.ones(3))
    decided = mf.plan(dense({"scheme": "pretrained", "path": path}))
    saved(Path(path), body__weight=torch.ones(3, 5), body__bias=torch.ones(3))
    [(code, where, message)] = problems(mf.build, decided)
    assert (code, where) == ("MF110", "init.path")
    assert message == f"`{path}` cannot be loaded: `body.weight` has changed since it was planned"


def test_a_rename_takes_no_choice_back():
    scheme = Pretrained(path="w", rename={"*a*a*a*b": "*c*c*c*d"})
    start = process_time()
    assert scheme.renamed("a" * 5_000).names == ("a" * 5_000,)
    assert process_time() - start < 1


@pytest.mark.parametrize(
    ("old", "new", "name", "renamed"),
    [
        ("*.*.weight", "*|*.w", "a.b.c.weight", "a.b|c.w"),
        ("*a*", "*-*", "xaya", "xay-"),
        ("h.{n}.*", "l.{n+1}.*", "h.12.a.b", "l.13.a.b"),
        ("*.{n}.*", "*:{n}:*", "a.1.b.2.c", "a.1.b:2:c"),
        ("{n}*", "*{n}", "12ab", "ab12"),
    ],
)
def test_the_first_star_takes_as_much_as_it_can(old, new, name, renamed):
    assert Pretrained(path="w", rename={old: new}).renamed(name).names == (renamed,)
