"""What a report computes, against counts by hand."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.train.tasks.report import of_classes, of_labels, of_numbers


def test_calibration_of_what_is_as_sure_as_it_is_right():
    """Half of the predictions made with confidence 0.55 are right, all of those made with 1.0."""
    probabilities = np.array([[0.55, 0.45]] * 4 + [[1.0, 0.0]] * 4)
    report = of_classes(probabilities, np.array([0, 0, 1, 1, 0, 0, 0, 0]), ["a", "b"])
    assert report.numbers["calibration_error"] == pytest.approx(0.5 * 0.05)
    table = report.tables["calibration"]
    assert [table["examples"][5], table["examples"][9]] == [4, 4]
    assert [table["accuracy"][5], table["accuracy"][9]] == [0.5, 1.0]


def test_a_class_that_is_never_predicted_counts_as_zero_and_one_that_is_nowhere_not_at_all():
    report = of_classes(np.array([[1.0, 0.0, 0.0]] * 3), np.array([0, 0, 1]), ["a", "b", "c"])
    assert report.tables["per_class"]["f1"] == [pytest.approx(0.8), 0.0, 0.0]
    assert report.numbers["macro_f1"] == pytest.approx(0.8 / 2)


def test_a_part_without_a_class_can_be_predicted_perfectly():
    assert of_classes(np.eye(4)[:3], np.arange(3), "abcd").numbers["macro_f1"] == 1


def test_names_that_are_numbers_or_equal_to_a_header():
    report = of_classes(np.eye(2), np.array([0, 1]), [True, "class"])
    assert report.tables["per_class"]["class"] == ["True", "class"]
    assert report.tables["confusion_matrix"] == {"class": ["True", "class"], "True": [1, 0], "predicted_class": [0, 1]}


def test_labels_that_nobody_has():
    table = of_labels(np.array([[1, 0]]), np.array([[1.0, 0.0]]), ["a", "b"]).tables["per_label"]
    assert table["f1"] == [1, 0]


@pytest.mark.parametrize("value", [0.1, -12345.678])
def test_a_constant_target_whose_mean_is_rounded_has_no_r2(value: float):
    table = of_numbers(np.zeros((7, 1)), np.full((7, 1), value), ["a"]).tables["per_target"]
    assert np.isnan(table["r2"][0])


def test_errors_of_a_constant_target_have_no_r2():
    table = of_numbers(np.array([[1.0], [3.0]]), np.array([[2.0], [2.0]]), ["a"]).tables["per_target"]
    assert (table["rmse"], table["mae"], table["largest_error"]) == ([1.0], [1.0], [1.0])
    assert np.isnan(table["r2"][0])


def test_many_examples_are_thinned_in_figures_alone():
    values = np.arange(20_001.0)[:, None]
    report = of_numbers(values, values, ["a"])
    assert len(report.figures["a_residuals"].x) <= 5_000
    assert report.tables["per_target"]["rmse"] == [0.0]
