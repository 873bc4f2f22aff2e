"""Tables of a user's own: what is read of them, and what is told of those that cannot be."""

from __future__ import annotations

import io
import os
import socket
import struct
import sys
import zipfile
from contextlib import suppress
from datetime import date
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import modelforge as mf
from modelforge.train.data.read import look, read
from modelforge.train.data.source import Source
from modelforge.train.data.split import split
from modelforge.train.settings import parse_settings
from tests.train.tables import PAIRS, TWO, X, Y, csv, npz, told, write

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
    ("fields", "expected"),
    [
        (
            {"path": None},
            [("data.path", "`path` names no file", "write `data.path=...`")],
        ),
        (
            {"path": "none/flowers.csv"},
            [("data.path", "there is no file `none/flowers.csv`", "`.` is there, `none` in it is not")],
        ),
        ({"path": "."}, [("data.path", "`.` is a folder, not a file", "write `data.path=...`")]),
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
                    "data.num_features=2 'data.ignore=[kind]' data.num_outputs=1`",
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
                    "data.num_features",
                    "`flowers.csv` without `kind` has 2 features, but `num_features` is 3",
                    ALL := "write `data.num_features=2 'data.ignore=[kind]' data.num_outputs=60`",
                ),
                ("data.features", "column `kind` must hold numbers, but has 'a' in row 1", ALL),
                (
                    "data.num_outputs",
                    "the target of `flowers.csv` has 60 classes, but `num_outputs` is 3 "
                    "(0, 3, 6, 9, 12, 15 and 54 more)",
                    f"{ALL}; to predict a number: `data.target=price data.task=regression data.num_features=2 "
                    "'data.ignore=[kind]' data.num_outputs=1`",
                ),
            ],
        ),
        (
            {"task": "regression", "target": "kind", "num_outputs": 1},
            [
                (
                    "data.target",
                    "column `kind` must hold numbers, but has 'a' in row 1",
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
def test_what_does_not_fit_the_file_is_told(fields, expected):
    assert told(csv(**fields)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "`flowers.csv` has no rows below its header"),
        ("a,kind\n", "`flowers.csv` has no rows below its header"),
        ("\n\r\n\n\n", "`flowers.csv` has no rows below its header"),
        ("a,a,kind\n1,2,x\n", "`flowers.csv` has several columns `a`"),
        ("a,b,c,kind\n1,2,3,x\n1,2,x\n", "line 3 of `flowers.csv` has 3 values, but the header names 4"),
        ("a,b,c,kind\n1,2,,x\n", "column `c` must hold numbers, but has no value in row 1"),
        ("a,b,c,kind\n1,inf,3,x\n1,2,3,x\n", "column `b` must hold numbers, but has 'inf' in row 1"),
        ("a,b,c,kind\n1,2,3,x\n1,2,3,\n", "row 2 of column `kind` has no class"),
        (b"a,b,c,kind\n1,2,3,\xe4\n", "`flowers.csv` is not UTF-8: byte 17 is 0xe4"),
    ],
)
def test_files_that_are_no_such_table(here: Path, text: str | bytes, message: str):
    (here / "flowers.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert [problem[1] for problem in told(csv())][:1] == [message]


def test_what_is_not_there_is_told_before_a_run():
    look(csv())
    with pytest.raises(mf.ForgeError, match="there is no file"):
        look(csv(path="other.csv"))


def test_numbers_written_as_text_are_classes_in_their_order(here: Path):
    (here / "flowers.csv").write_text("a,kind\n" + "".join(f"{row},{(2, 10)[row % 2]}\n" for row in range(40)))
    examples = read(csv(num_features=1, num_outputs=2, standardize=False))
    assert np.array_equal(examples.train.targets, examples.train.inputs[:, 0] % 2)


def test_arrays_of_any_shape(here: Path):
    np.savez(here / "arrays.npz", x=X, y=Y)
    examples = read(npz())
    assert examples.train.inputs.shape == (42, 2, 4)
    assert np.allclose(examples.train.inputs.mean(0), 0, atol=1e-6)
    np.savez(here / "arrays.npz", x=X, y=np.stack([Y, -Y], 1) / 2)
    assert read(npz(task="regression", num_outputs=2)).test.targets.shape == (9, 2)


@pytest.mark.parametrize(
    ("arrays", "fields", "expected"),
    [
        (
            {"x": X, "y": Y * 2 - 1},
            {"num_outputs": 5},
            (
                "data.num_outputs",
                "the target of `arrays.npz` has 3 classes, but `num_outputs` is 5 (-1, 1 and 3)",
                "write `data.num_outputs=3`",
            ),
        ),
        (
            {"inputs": X, "y": Y},
            {},
            (
                "data.features",
                "`arrays.npz` has no array `x`",
                "known: `inputs`, `y`; if `inputs` holds the inputs: `data.features=inputs data.target=y`",
            ),
        ),
        (
            {"x": X[:, 0], "y": Y},
            {},
            (
                "data.input.shape",
                "an example of `arrays.npz` has shape (4,), but `shape` is (2, 4)",
                "write `'data.input.shape=[4]'`",
            ),
        ),
        ({"x": X, "y": Y[1:]}, {}, ("data.target", "`arrays.npz` has 60 examples, but 59 targets", "")),
        (
            {"x": X.astype(str), "y": Y},
            {},
            ("data.features", "array `x` of `arrays.npz` must hold numbers, but holds <U32", ""),
        ),
        (
            {"x": np.where(X == 17, np.nan, X), "y": Y},
            {},
            ("data.features", "array `x` of `arrays.npz` has a value that is not finite in row 3", ""),
        ),
        (
            {"x": X, "y": np.stack([Y, Y], 1)},
            {},
            (
                "data.target",
                "a class is one value, but the target of `arrays.npz` has shape (60, 2)",
                "for numbers: `data.task=regression`",
            ),
        ),
        (
            {"x": X},
            {"target": None},
            ("data.target", "classification needs a target, but `target` is null", "write `data.target=...`"),
        ),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit(here: Path, arrays, fields, expected):
    np.savez(here / "arrays.npz", **arrays)
    assert told(npz(**fields)) == [expected]


def test_pickled_arrays_are_not_read(here: Path):
    np.savez(here / "arrays.npz", x=np.array([{}] * 60, dtype=object), y=Y)
    ((path, message, hint),) = told(npz())
    assert path == "data.path"
    assert message.startswith("`arrays.npz` cannot be read: Object arrays cannot be loaded")
    assert hint == "pickled objects are code, and not read"
    (here / "arrays.npz").write_text("hello")
    assert told(npz())[0][1].startswith("`arrays.npz` cannot be read: ")


@pytest.mark.parametrize(("kind", "package"), [("parquet", "pyarrow"), ("hf", "datasets")])
def test_packages_that_are_not_there(here: Path, monkeypatch: pytest.MonkeyPatch, kind: str, package: str):
    monkeypatch.setitem(sys.modules, package, None)
    ((path, message, hint),) = told(csv(type=kind, path="flowers.csv" if kind == "parquet" else "."))
    assert path == "data.type"
    assert message.endswith(f"needs `{package}`, which is not installed")
    assert hint == "pip install 'modelforge[data]'"


COLUMNS = {"a": [1.5, None, 2.0] * 10, "b": list(range(30)), "kind": ["x", "y", "z"] * 10}


def write_parquet(here: Path, columns, **fields):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table(columns), here / "flowers.parquet", **fields)


def parquet(**fields) -> Source:
    return csv(type="parquet", path="flowers.parquet", **fields)


def test_parquet(here: Path):
    write_parquet(here, COLUMNS)
    assert len(read(parquet(features=["b"], num_features=1)).train) == 22
    assert [problem[1] for problem in told(parquet(num_features=2))] == [
        "column `a` must hold numbers, but has no value in row 2"
    ]


def test_hugging_face(monkeypatch: pytest.MonkeyPatch):
    class Dataset(dict):
        column_names = tuple(COLUMNS)
        data = SimpleNamespace(nbytes=1000)

    class DatasetDict(dict):
        pass

    datasets = ModuleType("datasets")
    folder = DatasetDict(train=Dataset(COLUMNS))
    monkeypatch.setattr(datasets, "DatasetDict", DatasetDict, raising=False)
    monkeypatch.setattr(datasets, "load_from_disk", lambda path: folder, raising=False)
    monkeypatch.setitem(sys.modules, "datasets", datasets)
    assert len(read(csv(type="hf", path=".", features=["b"], num_features=1)).test) == 4
    assert told(csv(type="hf", path=".", split="training")) == [
        ("data.split", "`.` has no split `training`", "did you mean `train`?")
    ]
    assert told(csv(type="hf", path=".", max_bytes=999)) == [
        (
            "data.max_bytes",
            "`.` takes 1,000 bytes, but `max_bytes` is 999",
            "if memory holds them: `data.max_bytes=1000`",
        )
    ]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a,kind\n" + PAIRS.replace("\n40,", '\n"40,'), 42),
        ("a,kind\n" + PAIRS.replace("\n40,", '\n"40,') + PAIRS * 1000, 42),  # 470,000 characters
        ("a,kind\n" + PAIRS + '60,"a', 62),
        ("a,kind\n" + PAIRS + '60,"', 62),
        ('a,"kind\n' + PAIRS, 1),
        ('a,kind\n1,"b"\n2,"a\n""b\n' + PAIRS, 3),
        ('a,kind\n1,"b\nc"\n"2\n3","a\n' + PAIRS, 5),  # the row begins in line 4
        ('a,kind\r1,5" x\r2,"a\r' + PAIRS.replace("\n", "\r"), 3),
    ],
    ids=range(8),
)
def test_a_quote_that_is_never_closed_is_told_with_its_line(here: Path, text: str, line: int):
    write(here, text)
    assert told(csv(**TWO)) == [
        (
            "data.path",
            f"a quote opens in line {line} of `flowers.csv` and is never closed",
            "close it; a quote inside quotes is written twice",
        )
    ]


def test_a_quote_that_another_closes_rows_later_is_refused(here: Path):
    write(here, "a,kind\n" + PAIRS.replace("\n40,", '\n"40,').replace("\n50,", '\n"50,'))  # pandas and pyarrow: 51 rows
    assert told(csv(**TWO)) == [
        (
            "data.path",
            "line 52 of `flowers.csv` cannot be read: ',' expected after '\"'",
            "close it; a quote inside quotes is written twice",
        )
    ]


def test_quotes_that_are_well(here: Path):
    write(here, 'a,kind\n"1","a ""x"",\ny"\n' + '1,"a ""x"",\ny"\n2,5" b\n' * 20)
    assert read(csv(**TWO)).fitted["classes"] == ('5" b', 'a "x",\ny')


def test_long_fields_and_the_limit_of_the_process(here: Path):
    import csv as library

    before = library.field_size_limit()
    write(here, "a,kind\n" + PAIRS.replace("a", "a" * 200_000))
    assert len(read(csv(**TWO)).train) == 42
    assert library.field_size_limit() == before


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            ("a,kind\n" + PAIRS).encode("utf-16"),
            ("data.path", "`flowers.csv` is not UTF-8: byte 0 is 0xff", "it begins as UTF-16 does: convert it"),
        ),
        (
            ("a,kind\n" + PAIRS).encode("utf-16-le"),
            (
                "data.path",
                "`flowers.csv` has a NUL byte in line 1: it is no text",
                "UTF-16 has such bytes: convert it to UTF-8",
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
                "row 1 of column `kind` has no class: it has 'None'",
                """leave the row out; if it is the name of a class: `'data.missing=[""]'`""",
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


def test_classes_called_none_and_na(here: Path):
    write(here, "a,kind\n" + "1,None\n2,NA\n3,n/a\n" * 10)
    assert read(csv(num_features=1, missing=[""])).fitted["classes"] == ("NA", "None", "n/a")
    assert told(csv(num_features=1, missing=["NONE"]))[0][1] == "row 1 of column `kind` has no class: it has 'None'"


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


def test_many_columns(here: Path):
    names = ",".join(f"c{place}" for place in range(30_000))
    write(
        here, f"{names},kind\n" + "".join(",".join("12"[row % 2] for _ in range(30_000)) + ",a\n" for row in range(4))
    )
    assert told(csv(**TWO))[0][2] == "write `data.num_features=30000`"
    write(here, f"{names},kind\n" + (",".join("z" for _ in range(30_000)) + ",a\n") * 4)
    problems = told(csv(num_features=30_000))
    assert problems[0][1] == "column `c0` must hold numbers, but has 'z' in row 1"
    assert problems[20] == ("data.features", "29,980 more of these columns hold what is no number", "")


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_what_is_no_regular_file(here: Path, kind: str):
    os.mkfifo(here / "pipe")
    (here / "link").symlink_to("pipe")
    (here / "nowhere").symlink_to("none")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        source = npz if kind == "npz" else csv
        for name, what in [
            ("pipe", "a named pipe"),
            ("link", "a named pipe"),
            ("socket", "a socket"),
            ("/dev/zero", "a device"),
        ]:
            expected = ("data.path", f"`{name}` is {what}, not a file", "write `data.path=...`")
            assert told(source(type=kind, path=name)) == [expected]
    assert told(source(type=kind, path="nowhere"))[0][1:] == (
        "there is no file `nowhere`",
        "it is a link that leads nowhere",
    )
    assert told(source(type=kind, path="~nobody-has-this-name/x"))[0][1] == (
        "`~nobody-has-this-name/x` begins with the home folder of a user who has none here"
    )


def test_what_becomes_a_pipe_after_it_was_looked_at(here: Path, monkeypatch: pytest.MonkeyPatch):
    os.mkfifo(here / "pipe")
    found = (here / "flowers.csv").stat()
    real = Path.stat
    monkeypatch.setattr(Path, "stat", lambda path, **options: found if path.name == "pipe" else real(path, **options))
    assert told(csv(path="pipe"))[0][1] == "`pipe` is a named pipe, not a file"


def test_a_file_that_may_not_be_read(monkeypatch: pytest.MonkeyPatch):
    def refuse(path, flags):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "open", refuse)
    assert told(csv()) == [("data.path", "`flowers.csv` cannot be read: permission denied", "")]


def test_no_column_is_named():
    assert told(csv(features=[])) == [
        (
            "data.features",
            "no column of `flowers.csv` is left to predict from",
            "name one that is not the target",
        )
    ]


def test_files_are_bounded_before_they_are_read(here: Path):
    with (here / "flowers.csv").open("wb") as file:
        file.truncate(2_000_000_000)
    assert told(csv()) == [
        (
            "data.max_bytes",
            "`flowers.csv` takes 2,000,000,000 bytes, but `max_bytes` is 1,073,741,824",
            "if memory holds them: `data.max_bytes=2000000000`",
        )
    ]


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"delimiter": '"'}, "data.delimiter", "`delimiter` cannot be '\"'"),
        ({"delimiter": "\n"}, "data.delimiter", "`delimiter` cannot be '\\n'"),
        ({"type": {"csv": 1}}, "data.type", "`type` must be the name of a source, but is {'csv': 1}"),
        ({"type": ["csv"]}, "data.type", "`type` must be the name of a source, but is ['csv']"),
        ({"type": None}, "data.type", "`type` must be the name of a source, but is null"),
        (
            {"input": {"shape": [3], "dtype": "int64"}},
            "data.input.dtype",
            "a table holds numbers: `dtype` must be 'float32', not 'int64'",
        ),
    ],
)  # fmt: skip
def test_sections_that_are_wrong(fields, path: str, message: str):
    raw = {"type": "csv", "path": "flowers.csv", "target": "kind", "task": "classification", "num_features": 3}
    _, (problem,) = parse_settings({"data": {**raw, "num_outputs": 3, "input": {"shape": [3]}, **fields}})
    assert (problem.code, problem.path, problem.message) == ("MF051", path, message)


