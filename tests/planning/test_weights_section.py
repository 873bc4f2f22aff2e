"""The `weights` section: a file of values before every init block, and what of the model it leaves out."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import modelforge as mf
from modelforge.building.load import load
from modelforge.building.shards import Shard
from modelforge.core import tensor_file as weights
from modelforge.language.parse import dump
from modelforge.planning.weight_files import locate

MODEL = {
    "input": {"shape": [4]},
    "init": {"bias": {"scheme": "constant", "value": 3.0}},
    "layers": {
        "body": {"type": "Linear", "out_features": 6, "init": {"scheme": "orthogonal", "bias": "ones"}},
        "norm": "BatchNorm1d",
        "head": {"type": "Linear", "out_features": 2, "init": "ones"},
    },
}


PACKED = {
    "input": {"shape": [3, 4]},
    "layers": {"attend": {"type": "SelfAttention", "num_heads": 2, "num_kv_heads": 1}},
}


def state(model: nn.Module) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(value.shape, generator=generator).to(value.dtype)
        for name, value in model.state_dict().items()
    }


@pytest.fixture
def file(tmp_path: Path) -> tuple[str, dict[str, Tensor]]:
    values = state(mf.build(mf.parse(MODEL, init="xavier")))
    save_file(values, tmp_path / "w.safetensors")
    return str(tmp_path / "w.safetensors"), values


def test_the_file_wins_over_every_block(file):
    path, values = file
    model = mf.build(mf.parse(MODEL, init="xavier", weights={"path": path}))
    assert all(torch.equal(value, values[name]) for name, value in model.state_dict().items())
    assert {(entry.scheme, entry.rule, entry.verdict) for entry in model.ledger} == {("pretrained", "weights", "pass")}
    assert set(model.ledger.buffers) == {f"norm.{name}" for name, _ in model.norm.named_buffers()}


def test_what_it_overrode_is_in_the_plan(file):
    decided = mf.plan(mf.parse(MODEL, init="xavier", weights={"path": file[0]}))
    chain = decided.parameter("body.bias").chain
    assert [(link.key, link.verdict) for link in chain] == [
        ("weights", "wins"),
        ("model.layers.body.init.bias", "overridden"),
        ("model.init.bias", "overridden"),
        ("default of role `bias`", "overridden"),
    ]
    data = decided.to_dict()
    assert data["buffers"]["norm.running_var"]["tensor"] == "norm.running_var"
    json.dumps(data)


def test_what_is_skipped_starts_by_its_own_rules(file):
    path, values = file
    model = json.loads(json.dumps(MODEL))
    model["layers"]["head"]["out_features"] = 9  # another size than in the file, and the file has more than is wanted
    built = mf.build(mf.parse(model, init="xavier", weights={"path": path, "skip": ["head.*", "norm.*"]}))
    assert torch.equal(built.body.weight, values["body.weight"])
    assert built.head.weight.eq(1).all()
    assert built.head.bias.eq(3).all()
    assert built.norm.running_mean.eq(0).all()
    assert not built.ledger.buffers
    assert {entry.path for entry in built.ledger if entry.rule == "weights"} == {"body.weight", "body.bias"}
    one = mf.parse(MODEL, init="xavier", weights={"path": path, "skip": "head.bias"})
    assert mf.plan(one).parameter("head.bias").scheme == "constant"


def test_a_difference_of_files_is_shown(file, tmp_path):
    other = str(tmp_path / "other.safetensors")
    save_file(file[1], other)
    specs = [mf.parse(MODEL, init="xavier", weights={"path": path}) for path in (file[0], other)]
    found = mf.diff(*specs)
    assert len(found.parameters) == 6
    (change,) = found.parameters[0].changes
    assert (change.name, change.old, change.new) == ("path", file[0], other)
    plain = mf.diff(mf.parse(MODEL, init="xavier"), specs[0])
    assert {change.name for change in plain.parameters[0].changes} >= {"scheme", "rule"}


def test_the_section_is_part_of_the_spec(file):
    rename: dict[str, Any] = {"x": None, "a.*": {"to": ["b.*", "c.*"], "transpose": True}, "e": {"to": "f"}}
    given = {"path": file[0], "strip": "model", "rename": rename, "skip": ["head.*"]}
    spec = mf.parse(MODEL, init="xavier", weights=given)
    data = dump(spec)
    assert data["weights"] == given
    json.dumps(data)
    assert mf.parse(data) == spec
    assert mf.parse({**data, "weights": None}) != spec


def test_tied_parameters_are_skipped_by_each_name(tmp_path):
    layers = {"one": {"type": "Linear", "out_features": 4}, "two": {"type": "Linear", "out_features": 4}}
    model = {"input": {"shape": [4]}, "layers": layers, "tie": {"two.weight": "one.weight"}}
    values = state(mf.build(mf.parse(model, init="xavier")))
    save_file({name: value for name, value in values.items() if "bias" in name}, tmp_path / "w.safetensors")
    for skip in ("one.weight", "two.weight"):
        weights = {"path": str(tmp_path / "w.safetensors"), "skip": skip}
        assert mf.plan(mf.parse(model, init="xavier", weights=weights)).parameter("one.weight").scheme == "xavier"


QKV = ["attend.q_proj.*", "attend.k_proj.*", "attend.v_proj.*"]


RENAME = {"c_attn.*": {"to": QKV, "transpose": True}, "c_proj.*": {"to": "attend.out_proj.*", "transpose": True}}


@pytest.fixture
def packed(tmp_path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Queries, keys and values in one matrix, inputs first: 4 features of queries, 2 of keys and of values."""
    shapes = {"c_attn.weight": (4, 8), "c_attn.bias": (8,), "c_proj.weight": (4, 4), "c_proj.bias": (4,)}
    generator = torch.Generator().manual_seed(0)
    values = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    save_file({f"model.{name}": value for name, value in values.items()}, tmp_path / "w.safetensors")
    return {"path": str(tmp_path / "w.safetensors"), "strip": "model", "rename": RENAME}, values


