"""evaluate and predict on the command line: what they write, print and refuse."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from rich.console import Console

from modelforge.cli.answer import say
from modelforge.cli.evaluate import _parsed, _write, evaluate
from modelforge.cli.predict import predict
from modelforge.core.errors import ForgeError
from modelforge.train.data.batches import Batch
from modelforge.train.data.parts import Part
from modelforge.train.tasks.report import of_numbers
from modelforge.train.trained_run import Evaluation, Run, load_run
from tests.train.runs import trained


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the digits."""
    return trained(tmp_path_factory.mktemp("runs") / "run", "data=digits")


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images.npy"
    np.save(path, pytest.importorskip("sklearn.datasets", reason="the extra `train`").load_digits().images[:3])
    return path


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def rendered(text: object, width: int = 80) -> str:
    console = Console(width=width, no_color=True, record=True, file=io.StringIO())
    console.print(text)
    return console.export_text()


def test_an_evaluation_writes_its_tables_and_figures(run: Path):
    answer = evaluate(run, [], None, "cpu")
    assert answer.status == 0
    assert answer.data["differs"] == []
    assert answer.data["metrics"]["accuracy"] == answer.data["reported"]["accuracy"]
    folder = run / "evaluation"
    assert {path.name for path in folder.iterdir()} == {
        "metrics.json",
        "per_class.csv",
        "confusion_matrix.csv",
        "confusion_matrix.png",
        "calibration.csv",
        "calibration.png",
    }
    rows = read(folder / "per_class.csv")
    assert sum(int(row["examples"]) for row in rows) == 270
    matrix = read(folder / "confusion_matrix.csv")
    right = sum(int(row[row["class"]]) for row in matrix)
    assert right / 270 == pytest.approx(answer.data["metrics"]["accuracy"], abs=1e-6)
    assert json.loads((folder / "metrics.json").read_text())["num_examples"] == 270
    lines = rendered(answer.text).splitlines()
    assert lines[0] == "the test part: 270 examples"
    assert max(map(len, lines)) <= 80


def test_the_names_of_targets_do_not_lead_out_of_the_folder(tmp_path: Path):
    """`price/m2` ended in a traceback, and `../../evil` wrote outside of the run."""
    pytest.importorskip("matplotlib", reason="the extra `plots`")
    names = ["price/m2", "price?m2", "../../evil", "$_{$", "ä" * 300]
    report = of_numbers(np.zeros((3, 5)), np.arange(15.0).reshape(3, 5), names)
    folder = tmp_path / "a" / "evaluation"
    folder.mkdir(parents=True)
    files = _write(Evaluation({}, report, 3, "the test part", (), 0.0, True), folder, plots=True)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == {*files}
    assert {path.parent for path in files} == {folder}
    assert [path.name for path in files][:4] == [
        "metrics.json", "per_target.csv", "price_m2_predictions.png", "price_m2_residuals.png",
    ]  # fmt: skip
    assert {"price_m2_predictions-2.png", ".._.._evil_residuals.png", "_.png", "_-2.png"} < {
        path.name for path in files
    }
    assert [row["target"] for row in read(folder / "per_target.csv")] == names


def test_another_metric_than_the_run_reported_is_status_one(run: Path, tmp_path: Path):
    status = run / "status.json"
    before = status.read_text()
    try:
        told = json.loads(before)
        told["metrics"]["test/accuracy"] = 0.5
        status.write_text(json.dumps(told))
        answer = evaluate(run, [], tmp_path / "out", "cpu", plots=False)
    finally:
        status.write_text(before)
    assert answer.status == 1
    assert "not what the run reported: accuracy: 0.5, now 0." in rendered(answer.text)
    assert not list((tmp_path / "out").glob("*.png"))


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_batches_of_another_size_are_computed_and_compared(run: Path, tmp_path: Path, monkeypatch, size: int):
    sizes = list[int]()

    def seen(self: Run, part: Part, size: int) -> Iterator[tuple[torch.Tensor, Batch]]:
        for outputs, batch in _run(self, part, size):
            sizes.append(len(outputs))
            yield outputs, batch

    _run = Run._run
    monkeypatch.setattr(Run, "_run", seen)
    answer = evaluate(run, [f"data.batch_size={size}"], tmp_path / "out", "cpu", plots=False)
    assert sizes == [min(size, 270 - first) for first in range(0, 270, size)]
    assert (answer.status, answer.data["differs"]) == (0, [])
    assert answer.data["reported"].keys() == answer.data["metrics"].keys()
    status = run / "status.json"
    before = status.read_text()
    told = json.loads(before)
    try:
        status.write_text(json.dumps(told | {"metrics": told["metrics"] | {"test/loss": 1.0}}))
        answer = evaluate(run, [f"data.batch_size={size}"], tmp_path / "out", "cpu", plots=False)
    finally:
        status.write_text(before)
    assert (answer.status, answer.data["differs"]) == (1, ["loss"])


