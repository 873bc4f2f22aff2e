"""The contract that every scheme keeps, as one table: schemes x shapes x dtypes."""

from __future__ import annotations

import copy
import json
import math
import pickle
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.core.rng import Key
from modelforge.inits import Activation, Elementwise, Fill, Initializer, Law, Matrix
from tests.inits.case import Case
from tests.inits.catalogue import CASES
from tests.inits.matrices import MATRICES, TANH, VECTORS

EACH = [pytest.param(case, name, id=f"{case}-{name}") for case in CASES for name in case.matrices]
EACH_EMPTY = [pytest.param(case, name, id=f"{case}-{name}") for case in CASES for name in case.empty]
ELEMENTWISE = [item for item in EACH if issubclass(inits.get(item.values[0].config["scheme"]), inits.Elementwise)]  # pyright: ignore[reportAttributeAccessIssue]  # a Case
cases = pytest.mark.parametrize("case", CASES, ids=str)


def draw(fill: Fill, block: Matrix, *key: int | str) -> torch.Tensor:
    out = torch.full(block.shape, torch.nan)
    fill.draw_(out, Key(0, "scheme", *key))
    return out


def law_of(initializer: Initializer, block: Matrix) -> Law:
    assert isinstance(initializer, Elementwise)
    return initializer.law(block)


def test_the_table_is_complete():
    drawn = {name for name in inits.names() if inits.get(name).values_from == "draw"}
    assert {inits.get(case.config["scheme"]).scheme for case in CASES} == drawn


@pytest.mark.parametrize(("case", "name"), EACH)
def test_values_keep_what_the_fill_promises(case: Case, name: str):
    block = case.matrices[name]
    fill = case.initializer.resolve(block)
    values = draw(fill, block).double()
    assert fill.mean is not None
    assert fill.std is not None
    assert values.isfinite().all()
    n = values.numel() / fill.promise.copies
    assert abs(values.mean().item() - fill.mean) <= 4.5 * fill.std / math.sqrt(n) + 1e-7 * abs(fill.mean)
    root_mean_square = (values - fill.mean).square().mean().sqrt().item()
    sampling = 0 if fill.promise.exact_std else 4.5 * math.sqrt((fill.promise.kurtosis - 1) / n) / 2
    assert abs(root_mean_square - fill.std) <= (sampling + 1e-6) * fill.std + 1e-7 * abs(fill.mean)


@cases
def test_the_same_key_draws_the_same(case: Case):
    for block in case.matrices.values():
        fill = case.initializer.resolve(block)
        first = draw(fill, block)
        assert torch.equal(first, draw(fill, block))
        if not fill.promise.deterministic:
            assert not torch.equal(first, draw(fill, block, "other"))


@cases
def test_the_global_generator_is_left_alone(case: Case):
    before = torch.get_rng_state()
    draw(case.initializer.resolve(case.block), case.block)
    assert torch.equal(torch.get_rng_state(), before)


@cases
def test_fills_are_data(case: Case):
    block = case.block
    fill = case.initializer.resolve(block)
    assert json.loads(json.dumps(fill.numbers)) == fill.numbers
    for other in (pickle.loads(pickle.dumps(fill)), copy.deepcopy(fill), case.initializer.resolve(block)):
        assert other == fill
        assert torch.equal(draw(other, block), draw(fill, block))
    with pytest.raises(TypeError, match="read-only"):
        fill.numbers["std"] = 3.0  # pyright: ignore[reportIndexIssue]  # that is the point


@cases
def test_cast_values_keep_what_the_fill_promises(case: Case):
    block = case.block
    fill = case.initializer.resolve(block)
    assert fill.mean is not None
    assert fill.std is not None
    values = draw(fill, block).to(torch.bfloat16)
    error = torch.finfo(torch.bfloat16).eps / 2
    exact = draw(fill, block)
    assert ((values.float() - exact).abs() <= error * exact.abs()).all()
    root_mean_square = (values.double() - fill.mean).square().mean().sqrt().item()
    sampling = 4.5 * math.sqrt((fill.promise.kurtosis - 1) / values.numel() * fill.promise.copies) / 2
    assert abs(root_mean_square - fill.std) <= (sampling + 2 * error) * fill.std + error * abs(fill.mean)


