"""Assignment: each parameter gets the initializer of the rules around it, and the targets of all its matrices."""

from __future__ import annotations

from math import sqrt
from typing import Any

import pytest

import modelforge as mf
from modelforge.core.matrix import Matrix
from modelforge.inits import Fill, Moments
from modelforge.planning.assign import ParameterPlan, is_narrow, moments


def matrix(rows: int, fixed: float | None = None) -> Matrix:
    return Matrix((rows, 5), 5.0, float(rows), fixed=fixed)


def fill(mean: float | None, std: float | None) -> Fill:
    return Fill(Moments(mean, std))


def decided(init: Any, own: Any = None) -> ParameterPlan:
    """The weight of a layer whose own block is `own`, in a model under `init`."""
    layers = {"fc": {"type": "Linear", "out_features": 6} | ({"init": own} if own else {})}
    return mf.plan(mf.parse({"input": {"shape": [10]}, "layers": layers}, init=init)).parameter("fc.weight")


def problems(init: Any, own: Any = None) -> list[tuple[str, str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        decided(init, own)
    return [(problem.code, problem.key, problem.message) for problem in caught.value.problems]


def test_targets_of_one_matrix_are_its_own():
    assert moments(((matrix(3), fill(0.5, 0.1)),)) == (0.5, 0.1)


def test_targets_of_several_are_those_of_their_mixture():
    """Of 1/4 with N(1, 2²) and 3/4 with N(3, 0): mean 5/2, variance 1/4·(4 + 9/4) + 3/4·(1/4) = 7/4."""
    mean, std = moments(((matrix(1), fill(1.0, 2.0)), (matrix(3), fill(3.0, 0.0))))
    assert mean == pytest.approx(2.5)
    assert std == pytest.approx(sqrt(1.75))


def test_rows_that_no_scheme_may_change_do_not_count():
    free, fixed = (matrix(3), fill(0.0, 0.1)), (matrix(1, fixed=0.0), fill(0.0, 0.0))
    assert moments((free, fixed)) == (0.0, 0.1)
    assert moments((fixed,)) == (0.0, 0.0)


def test_one_part_without_a_promise_leaves_the_whole_without():
    assert moments(((matrix(1), fill(0.0, 1.0)), (matrix(1), fill(None, None)))) == (None, None)


def test_parts_without_elements_have_the_targets_of_the_first():
    assert moments(((matrix(0), fill(0.0, 1.0)), (matrix(0), fill(0.0, 2.0)))) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("dtype", "narrow"), [("float8_e4m3fn", True), ("float4_e2m1fn_x2", True), ("float16", False), ("float64", False)]
)
def test_floats_of_eight_bits_are_narrow(dtype: str, *, narrow: bool):
    assert is_narrow(dtype) == narrow


def test_the_nearest_scheme_wins_and_a_nearer_block_refines_its_fields():
    item = decided(
        {"scheme": "normal", "std": 0.1, "types": {"Linear": {"scheme": "normal", "std": 0.2}}}, {"std": 0.3}
    )
    assert (item.scheme, item.std, item.rule.key) == ("normal", 0.3, "init.types.Linear")
    assert [rule.verdict for rule in item.chain][:3] == ["refines", "wins", "overridden"]


def test_a_refinement_of_nothing_is_refused_at_its_place():
    message = "this block refines what `fc.weight` inherits, but it inherits no scheme"
    assert ("MF027", "model.layers.fc.init", message) in problems(None, {"gain": 2.0})


def test_a_parameter_without_a_rule_is_named_with_its_role():
    assert ("MF025", "model.layers.fc", "no rule covers fc.weight (6, 10) (role `weight`)") in problems(None)


def test_declared_matrices_have_fans_of_their_own_and_must_add_up():
    def params(matrices: Any) -> dict[str, Any]:
        return {"params": {"weight": {"matrices": matrices}}}

    item = decided("xavier", params([2, 4]))
    assert [(part.start, part.shape, part.fan_out) for part, _ in item.fills] == [(0, (2, 10), 2.0), (2, (4, 10), 4.0)]
    # Xavier's variance is 2 / (fan_in + fan_out).
    assert [part.std for _, part in item.fills] == pytest.approx([sqrt(2 / 12), sqrt(2 / 14)])
    assert "it has 6 rows, but `matrices` makes 2 + 3 = 5" in problems("xavier", params([2, 3]))[0][2]
    assert "its 6 rows do not make 4 equal matrices" in problems("xavier", params(4))[0][2]


def test_plain_data_of_a_plan_says_what_was_decided():
    data = decided("xavier").to_dict()
    assert (data["path"], data["shape"], data["scheme"], data["role"]) == ("fc.weight", [6, 10], "xavier", "weight")
    assert data["std"] == pytest.approx(sqrt(2 / 16))
    assert data["numbers"]["fan_in"] == 10


@pytest.mark.parametrize(("scheme", "alike"), [("xavier", True), ("orthogonal", False)])
def test_groups_of_a_convolution_have_one_law_and_matrices_of_their_own(scheme, alike):
    conv = {"type": "Conv1d", "out_channels": 12, "kernel_size": 3, "groups": 4, "bias": False}
    fills = mf.plan(mf.parse({"input": {"shape": [8, 9]}, "layers": {"conv": conv}}, init=scheme)).parameters[0].fills
    assert [(matrix.name, matrix.start, matrix.shape) for matrix, _ in fills] == [
        (str(group), 3 * group, (3, 2, 3)) for group in range(4)
    ]
    assert len({id(matrix.context) for matrix, _ in fills}) == 1
    assert (len({id(fill) for _, fill in fills}) == 1) is alike
    if not alike:
        assert [fill.drawn_by.matrix for _, fill in fills] == [matrix for matrix, _ in fills]
