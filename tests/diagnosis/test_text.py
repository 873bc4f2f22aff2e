"""text: the diagnosis in a terminal."""

from __future__ import annotations

import pytest

from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.text import text
from modelforge.report.ascii import writable
from modelforge.report.table import to_text
from tests.diagnosis.nets import deep


@pytest.mark.parametrize("width", [80, 120])
def test_one_network(width, snapshot):
    assert to_text(text(diagnose(deep("xavier"), title="deep", measure=False).starts), width) == snapshot


def test_several_side_by_side(snapshot):
    found = diagnose({"xavier": deep("xavier"), "kaiming": deep("kaiming")}, measure=False)
    assert to_text(text(found.starts), 80) == snapshot


def test_lines_fit_and_ascii_has_forms_for_curves():
    shown = to_text(text(diagnose(deep("xavier"), measure=False).starts), 80)
    assert max(map(len, shown.splitlines())) <= 80
    assert writable(shown, "ascii").isascii()
    assert "?" not in writable(shown, "ascii")
