"""A model that does not fit the shape that a file is declared to have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.mark.parametrize("shape", [(6, 2), (1,)])
def test_the_shape_of_the_file_comes_before_the_layer_that_refuses_the_declared_one(train, tmp_path: Path, shape):
    np.savez(tmp_path / "a.npz", x=np.random.default_rng(0).random((60, *shape)), y=np.arange(60) % 2)
    result = train("model=lstm", "data=npz", f"data.path={tmp_path / 'a.npz'}")
    codes = [problem["code"] for problem in result.status.error]
    if shape == (1,):  # as it is declared, so that only the model is to blame
        assert codes == ["MF040"]
    else:
        assert codes == ["MF053", "MF040"]
        assert "write `'data.input.shape=[6,2]'`" in result.status.error[0]["hint"]
