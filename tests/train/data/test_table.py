"""What becomes of the numbers of a table: classes, scales, warnings of what is lost or constant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from modelforge.train.data.read import read
from tests.train.tables import PAIRS, TWO, X, csv, npz, told, write

pytestmark = pytest.mark.usefixtures("here")


def test_columns_are_standardised_by_the_training_part():
    examples = read(csv())
    assert [len(examples.train), len(examples.val), len(examples.test)] == [42, 9, 9]
    assert examples.train.inputs.dtype == np.float32
    assert np.allclose(examples.train.inputs.mean(0), 0, atol=1e-6)
    assert np.allclose(examples.train.inputs.std(0), 1, atol=1e-6)
    assert abs(examples.val.inputs.mean(0)).max() > 1e-3
    assert set(np.unique(examples.test.targets)) == {0, 1, 2}


def test_values_are_left_alone_where_they_are_to_be():
    inputs = read(csv(standardize=False, features=["width"], num_features=1)).train.inputs
    assert set(inputs[:, 0]) <= {row / 2 for row in range(60)}


def test_a_regression_of_several_columns():
    source = csv(task="regression", target=["price", "height"], ignore="kind", num_features=1, num_outputs=2)
    examples = read(source)
    assert examples.train.targets.shape == (42, 2)
    assert np.allclose(examples.train.targets.mean(0), 0, atol=1e-6)
    assert np.allclose(examples.train.inputs[:, 0], examples.train.targets[:, 0], atol=1e-5)


def test_an_autoencoder_needs_no_target():
    examples = read(csv(task="autoencoding", target=[], ignore=["kind"]))
    assert np.array_equal(examples.train.inputs, examples.train.targets)


def test_what_is_constant_becomes_zero(here: Path):
    (here / "flowers.csv").write_text("a,kind\n" + "7.1,x\n7.1,y\n" * 10)
    assert abs(read(csv(num_features=1, num_outputs=2)).train.inputs).max() < 1e-12


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            ("a,kind\n" + PAIRS).encode("utf-16"),
            (
                "data.path",
                "`flowers.csv` is not UTF-8: byte 0 is 0xff",
                "it begins as UTF-16 does: write `data.encoding=utf-16`",
            ),
        ),
        (
            ("a,kind\n" + PAIRS).encode("utf-16-le"),
            (
                "data.path",
                "`flowers.csv` has a NUL byte in line 1: it is not text",
                "UTF-16 has such bytes: write `data.encoding=utf-16`",
            ),
        ),
        (
            "kind\na\nb\n",
            (
                "data.target",
                "no column of `flowers.csv` is left to predict from",
                "name one that is not the target",
            ),
        ),
        (
            "a,kind\n" + PAIRS + "1e308,a\n",
            (
                "data.features",
                "column `a` has 1e+308 in row 61, which is more than float32 holds",
                "leave the row out",
            ),
        ),
        (
            "a,kind\n1e308,a\n" + PAIRS,
            (
                "data.features",
                "column `a` has 1e+308 in row 1, so large that most of its other values become equal once standardised",
                "leave the row out, or take logarithms",
            ),
        ),
        (
            "a,kind\n1,None\n2,NA\n",
            (
                "data.target",
                "column `kind` has no class in 2 rows (row 1, row 2): it has 'None'",
                "leave such rows out: `'data.impute={kind: drop}'`; if it is the name of a class: "
                """`'data.missing=[""]'`""",
            ),
        ),
        (
            "a,kind\n" + PAIRS + "1," + "x" * 300 + "\n",
            (
                "data.num_outputs",
                f"the target of `flowers.csv` has 3 classes, but `num_outputs` is 2 (a, b and {'x' * 40}…)",
                "write `data.num_outputs=3`",
            ),
        ),
    ],
    ids=range(7),
)  # fmt: skip
def test_tables_that_would_lose_something(here: Path, text: str | bytes, expected):
    write(here, text)
    assert told(csv(**TWO, split_seed=2)) == [expected]


@pytest.mark.parametrize("unit", [1.0, 1e160, 1e300, 1e-170, 1e-290, 3e306])
def test_numbers_of_any_size_are_standardised(here: Path, unit: float):
    rows = [(row - 30) * unit for row in range(60)]
    write(here, "a,kind\n" + "".join(f"{value!r},{'ab'[row % 2]}\n" for row, value in enumerate(rows)))
    inputs = read(csv(**TWO)).train.inputs
    assert inputs.mean() == pytest.approx(0, abs=1e-6)
    assert inputs.std() == pytest.approx(1, abs=1e-6)
    assert len(np.unique(inputs)) == 42


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            [*range(59), "1e39"],
            (
                "data.features",
                "column `a` has 1e+39 in row 60, which is more than float32 holds",
                "leave the row out, or write `data.standardize=true`",
            ),
        ),
        (
            [f"{row % 2}e-60" for row in range(60)],
            (
                "data.features",
                "column `a` has 1e-60 in row 2, and values so small that float32 holds most of them as 0",
                "write `data.standardize=true`",
            ),
        ),
    ],
    ids=["large", "small"],
)
def test_without_a_scale_float32_must_hold_the_numbers(here: Path, values, expected):
    write(here, "a,kind\n" + "".join(f"{value},{'ab'[row // 2 % 2]}\n" for row, value in enumerate(values)))
    assert told(csv(**TWO, standardize=False)) == [expected]


def test_values_that_differ_by_rounding_alone_are_one(here: Path):
    noise = [0.1 + 0.2, 0.3, 0.30000000000000004]
    write(here, "a,kind\n" + "".join(f"{noise[row % 3]!r},{'ab'[row % 2]}\n" for row in range(60)))
    assert abs(read(csv(**TWO)).train.inputs).max() < 1e-12


@pytest.mark.parametrize("labels", [np.arange(60) % 3 + 1, (np.arange(60) % 3 + 1) * 10, np.arange(60) % 3 - 1.0])
def test_whole_numbers_that_do_not_begin_at_0_are_classes_in_their_order(here: Path, labels):
    np.savez(here / "arrays.npz", x=X, y=labels)
    examples = read(npz())
    assert sorted(np.bincount(np.concatenate([examples.train.targets, examples.val.targets]), minlength=3)) == [17] * 3
    assert examples.fitted["classes"] == tuple(np.unique(labels).tolist())


def test_a_class_of_one_row_is_missing_and_named(here: Path):
    write(here, "a,kind\n" + "1,b\n2,c\n" * 15 + "3,rare\n")
    (warning,) = read(csv(num_features=1)).warnings
    assert (warning.code, warning.severity, warning.key, warning.hint) == (
        "MW202",
        "warning",
        "data.val_fraction",
        "add examples of it",
    )
    assert warning.message.startswith("the class `rare` has 1 example in `flowers.csv`, none of them in the ")
    assert warning.message.count(" and ") == 1  # two of the three parts
