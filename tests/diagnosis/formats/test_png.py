"""png: the picture of a diagnosis."""

from __future__ import annotations

import pytest

from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.formats.png import png
from tests.diagnosis.nets import deep

pytest.importorskip("matplotlib", reason="the `plots` extra")


@pytest.mark.parametrize("inits", [("xavier",), ("xavier", "kaiming")])
def test_it_is_a_small_png(inits):
    found = png(diagnose({init: deep(init) for init in inits}, measure=False))
    assert found.startswith(b"\x89PNG")
    assert 10_000 < len(found) < 120_000