@pytest.mark.parametrize(("case", "name"), EACH_EMPTY)
def test_nothing_to_fill_is_filled(case: Case, name: str):
    block = case.empty[name]
    fill = case.initializer.resolve(block)
    assert draw(fill, block).shape == block.shape
    assert fill.std is not None
    assert math.isfinite(fill.std)


@pytest.mark.parametrize(("case", "name"), ELEMENTWISE)
def test_elementwise_values_follow_their_law(case: Case, name: str):
    block = case.matrices[name]
    law = law_of(case.initializer, block)
    fill = case.initializer.resolve(block)
    values = draw(fill, block).view(-1).double().numpy()
    if law.std:
        assert stats.kstest(values, law.cdf).pvalue > 1e-4
    else:
        assert (values == np.float32(law.mean)).all()
    if law.bounds:
        low, high = law.bounds
        assert low <= values.min() <= values.max() <= high
        assert (low, high) == (fill.numbers["low"], fill.numbers["high"])


@pytest.mark.parametrize(("case", "name"), ELEMENTWISE)
def test_elementwise_values_may_be_drawn_in_part(case: Case, name: str):
    block = case.matrices[name]
    fill = case.initializer.resolve(block)
    assert fill.elementwise
    whole = draw(fill, block).view(-1)
    part = torch.empty(len(whole) * 2 // 3)
    fill.draw_(part, Key(0, "scheme"))
    assert torch.equal(part, whole[: len(part)])


def test_a_blockwise_fill_needs_its_whole_block():
    fill = inits.get("orthogonal")().resolve(MATRICES["wide"])
    assert not fill.elementwise
    with pytest.raises(AssertionError, match=r"the matrix has shape \(40, 90\), not \(20, 90\)"):
        fill.draw_(torch.empty(20, 90), Key(0))


class _NumThreads(inits.Matrixwise):
    """How many threads torch has while a block is filled."""

    def fill(self, out: torch.Tensor, matrix: Matrix, generator: torch.Generator) -> None:
        out.fill_(torch.get_num_threads())


def test_blocks_are_filled_on_one_thread_whatever_the_caller_has():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        values = draw(_NumThreads().resolve(MATRICES["wide"]), MATRICES["wide"])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert values.unique().tolist() == [1.0]


# --- variance scaling -------------------------------------------------------------------------------------------------

BLOCK = Matrix(shape=(12, 50), fan_in=50.0, fan_out=12.0, activations=TANH)


@pytest.mark.parametrize(
    ("config", "std"),
    [
        ({"scheme": "xavier"}, math.sqrt(2 / 62)),
        ({"scheme": "xavier", "gain": 3}, 3 * math.sqrt(2 / 62)),
        ({"scheme": "xavier", "mode": "fan_geo"}, 1 / (50 * 12) ** 0.25),
        ({"scheme": "kaiming"}, math.sqrt(2 / 50)),
        ({"scheme": "kaiming", "mode": "fan_out"}, math.sqrt(2 / 12)),
        ({"scheme": "kaiming", "gain": "auto"}, 1.592537 / math.sqrt(50)),
        ({"scheme": "kaiming", "gain": "torch.tanh", "distribution": "uniform"}, 5 / 3 / math.sqrt(50)),
        ({"scheme": "lecun"}, 1 / math.sqrt(50)),
        ({"scheme": "lecun", "distribution": "truncated_normal"}, 1 / math.sqrt(50)),
        ({"scheme": "lecun", "distribution": "truncated_normal", "truncate": 1.0}, 1 / math.sqrt(50)),
        ({"scheme": "orthogonal"}, 1 / math.sqrt(50)),
        ({"scheme": "orthogonal", "gain": "auto"}, 1.592537 / math.sqrt(50)),
    ],
    ids=str,
)
def test_stated_std(config: dict[str, Any], std: float):
    assert inits.create(config).resolve(BLOCK).std == pytest.approx(std, rel=1e-6)


@pytest.mark.parametrize(
    ("config", "numbers"),
    [
        (
            {"scheme": "xavier"},
            {
                "gain": 1.0,
                "mode": "fan_avg",
                "fan": 31.0,
                "fan_in": 50.0,
                "fan_out": 12.0,
                "distribution": "uniform",
                "low": pytest.approx(-math.sqrt(6 / 62)),
                "high": pytest.approx(math.sqrt(6 / 62)),
            },
        ),
        (
            {"scheme": "kaiming", "gain": "auto", "distribution": "truncated_normal", "truncate": 3},
            {
                "gain": pytest.approx(1.592537),
                "activation": "Tanh",
                "mode": "fan_in",
                "fan": 50.0,
                "fan_in": 50.0,
                "fan_out": 12.0,
                "distribution": "truncated_normal",
                "truncate": 3.0,
                "low": pytest.approx(-3 * 1.592537 / math.sqrt(50) / 0.986578, rel=1e-5),
                "high": pytest.approx(3 * 1.592537 / math.sqrt(50) / 0.986578, rel=1e-5),
            },
        ),
        ({"scheme": "normal", "std": 0.1}, {"mean": 0.0, "std": 0.1}),
        ({"scheme": "uniform", "low": 0, "high": 2}, {"low": 0.0, "high": 2.0}),
        ({"scheme": "constant", "value": 2}, {"value": 2.0}),
        ({"scheme": "orthogonal", "gain": 2}, {"gain": 2.0, "method": "qr", "rows": 12, "columns": 50}),
        (
            {"scheme": "sparse", "sparsity": 0.9},
            {"sparsity": 0.9, "std": 0.01, "axis": "fan_in", "num_weights_per_unit": 50, "num_kept_per_unit": 5},
        ),
        ({"scheme": "torch"}, {}),
    ],
    ids=str,
)
def test_numbers_are_what_the_ledger_shows(config: dict[str, Any], numbers: dict[str, Any]):
    assert inits.create(config).resolve(BLOCK).numbers == numbers


# --- what cannot be served --------------------------------------------------------------------------------------------

REASONS = {
    "xavier": "fans are not defined for it",
    "kaiming": "fans are not defined for it",
    "lecun": "fans are not defined for it",
    "orthogonal": "a vector has no rows and columns",
    "sparse": "it has no units to connect",
}


@pytest.mark.parametrize("what", VECTORS)
@pytest.mark.parametrize("scheme", REASONS)
def test_matrices_are_asked_for(scheme: str, what: str):
    config = {"scheme": scheme} | ({"sparsity": 0.5} if scheme == "sparse" else {})
    with pytest.raises(Refusal) as caught:
        inits.create(config).resolve(VECTORS[what])
    assert caught.value.reason == f"`{scheme}` needs a matrix, but this is {what}: {REASONS[scheme]}"
    assert caught.value.hint == "give it a scheme for vectors, as in `bias: {scheme: zeros}`"


@pytest.mark.parametrize("scheme", ["xavier", "orthogonal"])
def test_an_ambiguous_gain_is_refused(scheme: str):
    block = Matrix(shape=(4, 4), fan_in=4, fan_out=4, activations=(*TANH, Activation("ReLU", torch.relu)))
    with pytest.raises(Refusal, match="`gain: auto` is ambiguous: Tanh and ReLU follow"):
        inits.create({"scheme": scheme, "gain": "auto"}).resolve(block)


@pytest.mark.parametrize(("scheme", "values_from"), [("torch", "module"), ("keep", "existing"), ("normal", "draw")])
def test_who_makes_the_values(scheme: str, values_from: str):
    assert inits.get(scheme).values_from == values_from


@pytest.mark.parametrize("scheme", ["torch", "keep"])
def test_what_is_not_drawn_promises_nothing(scheme: str):
    fill = inits.create({"scheme": scheme}).resolve(VECTORS["a vector of 8"])
    assert (fill.mean, fill.std, fill.promise.exact_std, dict(fill.numbers)) == (None, None, False, {})
    with pytest.raises(AssertionError, match="the values of this scheme are not drawn"):
        fill.draw_(torch.empty(8), Key(0))
