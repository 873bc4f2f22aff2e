"""What a module says of its inside: residual branches, and the activation that reads each part."""

from __future__ import annotations

import pytest

import modelforge as mf
from modelforge.layers import (
    forget_class,
    register_branches,
)
from tests.modules.test_parameters import Packed


def test_branches_that_are_not_there():
    register_branches(Packed, ("norm", "other"), ("qk", "out"))
    try:
        assert mf.initialize(Packed(), "gpt2")["out.weight"].numbers["branches"] == 1
        register_branches(Packed, ("norm", "qk", "out"))
        with pytest.raises(mf.ForgeError, match="no graph is known"):
            mf.initialize(Packed(), "gpt2")
    finally:
        forget_class(Packed)
