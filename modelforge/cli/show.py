"""show: one config → its model as a tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group
from rich.text import Text

from modelforge.cli.answer import Answer
from modelforge.language.load import load
from modelforge.linting.lint import findings
from modelforge.linting.unreached import BARE, unreached, unreached_words
from modelforge.planning.flops import num_flops
from modelforge.planning.plan import Plan, plan
from modelforge.report.aligned import Wrapped
from modelforge.report.problems import problems_text


def show(conf: Path | None, overrides: Sequence[str]) -> Answer:
    """Layers, shapes, parameters, how they start, and what a forward pass costs; warnings below.

    Raises:
        ForgeError: all that is wrong with the config.
    """
    decided = plan(load(conf, overrides))
    flops = num_flops(decided)
    data = decided.to_dict()
    layers = [{**layer, "flops": flops.get(layer["path"], 0)} for layer in data["layers"]]
    rest = [one.to_dict() for one in unreached(decided.parameters, decided.ties)]
    found = findings(decided)
    data["warnings"] = [warning.to_dict() for warning in found]
    data |= {"layers": layers, "num_flops": sum(flops.values()), "left_by_init": rest}
    table = decided.table(flops)
    notes = [Text(), Wrapped(Text(words, "yellow"))] if (words := _unreached(decided, overrides)) else []
    warnings = [Text(), problems_text(found)] if found else []
    return Answer(data, Group(table, *notes, *warnings))


def _unreached(plan: Plan, overrides: Sequence[str]) -> str:
    """What `init` itself does not reach, where it was set for this call, or tables start with another spread."""
    found = unreached(plan.parameters, plan.ties)
    bare = [parameter.initializer for parameter in plan.parameters if parameter.rule.key in BARE]
    stds = {std for initializer in bare if (std := getattr(initializer, "std", None)) is not None}
    asked = any(override.lstrip("+~").startswith(("init.", "init=", "model.init")) for override in overrides)
    tables = [one for one in found if one.std]
    if not tables or not (asked or any(one.std not in stds for one in tables if stds)):
        return ""
    return unreached_words(found, next(iter(stds)) if len(stds) == 1 else None)
