"""Classification: losses, predictions and right answers by the names of the classes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.tasks.classification import Classification
from modelforge.train.tasks.multilabel import MultilabelClassification

SCORES, LABELS = torch.tensor([[0.0, 0.0], [0.0, math.log(3.0)]]), torch.tensor([0, 1])


def test_predictions_and_answers_are_names():
    task, fitted = Classification(type="classification"), {"classes": ["cat", "dog"]}
    found = {**task.answers(LABELS, fitted), **task.predictions(SCORES, fitted)}
    assert {name: column.tolist() for name, column in found.items()} == {
        "target": ["cat", "dog"],
        "prediction": ["cat", "dog"],
        "probability": pytest.approx([0.5, 0.75]),
        "probability_cat": pytest.approx([0.5, 0.25]),
        "probability_dog": pytest.approx([0.5, 0.75]),
    }


def test_without_names_they_are_numbers():
    assert Classification(type="classification").answers(LABELS, {})["target"].tolist() == [0, 1]


def test_sequences_have_no_answer_of_their_own():
    assert Classification(type="classification").answers(LABELS[None], {"classes": ["a", "b"]}) == {}


def test_the_loss_and_its_settings():
    batch = (SCORES, LABELS)
    plain = (math.log(2.0) + math.log(4 / 3)) / 2
    assert float(Classification(type="classification").loss(SCORES, batch)) == pytest.approx(plain)
    weighted = Classification(type="classification", class_weights=(3.0, 1.0))
    assert float(weighted.loss(SCORES, batch)) == pytest.approx((3 * math.log(2.0) + math.log(4 / 3)) / 4)


def test_balanced_weights_are_those_of_the_training_part():
    part = Arrays(np.zeros((4, 1), np.float32), np.array([0, 0, 0, 1]))
    examples = Examples.of([part] * 3, fitted={"classes": ["a", "b", "c"]})
    task = Classification(type="classification", class_weights="balanced").prepared(examples)
    assert task.class_weights == pytest.approx((4 / 9, 4 / 3, 1.0))


def test_answers_of_several_labels():
    task = MultilabelClassification(type="multilabel_classification")
    found = task.answers(torch.tensor([[0.0, 1.0]]), {"labels": ["x", "y"]})
    assert {name: column.tolist() for name, column in found.items()} == {"target_x": [0], "target_y": [1]}
