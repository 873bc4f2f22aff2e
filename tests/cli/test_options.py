"""options: the names that help shows are those that the modules know, which it does not import."""

from __future__ import annotations

from modelforge.cli import diagnose, diff
from modelforge.cli.lint import RANK
from modelforge.cli.list import _SHELVES  # pyright: ignore[reportPrivateUsage]  # what `list` lists
from modelforge.cli.options import DiagnosisForm, FailOn, FindingsForm, Kind, LeastSeverity, ReviewForm
from modelforge.diagnosis.formats import FORMATS as DIAGNOSES
from modelforge.report.formats import FORMATS as FINDINGS
from modelforge.review.formats import FORMATS as REVIEWS


def test_forms_are_those_of_the_registries():
    assert {form.value for form in DiagnosisForm} == {"text", *DIAGNOSES}
    assert {form.value for form in ReviewForm} == {"text", *REVIEWS}
    assert {form.value for form in FindingsForm} == {"text", "json", *FINDINGS}


def test_severities_are_known():
    assert {*RANK} == {one.value for one in LeastSeverity} == {*diagnose.RANKS} - {"none"}
    assert {one.value for one in FailOn} == set(diff.FAILING)


def test_everything_that_is_named_can_be_listed():
    assert {kind.value for kind in Kind} == _SHELVES.keys()
