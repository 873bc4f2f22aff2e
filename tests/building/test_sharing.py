"""Parameters that are not one but lie in the same memory are refused, before anything is written."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.building.aliasing import overlaps_itself, shared

NORMAL = {"params": {"*": {"scheme": "normal", "std": 1.0}}}


def holding(**tensors: torch.Tensor) -> nn.Module:
    module = nn.Module()
    for name, tensor in tensors.items():
        module.register_parameter(name, nn.Parameter(tensor))
    return module


def refused(module: nn.Module, init: object = NORMAL) -> list[str]:
    before = {name: weight.detach().clone() for name, weight in module.named_parameters()}
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(module, init)
    assert all(torch.equal(weight, before[name]) for name, weight in module.named_parameters())
    assert {problem.code for problem in caught.value.problems} == {"MF094"}
    return [problem.message for problem in caught.value.problems]


def test_two_parameters_of_one_memory():
    base = torch.zeros(4, 4)
    assert refused(holding(a=base, b=base)) == ["`b` shares memory with `a`"]


def test_a_part_of_another_one():
    base = torch.zeros(100)
    assert refused(holding(a=base, b=base[:50], c=base[60:])) == [
        "`b` shares memory with `a`",
        "`c` shares memory with `a`",
    ]


def test_what_is_kept_must_not_change_either():
    base = torch.zeros(10)
    module = holding(a=base, b=base)
    assert refused(module, {"params": {"a": "keep", "b": "zeros"}})
    assert mf.initialize(module, "keep").ok


def test_windows_that_overlap():
    windows = torch.zeros(20).as_strided((10, 10), (1, 1))
    assert refused(holding(w=windows)) == ["`w` overlaps itself: several elements share one place in memory"]


def test_negated_memory():
    """As of the imaginary part of a conjugate: what is written there would come out with the other sign."""
    assert refused(holding(w=torch.ones(3, dtype=torch.complex64).conj().imag)) == ["`w` is a view of negated memory"]


@pytest.mark.filterwarnings("ignore:`torch.jit.:DeprecationWarning")
def test_what_was_compiled_by_jit():
    said = "`Linear` was compiled by `torch.jit`: what its modules are cannot be seen any more"
    assert refused(torch.jit.script(nn.Linear(4, 4))) == [said]


def test_side_by_side_in_one_storage_is_fine():
    base = torch.zeros(6, 8)
    columns = holding(left=base[:, :3], right=base[:, 3:])
    assert mf.initialize(columns, NORMAL).ok
    assert base.count_nonzero() == base.numel()
    rows = torch.zeros(12)
    assert mf.initialize(holding(a=rows[:5], b=rows[5:]), NORMAL).ok


def test_a_tied_parameter_is_one():
    module = nn.Sequential(nn.Embedding(10, 4), nn.Linear(4, 10))
    module[1].weight = module[0].weight
    assert mf.initialize(module, "xavier").ok


@pytest.mark.parametrize(
    ("tensor", "overlaps"),
    [
        (torch.zeros(3, 4), False),
        (torch.zeros(3, 4).T, False),
        (torch.zeros(3, 4)[:, ::2], False),
        (torch.zeros(1, 4).expand(3, 4), True),
        (torch.zeros(1, 4).expand(1, 4), False),
        (torch.zeros(0, 4), False),
        (torch.zeros(9).unfold(0, 3, 1), True),
        (torch.zeros(9).unfold(0, 3, 3), False),
    ],
)
def test_overlap(tensor, overlaps):
    assert overlaps_itself(tensor) == overlaps


def test_pairs():
    base = torch.zeros(4, 4, dtype=torch.float64)
    found = shared({"a": base[:2], "b": base[2:], "c": base[1:3], "d": torch.zeros(3)})
    assert list(found) == [("b", "c")]


@pytest.mark.parametrize("many", [False, True])
def test_columns_of_one_matrix_share_nothing_and_views_of_other_dtypes_may(many: bool):
    matrix = torch.zeros(8, 6)
    columns = {f"column{index}": matrix[1:, index] for index in range(6)}
    # More names than 16 bits can number.
    columns |= {f"alone{index}": torch.zeros(1) for index in range(1 << 15 if many else 0)}
    assert not list(shared(columns))
    halves = matrix.view(torch.float16)
    assert list(shared(columns | {"half": halves[3, 2:4], "other": halves[0, :2]})) == [("column1", "half")]