def test_a_packed_matrix_is_transposed_split_and_read_once(packed, monkeypatch):
    reads: list[str] = []
    read = weights._Safetensors.read
    monkeypatch.setattr(weights._Safetensors, "read", lambda file, name: (reads.append(name), read(file, name))[1])
    section, values = packed
    decided = mf.plan(mf.parse(PACKED, init="xavier", weights=section))
    assert not reads
    model = mf.build(decided)
    assert sorted(reads) == sorted(f"model.{name}" for name in values)
    weight, bias = values["c_attn.weight"].T, values["c_attn.bias"]
    for name, rows in {"q_proj": slice(0, 4), "k_proj": slice(4, 6), "v_proj": slice(6, 8)}.items():
        part = model.attend.get_submodule(name)
        assert torch.equal(part.weight, weight[rows])
        assert torch.equal(part.bias, bias[rows])
    assert torch.equal(model.attend.out_proj.weight, values["c_proj.weight"].T)
    assert model.ledger.ok
    assert dict(model.ledger["attend.k_proj.weight"].numbers) == {
        "file": section["path"],
        "tensor": "model.c_attn.weight",
        "file_dtype": "float32",
        "transposed": True,
        "rows": (4, 6),
    }


def test_parts_of_a_tensor_can_be_skipped(packed):
    section, values = packed
    model = mf.build(mf.parse(PACKED, init="ones", weights={**section, "skip": "attend.k_proj.*"}))
    assert model.attend.k_proj.weight.eq(1).all()
    assert torch.equal(model.attend.v_proj.bias, values["c_attn.bias"][6:])


def test_a_name_that_is_no_parameter_splits_nothing(packed):
    rename = {**RENAME, "c_attn.*": {"to": [*QKV[:2], "attend.values.*"], "transpose": True}}
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(mf.parse(PACKED, init="xavier", weights={**packed[0], "rename": rename}))
    lacking, surplus = caught.value.problems
    assert (lacking.code, surplus.code, surplus.key) == ("MF112", "MF113", "weights")
    assert "attend.values.bias (8,) and attend.values.weight (4, 8)" in surplus.message


