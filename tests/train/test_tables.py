"""Tables of a user's own: what is read of them, and what is told of those that cannot be."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import modelforge as mf
from modelforge.train.data.read import look, read
from modelforge.train.data.source import Source
from modelforge.train.data.sources import parse_source
from modelforge.train.data.split import split

ROWS = "".join(f"{row / 2},{row % 7},{'abc'[row % 3]},{row * 3}\n" for row in range(60))
FLOWERS = "width,height,kind,price\n" + ROWS


def csv(**fields) -> Source:
    raw = {"type": "csv", "path": "flowers.csv", "target": "kind", "task": "classification", "num_features": 3}
    raw |= {"num_outputs": 3, **fields}
    return parse_source({**raw, "input": {"shape": [raw["num_features"]]}})


def npz(**fields) -> Source:
    raw = {"type": "npz", "path": "arrays.npz", "task": "classification", "num_outputs": 3, "input": {"shape": [2, 4]}}
    return parse_source({**raw, **fields})


def told(source: Source) -> list[tuple[str, str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        read(source)
    assert {problem.code for problem in caught.value.problems} == {"MF053"}
    return [(problem.path, problem.message, problem.hint) for problem in caught.value.problems]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flowers.csv").write_text(FLOWERS)
    return tmp_path


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
                    "known: `height`, `kind`, `price`, `width`",
                )
            ],
        ),
        (
            {"features": ["kind"]},
            [("data.features", "`kind` is the target, and cannot be a feature", "")],
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
                    "the target of `flowers.csv` has 3 classes, but `num_outputs` is 2 (a, b, c)",
                    "write `data.num_outputs=3`",
                )
            ],
        ),
        (
            {"target": "price"},
            [
                (
                    "data.features",
                    "column `kind` must hold numbers, but has 'a' in row 1",
                    "leave it out: `data.ignore=[kind]`",
                )
            ],
        ),
        (
            {"task": "regression", "target": "kind", "num_outputs": 1},
            [("data.target", "column `kind` must hold numbers, but has 'a' in row 1", "")],
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
            [("data.target", "`flowers.csv` has no column `kind`", "known: `width,height,kind,price`")],
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
        ("a,a,kind\n1,2,x\n", "`flowers.csv` has several columns `a`"),
        ("a,b,c,kind\n1,2,3,x\n1,2,x\n", "line 3 of `flowers.csv` has 3 values, but the header names 4"),
        ("a,b,c,kind\n1,2,,x\n", "column `c` must hold numbers, but has no value in row 1"),
        ("a,b,c,kind\n1,inf,3,x\n", "column `b` must hold numbers, but has 'inf' in row 1"),
        ("a,b,c,kind\n1,2,3,x\n1,2,3,\n", "row 2 of column `kind` says no class"),
        (b"a,b,c,kind\n1,2,3,\xe4\n", "`flowers.csv` is not UTF-8: byte 17 is 0xe4"),
    ],
)
def test_files_that_are_no_such_table(here: Path, text: str | bytes, message: str):
    (here / "flowers.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    assert [problem[1] for problem in told(csv())] == [message]


def test_what_is_not_there_is_told_before_a_run():
    look(csv())
    with pytest.raises(mf.ForgeError, match="there is no file"):
        look(csv(path="other.csv"))


def test_numbers_written_as_text_are_classes_in_their_order(here: Path):
    (here / "flowers.csv").write_text("a,kind\n" + "".join(f"{row},{(2, 10)[row % 2]}\n" for row in range(40)))
    examples = read(csv(num_features=1, num_outputs=2, standardize=False))
    assert np.array_equal(examples.train.targets, examples.train.inputs[:, 0] % 2)


X, Y = np.arange(480.0).reshape(60, 2, 4), np.arange(60) % 3


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
                "the target of `arrays.npz` has 3 classes, but `num_outputs` is 5 (-1, 1, 3)",
                "write `data.num_outputs=3`",
            ),
        ),
        ({"inputs": X, "y": Y}, {}, ("data.features", "`arrays.npz` has no array `x`", "known: `inputs`, `y`")),
        (
            {"x": X[:, 0], "y": Y},
            {},
            (
                "data.input.shape",
                "an example of `arrays.npz` has shape (4,), but `shape` is (2, 4)",
                "write `data.input.shape=[4]`",
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
