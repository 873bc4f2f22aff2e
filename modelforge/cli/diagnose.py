"""diagnose: overrides → how the model starts, and why, in one of several forms; several configs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from modelforge.cli.answer import Answer, progress
from modelforge.cli.options import DiagnosisForm
from modelforge.cli.output import OPTION, check_output, form_of, written
from modelforge.config.compose import compose
from modelforge.config.sweeps import read_sweep
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import write_atomically
from modelforge.core.words import plural
from modelforge.diagnosis.diagnose import diagnose as diagnosed
from modelforge.diagnosis.document import Start
from modelforge.diagnosis.formats import FORMATS
from modelforge.diagnosis.measuring import Batch, size_of
from modelforge.diagnosis.result import Diagnosis, diagnosis_schema
from modelforge.diagnosis.text import text
from modelforge.language import parse
from modelforge.linting.subject import Training
from modelforge.planning.plan import Plan, plan
from modelforge.planning.study import Studies
from modelforge.train.diagnosed import training_batch
from modelforge.train.settings import training_of

MAX_COMPARED = 8
RANKS: Mapping[str, int] = {"none": 0, "note": 1, "warning": 2, "error": 3}


def diagnose(
    conf: Path | None,
    overrides: Sequence[str],
    compared: Sequence[str],
    form: str | None,
    *,
    measure: bool,
    data: bool = False,
    batch_size: int | None = None,
    output: Path | None = None,
    fail_on: str | None = None,
) -> Answer:
    """Predicts and measures how one config starts, or several.

    Args:
        conf: The config folder; None for the default one.
        overrides: Hydra overrides for all configs.
        compared: Overrides that each may give several values: a config for each combination.
        form: `text`, or a name of `FORMATS`; None for the form that the ending of the file stands for.
        measure: Whether to build the networks and to measure them.
        data: Whether to measure them on examples of the data that the config names.
        batch_size: Examples in a batch; None for as many as cost little.
        output: A file to write; None for the standard output.
        fail_on: How severe a cause or a finding is that gives the status 1; None for no such status.

    Raises:
        ForgeError: what is wrong with a config, or with the file.
    """
    name = form or form_of(output, DiagnosisForm)
    if name in ("png", "html") and output is None:
        message = f"`--format {name}` is not for a terminal"
        raise ForgeError([Problem("MF051", OPTION, message, f"name a file: `--output diagnosis.{name}`")])
    check_output(output)
    studies = Studies()
    plans: dict[str, Plan] = {}
    batches: dict[str, Batch] = {}
    trained: dict[str, Training | None] = {}
    for label, every in progress(list(_configs(conf, overrides, compared)), "planning"):
        config = compose(conf, every)
        plans[label] = plan(parse(config), studies)
        trained[label] = training_of(config.values)
        if data:
            batches[label] = training_batch(config, plans[label], size_of(plans[label], batch_size).batch)
    title = " ".join(overrides) or "the config"
    found = diagnosed(
        plans, title=title, measure=measure, batch_size=batch_size, data=batches or None, training=trained
    )
    status = int(fails(found, fail_on))
    line = f"{_verdicts(found)}\nwrote {output}"
    made = text(found.starts) if name == "text" else FORMATS[name](found)
    if isinstance(made, bytes):
        assert output is not None
        write_atomically(output, made, OPTION)
        return Answer(found.to_dict(), f"{line}\n", status)
    answer = Answer(found.to_dict(), made, status)
    return answer if output is None else written(answer, output, line)


def _verdicts(diagnosis: Diagnosis) -> str:
    """What was found of each config, a line each, with its label where several are compared."""
    return "\n".join(f"{start.label}: {start.cause.sentence}".removeprefix(": ") for start in diagnosis.starts)


def _configs(conf: Path | None, overrides: Sequence[str], compared: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The config itself, or those that are compared, each with a label and its overrides.

    Raises:
        ForgeError: an override cannot be read, or there are too many combinations.
    """
    if not compared:
        yield " ".join(overrides) or "the config", [*overrides]
        return
    sweep = read_sweep(conf, compared)
    if sweep.num_jobs > MAX_COMPARED:
        message = (
            f"`--compare` asks for {plural(sweep.num_jobs, 'config')}, but at most {MAX_COMPARED} fit side by side"
        )
        raise ForgeError([Problem("MF051", "--compare", message, "give fewer values")])
    for job in sweep.jobs():
        yield " ".join(job), [*overrides, *job]


def fails(diagnosis: Diagnosis, fail_on: str | None) -> bool:
    """Whether a config has a cause or a finding that is at least so severe."""
    return fail_on is not None and max(map(severity, diagnosis.starts)) >= RANKS[fail_on]


def severity(start: Start) -> int:
    """The rank of what is worst."""
    return max([RANKS[start.cause.severity], *(RANKS[finding.severity] for finding in start.findings)])


def print_schema() -> Answer:
    """The JSON Schema of a diagnosis."""
    return Answer(diagnosis_schema(), "")
