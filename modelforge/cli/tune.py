"""tune: a config → a learning rate or a batch size to try, as an override. It changes no file of the config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rich.console import Group
from rich.text import Text

from modelforge.cli.answer import Answer
from modelforge.config.compose import Config, compose
from modelforge.config.folder import default_conf
from modelforge.core.files import write_atomically
from modelforge.report.columns import as_csv
from modelforge.report.table import new_table
from modelforge.train.tuning import find_batch_size, find_rate

NUM_SHOWN = 12
"""Lines of the table."""


def tune(kind: str, conf: Path | None, overrides: Sequence[str], **options: Any) -> Answer:
    """What Lightning's tuner finds.

    Args:
        kind: `lr` or `batch_size`.
        conf: The folder; None for the default one.
        overrides: Hydra overrides.
        options: For `lr`: `lowest`, `highest`, `num_steps`, and `curve`, a file for the values.

    Raises:
        ForgeError: the config or the data is wrong, or the file cannot be written.
    """
    config = compose(conf if conf is not None else default_conf(), overrides)
    return _TESTS[kind](config, options)


def _rate(config: Config, options: Mapping[str, Any]) -> Answer:
    found = find_rate(config, lowest=options["lowest"], highest=options["highest"], num_steps=options["num_steps"])
    pairs = list(zip(found.rates, found.losses, strict=True))
    if (curve := options["curve"]) is not None:
        write_atomically(curve, as_csv({"lr": found.rates, "loss": found.losses}))
    table = new_table()
    table.add_column("lr", justify="right")
    table.add_column("loss, smoothed", justify="right")
    for rate, loss in pairs[:: max(1, -(-len(pairs) // NUM_SHOWN))]:
        table.add_row(f"{rate:.2e}", f"{loss:.4g}")
    override = None if found.suggestion is None else f"optimizer.lr={found.suggestion:.2g}"
    advice = f"the loss falls most steeply at: {override}" if override else "the loss does not fall; try another range"
    data = {"override": override, "lr": found.suggestion, "rates": found.rates, "losses": found.losses}
    return Answer(data, Group(table, Text(), Text(advice)), status=0 if override else 1)


def _batch_size(config: Config, options: Mapping[str, Any]) -> Answer:
    del options
    found = find_batch_size(config)
    override = f"data.batch_size={found.size}"
    reason = "all examples at once" if found.size == found.num_examples else "of powers of two, the largest that fits"
    text = f"{override}  ({reason}; the training has {found.num_examples:,} examples)"
    return Answer({"override": override, "size": found.size, "examples": found.num_examples}, Text(text))


_TESTS = MappingProxyType({"lr": _rate, "batch_size": _batch_size})
