"""solve: one config → the overrides with which signals or gradients keep their energy through all layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelforge.cli.answer import Answer
from modelforge.language.load import load
from modelforge.planning.plan import plan
from modelforge.signal.solve import Direction
from modelforge.signal.solve import solve as solved


def solve(conf: Path | None, overrides: Sequence[str], *, direction: Direction, batch_size: int) -> Answer:
    """The gains or stds that keep predicted energies the same.

    Args:
        conf: The config folder; None for the default one.
        overrides: Hydra overrides.
        direction: What must stay the same.
        batch_size: Examples in a batch.

    Raises:
        ForgeError: all that is wrong with the config.
    """
    solution = solved(plan(load(conf, overrides)), direction, batch_size=batch_size)
    return Answer(solution.to_dict(), solution.table())