def test_what_is_compared_with_nothing_says_so(run: Path, tmp_path: Path):
    answer = evaluate(run, ["data.test_fraction=0.5"], tmp_path / "out", "cpu", plots=False)
    assert (answer.status, answer.data["reported"]) == (0, {})
    assert "compared with nothing: what the run reported is of other examples" in rendered(answer.text)
    status = run / "status.json"
    before = status.read_text()
    try:
        status.write_text(json.dumps(json.loads(before) | {"metrics": {}}))
        answer = evaluate(run, [], tmp_path / "out", "cpu", plots=False)
    finally:
        status.write_text(before)
    assert answer.status == 0
    assert "compared with nothing: the run reported no metrics of it" in rendered(answer.text)


@pytest.mark.parametrize(("left", "differs"), [(["test/accuracy"], ["loss"]), ([], [])])
def test_a_metric_that_was_not_finite_in_the_run(run: Path, tmp_path: Path, left: list[str], differs: list[str]):
    """The report of a run leaves it out; a run without a report is not compared."""
    status = run / "status.json"
    before = status.read_text()
    try:
        told = json.loads(before)
        told["metrics"] = {name: value for name, value in told["metrics"].items() if name in left}
        status.write_text(json.dumps(told))
        answer = evaluate(run, [], tmp_path / "out", "cpu", plots=False)
    finally:
        status.write_text(before)
    assert (answer.status, answer.data["differs"]) == (len(differs), differs)
    assert ("not what the run reported: loss: nan, now " in rendered(answer.text)) == bool(differs)


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true", "16-mixed"])
def test_a_run_is_evaluated_in_its_own_precision(tmp_path: Path, precision: str):
    run = trained(tmp_path / "run", "data=digits", f"trainer.precision={precision}", "data.batch_size=50")
    answer = evaluate(run, [], None, "cpu", plots=False)
    assert (answer.status, answer.data["differs"]) == (0, [])
    # With 64-true, Lightning makes float64 of a metric in the middle of a test: its sum is rounded otherwise.
    exact = pytest.approx(answer.data["reported"], rel=2**-23 if precision == "64-true" else 0, abs=0)
    assert answer.data["metrics"] == exact
    status = run / "status.json"
    told = json.loads(status.read_text())
    for factor, differs in ((1 + 1e-7, []), (1.02, ["loss"])):
        loss = answer.data["metrics"]["loss"] * factor
        status.write_text(json.dumps(told | {"metrics": told["metrics"] | {"test/loss": loss}}))
        assert evaluate(run, [], None, "cpu", plots=False).data["differs"] == differs


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.depth=3", "must change the data"),
        ("data.path", "must change the data"),
        ("data.task=regression", "`data.task` cannot be changed for an evaluation"),
        ("data.num_workers=2", "`data.num_workers` cannot be changed for an evaluation"),
        ("data.nothing=3", "`data.nothing` cannot be changed for an evaluation"),
        ("data.batch_size=[", "the override `data.batch_size=[` cannot be read"),
        ("data.batch_size=1,2", "`data.batch_size` is given several values"),
        ("data.path=new #2.csv", "the override `data.path=new #2.csv` cannot be read"),
        ("data.batch_size=0", "must be greater than 0"),
    ],
)
def test_what_cannot_be_evaluated(run: Path, override: str, message: str):
    with pytest.raises(ForgeError) as caught:
        evaluate(run, [override], None, "cpu")
    assert message in caught.value.problems[0].message