def test_so_many_workers_are_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("modelforge.train.data.read.num_cores", lambda: 2)
    assert told(csv(num_workers=10_000)) == [
        (
            "data.num_workers",
            "`num_workers` is 10,000, but this machine has 2 cores",
            "at most 16; 0 is best for what lies in memory",
        )
    ]
    assert read(csv(num_workers=16))


def archive(here: Path, shape: object, body: bytes, dtype: str = "<f8", **fields) -> None:
    """An `npz` whose `x` says that it has some shape."""
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    targets = io.BytesIO()
    np.save(targets, Y)
    with zipfile.ZipFile(here / "arrays.npz", "w", **fields) as file:
        file.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body)
        file.writestr("y.npy", targets.getvalue())


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((10**12, 8), "<f8", "array `x` says that it has shape (1000000000000, 8), but 100 bytes of float64 follow"),
        ((2, 4), "<f8", "array `x` says that it has shape (2, 4), but 100 bytes of float64 follow"),
        ((-1, -1), "<f8", "array `x` says that it has shape (-1, -1), but 100 bytes of float64 follow"),
        ((10**12,), "<U0", "array `x` says that it has shape (1000000000000,), but 100 bytes of <U0 follow"),
        ((3.5,), "<f8", "shape is not valid: (3.5,)"),
        ("abc", "<f8", "shape is not valid: 'abc'"),
        ((3,), "<q9", "descr is not a valid dtype descriptor: '<q9'"),
    ],
)  # fmt: skip
def test_arrays_that_lie_about_themselves(here: Path, shape, dtype: str, message: str):
    archive(here, shape, bytes(100), dtype)
    assert told(npz()) == [("data.path", f"`arrays.npz` cannot be read: {message}", "")]


