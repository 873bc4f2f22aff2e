"""evaluate: a run folder → the metrics and the report of its test part, or of other data with targets."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.text import Text

from modelforge.cli.answer import Answer
from modelforge.config.overrides import parse
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import write_atomically
from modelforge.core.words import digits, plural
from modelforge.report.aligned import Aligned, Wrapped
from modelforge.report.columns import as_csv, plain
from modelforge.report.figures import draw
from modelforge.train.evaluation import Evaluation
from modelforge.train.trained_run import FLOAT32, load_run

FOLDER = "evaluation"
"""Where the report goes in the run folder."""
UNFIT = re.compile(r"[^\w. +-]")
"""What a file's name does not hold on every system."""
MAX_NAME = 200
"""Bytes of a file's name; systems take 255, with the ending."""
MAX_ROWS = 20
"""Rows of a table that are printed; the file has all."""


def evaluate(run: Path, overrides: Sequence[str], output: Path | None, device: str, *, plots: bool = True) -> Answer:
    """Computes the metrics of a run again and writes its report.

    Status 1 if the test part gives another metric, by more than the rounding of the run's `trainer.precision`; other
    examples are compared with nothing, which the text says.

    Args:
        run: The folder of a run.
        overrides: Other values of the `data` section, `data.path=new.csv`; with a path the whole file is evaluated.
        output: Where the report goes; None for `evaluation/` in the run folder.
        device: Where the model runs.
        plots: Whether to draw figures.

    Raises:
        ForgeError: the folder is not a run, the data is not there or not as declared, or nothing can be written.
    """
    loaded = load_run(run, device=device)
    found = loaded.evaluate(_parsed(overrides))
    folder = output or run / FOLDER
    files = _write(found, folder, plots)
    of_test = {name.removeprefix("test/"): it for name, it in loaded.reported.items() if name.startswith("test/")}
    reported = of_test if found.is_repeated else {}
    differs = [name for name, value in found.metrics.items() if not _same(value, reported.get(name), found.rounding)]
    if reported:  # a report leaves out what is not finite
        differs += [name for name, value in found.metrics.items() if name not in reported and math.isfinite(value)]
    data = {
        "of": found.of,
        "num_examples": found.num_examples,
        "metrics": dict(found.metrics),
        "reported": reported,
        "differs": differs,
        "numbers": dict(found.report.numbers),
        "tables": {name: plain(table) for name, table in found.report.tables.items()},
        "files": [str(file) for file in files],
    }
    return Answer(data, _text(found, reported, differs, folder), int(bool(differs)), found.warnings)


def _same(now: float, then: float | None, rounding: float) -> bool:
    """Whether a metric is the one that the run reported, if it did."""
    return then is None or now == then or math.isclose(now, then, rel_tol=rounding, abs_tol=FLOAT32)


def _parsed(overrides: Sequence[str]) -> dict[str, Any]:
    """Overrides as keys of the `data` section, each with its value."""
    for override in overrides:
        if "=" not in override or not override.startswith("data."):
            message = f"`{override}` must change the data: `data.path=new.csv`"
            raise ForgeError([Problem("MF150", override, message)])
    return {override.key_or_group.removeprefix("data."): override.value() for override in parse(overrides)}


def _write(found: Evaluation, folder: Path, plots: bool) -> list[Path]:
    written = [folder / "metrics.json"]
    numbers = {"of": found.of, "num_examples": found.num_examples, **found.metrics, **found.report.numbers}
    write_atomically(written[0], json.dumps(numbers, indent=2) + "\n", "--output")
    tables, figures = found.report.tables, found.report.figures if plots else {}
    for name, table in zip(_file_names(tables), tables.values(), strict=True):
        written.append(folder / f"{name}.csv")
        write_atomically(written[-1], as_csv(table), "--output")
    for name, figure in zip(_file_names(figures), figures.values(), strict=True):
        written.append(folder / f"{name}.png")
        draw(figure, written[-1])
    return written


def _file_names(names: Iterable[str]) -> Iterator[str]:
    """Names that hold those of columns, as names of files in one folder, without an ending.

    Example:
        >>> [*_file_names(["price_residuals", "../m²_residuals", "..?m²_residuals"])]
        ['price_residuals', '.._m²_residuals', '.._m²_residuals-2']
    """
    found = set[str]()
    for name in names:
        plain = UNFIT.sub("_", name)
        plain = plain if len(plain.encode()) <= MAX_NAME else "_"
        one, number = plain, 1
        while one.casefold() in found:
            number += 1
            one = f"{plain}-{number}"
        found.add(one.casefold())
        yield one


def _text(found: Evaluation, reported: Mapping[str, float], differs: Sequence[str], folder: Path) -> Group:
    rows = [[Text("metric", "bold"), Text("now", "bold"), *([Text("in the run", "bold")] if reported else [])]]
    for name, value in {**found.metrics, **found.report.numbers}.items():
        then = [Text(digits(reported[name]) if name in reported else "")] if reported else []
        rows.append([Text(name), Text(digits(value)), *then])
    parts: list[Any] = [Text(f"{found.of}: {plural(found.num_examples, 'example')}"), Text(), Aligned(rows)]
    if found.report.tables:
        parts += [Text(), _table(next(iter(found.report.tables.values())))]
    if differs:
        names = ", ".join(f"{name}: {reported.get(name, math.nan)!r}, now {found.metrics[name]!r}" for name in differs)
        parts += [Text(), Wrapped(Text(f"not what the run reported: {names}", "red"))]
    elif not reported:
        why = "the run reported no metrics of it" if found.is_repeated else "what the run reported is of other examples"
        parts += [Text(), Wrapped(Text(f"compared with nothing: {why}"))]
    return Group(*parts, Text(), Wrapped(Text(f"tables and figures: {folder}")))


def _table(table: Mapping[str, Sequence[Any]]) -> Aligned:
    rows = [[Text(name, "bold") for name in table]]
    body = list(zip(*table.values(), strict=True))
    rows += [[Text(digits(cell) if isinstance(cell, float) else str(cell)) for cell in row] for row in body[:MAX_ROWS]]
    if len(body) > MAX_ROWS:
        rows.append([Text(f"… {len(body) - MAX_ROWS} more"), *(Text("") for _ in rows[0][1:])])
    return Aligned(rows)