@pytest.mark.parametrize("value", ["a: b.csv", "2026-01-31", "'new #2.csv'", "1e3x"])
def test_values_are_read_as_train_py_reads_them(value: str):
    text = f"data.path={value}"
    (override,) = OverridesParser.create().parse_overrides([text])
    assert _parsed([text]) == {"path": override.value()} == {"path": value.strip("'")}


def test_predictions_are_printed_as_csv(run: Path, images: Path):
    answer = predict(run, images, None, [], "cpu")
    assert isinstance(answer.text, str)
    header, *rows = csv.reader(answer.text.splitlines())
    assert header[:3] == ["prediction", "probability", "probability_0"]
    assert len(rows) == 3
    assert sum(map(float, rows[0][2:])) == pytest.approx(1)
    assert answer.data["prediction"] == [int(row[0]) for row in rows]


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_predictions_go_into_a_file(run: Path, images: Path, tmp_path: Path, ending: str):
    output = tmp_path / f"out.{ending}"
    answer = predict(run, images, output, [], "cpu")
    assert answer.data["num_examples"] == 3
    if ending == "parquet":
        found = (
            pytest.importorskip("pyarrow.parquet", reason="the extra `train`")
            .read_table(output)
            .to_pydict()["prediction"]
        )
    elif ending == "json":
        found = json.loads(output.read_text())["prediction"]
    else:
        found = [int(row["prediction"]) for row in read(output)]
    assert found == predict(run, images, None, [], "cpu").data["prediction"]


def test_what_cannot_be_predicted(run: Path, images: Path, tmp_path: Path):
    def message(*arguments) -> str:
        with pytest.raises(ForgeError) as caught:
            predict(*arguments)
        return caught.value.problems[0].message

    assert "must end in .csv, .json or .parquet" in message(run, images, tmp_path / "out.xls", [], "cpu")
    assert "has no column `id`" in message(run, images, None, ["id"], "cpu")
    assert "cannot be read as arrays" in message(run, tmp_path / "none.npy", None, [], "cpu")
    (tmp_path / "pickle.npy").write_bytes(b"\x80\x04]\x94.")
    assert "cannot be read as arrays" in message(run, tmp_path / "pickle.npy", None, [], "cpu")
    assert "is not a complete run" in message(tmp_path / "nowhere", images, None, [], "cpu")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A finished run on a table, and the table."""
    parquet, pyarrow = (
        pytest.importorskip("pyarrow.parquet", reason="an extra installs it"),
        pytest.importorskip("pyarrow", reason="an extra installs it"),
    )
    folder = tmp_path_factory.mktemp("table")
    columns = {"x": [row / 7 for row in range(60)], "price": [row * 3.5 for row in range(60)]}
    columns |= {"id": [2**53 + row for row in range(60)], "day": [date(2026, 1, 1 + row % 28) for row in range(60)]}
    parquet.write_table(pyarrow.table(columns), folder / "table.parquet")
    settings = ("data=parquet", f"data.path={folder / 'table.parquet'}", "data.target=price", "data.task=regression")
    run = trained(folder / "run", *settings, "data.num_outputs=1", "data.ignore=[id,day]")
    return run, folder / "table.parquet"


@pytest.mark.parametrize("ending", ["csv", "json", "parquet"])
def test_columns_beside_the_predictions_are_as_they_were(table: tuple[Path, Path], tmp_path: Path, ending: str):
    run, path = table
    output = tmp_path / f"out.{ending}"
    predict(run, path, output, ["id", "day"], "cpu")
    if ending == "parquet":
        found = (
            pytest.importorskip("pyarrow.parquet", reason="an extra installs it")
            .read_table(output)
            .slice(1, 1)
            .to_pylist()[0]
        )
        right = {"id": 2**53 + 1, "day": date(2026, 1, 2)}
    elif ending == "json":
        found = {name: values[1] for name, values in json.loads(output.read_text()).items()}
        right = {"id": 2**53 + 1, "day": "2026-01-02"}
    else:
        found, right = read(output)[1], {"id": str(2**53 + 1), "day": "2026-01-02"}
    assert {name: found[name] for name in right} == right
    assert list(found) == ["id", "day", "price"]


def test_a_known_target_stands_beside_its_prediction(table: tuple[Path, Path]):
    alone, beside = (predict(*table, None, keep, "cpu").data for keep in ([], ["price"]))
    assert list(beside) == ["price", "predicted_price"]
    assert beside["predicted_price"] == alone["price"] != beside["price"]


def test_a_kept_column_is_not_replaced_by_a_prediction(table: tuple[Path, Path], tmp_path: Path):
    parquet = pytest.importorskip("pyarrow.parquet", reason="an extra installs it")
    known = parquet.read_table(table[1])
    parquet.write_table(known.append_column("predicted_price", known["price"]), tmp_path / "new.parquet")
    with pytest.raises(ForgeError, match="`price` is the name of a column of the predictions"):
        predict(table[0], tmp_path / "new.parquet", None, ["price", "predicted_price"], "cpu")


def test_outputs_of_any_shape_go_into_parquet(tmp_path: Path, images: Path):
    run = trained(tmp_path / "run", "model=autoencoder")
    answer = predict(run, images, tmp_path / "out.parquet", [], "cpu")
    assert answer.data["num_examples"] == 3
    found = (
        pytest.importorskip("pyarrow.parquet", reason="an extra installs it")
        .read_table(tmp_path / "out.parquet")["output"]
        .to_pylist()
    )
    assert np.asarray(found).shape == np.asarray(load_run(run).predict(np.load(images))["output"]).shape


def test_a_device_that_is_not_there_is_refused(run: Path, images: Path):
    with pytest.raises(ForgeError, match="the device 'nowhere' cannot be used"):
        predict(run, images, None, [], "nowhere")


def test_a_report_that_cannot_be_written_is_a_problem(run: Path, tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ForgeError, match="cannot be written"):
        evaluate(run, [], tmp_path / "file", "cpu", plots=False)


@pytest.fixture(scope="module")
def coloured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on a table with a column of categories, in cp1252."""
    folder = tmp_path_factory.mktemp("coloured")
    rows = "".join(f"{row % 7 / 2},{('weiß', 'grün')[row % 2]},{'ab'[row % 2]}\n" for row in range(60))
    (folder / "old.csv").write_text("width,farbe,kind\n" + rows, encoding="cp1252")
    (folder / "new.csv").write_text("width,farbe,kind\n" + rows, encoding="utf-8")
    columns = ("data.target=kind", "data.categorical=[farbe]", "data.num_features=3", "data.num_outputs=2")
    table = ("data=csv", f"data.path={folder / 'old.csv'}", "data.encoding=cp1252", *columns)
    return trained(folder / "run", *table)