def test_arrays_are_bounded_before_they_are_unpacked(here: Path):
    archive(here, (2**21, 2, 4), bytes(2**27), compression=zipfile.ZIP_DEFLATED)  # 128 MiB in 130 kB
    assert told(npz(max_bytes=10**8)) == [
        (
            "data.max_bytes",
            "unpacked, `arrays.npz` takes 134,218,208 bytes, but `max_bytes` is 100,000,000",
            "if memory holds them: `data.max_bytes=134218208`",
        )
    ]


@pytest.mark.parametrize(
    ("arrays", "fields", "expected"),
    [
        (
            {"x": X + 1j, "y": Y},
            {},
            (
                "data.features",
                "array `x` of `arrays.npz` must hold numbers, but holds complex numbers",
                "save real and imaginary parts as numbers of their own",
            ),
        ),
        (
            {"x": X, "y": Y + 1j},
            {"task": "regression", "num_outputs": 1},
            (
                "data.target",
                "array `y` of `arrays.npz` must hold numbers, but holds complex numbers",
                "save real and imaginary parts as numbers of their own",
            ),
        ),
        (
            {"x": X.astype("timedelta64[s]"), "y": Y},
            {},
            ("data.features", "array `x` of `arrays.npz` must hold numbers, but holds timedelta64[s]", ""),
        ),
        (
            {"x": np.float64(3), "y": Y},
            {},
            ("data.features", "array `x` of `arrays.npz` is one value, not an example a row", ""),
        ),
        ({"x": X[:0], "y": Y[:0]}, {}, ("data.features", "array `x` of `arrays.npz` has no rows", "")),
        ({"x": X, "y": np.int64(1)}, {}, ("data.target", "`arrays.npz` has 60 examples, but 1 target", "")),
    ],
    ids=range(6),
)
def test_arrays_of_what_is_no_number(here: Path, arrays, fields, expected):
    np.savez(here / "arrays.npz", **arrays)
    assert told(npz(**fields)) == [expected]


