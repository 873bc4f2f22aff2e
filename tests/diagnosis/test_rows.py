"""rows: copies as one row, and curves of few characters."""

from __future__ import annotations

import modelforge as mf
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.document import Energy, Level
from modelforge.diagnosis.rows import BARS, energy, level_rows, limits, seen, sparkline
from tests.diagnosis.nets import deep, opaque


def test_copies_are_a_row_with_the_numbers_of_its_ends():
    rows = level_rows(diagnose(deep("xavier", depth=3), measure=False).first.levels)
    assert [(row.path, len(row.levels)) for row in rows] == [("input", 1), ("deep.*.hidden", 3), ("deep.*.act", 3)]
    assert rows[1].ends(lambda level: energy(level.signal)) == "1 → 0.25"
    assert rows[1].ends(lambda level: level.std) == "0.125"
    assert rows[1].ends(lambda level: None) == ""


def test_a_note_is_written_once():
    rows = level_rows(diagnose(opaque("xavier", depth=2), measure=False).first.levels)
    assert [row.path for row in rows if row.note] == ["pool"]


def test_equal_energies_are_half_way_up():
    assert set(sparkline([1.0, 1.0])) == {BARS[4]}
    assert sparkline([1e-9, 1.0]) == BARS[0] + BARS[-1]
    assert sparkline([0.0, None]) == "··"
    assert len(sparkline([1.0] * 99, width=12)) == 12


def test_limits_are_a_decade_apart_or_more():
    assert limits([2.0, 2.0])[1] - limits([2.0, 2.0])[0] == 1
    assert limits([1e-9, 1.0]) == (-9.0, 0.0)
    assert limits([]) == (-0.5, 0.5)


def test_a_curve_is_predicted_or_measured_but_never_some_of_both():
    def level(predicted: float | None, measured: float | None) -> Level:
        return Level(path="a", type="Linear", size=1, signal=made(predicted), measured_signal=made(measured))

    def made(value: float | None) -> Energy | None:
        return None if value is None else Energy(energy=value)

    known, unknown = level(1.0, 5.0), level(None, 7.0)
    signal, gradient = seen([known, unknown])
    assert [signal(known), signal(unknown)] == [5.0, 7.0]
    signal, gradient = seen([known, level(2.0, None)])
    assert [signal(known), signal(level(2.0, None)), gradient(known)] == [1.0, 2.0, None]


def test_layers_with_numbers_for_names_are_no_copies():
    """As `from_module` names those of a Sequential, also within another module."""
    dense = [{"type": "Linear", "out_features": width} for width in (64, 8, 32, 10)]
    inner = {"0": dense[0], "1": "ReLU", "2": dense[1], "4": dense[2]}
    layers = {"0": dense[0], "2": dense[1], "net": {"type": "Sequential", "layers": inner}, "6": dense[3]}
    copies = {"type": "Repeat", "times": 2, "layers": {"dense": dense[3]}}
    plan = mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers | {"deep": copies}}, init="xavier"))
    start = diagnose(plan, measure=False).first
    assert [(row.path, len(row.levels)) for row in level_rows(start.levels)] == [
        *((path, 1) for path in ("input", "0", "2", "net.0", "net.1", "net.2", "net.4", "6")),
        ("deep.*.dense", 2),
    ]
    assert [row.path for row in start.ledger if row.copies > 1] == ["deep.*.dense.weight", "deep.*.dense.bias"]
