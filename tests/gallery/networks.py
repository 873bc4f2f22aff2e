"""A small folder of configs with one claim, for the tests of the gallery."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

NETWORK: dict[str, Any] = {
    "input": "${input}",
    "layers": {
        "hidden": {"type": "Linear", "out_features": 16, "bias": False},
        "act": "ReLU",
        "head": {"type": "Linear", "out_features": 2},
    },
}
EXPECT = {"quantity": "result", "of": "here", "at_least": 0.0, "reason": "by hand"}


def folder(root: Path, claim: dict[str, Any] | None = None, model: dict[str, Any] = NETWORK, **more: Any) -> Path:
    """A folder of configs with the claim `small` about a network that reads 4 numbers."""
    conf, data = root / "conf", root / "data.npz"
    generator = np.random.default_rng(0)
    x = generator.standard_normal((96, 4), dtype=np.float32)
    np.savez(data, x=x, y=x[:, :2])
    config = {
        "defaults": ["_self_", {"experiment": None}],
        "input": {"shape": [4], "dtype": "float32"},
        "model": model,
        "data": {"type": "npz", "path": str(data), "task": "regression", "input": "${input}", "num_outputs": 2},
        "optimizer": {"type": "SGD", "lr": 0.1},
        "init": {"scheme": "kaiming"},
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "devices": 1},
        **more,
    }
    block = {
        "question": "Why?",
        "says": "Because.",
        "source": "He 2015",
        "variants": {"here": {}},
        "seeds": [0],
        "expect": [EXPECT],
    }
    experiment = conf / "experiment" / "gallery" / "small.yaml"
    experiment.parent.mkdir(parents=True)
    (conf / "config.yaml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    text = yaml.safe_dump({"claim": {**block, **(claim or {})}}, sort_keys=False)
    experiment.write_text(f"# @package _global_\n{text}", encoding="utf-8")
    return conf