def test_an_array_without_a_name(here: Path):
    with (here / "arrays.npz").open("wb") as file:
        np.save(file, X)
    assert told(npz()) == [("data.path", "`arrays.npz` holds one array without a name", "save it with `numpy.savez`")]


def test_damaged_archives_are_told(here: Path):
    np.savez_compressed(here / "arrays.npz", x=X, y=Y)
    whole = (here / "arrays.npz").read_bytes()
    for place in range(0, len(whole), 7):
        (here / "arrays.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with suppress(mf.ForgeError):  # and nothing else
            read(npz())


@pytest.mark.parametrize("labels", [np.arange(60) % 3 + 1, (np.arange(60) % 3 + 1) * 10, np.arange(60) % 3 - 1.0])
def test_whole_numbers_that_do_not_begin_at_0_are_classes_in_their_order(here: Path, labels):
    np.savez(here / "arrays.npz", x=X, y=labels)
    examples = read(npz())
    assert sorted(np.bincount(np.concatenate([examples.train.targets, examples.val.targets]), minlength=3)) == [17] * 3
    assert examples.fitted["classes"] == tuple(np.unique(labels).tolist())


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"kind": [{"k": 1}] * 30}, "row 1 of the target of `flowers.parquet` has a value of type dict"),
        ({"kind": [date(2026, 1, 1)] * 30}, "row 1 of the target of `flowers.parquet` has a value of type date"),
        ({"kind": [[1], [2]] * 15}, "row 1 of the target of `flowers.parquet` has a value of type list"),
        ({"b": [{"k": 1}] * 30}, "column `b` must hold numbers, but has {'k': 1} in row 1"),
        ({"b": [], "kind": []}, "`flowers.parquet` has no rows"),
    ],
    ids=range(5),
)
def test_columns_of_parquet_that_are_no_numbers_and_no_classes(here: Path, columns, message: str):
    write_parquet(here, {key: COLUMNS[key] for key in ("b", "kind")} | columns)
    assert told(parquet(num_features=1))[0][1].endswith(message)


