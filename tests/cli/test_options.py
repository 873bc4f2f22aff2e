"""Names that options take are the names that the code behind them knows."""

from __future__ import annotations

from modelforge.cli.lint import RANK
from modelforge.cli.list import _SHELVES  # pyright: ignore[reportPrivateUsage]  # what `list` lists
from modelforge.cli.options import Findings, Kind, LeastSeverity
from modelforge.report.formats import FORMATS


def test_findings_have_every_form():
    assert {form.value for form in Findings} == {"text", "json", *FORMATS}


def test_every_severity_can_be_the_least():
    assert [one.value for one in LeastSeverity] == list(RANK)


def test_everything_that_is_named_can_be_listed():
    assert {kind.value for kind in Kind} == _SHELVES.keys()
