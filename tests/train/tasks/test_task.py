"""What every task says of a model: the output that it takes, and how to change another one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

import modelforge as mf
from modelforge.core.tensors import BATCH, TensorValue
from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.tasks.classification import Classification
from modelforge.train.tasks.language_modelling import LanguageModelling
from modelforge.train.tasks.multilabel import MultilabelClassification
from modelforge.train.tasks.regression import Autoencoding, Regression
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
    assert (problem.code, problem.key, problem.part) == ("MF050", "model.layers.head", "key")
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


DRAW = torch.Generator().manual_seed(0)
SCORES, STEPS = torch.randn(5, 3, generator=DRAW), torch.randn(5, 4, 3, generator=DRAW)
LABELS, STEP_LABELS = torch.tensor([0, 2, -100, 1, 1]), torch.tensor([[0, 1, -100, 2]] * 3 + [[-100] * 4, [1] * 4])
WEIGHTED = {"class_weights": (10.0, 0.1, 1.0)}
LOSSES = {
    "classes": (Classification(), SCORES, LABELS),
    "weighted": (Classification(**WEIGHTED), SCORES, LABELS),
    "smoothed": (Classification(**WEIGHTED, label_smoothing=0.2), SCORES, LABELS),
    "steps": (Classification(**WEIGHTED), STEPS, STEP_LABELS),
    "tokens": (LanguageModelling(), STEPS, STEP_LABELS),
    "labels": (MultilabelClassification(positive_weights=(1.0, 2.0, 3.0)), SCORES, (SCORES > 0.3).float()),
    "mse": (Regression(), SCORES, SCORES.flip(0)),
    "huber": (Regression(objective="huber"), STEPS, STEPS.flip(0)),
    "input": (Autoencoding(), STEPS, torch.zeros(5)),
}


@pytest.mark.parametrize(("task", "outputs", "targets"), LOSSES.values(), ids=LOSSES)
def test_what_examples_add_is_the_loss_of_the_batch_times_its_weight(task: Task, outputs: Tensor, targets: Tensor):
    """All at once, as one by one, and in sum."""
    batch = (outputs.flip(0) * 2, targets)
    found = task.losses(outputs, batch)
    assert found.shape == (5,)
    assert found.tolist() == pytest.approx(Task.losses(task, outputs, batch).tolist(), rel=1e-5)
    assert found.sum().item() == pytest.approx(float(task.loss(outputs, batch) * task.weight(batch)), rel=1e-5)


def test_a_subclass_with_another_loss_has_the_losses_of_that():
    class Margin(Classification):
        def loss(self, outputs, batch):
            return outputs.max(-1).values.mean()

    found = Margin().losses(SCORES, (SCORES, LABELS.clamp(0)))
    assert found.tolist() == pytest.approx(SCORES.max(-1).values.tolist())
