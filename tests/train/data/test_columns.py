"""Columns by name: features, targets, what is left out, and columns that do not fit the section."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from modelforge.train.data.files import MANY
from modelforge.train.data.read import read
from tests.train.tables import TWO, csv, told, write

pytestmark = pytest.mark.usefixtures("here")

ABC = "must hold numbers, but has 'a' in row 1, 'b' in row 2, 'c' in row 3 and 57 more rows"
NUMBER = "`data.target=price data.task=regression 'data.categorical=[kind]' data.num_features=5 data.num_outputs=1`"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"path": None},
            [("data.path", "`path` names no file", "write `data.path=...`")],
        ),
        (
            {"path": "none/flowers.csv"},
            [("data.path", "there is no file `none/flowers.csv`", "`.` exists, but holds no `none`")],
        ),
        ({"path": "."}, [("data.path", "`.` is a folder, not a file", f"join its files into one; {MANY}")]),
        (
            {"path": "*.csv"},
            [("data.path", "there is no file `*.csv`", f"it names one file, and is no pattern; {MANY}")],
        ),
        (
            {"target": "kinds", "ignore": ["widht"]},
            [
                ("data.target", "`flowers.csv` has no column `kinds`", "did you mean `kind`?"),
                ("data.ignore", "`flowers.csv` has no column `widht`", "did you mean `width`?"),
            ],
        ),
        (
            {"target": []},
            [
                (
                    "data.target",
                    "classification needs a target, but `target` names no column",
                    "known: `height`, `kind`, `price`, `width`; for `price`: `data.target=price data.task=regression "
                    "'data.categorical=[kind]' data.num_features=5 data.num_outputs=1`",
                )
            ],
        ),
        (
            {"features": ["kind"]},
            [("data.features", "`kind` is the target, and cannot be a feature", "")],
        ),
        ({"features": ["width", "width"]}, [("data.features", "`features` names `width` twice", "once is enough")]),
        (
            {"task": "regression", "target": ["price", "price"]},
            [("data.target", "`target` names `price` twice", "once is enough")],
        ),
        (
            {"ignore": ["kind"]},
            [("data.ignore", "`kind` is to be ignored, and is a feature or the target", "")],
        ),
        (
            {"features": ["width"], "ignore": ["height", "width"]},
            [("data.ignore", "`width` is to be ignored, and is a feature or the target", "")],
        ),
        (
            {"num_features": 5},
            [
                (
                    "data.num_features",
                    "`flowers.csv` has 3 features, but `num_features` is 5",
                    "write `data.num_features=3`",
                )
            ],
        ),
        (
            {"num_outputs": 2},
            [
                (
                    "data.num_outputs",
                    "the target of `flowers.csv` has 3 classes, but `num_outputs` is 2 (a, b and c)",
                    "write `data.num_outputs=3`",
                )
            ],
        ),
        (
            {"target": "price"},
            [
                (
                    "data.features",
                    f"column `kind` {ABC}",
                    f"write {NUMBER}",
                ),
                ("data.num_features", "`flowers.csv` has 5 features, but `num_features` is 3", f"write {NUMBER}"),
                (
                    "data.num_outputs",
                    "the target of `flowers.csv` has 60 classes, but `num_outputs` is 3 "
                    "(0, 3, 6, 9, 12, 15 and 54 more)",
                    "to predict a class, write `'data.categorical=[kind]' data.num_features=5 data.num_outputs=60`; "
                    f"to predict a number, write {NUMBER}",
                ),
            ],
        ),
        (
            {"task": "regression", "target": "kind", "num_outputs": 1},
            [
                (
                    "data.target",
                    f"column `kind` {ABC}",
                    "write it as a number, or leave the row out",
                )
            ],
        ),
        (
            {"task": "regression", "target": "price", "ignore": "kind", "num_features": 2},
            [("data.num_outputs", "`flowers.csv` has 1 target, but `num_outputs` is 3", "write `data.num_outputs=1`")],
        ),
        (
            {"val_fraction": 0.001},
            [
                (
                    "data.val_fraction",
                    "`val_fraction` = 0.001 takes 0 of 60 examples, and its part needs 1",
                    "write a larger `data.val_fraction=...`, or bring more examples",
                )
            ],
        ),
        (
            {"delimiter": ";"},
            [
                (
                    "data.delimiter",
                    "the header of `flowers.csv` is one column, and holds ',': is that its `delimiter`?",
                    """write `"data.delimiter=','" data.target=kind`""",
                )
            ],
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_file_is_named(fields, expected):
    assert told(csv(**fields)) == expected


def test_numbers_written_as_text_are_classes_in_their_order(here: Path):
    (here / "flowers.csv").write_text("a,kind\n" + "".join(f"{row},{(2, 10)[row % 2]}\n" for row in range(40)))
    examples = read(csv(num_features=1, num_outputs=2, standardize=False))
    assert np.array_equal(examples.train.targets, examples.train.inputs[:, 0] % 2)


def test_classes_called_none_and_na(here: Path):
    write(here, "a,kind\n" + "1,None\n2,NA\n3,n/a\n" * 10)
    assert read(csv(num_features=1, missing=[""])).fitted["classes"] == ("NA", "None", "n/a")
    rows = "10 rows (row 1, row 4, row 7 and 7 more)"
    assert told(csv(num_features=1, missing=["NONE"]))[0][1] == (f"column `kind` has no class in {rows}: it has 'None'")


def test_many_columns(here: Path):
    names = ",".join(f"c{place}" for place in range(30_000))
    write(
        here, f"{names},kind\n" + "".join(",".join("12"[row % 2] for _ in range(30_000)) + ",a\n" for row in range(4))
    )
    assert told(csv(**TWO))[0][2] == "write `data.num_features=30000`"
    names = ",".join(f"c{place}" for place in range(300))
    write(here, f"{names},kind\n" + (",".join("z" for _ in range(300)) + ",a\n") * 4)
    problems = told(csv(num_features=300))
    assert problems[0][1] == "column `c0` must hold numbers, but has 'z' in row 1 and 3 more rows"
    assert problems[20] == ("data.features", "280 more problems like these, in other columns", "")
    assert len(problems) == 21


def test_no_column_is_named():
    assert told(csv(features=[])) == [
        (
            "data.features",
            "no column of `flowers.csv` is left to predict from",
            "name one that is not the target",
        )
    ]


@pytest.mark.parametrize("prefix", ["probability_", "target_"])
def test_targets_whose_predictions_would_have_one_name_are_refused(prefix: str):
    task, names = "multilabel_classification", ["width", f"{prefix}width"]
    with pytest.raises(ValidationError) as caught:
        csv(task=task, target=names, num_outputs=2, num_features=1)
    (error,) = caught.value.errors()
    assert error["loc"] == ("target",)
    assert error["msg"] == (
        f"`width` and `{prefix}width` cannot both be targets: predictions have a column `{prefix}width` for `width`"
    )


def test_numbers_have_no_probabilities():
    csv(task="regression", target=["width", "probability_width"], num_outputs=2, num_features=1)
