"""sweep: folders of runs → one table, one page, or a view of a sweep while it runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.cli.answer import Answer, console
from modelforge.cli.options import SweepForm
from modelforge.cli.output import OPTION, check_output, form_of, written
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import write_atomically
from modelforge.core.suggestions import did_you_mean
from modelforge.core.words import plural
from modelforge.results.collect import collect
from modelforge.results.document import document, sweep_schema
from modelforge.results.export import to_csv, to_parquet
from modelforge.results.grouping import Grouped, group
from modelforge.results.page import MAX_JOBS, page
from modelforge.results.report import as_text, default_over
from modelforge.results.significance import Contrast, contrasts
from modelforge.results.sweep import OPEN, OVER, Sweep
from modelforge.results.table import MAX_LINES
from modelforge.results.watch import watch
from modelforge.results.words import counts_line
from modelforge.runs.jobs import SWEEP_FILE
from modelforge.sweeps.resume import way_on


def sweep(
    folders: Sequence[Path],
    metric: str | None,
    *,
    over: Sequence[str] = (),
    baseline: Sequence[str] = (),
    form: str | None = None,
    output: Path | None = None,
    every: bool = False,
    live: bool = False,
) -> Answer:
    """The jobs of multiruns; status 1 if one of them has no result, and none is to come.

    Args:
        folders: Where they are.
        metric: What to sort by; None for what the runs optimized.
        over: Keys to average over; none for a line a job.
        baseline: Values of the group that others are compared with; none for the best one.
        form: `text`, `csv`, `json`, `html` or `parquet`; None for the form that the ending of the file stands for.
        output: A file to write; None for the standard output.
        every: Whether a table lists all lines, however many there are.
        live: Whether to show the sweep until it ends, first.

    Raises:
        ForgeError: there is no such folder, it holds no run, no run has the metric, a key or a baseline, an option does
            not go with the form, or the file cannot be written.
    """
    name = form or form_of(output, SweepForm)
    if name in ("html", "parquet") and output is None:
        message = f"`--format {name}` is not for a terminal"
        raise ForgeError([Problem("MF051", OPTION, message, f"name a file: `--output sweep.{name}`")])
    if name in ("csv", "parquet") and (over or baseline):
        message = f"`{'--group' if over else '--baseline'}` compares groups, and `{name}` has a row for each job"
        raise ForgeError([Problem("MF051", "--format", message, "leave it out, or choose `json`, `html` or `text`")])
    if every and name == "html":
        message = f"`--all` lists all jobs in a table, and a page has {MAX_JOBS} at most"
        raise ForgeError([Problem("MF051", "--all", message, "leave it out, or choose another form")])
    check_output(output)
    found = _sorted(watch(folders, console()) if live else collect(*folders), metric)
    grouped = group(found, _checked(found, over) or default_over(found))
    compared = contrasts(grouped, baseline)
    status = int(bool(not found.rows or found.counts.keys() - OVER - OPEN))
    data = document(grouped, compared).model_dump(mode="json") if name == "json" else None
    if name == "parquet":
        assert output is not None
        write_atomically(output, to_parquet(found), OPTION)
        return Answer(data, _line(found, output), status)
    text = _text(name, grouped, compared, output, folders, every=every, with_jobs=not over and not baseline)
    answer = Answer(data, text, status, is_data=name == "csv")
    return answer if output is None else written(answer, output, _line(found, output).rstrip("\n"))


def _sorted(sweep: Sweep, metric: str | None) -> Sweep:
    if metric is None:
        return sweep
    if metric not in sweep.metric_names:
        message = f"no run in `{sweep.folder}` has a metric `{metric}`"
        raise ForgeError([Problem("MF080", metric, message, did_you_mean(metric, sweep.metric_names))])
    return sweep.by(metric)


def _text(
    name: str,
    grouped: Grouped,
    compared: Sequence[Contrast],
    output: Path | None,
    folders: Sequence[Path],
    *,
    every: bool,
    with_jobs: bool,
) -> RenderableType:
    match name:
        case "csv":
            return to_csv(grouped.sweep)
        case "json":
            return document(grouped, compared).model_dump_json(indent=2)
        case "html":
            assert output is not None
            return page(grouped, compared, output.parent)
        case _:
            text = as_text(grouped, compared, None if every else MAX_LINES, with_jobs=with_jobs)
            return Group(text, *_ways_on(grouped.sweep, folders))


def _ways_on(found: Sweep, folders: Sequence[Path]) -> list[RenderableType]:
    """The command that runs what a sweep has not run, where nothing runs it now."""
    lost = found.counts.keys() - OVER
    if not lost or lost & OPEN or len(folders) != 1 or not (folders[0] / SWEEP_FILE).is_file():
        return []
    return [Text(), Text(f"to go on: {way_on(folders[0])}", no_wrap=True, overflow="ignore")]


def _checked(sweep: Sweep, over: Sequence[str]) -> Sequence[str]:
    known = {key for row in sweep.rows for key in row.overrides}
    for key in over:
        if key not in known:
            raise ForgeError(
                [Problem("MF080", "--group", f"no job in `{sweep.folder}` sets `{key}`", did_you_mean(key, known))]
            )
    return over


def _line(sweep: Sweep, output: Path) -> str:
    return f"{counts_line(sweep)}\nwrote {output} with {plural(len(sweep.rows), 'job')}\n"


def print_schema() -> Answer:
    """The JSON Schema of `--format json`."""
    return Answer(sweep_schema(), Text())
