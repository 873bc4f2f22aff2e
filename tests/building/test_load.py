"""Checkpoints of trainings as files of weights: what wraps the model's values is taken off by itself; tied names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file, save_model

import modelforge as mf

TIED: dict[str, Any] = {
    "input": {"shape": [5], "dtype": "int64"},
    "layers": {
        "table": {"type": "Embedding", "num_embeddings": 7, "embedding_dim": 4},
        "head": {"type": "Linear", "out_features": 7, "bias": False},
    },
    "tie": {"head.weight": "table.weight"},
}


PLAIN: dict[str, Any] = {"input": {"shape": [4]}, "layers": {"head": {"type": "Linear", "out_features": 2}}}


def build(config: dict[str, Any], path: Path | None = None, **section: Any) -> mf.Model:
    weights = None if path is None else {"path": str(path), **section}
    return mf.build(mf.parse(config, init="xavier", weights=weights), seed=0 if path else 3)


def equal(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    left, right = one.state_dict(), other.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def prefixed(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {f"{prefix}{name}": value for name, value in values.items()}


OPTIMIZER = {"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []}


WRAPPED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "state_dict": lambda values: values,
    "pytorch examples": lambda values: {"epoch": 1, "state_dict": values, "optimizer": OPTIMIZER},
    "pytorch tutorials": lambda values: {"model_state_dict": values, "optimizer_state_dict": OPTIMIZER},
    "model": lambda values: {"model": values, "optimizer": OPTIMIZER},
    "Lightning": lambda values: {"state_dict": prefixed(values, "model."), "callbacks": {"x": {"best": torch.ones(1)}}},
    "with numbers beside": lambda values: {"state_dict": values, "best_acc1": torch.tensor(0.5)},
    "with tensors of the training": lambda values: {"model_state_dict": values, "rng_state": torch.zeros(9)},
    "data parallel": lambda values: prefixed(values, "module."),
    "compiled, in Lightning": lambda values: {"state_dict": prefixed(values, "model._orig_mod.")},
}


@pytest.mark.parametrize("config", [PLAIN, TIED], ids=["plain", "tied"])
@pytest.mark.parametrize("wrap", WRAPPED)
def test_the_path_of_a_checkpoint_is_enough(tmp_path: Path, wrap: str, config: dict[str, Any]) -> None:
    original = build(config)
    torch.save(WRAPPED[wrap](original.state_dict()), tmp_path / "own.pt")
    model = build(config, tmp_path / "own.pt")
    assert equal(model, original)
    assert model.ledger.ok


@pytest.mark.parametrize("strip", ["state_dict", "model", ["state_dict"], ["state_dict", "model"], "state_dict.model"])
def test_prefixes_of_a_training_may_be_written_all_the_same(tmp_path: Path, strip: Any) -> None:
    original = build(PLAIN)
    torch.save(WRAPPED["Lightning"](original.state_dict()), tmp_path / "own.pt")
    assert equal(build(PLAIN, tmp_path / "own.pt", strip=strip), original)


def test_tensors_beside_a_part_that_is_called_model_are_the_model_s_too(tmp_path: Path) -> None:
    config = {"input": {"shape": [4]}, "layers": {"model": {"type": "Sequential", "layers": PLAIN["layers"]}}}
    config["layers"] |= {"last": {"type": "Linear", "out_features": 2, "bias": False}}
    original = build(config)
    values = original.state_dict()
    inner = {name.removeprefix("model."): value for name, value in values.items() if name.startswith("model.")}
    torch.save({"model": inner, "last.weight": values["last.weight"]}, tmp_path / "own.pt")
    assert equal(build(config, tmp_path / "own.pt"), original)


def test_a_layer_that_is_called_like_a_wrapper_keeps_its_name(tmp_path: Path) -> None:
    config = {"input": {"shape": [4]}, "layers": {"model": {"type": "Linear", "out_features": 2}}}
    original = build(config)
    torch.save({"state_dict": original.state_dict()}, tmp_path / "own.pt")
    assert equal(build(config, tmp_path / "own.pt"), original)


def test_a_prefix_of_the_section_s_own_comes_after_those_of_trainings(tmp_path: Path) -> None:
    original = build(PLAIN)
    torch.save({"state_dict": prefixed(original.state_dict(), "net.")}, tmp_path / "own.pt")
    assert equal(build(PLAIN, tmp_path / "own.pt", strip="net"), original)


@pytest.mark.parametrize("kept", [["table.weight"], ["head.weight"], ["table.weight", "head.weight"]])
def test_a_tied_parameter_is_found_by_any_of_its_names(tmp_path: Path, kept: list[str]) -> None:
    original = build(TIED)
    values = {name: original.state_dict()[name].clone() for name in kept}
    save_file(values, tmp_path / "own.safetensors")
    model = build(TIED, tmp_path / "own.safetensors")
    assert equal(model, original)
    assert model.head.weight is model.table.weight


def test_what_safetensors_makes_of_a_tied_model(tmp_path: Path) -> None:
    original = build(TIED)
    save_model(original, str(tmp_path / "own.safetensors"))
    assert equal(build(TIED, tmp_path / "own.safetensors"), original)


def test_an_existing_module_with_tied_parameters(tmp_path: Path) -> None:
    original, other = build(TIED), build(TIED)
    torch.save(original.state_dict(), tmp_path / "own.pt")
    mf.initialize(other, {"scheme": "pretrained", "path": str(tmp_path / "own.pt")})
    assert equal(other, original)


def test_names_of_one_parameter_with_different_values_are_refused(tmp_path: Path) -> None:
    values = {name: value.clone() for name, value in build(TIED).state_dict().items()}
    values["head.weight"] += 1
    path = tmp_path / "own.pt"
    torch.save(values, path)
    with pytest.raises(mf.ForgeError) as caught:
        build(TIED, path)
    (problem,) = caught.value.problems
    assert (problem.code, problem.key) == ("MF114", "weights.path")
    assert problem.message == (
        f"`{path}` cannot be loaded: `table.weight` and `head.weight` differ there, and are one parameter here"
    )
    assert problem.hint == "untie them, or choose one by `subset`"
    assert equal(build(TIED, path, subset="table.*"), build(TIED))
