"""show: one config → its model as a tree."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.cli.answer import Answer
from modelforge.config.compose import compose
from modelforge.core.errors import ForgeError
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.language import parse
from modelforge.linting.lint import findings
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.flops import num_flops
from modelforge.planning.plan import Plan, plan
from modelforge.planning.unreached import BARE, unreached, unreached_words
from modelforge.report.aligned import Wrapped
from modelforge.report.problems import problems_text
from modelforge.signal.memory import Memory, memory, memory_table, shown
from modelforge.signal.predict import predict
from modelforge.signal.tree import facts, signals_tree
from modelforge.train.freezing import Freezing, parse_freeze
from modelforge.train.optimizers.optimizer import parse_optimizer
from modelforge.train.settings import training_of

MAX_FROZEN = 6
"""Parameters that the note about frozen ones names."""


def show(conf: Path | None, overrides: Sequence[str], *, signal: bool = False, batch_size: int = 0) -> Answer:
    """Layers, shapes, parameters, how they start, and what a forward pass costs; frozen ones and warnings below.

    Args:
        conf: The config folder; None for the default one.
        overrides: Hydra overrides.
        signal: Print what is predicted of signals and gradients, in place of initial values and costs.
        batch_size: Print the memory of a training step with so many examples instead; 0 for none.

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
    found = findings(decided, training_of(config.values))
    data["warnings"] = [warning.to_dict() for warning in found]
    data |= {"layers": layers, "num_flops": sum(flops.values()), "left_by_init": rest, "frozen": dict(freezing.epochs)}
    table = decided.table(flops)
    if signal:
        prediction = predict(decided)
        known = facts(decided, prediction)
        data["layers"] = [{**layer, "signal": known.get(str(layer["path"]))} for layer in layers]
        table = signals_tree(decided, prediction)
    if batch_size:
        never = {path for path, epochs in freezing.epochs.items() if epochs is None}
        taken, table = _memory(decided, config.values.get("optimizer"), batch_size, never)
        data |= {"batch": batch_size, "memory": {path: one.to_dict() for path, one in taken.items()}}
    frozen = [Text(), *(Wrapped(Text(line)) for line in lines)] if (lines := [*_frozen(freezing, decided)]) else []
    notes = [Text(), Wrapped(Text(words, "yellow"))] if (words := _unreached(decided, overrides)) else []
    warnings = [Text(), problems_text(found)] if found else []
    return Answer(data, Group(table, *frozen, *notes, *warnings))


def _memory(
    plan: Plan, section: Any, batch: int, frozen: Collection[str]
) -> tuple[Mapping[str, Memory], RenderableType]:
    """What a training step takes, by layer, and as a table with what was assumed below it.

    Raises:
        ForgeError: the optimizer is wrong.
    """
    optimizer, problems = (None, []) if section is None else parse_optimizer(section)
    if problems:
        raise ForgeError(problems)
    unknown: set[str] = set()

    def state_bytes(parameter: ParameterPlan) -> int | None:
        if optimizer is None:
            unknown.add("no optimizer")
            return 0
        size = optimizer.state_bytes(parameter.shape, getattr(torch, parameter.dtype))
        if size is None:
            unknown.add(f"{optimizer.kind.__name__}: its state is not known")
        return size

    taken = memory(plan, batch, state_bytes, frozen)
    every = sum(taken.values(), Memory())
    whole = f"{'' if every.known else 'at least '}{shown(sum(one.total for one in taken.values()))}"
    name = "" if optimizer is None or unknown else f" with {optimizer.kind.__name__}"
    notes = [f"{whole} in all{name}, without what kernels take while they run", *sorted(unknown)]
    notes += [f"{path}: what it keeps is not known" for path, one in taken.items() if one.activations is None]
    lines = (Wrapped(Text(note, "dim")) for note in notes)
    return taken, Group(memory_table(plan, taken, batch), Text(), *lines)


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
