"""Frozen parameters of existing modules keep their values, unless a rule names them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

import modelforge as mf
from tests.building.test_any_module import refused

NORMAL = {"scheme": "normal", "std": 0.02}


def frozen(module: nn.Module) -> nn.Module:
    return module.requires_grad_(False)


def table() -> nn.Sequential:
    """A fixed table before a layer that is trained."""
    return nn.Sequential(frozen(nn.Embedding(6, 4)), nn.Linear(4, 3))


def assert_kept(net: nn.Module, init: Any, kept: set[str]) -> mf.Ledger:
    before = {path: weight.detach().clone() for path, weight in net.named_parameters()}
    ledger = mf.initialize(net, init)
    assert ledger.ok
    assert {entry.path for entry in ledger if entry.scheme == "keep"} == kept
    for path, weight in net.named_parameters():
        assert torch.equal(weight, before[path]) == (path in kept), path
    return ledger


@pytest.mark.parametrize(
    "init",
    [
        NORMAL | {"bias": NORMAL},
        NORMAL | {"bias": NORMAL, "embedding": {"scheme": "constant", "value": 1.0}},
        {"scheme": "torch"},
        NORMAL | {"types": {"Sequential": {"bias": NORMAL}}},
    ],
)
def test_a_frozen_table_stays(init):
    entry = assert_kept(table(), init, {"0.weight"})["0.weight"]
    assert (entry.scheme, entry.verdict) == ("keep", "unpromised")
    assert entry.rule == "frozen: `requires_grad=False`"
    assert entry.target_std is None


@pytest.mark.parametrize(
    "init",
    [
        NORMAL | {"bias": NORMAL, "params": {"0.weight": NORMAL}},
        NORMAL | {"bias": NORMAL, "embedding": NORMAL, "params": {"0.*": {"std": 0.5}}},
        NORMAL | {"bias": NORMAL, "types": {"Embedding": {"params": {"weight": NORMAL}}}},
    ],
    ids=["by name", "by glob, refined", "below a type"],
)
def test_a_rule_that_names_it_fills_it(init):
    net = table()
    assert_kept(net, init, set())
    assert not net[0].weight.requires_grad


def test_a_rule_for_frozen_layers_alone_is_without_effect():
    (problem,) = refused(table(), NORMAL | {"types": {"Embedding": NORMAL}})
    assert (problem.code, problem.key) == ("MF023", "init.types.Embedding")
    assert problem.message == "all parameters of each `Embedding` here are frozen (`requires_grad=False`), and so kept"
    assert problem.hint == "to fill them nevertheless, name them in `params`"


def test_a_type_that_is_frozen_in_part_is_filled_in_part():
    net = nn.Sequential(frozen(nn.Linear(4, 4)), nn.Linear(4, 4))
    assert_kept(net, {"types": {"Linear": NORMAL | {"bias": NORMAL}}}, {"0.weight", "0.bias"})


def test_what_nothing_covers_may_be_frozen():
    net = nn.Sequential(nn.Linear(2, 2))
    net.register_parameter("positions", nn.Parameter(torch.randn(3, 2), requires_grad=False))
    assert_kept(net, NORMAL | {"bias": NORMAL}, {"positions"})


def test_tied_and_frozen_by_either_name():
    for params, kept in ({}, {"0.weight"}), ({"2.weight": NORMAL}, set[str]()):
        net = table()
        net.append(nn.Linear(4, 6, bias=False))
        net[2].weight = net[0].weight
        assert_kept(net, NORMAL | {"bias": NORMAL, "params": params}, kept)


def test_a_frozen_base_with_a_trained_addition():
    """As LoRA has it."""
    base = frozen(nn.Linear(8, 8))
    net = nn.ModuleDict({"base": base, "down": nn.Linear(8, 2, bias=False), "up": nn.Linear(2, 8, bias=False)})
    assert_kept(net, NORMAL, {"base.weight", "base.bias"})


def test_behind_a_parametrisation():
    net = nn.Sequential(frozen(parametrizations.weight_norm(nn.Linear(4, 4))), nn.Linear(4, 4))
    before = [weight.clone() for weight in net[0].parameters()]
    ledger = mf.initialize(net, NORMAL | {"bias": NORMAL})
    assert all(torch.equal(one, other) for one, other in zip(before, net[0].parameters(), strict=True))
    assert {entry.path for entry in ledger if entry.scheme == "keep"} == {"0.weight", "0.bias"}


def test_a_frozen_view_of_another_parameter_is_no_obstacle_to_itself():
    net = nn.Sequential(nn.Linear(4, 4))
    net.register_parameter("wide", nn.Parameter(torch.zeros(1, 4).expand(5, 4), requires_grad=False))
    assert_kept(net, NORMAL | {"bias": NORMAL}, {"wide"})


def test_a_module_that_is_frozen_as_a_whole():
    (problem,) = refused(frozen(nn.Linear(3, 3)), NORMAL)
    assert (problem.code, problem.key) == ("MF029", "init")
    assert problem.message == "every parameter is frozen (`requires_grad=False`), and so kept: there is nothing to fill"
    assert problem.hint == "call `module.requires_grad_()` first, or name parameters in `params`"
    assert_kept(frozen(nn.Linear(3, 3)), "keep", {"weight", "bias"})


def test_calibration_leaves_it():
    net = nn.Sequential(frozen(nn.Linear(8, 8)), nn.Linear(8, 8))
    ledger = mf.initialize(net, NORMAL | {"bias": NORMAL})
    before = net[0].weight.clone()
    ledger = mf.calibrate(net, torch.randn(64, 8, generator=torch.Generator().manual_seed(0)), ledger=ledger)
    assert torch.equal(net[0].weight, before)
    done = ledger["0.weight"].calibration
    assert done is not None
    assert done.left == "it is frozen (`requires_grad=False`)"


def test_whisper_keeps_its_sinusoids():
    transformers = pytest.importorskip("transformers", reason="a development dependency")
    sizes = {"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "vocab_size": 60, "pad_token_id": 0}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32}
    words = {"bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
    places = {"max_source_positions": 8, "max_target_positions": 8}
    config = transformers.WhisperConfig(**sizes, **heads, **words, **places)
    net = transformers.WhisperForConditionalGeneration(config)
    weight = net.model.encoder.embed_positions.weight
    before = weight.detach().clone()
    ledger = mf.initialize(net, {"scheme": "normal", "std": 0.02})
    assert torch.equal(weight, before)
    assert [entry.path for entry in ledger if entry.scheme == "keep"] == ["model.encoder.embed_positions.weight"]
