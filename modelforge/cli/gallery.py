"""gallery: published claims about initial values → what is measured of them here, and whether it holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from modelforge.cli.answer import Answer, progress
from modelforge.cli.options import GalleryForm
from modelforge.cli.output import check_output, form_of, written
from modelforge.gallery.claim import load_claim, names
from modelforge.gallery.document import markdown
from modelforge.gallery.measure import measure
from modelforge.gallery.page import html
from modelforge.gallery.pictures import check_folder, write_pictures
from modelforge.gallery.result import Result
from modelforge.report.table import new_table


def gallery(
    conf: Path | None,
    claims: Sequence[str],
    seeds: Sequence[int],
    *,
    form: str | None = None,
    output: Path | None = None,
    pictures: Path | None = None,
) -> Answer:
    """Measures claims; status 1 if a number does not hold.

    Args:
        conf: The folder of configs; None for the default one.
        claims: Their names; none for all.
        seeds: In place of those that a claim names.
        form: `text`, `json`, `html` or `markdown`; None for the form that the ending of the file stands for.
        output: A file to write; None for the standard output.
        pictures: A folder for pictures, which Markdown links to.

    Raises:
        ForgeError: a claim or its config is wrong, or a file cannot be written.
    """
    name = form or form_of(output, GalleryForm)
    check_output(output)
    if pictures is not None:
        check_folder(pictures)
    chosen = tuple(claims or names(conf))
    for claim in chosen:
        load_claim(claim, conf)  # all of them before the first is measured
    results = tuple(measure(claim, conf, seeds=seeds) for claim in progress(chosen, "claims"))
    if pictures is not None:
        write_pictures(results, pictures)
    found = answer_of(results)
    forms: Mapping[str, Callable[[], RenderableType]] = {
        "text": lambda: found.text,
        "json": lambda: json.dumps(found.data, indent=2),
        "html": partial(html, results),
        "markdown": partial(markdown, results, pictures, output),
    }
    found = replace(found, text=forms[name]())
    return found if output is None else written(found, output, f"{_count(results)}\nwrote {output}")


def listing(conf: Path | None) -> Answer:
    """What claims there are.

    Raises:
        ForgeError: there are none, or one is wrong.
    """
    claims = {name: load_claim(name, conf) for name in names(conf)}
    table = new_table()
    for header in ("claim", "", "source"):
        table.add_column(header, overflow="fold")
    for name, claim in claims.items():
        table.add_row(Text(name, "cyan"), claim.question, Text(claim.source, "dim"))
    facts = [{"name": name, "question": claim.question, "source": claim.source} for name, claim in claims.items()]
    return Answer({"claims": facts}, table)


def answer_of(results: Sequence[Result]) -> Answer:
    """The results as data and as tables."""
    parts: list[RenderableType] = []
    for result in results:
        parts += [Text(f"{result.name}: {result.claim.question}", "bold"), Text(result.claim.source, "dim")]
        parts += [_table(result), Text()]
    data = {"ok": all(result.ok for result in results), "claims": [result.to_dict() for result in results]}
    return Answer(data, Group(*parts, Text(_count(results))), int(not data["ok"]))


def _count(results: Sequence[Result]) -> str:
    held = sum(result.ok for result in results)
    return f"claims that hold: {held} of {len(results)}  ·  {sum(result.seconds for result in results):.0f} s"


def _table(result: Result) -> Table:
    table = new_table()
    for header in ("", "measured", "expected", "of"):
        table.add_column(header, overflow="fold")
    for verdict in result.verdicts:
        mark = Text("✓", "green") if verdict.ok else Text("✗", "red")
        table.add_row(mark, verdict.measured, verdict.due, verdict.expectation.words)
    return table
