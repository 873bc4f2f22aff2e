"""Mimetic initialisation: what the projections of an attention make together."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from modelforge import inits
from modelforge.core.errors import Refusal
from modelforge.core.matrix import Projection
from modelforge.core.rng import Key, split
from modelforge.inits import Matrix
from modelforge.inits.schemes.mimetic import product, top_moments
from tests.inits.catalogue.attention import projection

HEADS = {"num_heads": 6, "head_size": 8, "width": 48}
KEY = Key(0, "attention")


def drawn(*projections: Projection, key: Key = KEY, input_first: bool = False, **fields: float) -> Tensor:
    """The weight, outputs first."""
    block = projection(*projections, input_first=input_first, **HEADS)
    out = torch.full(block.shape, torch.nan)
    inits.create({"scheme": "mimetic"} | fields).resolve(block).draw_(out, key)
    return (out.T if input_first else out).double()


def matrix(alpha: float, beta: float, *names: str | int) -> Tensor:
    """What two projections are to make, from the draws themselves."""
    return product(alpha, beta, 48, split(KEY.generator()).sub(*names))


def heads(weight: Tensor) -> tuple[Tensor, ...]:
    return weight.split(8)


# --- products ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("alpha", "beta"), [(0.7, 0.7), (0.5, 0.0), (0.2, 1.0)])
def test_queries_and_keys_of_each_head_make_the_nearest_matrix_of_their_rank(alpha, beta):
    q, k = drawn("q", alpha_qk=alpha, beta_qk=beta), drawn("k", alpha_qk=alpha, beta_qk=beta)
    for head, (queries, keys) in enumerate(zip(heads(q), heads(k), strict=True)):
        left, values, right = torch.linalg.svd(matrix(alpha, beta, "qk", head))
        expected = left[:, :8] * values[:8] @ right[:8]
        torch.testing.assert_close(queries.T @ keys, expected, rtol=0, atol=1e-6)
        torch.testing.assert_close(queries @ queries.T, values[:8].diag(), rtol=0, atol=1e-6)
        torch.testing.assert_close(keys @ keys.T, values[:8].diag(), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("alpha", "beta"), [(0.4, 0.4), (1.0, 0.0), (0.1, 1.0)])
def test_values_and_output_make_the_whole_matrix(alpha, beta):
    v, o = drawn("v", alpha_vo=alpha, beta_vo=beta), drawn("o", alpha_vo=alpha, beta_vo=beta)
    torch.testing.assert_close(v.T @ o.T, matrix(alpha, -beta, "vo"), rtol=0, atol=1e-6)
    torch.testing.assert_close(v.norm(dim=1), o.norm(dim=0), rtol=0, atol=1e-6)


def test_the_noise_has_the_variance_that_it_should():
    noise = product(1.0, 0.0, 300, KEY)
    assert noise.std().item() == pytest.approx(1 / sqrt(300), rel=0.01)
    torch.testing.assert_close(product(0.3, -2.0, 300, KEY), 0.3 * noise - 2 * torch.eye(300, dtype=torch.float64))


def test_tokens_attend_to_themselves_and_lose_a_part_of_themselves():
    """What the paper shows of trained models: a positive diagonal, and a negative one."""
    q, k, v, o = (drawn(name) for name in ("q", "k", "v", "o"))
    for queries, keys in zip(heads(q), heads(k), strict=True):
        assert (queries.T @ keys).trace() > 0
    assert (v.T @ o.T).diagonal().mean().item() == pytest.approx(-0.4, abs=0.03)


# --- draws ------------------------------------------------------------------------------------------------------------


def test_heads_attentions_and_pairs_draw_for_themselves():
    q, v = drawn("q"), drawn("v")
    assert len({tuple(head.flatten().tolist()) for head in heads(q)}) == 6
    other = drawn("q", key=Key(0, "other"))
    noise = [matrix(1.0, 0.0, *names) for names in (("qk", 0), ("qk", 1), ("vo",))]
    for first, second in ((q, other), (q, v), (noise[0], noise[1]), (noise[0], noise[2])):
        correlation = (first * second).sum() / first.norm() / second.norm()
        assert abs(correlation) < 5 / 48


@pytest.mark.parametrize("input_first", [False, True])
@pytest.mark.parametrize("projections", [("q", "k", "v"), ("k", "v")])
def test_side_by_side_they_are_what_they_are_alone(projections, input_first):
    packed = drawn(*projections, input_first=input_first)
    assert torch.equal(packed, torch.cat([drawn(name) for name in projections]))


def test_inputs_first_is_the_transpose():
    assert torch.equal(drawn("o", input_first=True), drawn("o"))


def test_signs_are_drawn():
    """Each singular vector points either way equally often: 48 rows of 200 draws, six standard deviations."""
    block = projection("v", num_heads=1, head_size=4, width=4)
    fill = inits.create({"scheme": "mimetic"}).resolve(block)
    values = torch.empty(200, 4, 4)
    for index, out in enumerate(values):
        fill.draw_(out, Key(index))
    positive = (values > 0).double().mean(dim=0)
    assert ((positive - 0.5).abs() < 6 * 0.5 / sqrt(200)).all()


def test_the_partner_has_the_same_signs_whatever_a_library_finds(monkeypatch):
    expected = [drawn(name) for name in ("q", "k", "v", "o")]
    found = torch.linalg.eigh

    def other(matrix: Tensor) -> tuple[Tensor, Tensor]:
        values, vectors = found(matrix)
        return values, vectors * torch.where(torch.arange(len(values)) % 3 == 0, -1.0, 1.0)

    monkeypatch.setattr(torch.linalg, "eigh", other)
    for name, weight in zip(("q", "k", "v", "o"), expected, strict=True):
        assert torch.equal(drawn(name), weight)


# --- the promise ------------------------------------------------------------------------------------------------------


FACTORS = [(0.7, 0.7), (1.0, 0.0), (0.3, 0.9), (0.9, 0.3), (0.001, 1.0)]
SIZES = [(32, 1), (32, 4), (64, 8), (96, 96)]


@pytest.mark.parametrize(
    ("factors", "width", "head_size"),
    [*((factors, *size) for factors in FACTORS for size in SIZES), ((0.7, 0.7), 512, 64), ((0.4, 0.4), 512, 512)],
)
def test_the_largest_singular_values_are_those_of_a_large_matrix(factors, width, head_size):
    """What is left is of the order of 1 / width, and the ledger allows the variance of as many values 9 / width."""
    alpha, beta = factors
    noise = np.random.default_rng(width).standard_normal((max(2, 4000 // width), width, width)) / sqrt(width)
    matrices = alpha * noise + beta * np.eye(width)
    values = np.sqrt(np.linalg.eigvalsh(matrices @ matrices.swapaxes(1, 2))[:, -head_size:])
    mean, square = top_moments(alpha, beta, head_size / width)
    assert values.mean() == pytest.approx(mean, rel=0.5 / width)
    assert np.square(values).mean() == pytest.approx(square, rel=1.0 / width)


def test_the_singular_values_of_noise_alone_are_a_quarter_of_a_circle():
    """Marchenko and Pastur: density √(4 - s²) / π on [0, 2]."""
    s = np.linspace(0, 2, 200_001)
    density = np.sqrt(4 - s**2) / np.pi
    for share in (0.05, 0.3, 1.0):
        top = s >= np.interp(1 - share, np.cumsum(density) / density.sum(), s)
        mean, square = ((density * power)[top].sum() / density[top].sum() for power in (s, s**2))
        assert top_moments(1.0, 0.0, share) == pytest.approx((mean, square), rel=1e-4)


@pytest.mark.parametrize(("alpha", "beta"), [(1e-12, 1.0), (1e-37, 1e37), (1e37, 0.0), (1e37, 1e37), (1.0, 1 + 1e-12)])
def test_the_promise_at_the_edges(alpha, beta):
    mean, square = top_moments(alpha, beta, 1.0)
    assert square == pytest.approx(alpha**2 + beta**2, rel=1e-3)
    assert beta * 0.999 <= mean <= sqrt(square) * 1.001


def test_numbers():
    fill = inits.create({"scheme": "mimetic"}).resolve(projection("q", "k"))
    heads = {"num_heads": 4, "head_size": 16}
    assert fill.numbers == {"projections": "q k", "alpha_qk": 0.7, "beta_qk": 0.7} | heads
    fill = inits.create({"scheme": "mimetic", "beta_vo": 0.2}).resolve(projection("o"))
    assert fill.numbers == {"projections": "o", "alpha_vo": 0.4, "beta_vo": 0.2} | heads
    assert fill.std == pytest.approx(sqrt(top_moments(0.4, 0.2, 1.0)[0] / 64))


# --- refusals ---------------------------------------------------------------------------------------------------------

OTHER = "give the projections of this attention another scheme, such as `xavier`"


@pytest.mark.parametrize(
    ("block", "reason", "hint"),
    [
        (
            Matrix(shape=(64, 64), fan_in=64, fan_out=64),
            "`mimetic` is for the projections of an attention, but this is not known to be one",
            "name the attention alone, as in `types: {MultiheadAttention: mimetic}`",
        ),
        (
            replace(projection("k"), shape=(32, 64)),
            "`mimetic` makes keys and values for each of the 4 heads, but they share 2",
            OTHER,
        ),
        (
            replace(projection("k"), shape=(64, 20)),
            "`mimetic` joins projections of one width, but queries read 64 features, and this 20",
            OTHER,
        ),
        (
            projection("v", num_heads=8),
            "`mimetic` needs heads that fill the stream, but 8 of size 16 do not make 64 features",
            OTHER,
        ),
        (
            projection("o", num_heads=2),
            "`mimetic` needs heads that fill the stream, but 2 of size 16 do not make 64 features",
            OTHER,
        ),
        (
            projection("q", num_heads=1, head_size=100),
            "`mimetic` needs heads that fill the stream, but 1 of size 100 do not make 64 features",
            OTHER,
        ),
    ],
)
def test_refusals(block: Matrix, reason: str, hint: str):
    with pytest.raises(Refusal) as caught:
        inits.create({"scheme": "mimetic"}).resolve(block)
    assert (caught.value.reason, caught.value.hint) == (reason, hint)


def test_queries_may_have_fewer_rows_than_there_are_features():
    assert inits.create({"scheme": "mimetic"}).resolve(projection("q", num_heads=2)).std is not None
