"""Haar: isometries from random reflections. Their distribution is tested in test_orthogonal."""

from __future__ import annotations

import pytest
import torch

from modelforge.core.torch_state import threads
from modelforge.inits import haar
from modelforge.inits.haar import isometry

SHAPES = [(1, 1), (1, 7), (7, 1), (2, 2), (64, 64), (200, 30), (30, 200)]


def drawn(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return isometry(rows, columns, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("rows", "columns"), SHAPES)
def test_rows_or_columns_are_orthonormal_to_double_precision(rows: int, columns: int):
    q = drawn(rows, columns)
    assert q.shape == (rows, columns)
    gram = q @ q.T if rows <= columns else q.T @ q
    assert (gram - torch.eye(len(gram), dtype=q.dtype)).abs().max() < 64 * torch.finfo(q.dtype).eps


@pytest.mark.parametrize(("rows", "columns"), [(0, 3), (3, 0)])
def test_a_matrix_without_rows_or_columns(rows: int, columns: int):
    assert drawn(rows, columns).shape == (rows, columns)


def test_it_is_the_q_of_a_matrix_that_its_own_reflections_triangulate():
    size = 6
    gaussian = torch.empty(size, size).normal_(generator=torch.Generator().manual_seed(3)).double()
    vectors, factors, _ = haar._reflections(gaussian.clone())
    upper = gaussian.triu(1) + torch.diag(gaussian.triu().norm(dim=1))
    found, found_factors = torch.geqrf(drawn(size, size, 3).T @ upper)
    assert torch.allclose(found.tril(-1), vectors.tril(-1))
    # LAPACK leaves the last element as it is, where ours has a reflection and a sign that undo each other.
    assert torch.allclose(found_factors[:-1], factors[:-1])


def test_one_row_is_a_gaussian_vector_of_length_one():
    assert torch.allclose(drawn(1, 6, 3)[0], _first(6, 3))


def _first(size: int, seed: int) -> torch.Tensor:
    vector = torch.empty(1, size).normal_(generator=torch.Generator().manual_seed(seed)).double()
    return (vector / vector.norm())[0]


@pytest.mark.parametrize(("rows", "columns"), [(600, 700), (700, 600), (600, 600)])
def test_parts_give_the_same_matrix(monkeypatch: pytest.MonkeyPatch, rows: int, columns: int):
    with threads(1):
        whole = drawn(rows, columns)
        monkeypatch.setattr(haar, "LARGE", 512)
        parts = drawn(rows, columns)
        monkeypatch.setattr(haar, "num_cores", lambda: 5)
        assert torch.equal(parts, drawn(rows, columns)), "to the bit for any number of threads"
    assert torch.allclose(whole, parts, rtol=0, atol=1e-14)


def test_a_vector_of_zeros_is_left_alone():
    # A normal value in single precision is exactly 0 once in some ten million times.
    vectors, factors, signs = haar._reflections(torch.zeros(2, 2, dtype=torch.float64))
    product = haar._product(vectors, factors, signs)
    assert torch.equal(product.abs(), torch.eye(2, dtype=torch.float64))
