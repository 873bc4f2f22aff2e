"""Trains a model declared in conf/ and reports on it: `python train.py model=lstm init=orthogonal`."""

import hydra
from omegaconf import DictConfig

from modelforge.train import run


@hydra.main(version_base="1.3", config_path="conf", config_name="config")
def main(config: DictConfig) -> float:
    """Runs one job; `-m` runs one for each combination of the values given."""
    return run(config)


if __name__ == "__main__":
    main()
