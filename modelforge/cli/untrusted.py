"""check_untrusted: a stranger's config folder → what is wrong with it; nothing of it can do harm.

The folder's config files are copied (`config.snapshot`). A process of its own (`core.child`) confines itself, scans
the copies (`config.scan`), composes them, and plans their models: `serve` is what runs there. Weights and data are
named, and never read; the project's plugins are not imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from modelforge.cli.answer import Answer
from modelforge.cli.check import Checked, Examination, Examined, answer_of, in_form
from modelforge.cli.configs import choices
from modelforge.cli.options import FindingsForm
from modelforge.cli.output import check_output, form_of
from modelforge.cli.warm_up import refuse_one, small_projects
from modelforge.config.compose import Config
from modelforge.config.folder import default_conf, own_conf
from modelforge.config.scan import scanned
from modelforge.config.snapshot import snapshot
from modelforge.core import child
from modelforge.core.child import ask, garbled, scratch
from modelforge.core.codes import CODES
from modelforge.core.confine import TooLong, limited
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.limits import MAX_STRANGERS_LAYERS, MAX_STRANGERS_PARAMETERS
from modelforge.core.quoting import listed
from modelforge.core.words import plural
from modelforge.inits.from_file import FromFile
from modelforge.language import parse
from modelforge.planning.plan import plan
from modelforge.planning.study import Studies

MEMORY = 512 * 2**20
"""Bytes that a check may take, on top of what the packages take."""
SECONDS = 3
"""Of the processor, for each config."""
SECONDS_IN_ALL = 300
CLOCK, CLOCK_IN_ALL = 60, 600
"""Seconds by the clock until a process is given up."""


class Question(BaseModel):
    """What the process is asked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    conf: str
    """The copy, in the process's working folder."""
    overrides: tuple[str, ...]
    every: bool


@dataclass(frozen=True)
class Report:
    """What the process answers."""

    findings: tuple[Checked, ...] = ()
    problems: tuple[Problem, ...] = ()
    """What the scan refuses; then nothing was composed."""


_REPORT = TypeAdapter(Report)


def check_untrusted(
    conf: Path | None, words: Sequence[str], *, every: bool, form: str | None = None, output: Path | None = None
) -> Answer:
    """Checks a stranger's configs as `check` does, but for the settings of a training, in a process of its own.

    Args:
        conf: The folder; None for the default one.
        words: Hydra overrides, which are one's own; the folder may stand before them.
        every: Whether to check all combinations; they are without overrides.
        form: `text`, `json` or a name of `FORMATS`; None for the form that the ending of the file stands for.
        output: A file to write; None for the standard output.

    Raises:
        ForgeError: what is wrong with the folder, or with its files where that is not a finding of a report; the
            process that reads them gave no answer; or the file cannot be written.
    """
    name = form or form_of(output, FindingsForm)
    check_output(output)
    named, overrides = folder_of(words)
    every = every or not overrides
    folder = named or conf or (own_conf() if every else default_conf())
    shown = folder.as_posix()
    within = folder.name if folder.is_absolute() or ".." in folder.parts else shown
    if not folder.is_dir():
        raise ForgeError([Problem("MF001", shown, f"there is no folder `{shown}`", "name the config folder")])
    with scratch() as place:
        snapshot(folder, place / within, within)
        question = Question(conf=within, overrides=tuple(overrides), every=every)
        said = ask(__name__, question.model_dump_json().encode(), place, CLOCK_IN_ALL if every else CLOCK)
    report = _read(said)
    if report.problems and output is None and name in ("text", "json"):
        raise ForgeError(report.problems)
    # What the scan refuses keeps all configs of the folder from being looked at.
    findings = report.findings or (Checked((), tuple(overrides), problems=report.problems),)
    return in_form(answer_of(findings, every=every and not report.problems), findings, name, folder, output)


def serve() -> None:
    """What the process does."""
    child.serve(warm_up, _answered, MEMORY, lambda question: SECONDS_IN_ALL if _asked(question).every else SECONDS + 2)


def _asked(question: bytes) -> Question:
    return Question.model_validate_json(question)


def _answered(question: bytes) -> bytes:
    return _REPORT.dump_json(examined(_asked(question)))


def examined(question: Question) -> Report:
    """The scan of a folder, and what is found in its configs if the scan refuses nothing."""
    conf = Path(question.conf)
    try:
        with limited(SECONDS):
            if problems := scanned(conf, question.conf):
                return Report(problems=problems)
            every = choices(conf, question.overrides) if question.every else [()]
    except (TooLong, MemoryError, RecursionError) as error:
        return Report(problems=(too_much(error),))
    except ForgeError as error:
        return Report(problems=error.problems)
    examination = Examination(conf, question.overrides, _planned, _planned)
    findings: list[Checked] = []
    for choice in every:
        try:
            with limited(SECONDS):
                findings.append(examination.of(choice))
        except (TooLong, MemoryError, RecursionError) as error:
            findings.append(Checked(choice, (*choice, *question.overrides), problems=(too_much(error),)))
            break
    return Report(tuple(findings))


def _planned(config: Config, studies: Studies) -> Examined:
    decided = plan(parse(config), studies, read_files=False)
    sizes = (
        ("parameters", decided.num_parameters, MAX_STRANGERS_PARAMETERS),
        ("layers", len(decided.layers), MAX_STRANGERS_LAYERS),
    )
    problems = [
        Problem("MF060", "model.layers", f"the model has {size:,} {what}, but an untrusted one has at most {most:,}")
        for what, size, most in sizes
        if size > most
    ]
    if problems:
        raise ForgeError(map(config.origins.locate, problems))
    schemes = [item.initializer for item in decided.parameters]
    stored = [scheme.path for scheme in schemes if isinstance(scheme, FromFile)]
    note = f"{plural(len(stored), 'parameter')} of {listed({*stored}, 3, quote='`')}, which was not read"
    return Examined(decided, note if stored else "")


def too_much(error: BaseException, seconds: int = SECONDS) -> Problem:
    """The problem of configs that take too much time, memory or depth."""
    if isinstance(error, TooLong):
        what = f"more than {seconds} s of the processor"
    elif isinstance(error, MemoryError):
        what = f"more than {MEMORY >> 20} MiB"
    else:
        what = "more calls inside one another than Python allows"
    return Problem("MF060", "", f"these configs take {what} to read", "make them smaller")


def warm_up() -> None:
    """Does once what a check does, with configs of ours: what Python imports late is there then."""
    with small_projects() as (folder, _):
        examined(Question(conf=str(folder), overrides=(), every=False))
    refuse_one()


def _read(said: bytes) -> Report:
    """A process's answer, if it is one."""
    try:
        report = _REPORT.validate_json(said, strict=False)
    except ValidationError:
        raise garbled() from None
    problems = [
        *report.problems,
        *(one for finding in report.findings for one in (*finding.problems, *finding.warnings)),
    ]
    if not (report.findings or report.problems) or any(problem.code not in CODES for problem in problems):
        raise garbled()
    return report


def folder_of(words: Sequence[str]) -> tuple[Path | None, list[str]]:
    """A config folder in front of overrides, as `check --untrusted DIR` names it, and the overrides."""
    first, *others = words or [""]
    if not first or "=" in first or first[0] in "+~":
        return None, list(words)
    return Path(PurePosixPath(first)), others
