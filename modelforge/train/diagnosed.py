"""write_diagnosis: a model before its training → `diagnosis.html` in the folder of its run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from modelforge.building.build import Model
from modelforge.core.files import write_atomically
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.document import Cause
from modelforge.diagnosis.formats.page import page
from modelforge.planning.flops import num_flops
from modelforge.planning.plan import Plan

FILE = "diagnosis.html"
BATCH = 8
"""Examples that are predicted and measured."""
MAX_COST = 1e9
"""Floating-point operations of a pass of such a batch, up to which the model is measured."""
MAX_PARAMETERS = 30_000_000
"""Of a model that is measured."""


def write_diagnosis(plan: Plan, model: Model, overrides: Sequence[str], folder: Path, *, measure: bool = True) -> Cause:
    """Writes how the model starts: predicted, and measured on a few random inputs where that takes about a second.

    Args:
        plan: What is trained.
        model: The same, built; it stays as it is.
        overrides: What the command line set, for the title.
        folder: The run folder.
        measure: False where this process cannot run the model alone.

    Raises:
        ForgeError: the file cannot be written.
    """
    cost = BATCH * sum(num_flops(plan).values())
    found = diagnose(
        plan,
        title=" ".join(overrides) or "the run",
        batch=BATCH,
        model=model,
        measure=measure and cost <= MAX_COST and plan.num_parameters <= MAX_PARAMETERS,
        jacobian=False,
    )
    write_atomically(folder / FILE, page(found))
    return found.first.cause
