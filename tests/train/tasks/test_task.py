"""What every task says of a model: the output that it takes, and how to change another one."""

from __future__ import annotations

from typing import Any

import pytest

import modelforge as mf
from modelforge.core.tensors import BATCH, TensorValue
from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.tasks.classification import Classification
from modelforge.train.tasks.task import Task
from tests.train.tables import X, Y, digits, reverse

EXAMPLES = Examples.of([Arrays(X, Y)] * 3)


@pytest.fixture
def task() -> Task:
    return Classification()


def plan(**layers: Any) -> mf.Plan:
    return mf.plan(mf.parse({"input": {"shape": [1, 8, 8]}, "layers": layers}, init="xavier"))


def test_the_output_is_one_number_for_each_class_at_each_position(task: Task):
    assert task.output(digits()) == TensorValue((BATCH, 10))
    assert Classification().output(reverse()) == TensorValue((BATCH, 6, 5))


def test_a_model_that_fits_has_no_problem(task: Task):
    assert list(task.misfits(plan(flat="Flatten", head={"type": "Linear", "out_features": 10}), digits())) == []


def test_a_model_that_does_not_fit_is_named_at_its_last_layer(task: Task):
    (problem,) = task.misfits(plan(flat="Flatten", head={"type": "Linear", "out_features": 9}), digits())
    assert (problem.code, problem.path, problem.part) == ("MF050", "model.layers.head", "key")
    assert problem.message == "the model outputs (9,), but the data has 10 classes, so it must be (10,)"


@pytest.mark.parametrize(
    ("output", "hint"),
    [
        (TensorValue((BATCH, 9)), "end with `{type: Linear"),
        (TensorValue((BATCH, 3, 10)), "reduce it before the last layer"),
        (TensorValue((BATCH,)), "keep the steps"),
        ((TensorValue((BATCH, 10)), None), "end with a layer that gives one tensor"),
    ],
)
def test_the_hint_says_what_to_change(task: Task, output: Any, hint: str):
    assert task.hint(output, digits()).startswith(hint)


def test_the_results_are_those_of_the_test(task: Task):
    assert list(task.results({"test/accuracy": 0.5, "val/accuracy": 1.0}, EXAMPLES)) == ["test accuracy 0.50000"]
    assert list(task.results({}, EXAMPLES)) == []


def test_a_task_that_is_not_finished_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Task()  # pyright: ignore[reportAbstractUsage]  # that is the point
