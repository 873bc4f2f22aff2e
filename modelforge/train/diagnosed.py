"""write_diagnosis: a model before its training → `diagnosis.html` in the folder of its run; and data to measure on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from modelforge.building.build import Model
from modelforge.config.compose import Config
from modelforge.core.errors import ForgeError
from modelforge.core.files import write_atomically
from modelforge.core.words import plural
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.document import Start
from modelforge.diagnosis.formats.page import page
from modelforge.diagnosis.measuring import Batch
from modelforge.planning.flops import num_flops
from modelforge.planning.plan import Plan
from modelforge.train.data.read import read
from modelforge.train.prepare import located, misfits
from modelforge.train.settings import parse_settings, training_of

FILE = "diagnosis.html"
BATCH = 8
"""Examples that are predicted and measured."""
MAX_COST = 1e9
"""Floating-point operations of a pass of such a batch, up to which the model is measured."""
MAX_PARAMETERS = 30_000_000
"""Of a model that is measured."""


def write_diagnosis(plan: Plan, model: Model, config: Config, folder: Path, *, measure: bool = True) -> str:
    """Writes how the model starts: predicted, and measured on a few random inputs where that takes about a second.

    Args:
        plan: What is trained.
        model: The same, built; it stays as it is.
        config: What it comes from; the title says what the command line set.
        folder: The run folder.
        measure: False where this process cannot run the model alone.

    Returns:
        The cause of what is wrong, and the codes of notes of the linter; empty where nothing is to be said.

    Raises:
        ForgeError: the file cannot be written.
    """
    cost = BATCH * sum(num_flops(plan).values())
    found = diagnose(
        plan,
        title=" ".join(config.overrides) or "the run",
        batch_size=BATCH,
        model=model,
        measure=measure and cost <= MAX_COST and plan.num_parameters <= MAX_PARAMETERS,
        jacobian=False,
        training=training_of(config.values),
    )
    write_atomically(folder / FILE, page(found))
    return _said(found.first)


def _said(start: Start) -> str:
    cause = start.cause.sentence if start.cause.severity != "none" else ""
    codes = [finding.code for finding in start.findings if finding.severity == "note"]
    notes = f"{plural(len(codes), 'note')} of the linter: {', '.join(codes)}" if codes else ""
    return "; ".join(filter(None, [cause, notes]))


def training_batch(config: Config, plan: Plan, num_examples: int) -> Batch:
    """Examples of the training data that a config names, at equal distances; all where there are fewer.

    Args:
        config: The composed config.
        plan: The model that is to read them.
        num_examples: How many.

    Raises:
        ForgeError: the config trains nothing, the data cannot be read, or it does not fit the model.
    """
    with located(config):
        settings, problems = parse_settings(config.values)
        if settings is None or (problems := list(misfits(plan, settings.data))):
            raise ForgeError(problems)
        part = read(settings.data).train
        rows = np.linspace(0, len(part) - 1, min(num_examples, len(part))).astype(np.int64)
        inputs, _ = part.batch(rows)
    arrays = inputs if isinstance(inputs, tuple) else (inputs,)
    return Batch(tuple(map(torch.as_tensor, arrays)), "the training data")