def test_parquet_is_bounded_by_what_it_unpacks_to(here: Path):
    write_parquet(here, {"b": np.ones(10**6), "kind": np.ones(10**6, int)})
    assert (here / "flowers.parquet").stat().st_size < 10_000
    assert told(parquet(num_features=1, max_bytes=10**6))[0][:2] == (
        "data.max_bytes",
        "`flowers.parquet` takes 16,000,000 bytes, but `max_bytes` is 1,000,000",
    )


def test_a_class_of_one_row_is_missing_and_named(here: Path):
    write(here, "a,kind\n" + "1,b\n2,c\n" * 15 + "3,rare\n")
    (warning,) = read(csv(num_features=1)).warnings
    assert (warning.code, warning.severity, warning.path, warning.hint) == (
        "MW202",
        "warning",
        "data.val_fraction",
        "bring more examples of it",
    )
    assert warning.message.startswith("the class `rare` of `flowers.csv` has 1 example, and is missing from ")
    assert warning.message.count(" and ") == 2  # two of the three parts


def test_a_split_is_disjoint_seeded_and_stratified():
    labels = np.repeat([0, 1, 2], [100, 50, 7])
    parts = split(csv(), 157, labels)
    assert sorted(np.concatenate(parts)) == list(range(157))
    for part in parts:
        shares = np.bincount(labels[part]) / len(part)
        assert abs(shares - np.bincount(labels) / 157).max() < 1.5 / len(part)
    again, other = split(csv(), 157, labels), split(csv(split_seed=1), 157, labels)
    assert all(np.array_equal(one, two) for one, two in zip(parts, again, strict=True))
    assert not np.array_equal(parts[0], other[0])


