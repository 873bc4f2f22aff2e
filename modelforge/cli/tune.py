"""tune: a config → a learning rate or a batch size to try, as an override. It changes no file of the config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.text import Text

from modelforge.cli.answer import Answer
from modelforge.cli.output import check_output
from modelforge.config.compose import Config, compose
from modelforge.config.folder import default_conf
from modelforge.core.files import write_atomically
from modelforge.report.columns import as_csv
from modelforge.report.table import new_table
from modelforge.train.tuning import find_batch_size, find_rate

CURVE = "--curve"
NUM_SHOWN = 12
"""Lines of the table."""


def tune_rate(
    conf: Path | None,
    overrides: Sequence[str],
    curve: Path | None,
    *,
    lowest: float = 1e-6,
    highest: float = 1.0,
    num_steps: int = 100,
) -> Answer:
    """The learning rate at which the loss falls most steeply.

    Args:
        conf: The folder; None for the default one.
        overrides: Hydra overrides.
        curve: A file for learning rates and losses; None for none.
        lowest: The first learning rate.
        highest: The last one.
        num_steps: How many there are.

    Raises:
        ForgeError: the config or the data is wrong, or the file cannot be written.
    """
    check_output(curve, CURVE)
    found = find_rate(_composed(conf, overrides), lowest=lowest, highest=highest, num_steps=num_steps)
    pairs = list(zip(found.rates, found.losses, strict=True))
    if curve is not None:
        write_atomically(curve, as_csv({"lr": found.rates, "loss": found.losses}), CURVE)
    table = new_table()
    table.add_column("lr", justify="right")
    table.add_column("loss, smoothed", justify="right")
    for rate, loss in pairs[:: max(1, -(-len(pairs) // NUM_SHOWN))]:
        table.add_row(f"{rate:.2e}", f"{loss:.4g}")
    override = None if found.suggestion is None else f"optimizer.lr={found.suggestion:.2g}"
    advice = f"the loss falls most steeply at: {override}" if override else "the loss does not fall; try another range"
    data = {"override": override, "lr": found.suggestion, "rates": found.rates, "losses": found.losses}
    return Answer(data, Group(table, Text(), Text(advice)), status=0 if override else 1)


def tune_batch_size(conf: Path | None, overrides: Sequence[str]) -> Answer:
    """The largest batch size that fits.

    Args:
        conf: The folder; None for the default one.
        overrides: Hydra overrides.

    Raises:
        ForgeError: the config or the data is wrong.
    """
    found = find_batch_size(_composed(conf, overrides))
    override = f"data.batch_size={found.size}"
    reason = "all examples at once" if found.size == found.num_examples else "of powers of two, the largest that fits"
    text = f"{override}  ({reason}; the training has {found.num_examples:,} examples)"
    return Answer({"override": override, "size": found.size, "examples": found.num_examples}, Text(text))


def _composed(conf: Path | None, overrides: Sequence[str]) -> Config:
    return compose(conf if conf is not None else default_conf(), overrides)
