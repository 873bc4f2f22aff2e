"""Trains a model declared in conf/ and reports on it: `python train.py model=lstm init=orthogonal`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    from modelforge.core.ctrl_c import end_at_ctrl_c

    end_at_ctrl_c()  # while the imports below take their second

import hydra
from omegaconf import DictConfig

from modelforge.train import check_command_line, overrides_first, repeat, run

CONF = Path(__file__).parent / "conf"


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="config")
def main(config: DictConfig) -> float:
    """Runs one job; `-m` runs one for each combination of the values given."""
    return run(config, CONF)


if __name__ == "__main__":
    repeat(sys.argv[1:], CONF)
    sys.argv[1:] = overrides_first(sys.argv[1:])
    check_command_line(CONF, sys.argv[1:])
    main()
