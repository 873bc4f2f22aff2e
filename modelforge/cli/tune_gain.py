"""tune_gain: a config and a budget of trainings → the gain to use, as an override, with its evidence."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path

from modelforge.cli.answer import Answer
from modelforge.config.folder import default_conf
from modelforge.sweeps import tune_gain as search
from modelforge.sweeps.tune_gain import TuningSettings

INTERRUPTED = 130


def tune_gain(
    conf: Path | None,
    overrides: Sequence[str],
    *,
    key: str,
    budget: int,
    seeds: int,
    minutes: float | None,
    folder: Path | None,
) -> Answer:
    """Trains with other gains, and compares them; what the trainings print goes to stderr.

    Args:
        conf: The config folder; None for the default one.
        overrides: Hydra overrides.
        key: The override key of the gain.
        budget: Trainings at most.
        seeds: Seeds for a gain that counts.
        minutes: After this time no other training is begun; None for no limit.
        folder: For the trainings, also that of a search that was stopped; None for a new one below runs/.

    Raises:
        ForgeError: the config is wrong, has no number at the key, or the folder cannot be written.
    """
    settings = TuningSettings(
        conf if conf is not None else default_conf(), tuple(overrides), key, budget, seeds, minutes
    )
    place = folder if folder is not None else Path("runs/tune-gain") / f"{datetime.now():%Y-%m-%d_%H-%M-%S_%f}"
    try:
        with redirect_stdout(sys.stderr):
            report = search.tune_gain(settings, place)
    except KeyboardInterrupt:
        text = f"interrupted; to go on: the same command with --folder {place}"
        return Answer({"folder": str(place), "override": None}, f"{text}\n", INTERRUPTED)
    return Answer(report.to_dict(), report.table(), 0 if report.override is not None else 1)
