"""Stored values: the tensor of each parameter is located before anything is allocated; only headers are read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import modelforge as mf
from modelforge.core import tensor_file as weights
from modelforge.planning import weight_files as checkpoint
from tests.inits.test_from_file import LAYERS, dense, problems, saved, spec, tensors


@pytest.fixture
def file(tmp_path: Path) -> str:
    return saved(tmp_path / "weights.safetensors", **tensors(mf.build(spec("xavier"))))


def test_planning_reads_no_values(file, monkeypatch):
    def fail(*args: Any) -> None:
        raise AssertionError("values were read")

    monkeypatch.setattr(weights._Safetensors, "read", fail)
    assert mf.plan(spec({"scheme": "pretrained", "path": file})).parameter("head.weight").numbers["tensor"]
    monkeypatch.setattr(checkpoint, "opened", fail)
    mf.plan(spec("xavier"))  # no file is even opened


def test_names_that_the_file_lacks(file):
    layers = LAYERS | {"more": {"type": "Linear", "out_features": 3}}
    [(code, path, message)] = problems(mf.plan, spec({"scheme": "pretrained", "path": file}, layers))
    assert (code, path) == ("MF112", "init")
    assert message == f"`{file}` lacks parameters of this rule: more.weight (3, 2) and more.bias (3,)"


def test_tensors_that_the_model_lacks(tmp_path):
    values = {"body__weight": torch.ones(3, 4), "body__bias": torch.ones(3)}
    path = saved(tmp_path / "w.safetensors", **values, boddy__scale=torch.ones(2), last=torch.ones(()))
    with pytest.raises(mf.ForgeError) as caught:
        mf.build(dense({"scheme": "pretrained", "path": path}))
    [problem] = caught.value.problems
    assert (problem.code, problem.key) == ("MF113", "init")
    listed = "boddy.scale (2,) and last ()"
    assert problem.message == f"the model has no parameters for these tensors of `{path}`: {listed}"
    assert problem.hint.startswith(
        "`subset` says which tensors to take, and `rename` what they are called here; did you mean"
    )
    mf.build(dense({"scheme": "pretrained", "path": path, "subset": ["body.w*", "*.bias"]}))
    mf.build(dense({"scheme": "pretrained", "path": path, "subset": "body.*"}))


def test_shapes_are_all_listed_with_those_of_buffers(file):
    layers = LAYERS | {"rnn": {"type": "LSTM", "hidden_size": 8}}
    found = problems(mf.plan, spec({"scheme": "pretrained", "path": file}, layers))
    assert [(code, path) for code, path, _ in found] == [("MF114", "init")] * 2
    assert "rnn.weight_ih_l0 is (20, 6) there, but must be (32, 6); rnn.weight_hh_l0 is (20, 5)" in found[0][2]
    assert "head.weight is (2, 5) there, but must be (2, 8)" in found[0][2]
    statistics = "norm.running_mean is (5,) there, but must be (8,); norm.running_var is (5,) there, but must be (8,)"
    assert found[1][2] == f"`{file}` has other shapes: {statistics}"


def test_kinds_of_numbers(tmp_path):
    path = saved(tmp_path / "w.safetensors", body__weight=torch.ones(3, 4, dtype=torch.int8), body__bias=torch.ones(3))
    message = f"`{path}` has other kinds of numbers: body.weight is int8 there, but float32 here"
    assert problems(mf.plan, dense({"scheme": "pretrained", "path": path})) == [("MF114", "init", message)]


def test_globs_and_renames_that_hit_nothing(file):
    init = {"scheme": "pretrained", "path": file, "subset": ["*", "haed.*"], "rename": {"encodr": "rnn"}}
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(spec(init))
    assert [(p.code, p.key, p.message) for p in caught.value.problems] == [
        ("MF115", "init.subset.1", f"`haed.*` matches no name in `{file}`"),
        ("MF115", "init.rename.encodr", f"`encodr` matches no name in `{file}`"),
    ]
    assert caught.value.problems[0].hint == "did you mean `head`?"


def test_two_tensors_of_one_name(tmp_path):
    path = saved(
        tmp_path / "w.safetensors", body__weight=torch.ones(3, 4), body__bias=torch.ones(3), a__bias=torch.ones(3)
    )
    [(code, where, message)] = problems(mf.plan, dense({"scheme": "pretrained", "path": path, "rename": {"a": "body"}}))
    assert (code, where) == ("MF116", "init.rename")
    assert message.endswith("both become `body.bias`")


@pytest.mark.parametrize(("rename", "found"), [({"*.a": "b"}, "`*.a: b`"), ({"*****": "*****"}, "`*****: *****`")])
def test_stars_that_do_not_pair(file, rename, found):
    [(code, where, message)] = problems(spec, {"scheme": "pretrained", "path": file, "rename": rename})
    assert (code, where) == ("MF022", "init.rename")
    assert message == f"`rename` must have the same number of `*`, 4 at most, on both sides of {found}"
