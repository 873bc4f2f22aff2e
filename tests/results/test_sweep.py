"""What a sweep knows of its jobs."""

from __future__ import annotations

from modelforge.core.frozen import FrozenDict
from modelforge.results.sweep import Row, Sweep, differing


def row(state="finished", number=0, **metrics: float) -> Row:
    named = {name.replace("_", "/"): value for name, value in metrics.items()}
    return Row(
        str(number), state, FrozenDict({"a": str(number)}), FrozenDict(named), lower_is_better=("loss",), number=number
    )


def test_the_last_part_of_a_metric_says_what_is_better():
    rows = (row(number=0, val_loss=1.0, val_accuracy=0.5), row(number=1, val_loss=2.0, val_accuracy=0.7))
    sweep = Sweep("x", rows, ("a",), "val/loss")
    assert [one.number for one in sweep.by("val/loss").rows] == [0, 1]
    assert [one.number for one in sweep.by("val/accuracy").rows] == [1, 0]
    assert sweep.lower_is_better
    assert not sweep.by("val/accuracy").lower_is_better


def test_states_come_in_their_order():
    sweep = Sweep("x", (row("missing"), row("queued"), row("finished"), row("running")), (), "")
    assert list(sweep.counts) == ["finished", "running", "queued", "missing"]
    assert [one.state for one in sweep.by("").rows] == ["finished", "running", "queued", "missing"]


def test_keys_that_differ():
    rows = [Row(str(n), "finished", FrozenDict(overrides), FrozenDict()) for n, overrides in
            enumerate(({"a": "1", "b": "2"}, {"a": "1", "b": "3", "c": "4"}, {}))]  # fmt: skip
    assert [*differing(rows)] == ["b", "c"]
