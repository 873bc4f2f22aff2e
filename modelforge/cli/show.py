"""show: one config → its model as a tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import prod
from pathlib import Path

from rich.console import Group
from rich.text import Text

from modelforge.cli.answer import Answer
from modelforge.config import compose
from modelforge.core.errors import ForgeError
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.language import parse
from modelforge.linting.lint import findings
from modelforge.linting.unreached import BARE, unreached, unreached_words
from modelforge.planning.flops import num_flops
from modelforge.planning.plan import Plan, plan
from modelforge.report.aligned import Wrapped
from modelforge.report.problems import problems_text
from modelforge.signal.predict import predict
from modelforge.signal.tree import facts, signals_tree
from modelforge.train.freezing import Freezing, parse_freeze

MAX_FROZEN = 6
"""Parameters that the note about frozen ones names."""


def show(conf: Path | None, overrides: Sequence[str], *, signal: bool = False) -> Answer:
    """Layers, shapes, parameters, how they start, and what a forward pass costs; frozen ones and warnings below.

    Args:
        conf: The config folder; None for the default one.
        overrides: Hydra overrides.
        signal: Print what is predicted of signals and gradients, in place of initial values and costs.

    Raises:
        ForgeError: all that is wrong with the config.
    """
    config = compose(conf, overrides)
    decided = plan(parse(config))
    freezing, wrong = parse_freeze(config.values.get("freeze"), decided)
    if wrong:
        raise ForgeError(map(config.origins.locate, wrong))
    flops = num_flops(decided)
    data = decided.to_dict()
    layers = [{**layer, "flops": flops.get(layer["path"], 0)} for layer in data["layers"]]
    rest = [one.to_dict() for one in unreached(decided.parameters, decided.ties)]
    found = findings(decided)
    data["warnings"] = [warning.to_dict() for warning in found]
    data |= {"layers": layers, "num_flops": sum(flops.values()), "left_by_init": rest, "frozen": dict(freezing.epochs)}
    table = decided.table(flops)
    if signal:
        prediction = predict(decided)
        known = facts(decided, prediction)
        data["layers"] = [{**layer, "signal": known.get(str(layer["path"]))} for layer in layers]
        table = signals_tree(decided, prediction)
    frozen = [Text(), *(Wrapped(Text(line)) for line in lines)] if (lines := [*_frozen(freezing, decided)]) else []
    notes = [Text(), Wrapped(Text(words, "yellow"))] if (words := _unreached(decided, overrides)) else []
    warnings = [Text(), problems_text(found)] if found else []
    return Answer(data, Group(table, *frozen, *notes, *warnings))


def _frozen(freezing: Freezing, plan: Plan) -> Iterator[str]:
    """A line for each time that parameters are frozen for."""
    sizes = {parameter.path: prod(parameter.shape) for parameter in plan.parameters}
    for epochs in dict.fromkeys(freezing.epochs.values()):
        paths = [path for path in freezing.epochs if freezing.epochs[path] == epochs]
        time = "" if epochs is None else f" for {plural(epochs, 'epoch')}"
        size = f"{sum(sizes[path] for path in paths):,} of {sum(sizes.values()):,} parameters"
        yield f"frozen{time}: {listed(paths, MAX_FROZEN)} ({size})"


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
