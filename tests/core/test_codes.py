"""The codes of problems: each is stable, named once, and raised somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from modelforge.core.codes import CODES

SOURCES = [path for path in (Path(__file__).parents[2] / "modelforge").rglob("*.py") if path.name != "codes.py"]


def test_a_code_is_an_error_or_a_warning_with_three_digits():
    assert all(re.fullmatch(r"M[FW]\d{3}", code) for code in CODES)
    assert list(CODES) == sorted(CODES)


def test_each_code_has_one_line_of_its_own():
    assert all(text and "\n" not in text and not text.endswith(".") for text in CODES.values())
    assert len({*CODES.values()}) == len(CODES)


def test_the_table_holds_exactly_the_codes_that_the_package_names():
    named = {code for path in SOURCES for code in re.findall(r"\bM[FW]\d{3}\b", path.read_text(encoding="utf-8"))}
    assert named == {*CODES}


def test_the_table_cannot_be_changed():
    with pytest.raises(TypeError):
        CODES["MF999"] = "new"  # pyright: ignore[reportIndexIssue]  # that is the point
