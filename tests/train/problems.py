"""Problems of settings, as tests compare them."""

from __future__ import annotations

from collections.abc import Iterable

from modelforge.core.errors import Problem


def said(problems: Iterable[Problem]) -> list[tuple[str, str, str]]:
    problems = list(problems)
    assert all(problem.code == "MF051" for problem in problems)
    return [(problem.key, problem.message, problem.hint) for problem in problems]
