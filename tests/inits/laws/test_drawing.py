"""Drawing: which values the compiled loops look at."""

from __future__ import annotations

import pytest
import torch

from modelforge.inits.laws.drawing import look


def test_what_does_not_lie_side_by_side_is_not_looked_at():
    pytest.importorskip("modelforge.inits.laws.compiled", reason="the extra `fast`")
    values = torch.randn(40, 50)
    assert look(values.view(-1), 0.0, 1.0) is not None
    assert look(values.t()[3], 0.0, 1.0) is None
