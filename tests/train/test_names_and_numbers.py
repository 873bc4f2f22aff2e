"""Which texts are numbers, which names look equal, and what never differs: told, and nothing is merged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import modelforge as mf
from modelforge.train.data.read import read
from tests.train.tables import PAIRS, TWO, X, Y, csv, npz, told, write

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize(
    "written",
    ["1_000", "\u0663", "\uff11\uff12", "0x10", "1e400", "-1e400", "nan(7)", "infinity", "-Inf", "True", "1,5", "1e",
     "1d5", "\u22125", "\u00a05", "5\u2003", "\x1c5", "5\x1f", "5\u200b", "5%", "$5", "1 000",
     "1'000", "9" * 400, "0b1", "1/2", "1+2j", "--5"],
)  # fmt: skip
def test_a_number_that_tools_for_data_do_not_read_is_none(here: Path, written: str):
    write(here, "a,kind\n" + PAIRS + f'"{written}",a\n')
    assert told(csv(**TWO))[0][:2] == (
        "data.features",
        f"column `a` must hold numbers, but has {written!r:.100} in row 61",
    )


@pytest.mark.parametrize(
    ("written", "value"),
    [("5", 5), (" 5 ", 5), ("+5", 5), ("-5", -5), (".5", 0.5), ("5.", 5), ("1E3", 1000), ("007", 7), ("1e-400", 0),
     ("-0", 0), ("0.1000000000000000055511151231257827", 0.1), ("\t5", 5), ("9" * 30, 1e30)],
)  # fmt: skip
def test_numbers_as_tools_for_data_read_them(here: Path, written: str, value: float):
    write(here, "a,kind\n" + f'"{written}",a\n"{written}",b\n' * 20)
    assert read(csv(**TWO, standardize=False)).train.inputs[0, 0] == np.float32(value)


ALIKE = [
    ("caf\u00e9", "cafe\u0301"), ("cat", " cat"), ("cat", "cat\u00a0"), ("cat", "cat\u200b"), ("cat", "\ufeffcat"),
    ("cat", "ca\u00adt"), ("a b", "a\u2003b"), ("a b", "a  b"), ("cat", "cat\u200e"), ("\uac00", "\u1100\u1161"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_classes_that_look_equal_stay_two_and_are_named(here: Path, one: str, other: str):
    write(here, "a,kind\n" + "".join(f'{row},"{(one, other)[row % 2]}"\n' for row in range(60)))
    examples = read(csv(**TWO))
    assert set(examples.fitted["classes"]) == {one, other}
    (warning,) = examples.warnings
    names = " and ".join(map(ascii, sorted((one, other))))
    assert (warning.code, warning.key) == ("MW204", "data.target")
    assert warning.message == f"2 classes of `flowers.csv` look equal, but are not: {names}"
    with pytest.raises(mf.ForgeError) as caught:
        read(csv(num_features=1))
    assert [problem.key for problem in caught.value.problems] == ["data.num_outputs", "data.target"]


def test_names_that_look_equal_are_named_beside_columns_that_hold_no_numbers(here: Path):
    rows = "".join(f"{'xyz'[row % 3]},{row},{('cat', ' cat')[row % 2]}\n" for row in range(60))
    write(here, f"a,a\u200b,kind\n{rows}")
    with pytest.raises(mf.ForgeError) as caught:
        read(csv(num_features=2))
    found = [(problem.code, problem.key) for problem in caught.value.problems]
    assert found == [
        ("MF053", "data.features"), ("MF053", "data.num_features"), ("MF053", "data.num_outputs"),
        ("MW204", "data.path"), ("MW204", "data.target"),
    ]  # fmt: skip


def test_groups_that_look_equal_are_named(here: Path):
    """Rows of one patient, once with a blank behind the name, would come into several parts."""
    names = ("p1", "p1 ", "p2", "p3")
    write(here, "a,kind,who\n" + "".join(f"{row},{'xy'[row // 4 % 2]},{names[row % 4]}\n" for row in range(60)))
    (warning, *_) = read(csv(**TWO, group="who", ignore=["who"])).warnings
    assert (warning.code, warning.key) == ("MW204", "data.group")
    assert warning.message == "2 groups of `flowers.csv` look equal, but are not: 'p1' and 'p1 '"


@pytest.mark.parametrize(
    ("fields", "path"), [({"categorical": ["a"]}, "data.categorical"), ({"embed": {"a": 4}}, "data.embed")]
)
def test_categories_that_look_equal_are_named(here: Path, fields: dict[str, Any], path: str):
    write(
        here, "a,b,kind\n" + "".join(f"{('red', 'red ', 'blue')[row % 3]},{row},{'xy'[row % 2]}\n" for row in range(60))
    )
    declared = {**fields, "num_outputs": 2, "num_features": 4 if "categorical" in fields else 1}
    inputs = (
        {"input": {"features": {"shape": [1]}, "ids": {"shape": [1], "dtype": "int64"}}} if "embed" in fields else {}
    )
    (warning,) = (found for found in read(csv(**declared, **inputs)).warnings if found.code == "MW204")
    assert warning.key == path
    assert warning.message == "2 categories of column `a` look equal, but are not: 'red' and 'red '"


@pytest.mark.parametrize("written", ["\u00a0true", "true\u2003", "\x1ctrue"])
def test_a_truth_value_with_other_blanks_is_no_number(here: Path, written: str):
    write(here, "a,kind\n" + "true,a\nfalse,b\n" * 30 + f"{written},a\n")
    assert told(csv(**TWO))[0][0] == "data.features"


@pytest.mark.parametrize(
    "names", [("cat", "Cat"), ("1", "01"), ("1.0", "1"), ("O", "0"), ("a-b", "ab"), ("\u00e9", "e")]
)
def test_classes_that_do_not_look_equal(here: Path, names):
    write(here, "a,kind\n" + "".join(f"{row},{names[row % 2]}\n" for row in range(60)))
    assert not read(csv(**TWO)).warnings


def test_columns_that_look_equal_are_named(here: Path):
    write(
        here,
        "caf\u00e9,cafe\u0301,kind\n" + "".join(f"{row * 7 % 60}.5,{row % 7},{'ab'[row % 2]}\n" for row in range(60)),
    )
    (warning,) = read(csv(num_features=2, num_outputs=2)).warnings
    assert warning.message == "2 columns of `flowers.csv` look equal, but are not: 'caf\\xe9' and 'cafe\\u0301'"
    write(here, "\ufeff\ufeffa,kind\n" + PAIRS)  # two files with byte order marks, joined
    assert told(csv(**TWO, features="a"))[0][1:] == (
        "`flowers.csv` has no column 'a'; its column '\\ufeffa' looks equal, but is not",
        "copy the name from the file, or write it in the file as here",
    )


def test_columns_that_never_differ_are_named(here: Path):
    write(here, "a,b,c,kind\n" + "".join(f"{row}.5,5,{0.1 + 0.2 * (row % 1)},{'ab'[row % 2]}\n" for row in range(60)))
    examples = read(csv(num_features=3, num_outputs=2))
    assert [warning.message for warning in examples.warnings] == [
        "2 columns, `b` and `c`, of `flowers.csv` have the same value in all training examples"
    ]
    assert (examples.warnings[0].code, examples.warnings[0].path) == ("MW203", "data.features")
    assert (examples.fitted["inputs"]["std"][1:], abs(examples.train.inputs[:, 1:]).max()) == ([1.0, 1.0], 0)


def test_numbers_of_an_array_that_never_differ_are_named(here: Path):
    np.savez(here / "arrays.npz", x=np.where(np.arange(8).reshape(2, 4) < 3, 7.0, X), y=Y)
    assert [warning.message for warning in read(npz()).warnings] == [
        "3 of the 8 numbers of an example of `arrays.npz` have the same value in all training examples"
    ]


def test_a_target_of_a_regression_that_never_differs_is_refused(here: Path):
    write(here, "a,b,kind\n" + "".join(f"{row},5,{row % 3}\n" for row in range(60)))
    assert told(csv(task="regression", target=["kind", "b"], num_features=1, num_outputs=2)) == [
        ("data.target", "column `b` of `flowers.csv` has one value: there is nothing to predict", "leave it out")
    ]


def test_blank_lines_are_no_rows(here: Path):
    write(here, "\n\na,kind\n\n" + PAIRS.replace("\n", "\n\n"))
    assert len(read(csv(**TWO)).train) == 42