@pytest.mark.parametrize("as_json", [False, True])
def test_what_the_model_does_not_know_of_new_data_is_on_stderr(
    coloured: Path, as_json: bool, capsys: pytest.CaptureFixture[str]
):
    new = coloured.parent / "new.csv"
    for command, arguments in (
        (predict, (coloured, new, None, [], "cpu")),
        (evaluate, (coloured, [f"data.path={new}"], coloured / "out", "cpu")),
    ):
        with pytest.raises(SystemExit) as ended:
            say(command, *arguments, as_json=as_json, plugins=False)
        said = capsys.readouterr()
        assert ended.value.code == 0
        assert "MW20" not in said.out
        assert "60 of 60 rows have a category that is not in the training part: 'weiÃŸ' in row 1" in said.err
        if as_json:
            assert [one["code"] for one in json.loads(said.err)["problems"]] == ["MW206", "MW205"]
            json.loads(said.out)


def test_python_warns_of_it_too(coloured: Path):
    run = load_run(coloured)
    with pytest.warns(UserWarning, match="column `farbe`: 1 of 2 rows has a category that is not in the training"):
        predicted = run.predict({"width": [1.0, 2.0], "farbe": ["rot", "grün"]})
    assert len(predicted["prediction"]) == 2
    assert len(run.predict({"width": [1.0], "farbe": ["grün"]})["prediction"]) == 1


def test_a_missing_column_comes_with_the_delimiter_of_the_run(coloured: Path, tmp_path: Path):
    (tmp_path / "new.csv").write_text("width;farbe\n1;rot\n")
    with pytest.raises(ForgeError) as caught:
        predict(coloured, tmp_path / "new.csv", None, [], "cpu")
    (problem,) = caught.value.problems
    assert problem.message == "the data has no columns `width` and `farbe`"
    assert problem.hint == "it has `width;farbe`: ';' stands between values, but the run's `delimiter` is ','"
