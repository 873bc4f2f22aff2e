"""Two runs side by side: the values that were set differently, and the numbers that came out differently."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from modelforge.results.comparison import Change, changes, compare, surroundings
from tests.runs.jobs import job

CURVE = "epoch,step,train/loss,val/loss,seconds\n0,9,1.5,2.5,{}\n1,19,0.5,{},0.1\n"


def run(folder: Path, loss: str = "1.25", seconds: str = "0.1", digest: str = "ab", **metrics: float) -> Path:
    job(folder, metrics={"test/loss": 0.5} | metrics)
    (folder / "metrics.csv").write_text(CURVE.format(seconds, loss))
    (folder / "ledger.json").write_text(json.dumps({"parameters": [{"path": "head.weight", "digest": digest}]}))
    return folder


def test_equal_runs(tmp_path: Path):
    found = compare(run(tmp_path / "a"), run(tmp_path / "b", seconds="0.2"))
    assert (found.num_lines, found.num_parameters, found.differences) == (2, 1, ())
    assert found.metrics == {"test/loss": (0.5, 0.5)}


def test_what_differs_comes_in_the_order_of_its_causes(tmp_path: Path):
    found = compare(run(tmp_path / "a"), run(tmp_path / "b", loss="1.26", digest="cd", **{"test/loss": 0.75}))
    assert found.differences == (
        Change("initial value of head.weight", "ab", "cd"),
        Change("val/loss in line 3 of metrics.csv", "1.25", "1.26"),
        Change("test/loss", "0.5", "0.75"),
    )


def test_the_last_digit_counts(tmp_path: Path):
    found = compare(run(tmp_path / "a"), run(tmp_path / "b", **{"test/loss": 0.5000000000000001}))
    assert found.differences == (Change("test/loss", "0.5", "0.5000000000000001"),)


def test_a_metric_that_only_one_has(tmp_path: Path):
    found = compare(run(tmp_path / "a"), run(tmp_path / "b", accuracy=1.0))
    assert found.differences == (Change("accuracy", "", "1.0"),)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\0", None])
def test_files_that_are_damaged_or_absent_confirm_nothing(tmp_path: Path, text: str | None):
    whole, other = run(tmp_path / "a"), run(tmp_path / "b")
    for name in ("metrics.csv", "ledger.json", "status.json"):
        if text is None:
            (other / name).unlink()
        else:
            (other / name).write_text(text)
    found = compare(whole, other)
    assert (found.metrics, found.num_lines, found.num_parameters) == ({}, 0, 0)
    counts = {
        "the number of initial values": ("1", "0"),
        "the number of lines of metrics.csv": ("2", "0"),
        "the number of metrics reported": ("1", "0"),
    }
    assert found.differences == tuple(Change(name, *numbers) for name, numbers in counts.items())
    assert compare(other, whole).differences == tuple(Change(name, *numbers[::-1]) for name, numbers in counts.items())


def test_a_curve_that_ends_earlier_or_has_a_column_less(tmp_path: Path):
    whole, other = run(tmp_path / "a"), run(tmp_path / "b")
    lines = (other / "metrics.csv").read_text().splitlines()
    (other / "metrics.csv").write_text("\n".join(lines[:2]))
    assert compare(whole, other).differences == (Change("the number of lines of metrics.csv", "2", "1"),)
    (other / "metrics.csv").write_text("epoch,step,train/loss,seconds\n0,9,1.5,0.1\n1,19,0.5,0.1\n")
    assert compare(whole, other).differences == (Change("val/loss in line 2 of metrics.csv", "2.5", ""),)
    assert compare(other, whole).differences == (Change("val/loss in line 2 of metrics.csv", "", "2.5"),)
    (other / "metrics.csv").write_text("\n".join([*lines[:2], f"{lines[2]},7"]))
    assert compare(whole, other).differences == ()


def test_a_parameter_that_only_one_has(tmp_path: Path):
    whole, other = run(tmp_path / "a"), run(tmp_path / "b")
    rows = [{"path": path, "digest": "ab"} for path in ("head.weight", "head.bias")]
    (other / "ledger.json").write_text(json.dumps({"parameters": rows}))
    assert compare(whole, other).differences == (Change("initial value of head.bias", "", "ab"),)


def test_values_of_configs():
    before = {"optimizer": {"lr": 0.1, "betas": [1, 2]}, "tags": [], "ckpt": None}
    now = {"optimizer": {"lr": 0.2, "betas": [1, 2]}, "tags": [], "scheduler": {"type": "x"}}
    assert [*map(str, changes("", before, now))] == [
        "`optimizer.lr`: 0.1 → 0.2",
        "`scheduler`: nothing → {'type': 'x'}",
    ]


def test_surroundings_that_both_name():
    before = {"python": "3.11.1", "device": "cpu", "packages": {"torch": "2.1", "numpy": "2"}, "data": None}
    now = {"python": "3.12.1", "device": None, "packages": {"torch": "2.2", "numpy": "2"}, "data": "ab"}
    assert [*map(str, surroundings(before, now))] == ["`python`: '3.11.1' → '3.12.1'", "`torch`: '2.1' → '2.2'"]
    assert [*surroundings({}, now)] == []
    codes = [*surroundings({"code": "a" * 64}, {"code": "b" * 64})]
    assert [*map(str, codes)] == ["`code`: 'aaaaaaaaaaaa' → 'bbbbbbbbbbbb'"]


def test_the_order_of_layers_is_a_difference_and_that_of_settings_is_none():
    act, norm = {"act": "ReLU"}, {"norm": {"type": "LayerNorm", "bias": False}}
    parts = (act | norm, norm | act)

    def found(*outer: str) -> list[str]:
        sides = [dict(part) for part in parts]
        for name in reversed(outer):
            sides = [{name: side} for side in sides]
        return [change.name for change in changes("", *sides)]

    for path in (
        "model.layers",
        "model.blocks.cell.layers",
        "model.layers.wide.branches",
        "model.input",
        "data.augment",
    ):
        assert found(*path.split(".")) == [path]
    for path in ("optimizer", "trainer", "model.args", "data", "freeze"):
        assert not found(*path.split("."))
    fields = {"type": "Linear", "out_features": 4}
    assert not [*changes("model.layers.layers", fields, dict(reversed(fields.items())))]
