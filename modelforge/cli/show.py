"""show: one config → its model as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.text import Text

from modelforge.cli.answer import Answer
from modelforge.cli.flops import num_flops
from modelforge.load import load
from modelforge.plan import plan
from modelforge.report.problems import problems_text
from modelforge.report.table import plan_table


def show(conf: Path | None, overrides: Sequence[str]) -> Answer:
    """Layers, shapes, parameters, how they start, and what a forward pass costs; warnings below.

    Raises:
        ForgeError: all that is wrong with the config.
    """
    decided = plan(load(conf, overrides))
    flops = num_flops(decided)
    data = decided.to_dict()
    layers = [{**layer, "flops": flops.get(layer["path"], 0)} for layer in data["layers"]]
    data |= {"layers": layers, "num_flops": sum(flops.values())}
    table = plan_table(decided, flops)
    warnings = [Text(), problems_text(decided.warnings)] if decided.warnings else []
    return Answer(data, Group(table, *warnings))