@pytest.mark.parametrize(
    ("moved", "shape", "message"),
    [
        ({"transpose": True}, (2, 4, 1), "(2, 4, 1), and cannot be transposed: it is not a matrix"),
        ({"squeeze": True}, (2, 4), "(2, 4), and cannot be squeezed: its first dimension is not 1"),
        ({"squeeze": True}, (), "(), and cannot be squeezed: its first dimension is not 1"),
    ],
)
def test_tensors_that_cannot_be_moved(tmp_path, moved, shape, message):
    path = str(tmp_path / "w.safetensors")
    save_file({"w": torch.ones(shape)}, path)
    model = {"input": {"shape": [4]}, "layers": {"head": {"type": "Linear", "out_features": 2, "bias": False}}}
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(mf.parse(model, weights={"path": path, "rename": {"w": {"to": "head.weight", **moved}}}))
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("MF117", "weights.rename.w")
    assert problem.message == f"`w` of `{path}` is {message}"


def test_a_first_dimension_of_size_one_is_left_out(tmp_path):
    path = str(tmp_path / "w.safetensors")
    value = torch.randn(1, 4, 2)
    save_file({"w": value}, path)
    model = {"input": {"shape": [4]}, "layers": {"head": {"type": "Linear", "out_features": 2, "bias": False}}}
    rename = {"w": {"to": "head.weight", "squeeze": True, "transpose": True}}
    built = mf.build(mf.parse(model, weights={"path": path, "rename": rename}))
    assert torch.equal(built.head.weight, value[0].T)


def test_existing_modules_take_parts_too(packed):
    net = nn.MultiheadAttention(4, 2)
    section, values = packed
    rename = {"c_attn.*": None, "c_proj.*": {"to": "out_proj.*", "transpose": True}}
    init = {"scheme": "pretrained", **section, "rename": rename, "params": {"in_proj*": "zeros"}}
    assert mf.initialize(net, init).ok
    assert torch.equal(net.out_proj.weight, values["c_proj.weight"].T)


def test_a_file_is_looked_at_for_nothing_where_no_rule_names_one():
    decided = mf.plan(mf.parse(MODEL, init="xavier"))
    assert locate(decided.parameters, None).parameters == decided.parameters
    assert decided.num_parameters == sum(prod(item.shape) for item in decided.parameters)


def test_a_prefix_of_all_names_is_named(tmp_path):
    path = str(tmp_path / "prefixed.pt")
    torch.save({f"backbone.{name}": values for name, values in mf.build(mf.parse(MODEL)).state_dict().items()}, path)
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(mf.parse(MODEL, init="xavier", weights={"path": path}))
    assert caught.value.problems[0].hint == (
        "its names begin with `backbone.`; remove this prefix: `weights.strip=backbone`"
    )
    assert mf.build(mf.parse(MODEL, init="xavier", weights={"path": path, "strip": "backbone"})).ledger.ok


def test_both_ends_of_a_rename_that_fits_nothing_are_named(file):
    section = {"path": file[0], "rename": {"boddy": "body", "head": "haed"}}
    with pytest.raises(mf.ForgeError) as caught:
        mf.plan(mf.parse(MODEL, init="xavier", weights=section))
    assert [(problem.code, problem.key) for problem in caught.value.problems] == [
        ("MF112", "weights"),
        ("MF113", "weights"),
    ]


def test_a_shard_gets_its_part_of_a_transposed_part(packed):
    section, values = packed
    decided = mf.plan(mf.parse(PACKED, init="xavier", weights=section))
    item = decided.parameter("attend.v_proj.weight")
    memory = torch.zeros(1, 4)
    loaded = load([item], {item.path: Shard(memory, item.shape, (1, 0))}, {}, nn.Identity())
    assert torch.equal(memory, values["c_attn.weight"].T[7:8])
    assert loaded.equal == {item.path: True}
