"""Figures are drawn into files; data that is empty, long or strange does not break them."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from modelforge.core.errors import ForgeError
from modelforge.report.figures import Bars, Figure, HeatMap, Points, draw

pytest.importorskip("matplotlib", reason="the extra `plots`")


@pytest.mark.parametrize(
    "figure",
    [
        HeatMap("matrix", "predicted", "class", ["a", "b"], [[3, 1], [0, 0]]),
        HeatMap("matrix", "predicted", "class", [f"class {n}" for n in range(60)], [[1] * 60] * 60),
        HeatMap("$x^2$ <b>", "_", "%", ["$\\alpha$", "<i>"], [[1, 0], [0, 1]]),
        HeatMap("cost in $, price_{$", "$\\x$", "%", ["$_", "$^$"], [[1, 0], [0, 1]]),
        Points("points", "target", "prediction", [1.0, 2.0], [1.5, 2.5]),
        Points("one", "target", "prediction", [1.0], [1.0], ideal="zero"),
        Bars("bars", "confidence", "accuracy", [0.0, 0.5, 1.0], [0.2, 0.9]),
    ],
    ids=["small", "large", "markup", "dollars", "points", "one", "bars"],
)
def test_a_figure_is_a_picture(figure: Figure, tmp_path: Path):
    draw(figure, tmp_path / "figure.png")
    with Image.open(tmp_path / "figure.png") as picture:
        assert picture.size == (720, 600)
        assert len(np.unique(np.asarray(picture.convert("L")))) > 5


def test_a_matplotlib_that_does_not_load_is_a_problem(tmp_path, monkeypatch):
    """A None in `sys.modules` gives a ModuleNotFoundError, an empty module an ImportError."""
    monkeypatch.setitem(sys.modules, "matplotlib.figure", ModuleType("matplotlib.figure"))
    with pytest.raises(ForgeError, match="cannot be imported: cannot import name"):
        draw(Points("a", "x", "y", [1.0], [1.0]), tmp_path / "figure.png")
