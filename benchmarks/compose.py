"""Composing a config with the place of every value, against Hydra's own composition of the same config, as a ratio.

python benchmarks/compose.py
"""

from __future__ import annotations

from hydra import compose, initialize_config_dir
from timing import report, times

from modelforge.config.compose import compose as compose_with_places
from modelforge.config.folder import default_conf

OVERRIDES = ["model=lstm", "init=orthogonal"]


def main() -> None:
    """Prints both times."""
    taken = times({"Hydra alone": _hydra, "modelforge, with places": _modelforge}, rounds=11)
    report("composing a config", taken, "Hydra alone")


def _hydra() -> object:
    with initialize_config_dir(str(default_conf().absolute()), version_base=None):
        return compose("config", OVERRIDES, return_hydra_config=True)


def _modelforge() -> object:
    config = compose_with_places(overrides=OVERRIDES)
    return config.origins.place("model.layers.rnn")


if __name__ == "__main__":
    main()