def test_a_class_of_one_example_does_no_harm():
    parts = split(csv(), 20, np.array([0] * 19 + [1]))
    assert [len(part) for part in parts] == [14, 3, 3]


def test_a_long_text_that_is_stored_once_is_bounded(here: Path):
    pyarrow = pytest.importorskip("pyarrow")
    words = pyarrow.DictionaryArray.from_arrays(pyarrow.array(np.arange(30_000, dtype="i4") % 2), ["x" * 100_000, "y"])
    columns = {"a": np.arange(30_000.0), "kind": words}  # 1.5 GB, unpacked
    write_parquet(here, columns)
    assert len(read(parquet(**TWO, max_bytes=10**7)).train) == 21_000
    write_parquet(here, columns, store_schema=False)
    ((path, message, _),) = told(parquet(**TWO, max_bytes=10**8))
    assert path == "data.max_bytes"
    assert message.startswith("unpacked, the first rows of `flowers.parquet` takes ")


def test_damaged_files_are_named(here: Path):
    write_parquet(here, {"a": np.arange(60.0), "kind": ["a", "b"] * 30})
    whole = (here / "flowers.parquet").read_bytes()
    (here / "flowers.parquet").write_bytes(whole[:60] + bytes(255 - byte for byte in whole[60:90]) + whole[90:])
    assert told(parquet(**TWO))[0][1].startswith("`flowers.parquet` cannot be read as Parquet: ")
    np.savez(here / "arrays.npz", x=X, y=Y)
    (here / "arrays.npz").write_bytes((here / "arrays.npz").read_bytes()[30:])
    assert told(npz()) == [("data.path", "`arrays.npz` cannot be read: it is damaged", "save it again")]
