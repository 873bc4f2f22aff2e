"""Tables of columns: what is fitted on the training part, and that new rows become the same arrays."""

from __future__ import annotations

import json
import shutil
import tracemalloc
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import modelforge as mf
from modelforge.train.data import frame
from modelforge.train.data.read import read
from modelforge.train.data.registry import parse_source
from modelforge.train.data.sheet import Sheet
from modelforge.train.preprocessing import read_preprocessing, write_preprocessing
from tests.train.tables import told

pytestmark = pytest.mark.usefixtures("here")
needs_datasets = pytest.mark.skipif(find_spec("datasets") is None, reason="the extra `data`")
SIZE = 120
PEOPLE = {
    "age": [None if row % 7 == 0 else 20 + row % 40 for row in range(SIZE)],
    "fare": [7.25 + row * 0.37 for row in range(SIZE)],
    "sex": ["male" if row % 3 else "female" for row in range(SIZE)],
    "port": [None if row % 17 == 0 else "SCQ"[row % 3] for row in range(SIZE)],
    "when": [f"2020-{1 + row % 12:02}-{1 + row % 28:02}" for row in range(SIZE)],
    "single": ["true" if row % 2 else "False" for row in range(SIZE)],
    "name": [f"Person, {row}" for row in range(SIZE)],
    "survived": ["yes" if row * 7 % 5 < 2 else "no" for row in range(SIZE)],
}
ALL = {
    "impute": {"age": "median", "port": "most_frequent"},
    "categorical": ["sex", "port"],
    "dates": ["when"],
    "date_parts": ["month", "day", "weekday", "elapsed"],
    "ignore": ["name"],
    "num_features": 12,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The people in files of all kinds; as a data set, where the extra `data` is installed."""
    import pyarrow.csv
    import pyarrow.feather
    import pyarrow.parquet

    here, table = tmp_path_factory.mktemp("people"), pa.table(PEOPLE)
    pyarrow.csv.write_csv(table, here / "people.csv")
    pyarrow.parquet.write_table(table, here / "people.parquet")
    pyarrow.feather.write_feather(table, str(here / "people.feather"))
    with pa.OSFile(str(here / "people.arrows"), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    if find_spec("datasets"):
        import datasets

        datasets.Dataset.from_dict(PEOPLE).save_to_disk(str(here / "people"))
    return here


@pytest.fixture(autouse=True)
def files(here: Path, folder: Path) -> None:
    shutil.copytree(folder, here, dirs_exist_ok=True)


def people(**fields):
    raw = {"type": "csv", "path": "people.csv", "target": "survived", "task": "classification", "num_outputs": 2}
    raw |= {"num_features": 12, **fields}
    return parse_source({**raw, "input": {"shape": [raw["num_features"]]}})


def arrays(inputs) -> tuple[np.ndarray, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)


SOURCES = [
    {"type": "csv", "path": "people.csv"},
    {"type": "parquet", "path": "people.parquet"},
    {"type": "feather", "path": "people.feather"},
    {"type": "feather", "path": "people.arrows"},
    pytest.param({"type": "hf", "path": "people"}, marks=needs_datasets),
]
TASKS = {
    "classification": {},
    "regression": {"task": "regression", "target": ["fare", "age"], "num_features": 12},
    "labels": {
        "task": "multilabel_classification",
        "target": ["single", "up"],
        "ignore": ["name", "survived"],
        "num_features": 11,
    },
    "autoencoding": {"task": "autoencoding", "target": [], "ignore": ["name", "survived"]},
    "ids": {"embed": {"port": 6, "name": 121}, "categorical": ["sex"], "ignore": [], "num_features": 9},
    "dropped": {"impute": "drop"},
    "groups": {"group": "name", "ignore": []},
    "times": {"time": "when"},
    "as it is": {"standardize": False},
}


@pytest.mark.parametrize("where", SOURCES, ids=lambda where: where["path"])
def test_new_rows_become_the_arrays_that_training_used(where, tmp_path: Path):
    same_arrays(people(**{**ALL, **where}), tmp_path)


@pytest.mark.parametrize("task", TASKS)
def test_new_rows_of_every_task_and_option(here: Path, tmp_path: Path, task: str):
    fields = {**ALL, **TASKS[task]}
    if task == "labels":
        import pyarrow.csv

        table = pa.table({**PEOPLE, "up": [row // 3 % 2 for row in range(SIZE)]})
        pyarrow.csv.write_csv(table, here / "people.csv")
    if task == "regression":
        fields |= {"categorical": ["sex", "port", "survived"], "impute": {"age": "drop", "port": "most_frequent"}}
    same_arrays(people(**fields), tmp_path)


def same_arrays(source, folder: Path) -> None:
    examples = read(source)
    write_preprocessing(folder, source, examples.fitted)
    fitted = read_preprocessing(folder)
    table = source.raw(Path(source.path))
    for name in ("train", "val", "test"):
        part = getattr(examples, name)
        rows = table.take(pa.array(fitted["rows"][name])).select(table.column_names[::-1])  # another order
        new = source.encode(rows, fitted, labelled=True)
        assert len(new) == len(part)
        for array, expected in zip(arrays(new.inputs), arrays(part.inputs), strict=True):
            assert array.dtype == expected.dtype
            assert np.array_equal(array, expected)
        assert np.array_equal(new.targets, part.targets)
        assert new.targets.dtype == part.targets.dtype
        bare = source.encode(rows.drop_columns([*source.target]), fitted)
        assert np.array_equal(arrays(bare.inputs)[0], arrays(part.inputs)[0])


def test_what_is_fitted_is_what_scikit_learn_fits_to_the_training_part():
    compose, impute = (
        pytest.importorskip("sklearn.compose", reason="the extra `train`"),
        pytest.importorskip("sklearn.impute", reason="the extra `train`"),
    )
    pipeline, preprocessing = (
        pytest.importorskip("sklearn.pipeline", reason="the extra `train`"),
        pytest.importorskip("sklearn.preprocessing", reason="the extra `train`"),
    )
    pandas = pytest.importorskip("pandas", reason="of the extra `data`")
    columns = ["age", "fare", "sex", "port"]
    examples = read(people(**{**ALL, "features": columns, "dates": [], "num_features": 7, "ignore": []}))
    frame = pandas.DataFrame({name: PEOPLE[name] for name in columns}).replace({None: np.nan})
    frame["age"] = frame["age"].astype(float)
    number = pipeline.make_pipeline(impute.SimpleImputer(strategy="median"), preprocessing.StandardScaler())
    text = pipeline.make_pipeline(
        impute.SimpleImputer(strategy="most_frequent"), preprocessing.OneHotEncoder(sparse_output=False)
    )
    both = compose.ColumnTransformer([("numbers", number, ["age", "fare"]), ("texts", text, ["sex", "port"])])
    both.fit(frame.iloc[examples.fitted["rows"]["train"]])
    for name in ("train", "val", "test"):
        expected = both.transform(frame.iloc[examples.fitted["rows"][name]])
        assert np.allclose(getattr(examples, name).inputs, expected, atol=1e-6)


def test_ids_count_from_1_and_0_is_a_missing_or_new_category():
    source = people(**{**ALL, **TASKS["ids"], "impute": {"age": "median"}})
    examples = read(source)
    fitted = {column["name"]: column for column in examples.fitted["columns"]}
    assert fitted["port"]["categories"] == ("C", "Q", "S")
    raw = {name: values[1:4] for name, values in PEOPLE.items()} | {"port": ["S", None, "X"]}
    features, ids = source.encode(raw, examples.fitted).inputs
    assert ids.dtype == np.int64
    assert ids[:, list(source.embed).index("port")].tolist() == [3, 0, 0]
    assert features.shape == (3, 9)
    assert [(name, one.shape, one.dtype) for name, one in source.inputs.items()] == [
        ("input", (9,), "float32"),
        ("categories", (2,), "int64"),
    ]


def test_a_new_category_is_0_everywhere_or_refused():
    source = people(**ALL)
    examples = read(source)
    names = list(examples.fitted["inputs"]["names"])
    ports = [names.index(f"port={port}") for port in "CQS"]
    raw = {name: values[1:2] for name, values in PEOPLE.items()} | {"port": ["X"]}
    assert source.encode(raw, examples.fitted).inputs[0, ports].tolist() == [0, 0, 0]
    strict = people(**ALL, unseen="error")
    assert len(read(strict).train) == 84
    message = "column `port` has 'X' in row 1: not a category of the training part"
    assert refused(strict, raw, examples.fitted) == [message]


def refused(source, raw, fitted, **fields) -> list[str]:
    with pytest.raises(mf.ForgeError) as caught:
        source.encode(raw, fitted, **fields)
    assert {problem.code for problem in caught.value.problems} == {"MF150"}
    return [problem.message for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"age": ..., "sex": ...}, ["the data has no columns `age` and `sex`"]),
        (
            {"fare": ["x", "1"], "when": ["2020-02-30", "2020-02-02"]},
            [
                "column `fare` must hold numbers, but has 'x' in row 1",
                "column `when` must hold dates such as 2026-01-31, but has '2020-02-30' in row 1",
            ],
        ),
        ({"fare": [None, 1.0]}, ["column `fare` has no value in row 1"]),
        ({"survived": ["maybe", "no"]}, ["1 row of the data has a class that the training did not (maybe)"]),
        ({"survived": [None, "no"]}, ["column `survived` has no class in row 1"]),
        ({"survived": ...}, ["the data has no column `survived`"]),
    ],
    ids=range(6),
)
def test_new_rows_that_are_not_as_in_training_are_refused_by_name(change, expected):
    source = people(**ALL)
    fitted = read(source).fitted
    raw = {name: values[1:3] for name, values in PEOPLE.items()} | change
    raw = {name: values for name, values in raw.items() if values is not ...}
    assert refused(source, raw, fitted, labelled=True) == expected


def test_dropped_rows_are_in_no_part():
    examples = read(people(**{**ALL, "impute": "drop"}))
    rows = np.concatenate([*examples.fitted["rows"].values()])
    assert sorted(rows) == [row for row in range(SIZE) if PEOPLE["age"][row] and PEOPLE["port"][row]]


def test_a_row_without_a_target_is_dropped_where_that_is_declared(here: Path):
    (here / "people.csv").write_text("a,survived\n" + "1,yes\n2,no\n3,\n" * 20)
    source = people(features="a", num_features=1, impute={"survived": "drop"})
    examples = read(source)
    assert sum(map(len, (examples.train, examples.val, examples.test))) == 40
    assert examples.fitted["classes"] == ("no", "yes")


@pytest.mark.parametrize(
    "settings", [{"target": "y"}, {"target": "c", "task": "regression", "num_outputs": 1}, {"task": "autoencoding"}]
)
def test_rows_that_training_dropped_are_left_out_of_an_evaluation_too(here: Path, settings: dict[str, object]):
    rows = [f"{row % 7 or ''},{'' if row == 5 else 'uv'[row % 2]},{'ab'[row % 2]},{row}" for row in range(1, 60)]
    fields = {"features": ["a", "b"], "categorical": ["b"], "num_features": 3, "impute": "drop"}
    source = small(here, "a,b,y,c\n" + "\n".join(rows) + "\n", **fields, **settings)
    fitted = read(source).fitted
    new = {"a": [1, None, 3, 4, 5], "b": ["u", "u", None, "v", "u"], "y": [*"azab", None], "c": [1, None, 3, 4, 5]}
    found = source.encode(new, fitted, labelled=True)
    left_out = [1, 2, 4] if settings == {"target": "y"} else [1, 2]
    assert [problem.code for problem in found.warnings] == ["MW201"]
    several = "3 rows (row 2, row 3, row 5)" if len(left_out) == 3 else "2 rows (row 2, row 3)"
    assert found.warnings[0].message.startswith(f"{several} of the data are left out, as such rows were in training")
    whole = [row for row in range(5) if row not in left_out]
    right = source.encode({name: [values[row] for row in whole] for name, values in new.items()}, fitted, labelled=True)
    inputs, targets = found.batch(np.arange(len(found)))
    assert (inputs == right.inputs).all()
    assert (targets == right.targets).all()
    with pytest.raises(mf.ForgeError) as caught:
        source.encode(new, fitted)
    way = "leave the row out, as training did (`impute`), or fill it in"
    assert [(problem.message, problem.hint) for problem in caught.value.problems] == [
        ("column `a` has no value in row 2", way),
        ("column `b` has no value in row 3", way),
    ]
    nothing = {name: [None] for name in new}
    assert refused(source, nothing, fitted, labelled=True) == ["no row of the data is left: each lacks a value"]


PROPOSED = (
    "write `'data.impute={age: median, port: most_frequent}' 'data.categorical=[sex,port]' "
    "'data.dates={when: iso}' 'data.ignore=[name]' data.num_features=12`"
)


def test_one_run_names_all_settings_of_a_table_of_every_kind():
    problems = told(people(num_features=3))
    assert [message.partition(",")[0] for _, message, _ in problems] == [
        "column `age` has no value in 18 rows (row 1",
        "column `sex` must hold numbers",
        "column `port` must hold numbers",
        "column `port` has no value in 8 rows (row 1",
        "column `when` must hold numbers",
        "column `name` must hold numbers",
        "`people.csv` has 12 features",
    ]
    assert {hint for _, _, hint in problems} == {PROPOSED}
    fields = {"impute": {"age": "median", "port": "most_frequent"}, "categorical": ["sex", "port"]}
    assert len(read(people(**fields, dates={"when": "iso"}, ignore=["name"], num_features=12)).train) == 84


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"embed": {"port": 3}, "categorical": ["sex"], "num_features": 9}, (
            "data.embed",
            "column `port` takes 4 ids: 0, and one for each category to train on; but `embed.port` is 3",
            "write `'data.embed={port: 4}'`",
        )),
        ({"categorical": ["sex", "port", "survived"]}, (
            "data.categorical", "`survived` is the target, and cannot be in `categorical`", "",
        )),
        ({"impute": {"agee": 3}}, ("data.impute", "`people.csv` has no column `agee`", "did you mean `age`?")),
        ({"impute": {"age": 1, "port": "S", "when": "soon"}}, (
            "data.impute", "`when` holds dates such as 2026-01-31, but the constant 'soon' is of another kind", "",
        )),
        ({"features": ["age"]}, (
            "data.categorical", "`sex` is not among the `features`", "name it there as well",
        )),
        ({"split_column": "sex", "categorical": ["port"], "num_features": 10}, (
            "data.split_column", "column `sex` must hold train, val or test, but has 'female' and 'male' "
            "in 120 rows (row 1, row 2, row 3 and 117 more)", "name a part in every row",
        )),
        ({"time": "name", "ignore": []}, (
            "data.time",
            "column `name` must hold dates such as 2026-01-31, but has 'Person, 0' in row 1, 'Person, 1' in row 2, "
            "'Person, 2' in row 3 and 117 more rows",
            "",
        )),
        ({"group": "sex", "categorical": ["port"], "num_features": 10}, (
            "data.group",
            "`group` has 2 values, and 3 parts need 3",
            "bring more groups, or split the rows: `data.group=null`",
        )),
        ({"group": "port", "categorical": ["sex"], "num_features": 9}, (
            "data.group",
            "column `port` has no value in 8 rows (row 1, row 18, row 35 and 5 more)",
            "fill it in, or leave such rows out: `'data.impute={port: drop}'`",
        )),
        ({"test_path": "none.csv"}, (
            "data.test_path", "there is no file `none.csv`", "`.` exists, but holds no `none.csv`",
        )),
        ({"task": "multilabel_classification", "target": ["single", "fare"], "num_features": 12}, (
            "data.target",
            "a label is 0 or 1, but column `fare` of `people.csv` has 7.25 in row 1",
            "for numbers: `data.task=regression`",
        )),
    ],
    ids=range(11),
)  # fmt: skip
def test_settings_that_do_not_fit_the_file(fields, expected):
    if "target" in fields:
        fields = {**fields, "categorical": ["sex", "port", "survived"]}
    assert told(people(**{**ALL, **fields}))[0] == expected


def test_a_column_without_any_value_has_no_median(here: Path):
    (here / "people.csv").write_text("a,b,survived\n" + "1,,yes\n2,,no\n" * 20)
    assert told(people(features=["a", "b"], num_features=2, impute="median")) == [
        (
            "data.impute",
            "column `b` has no value in any row to train on, so that it has no median",
            "leave it out, or declare a constant",
        )
    ]
    examples = read(people(features=["a", "b"], num_features=2, impute={"b": -1}, standardize=False))
    assert set(examples.train.inputs[:, 1]) == {-1}


def test_what_is_kept_is_plain_data():
    fitted = dict(read(people(**ALL)).fitted)
    rows = fitted.pop("rows")
    assert json.loads(json.dumps(fitted))["columns"][0]["fill"] == np.median(
        [PEOPLE["age"][row] for row in rows["train"] if PEOPLE["age"][row]]
    )


def small(here: Path, text: str, **fields):
    (here / "small.csv").write_text(text)
    section = {"type": "csv", "path": "small.csv", "target": "y", "task": "classification", "num_outputs": 2}
    section |= {"num_features": 1, **fields}
    return parse_source({**section, "input": {"shape": [section["num_features"]]}})


@pytest.mark.parametrize("key", ["group", "time"])
def test_rows_without_a_group_or_a_time_can_be_left_out(here: Path, key: str):
    rows = "".join(f"{row},{row // 2 if row % 5 else ''},{'ab'[row % 2]}\n" for row in range(60))
    source = small(here, "x,when,y\n" + rows, **{key: "when"}, impute={"when": "drop"})
    found = read(source).fitted["rows"]
    kept = np.sort(np.concatenate([*found.values()]))
    assert kept.tolist() == [row for row in range(60) if row % 5]


def test_a_constant_among_categories_is_written_as_it_is_declared(here: Path):
    rows = "".join(f"{['0', '1', ''][row % 3]},{'ab'[row % 2]}\n" for row in range(60))
    source = small(here, "code,y\n" + rows, categorical=["code"], impute={"code": 0}, num_features=2)
    examples = read(source)
    assert examples.fitted["inputs"]["names"] == ("code=0", "code=1")
    assert source.encode({"code": [None, "0"]}, examples.fitted).inputs.tolist() == [[1, 0], [1, 0]]


def test_a_column_without_any_value_is_left_out_by_the_one_line_of_settings(here: Path):
    """As a comma at the end of every line makes one."""
    source = small(here, "x,y,\n" + "".join(f"{row},{'ab'[row % 2]},\n" for row in range(60)))
    assert told(source) == [
        (
            "data.features",
            "column `` has no value in 60 rows (row 1, row 2, row 3 and 57 more)",
            """leave it out: `"data.ignore=['']"`""",
        )
    ]
    assert len(read(small(here, (here / "small.csv").read_text(), ignore=[""])).train) == 42


def test_names_that_hydra_takes_as_no_key_are_given_in_pairs(here: Path):
    rows = "".join(f"{row if row % 5 else ''},{'ab'[row % 2]}\n" for row in range(60))
    ((_, _, hint),) = told(small(here, "größe,y\n" + rows))
    assert hint == """fill it in: `"data.impute=[['größe',median]]"`"""
    assert len(read(small(here, "größe,y\n" + rows, impute=[["größe", "median"]])).train) == 42


@pytest.mark.parametrize(
    ("new", "message"),
    [
        ({"x": [1e300]}, "column `x` of the data has 1e+300 in row 1, which is more than float32 holds"),
        ({"x": 1.0}, "column `x` must be a list of values, but is 1.0"),
        ({"x": "1"}, "column `x` must be a list of values, but is '1'"),
        ({"x": ["\ud800"]}, "column `x` has a text that is not Unicode"),
        ({"x": []}, "the data has no rows"),
        ([], "the data has no column `x`"),
    ],
)
def test_new_rows_that_cannot_be_meant_are_refused(here: Path, new, message: str):
    source = small(here, "x,y\n" + "".join(f"{row},{'ab'[row % 2]}\n" for row in range(60)))
    fitted = read(source).fitted
    with pytest.raises(mf.ForgeError) as caught:
        source.encode(new, fitted)
    assert {problem.code for problem in caught.value.problems} == {"MF150"}
    assert message in caught.value.problems[0].message


def test_new_rows_are_read_as_they_are_written(here: Path):
    """So that a column beside the predictions keeps its zeros, and whole numbers of any size."""
    source = small(here, "x,y\n" + "".join(f"{row},{'ab'[row % 2]}\n" for row in range(60)))
    fitted = read(source).fitted
    (here / "new.csv").write_text("id,x\n007,1.50\n9007199254740993,2\n")
    raw = source.raw(here / "new.csv")
    assert raw.to_pydict() == {"id": ["007", "9007199254740993"], "x": ["1.50", "2"]}
    assert source.encode(raw, fitted).inputs.tolist() == source.encode({"x": [1.5, 2.0]}, fitted).inputs.tolist()


def test_ids_alone_are_no_features(here: Path):
    source = small(here, "x,y\n" + "".join(f"{'uv'[row % 2]},{'ab'[row % 2]}\n" for row in range(60)), embed={"x": 3})
    message = "`small.csv` has no column beside those of `embed`, but the first input of the model is of others"
    assert told(source) == [("data.embed", message, "name one of them in `categorical` in place of `embed`")]


def test_warnings_beside_problems_of_new_rows_keep_their_codes():
    source = people(**ALL)
    raw = {name: values[1:5] for name, values in PEOPLE.items()} | {"port": ["X", "S", "Y", "X"], "sex": [None] * 4}
    with pytest.raises(mf.ForgeError) as caught:
        source.encode(raw, read(source).fitted)
    found = [(problem.severity, problem.code) for problem in caught.value.problems]
    assert found == [("error", "MF150"), ("warning", "MW205")]


def test_new_categories_are_named_with_their_rows():
    source = people(**ALL)
    fitted = read(source).fitted
    raw = {name: values[1:5] for name, values in PEOPLE.items()} | {"port": ["X", "S", "Y", "X"], "sex": ["male"] * 4}
    (warning,) = source.encode(raw, fitted).warnings
    assert (warning.code, warning.key) == ("MW205", "")
    what = "3 of 4 rows have a category that is not in the training part"
    assert warning.message == f"column `port`: {what}: 'X' in row 1, 'Y' in row 3, and 1 more row of such"
    assert warning.hint == "each is read as 0 in all features of the column; known: C, Q and S"
    known = {name: values[1:5] for name, values in PEOPLE.items()}
    assert source.encode(known, fitted).warnings == ()


def test_new_ids_are_named_too_and_missing_ones_are_none():
    source = people(**{**ALL, "categorical": ["sex"], "embed": {"port": 4}, "impute": {"age": 0}, "num_features": 9})
    fitted = read(source).fitted
    raw = {name: values[1:4] for name, values in PEOPLE.items()} | {"port": [None, "X", "S"]}
    (warning,) = source.encode(raw, fitted).warnings
    assert "1 of 3 rows has a category that is not in the training part: 'X' in row 2" in warning.message
    assert warning.hint.startswith("each is read as id 0; ")


def test_a_part_with_mostly_other_categories_is_a_warning_of_the_training(here: Path):
    import pyarrow.csv

    other = pa.table({**PEOPLE, "sex": ["Frau" if row % 3 else "female" for row in range(SIZE)]})
    pyarrow.csv.write_csv(other, here / "test.csv")
    (warning,) = [one for one in read(people(**ALL, test_path="test.csv")).warnings if one.code == "MW205"]
    assert warning.key == "data.categorical"
    assert warning.message.startswith("column `sex`: 80 of 120 rows have a category that is not in the training part: ")
    assert not [one for one in read(people(**ALL)).warnings if one.code == "MW205"]


def test_columns_of_numbers_are_copied_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(frame, "BLOCK", 20_000)
    random = np.random.default_rng(0)
    table = pa.table({**{f"c{place}": random.normal(size=20_000) for place in range(40)}, "kind": ["a", "b"] * 10_000})
    source = people(target="kind", num_features=40)
    sheet = Sheet.of([("the table", table, 0)])
    tracemalloc.start()
    frame.read_examples(source, sheet)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.5 * table.nbytes, peak / table.nbytes  # float32 column by column, then side by side
