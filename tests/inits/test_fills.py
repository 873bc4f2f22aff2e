"""Fills: what a law promises, which part of a file is meant, and how far a matrix is from an isometry."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.rng import Key
from modelforge.inits import Constant, Fill, Matrix, Moments, Normal, Uniform
from modelforge.inits.fills import CONSTANT, FilePart, Whole, slant


def test_a_law_promises_its_moments_and_distinct_rows():
    promise = Moments.of(Uniform(-1.0, 1.0))
    assert (promise.mean, promise.std, promise.kurtosis) == (0.0, pytest.approx(3**-0.5), 1.8)
    assert (promise.law, promise.distinct_rows, promise.deterministic) == (Uniform(-1.0, 1.0), True, False)


def test_a_constant_promises_its_value_exactly():
    assert Moments.of(Constant(0.0)) == CONSTANT
    promise = Moments.of(Constant(0.25))
    assert (promise.mean, promise.std, promise.exact_std, promise.deterministic) == (0.25, 0.0, True, True)


def test_what_cannot_be_hashed_or_is_no_law_is_refused():
    @dataclass
    class Unhashable:
        mean: float = 0.0

    with pytest.raises(Refusal, match="its law, of class Unhashable, cannot be hashed"):
        Moments.of(Unhashable())  # pyright: ignore[reportArgumentType]  # that is the point
    with pytest.raises(Refusal, match="which is not a law: it has no `mean`"):
        Moments.of("normal")  # pyright: ignore[reportArgumentType]  # that is the point


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({}, (1, 4, 6)),
        ({"squeeze": True}, (4, 6)),
        ({"squeeze": True, "transpose": True}, (6, 4)),
        ({"squeeze": True, "transpose": True, "rows": (1, 3)}, (2, 4)),
        ({"squeeze": True, "rows": (0, 3)}, (3, 6)),
    ],
    ids=str,
)
def test_a_part_of_a_file_has_the_shape_that_it_states(options, shape: tuple[int, ...]):
    part = FilePart("file", "tensor", (1, 4, 6), "float32", **options)
    tensor = torch.arange(24.0).view(1, 4, 6)
    assert part.part_shape == tuple(part.part(tensor).shape) == shape


def test_rows_are_taken_after_transposing():
    tensor = torch.arange(6.0).view(2, 3)
    part = FilePart("file", "tensor", (2, 3), "float32", transpose=True, rows=(1, 3))
    assert part.part(tensor).tolist() == [[1.0, 4.0], [2.0, 5.0]]
    assert dict(part.numbers) == {
        "file": "file",
        "tensor": "tensor",
        "file_dtype": "float32",
        "transposed": True,
        "rows": (1, 3),
    }


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_orthogonal_rows_of_the_right_length_have_no_slant(factor: float):
    """Rows 10 % too long give |1.21·v - v| = 0.21."""
    rows = torch.linalg.qr(torch.randn(8, 5, generator=torch.Generator().manual_seed(0)))[0].T
    assert slant(factor * rows, factor) < 1e-5
    assert slant(1.1 * factor * rows, factor) == pytest.approx(0.21, abs=1e-5)


class Rising(Whole):
    """0, 1, 2, …, and the first draw of the generator at the end."""

    __slots__ = ()

    def fill(self, out: Tensor, generator: torch.Generator) -> None:
        out.view(-1).copy_(torch.arange(out.numel()))
        out.view(-1)[-1] = torch.rand((), generator=generator)


def test_a_whole_matrix_is_drawn_at_once_in_contiguous_memory():
    fill = Fill(drawn_by=Rising(Matrix((2, 3), 3, 2)))
    out = torch.zeros(2, 3)
    fill.draw_(out, Key(0, "p"))
    assert out.view(-1)[:-1].tolist() == [0, 1, 2, 3, 4]
    assert 0 <= out[1, 2] < 1
    assert (fill.elementwise, fill.strays(out)) == (False, 0)
    with pytest.raises(AssertionError, match="contiguous"):
        fill.draw_(torch.zeros(3, 2).T, Key(0, "p"))
    with pytest.raises(AssertionError, match=r"the matrix has shape \(2, 3\)"):
        fill.draw_(torch.zeros(3, 2), Key(0, "p"))


def test_a_law_is_drawn_in_chunks_and_leaves_no_strays():
    law = Normal(0.0, 1.0)
    fill = Fill(Moments.of(law), drawn_by=law)
    out = torch.empty(100)
    fill.draw_(out, Key(0, "p"))
    assert (fill.elementwise, fill.mean, fill.std, fill.strays(out)) == (True, 0.0, 1.0, 0)


def test_values_from_elsewhere_are_never_drawn():
    assert (Fill().elementwise, Fill().mean, Fill().std) == (False, None, None)
    with pytest.raises(AssertionError, match="not drawn"):
        Fill().draw_(torch.empty(3), Key(0, "p"))
