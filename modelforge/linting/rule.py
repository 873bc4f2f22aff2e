"""`LintRule`: one kind of finding: its code, its page and what finds it; and the registry of all rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from modelforge.core.codes import CODES
from modelforge.core.errors import Place, Problem
from modelforge.core.paths import glob
from modelforge.core.quoting import listed
from modelforge.core.registry import Registry
from modelforge.language.lint import CODE
from modelforge.linting.subject import Subject

Severity = Literal["warning", "note"]
_CODE = re.compile(CODE)
MAX_NAMED = 3
"""Paths that a finding names."""


@dataclass(frozen=True, slots=True)
class Found:
    """One finding; those that differ in their path alone become one problem."""

    key: str
    """The override key of what is to blame: an init block, a layer."""
    path: str
    """The parameter or layer that it is about."""
    message: str
    """What is the case; `{}` stands for the path."""
    hint: str
    """The way out."""
    part: Literal["key", "value"] = "value"
    place: Place | None = None
    """Where the key is written, if its key does not say."""


Find = Callable[[Subject], Iterable[Found]]
AnyFind = TypeVar("AnyFind", bound=Find)


@dataclass(frozen=True, slots=True, kw_only=True)
class LintRule:
    """A rule, with all that its page says."""

    code: str
    """Never used for anything else, even after the rule is retired."""
    title: str
    """What is found, in a few words."""
    severity: Severity
    why: str
    """Why it matters."""
    when: str
    """The formula or the threshold, with its source."""
    bad: str
    """A config, as YAML, that has the finding; empty where it takes code."""
    good: str
    """A config that is nearly the same, and has not."""
    find: Find
    retired: str = ""
    """Why the rule is no longer applied; empty for one that is."""
    last: bool = False
    """Whether it is applied after all others."""
    planned: bool = False
    """Whether planning finds it, and every plan holds it already."""


def folded(rule: LintRule, findings: Iterable[Found]) -> Iterator[Problem]:
    """Findings of a rule as problems without places; those that are equal but for their path are one."""
    groups: dict[Found, list[str]] = {}
    for one in findings:
        groups.setdefault(replace(one, path=""), []).append(one.path)
    for one, every in groups.items():
        paths = tuple(dict.fromkeys(every))
        said = one.message.replace("{}", listed(_named(paths), MAX_NAMED))
        yield Problem(rule.code, one.key, said, one.hint, one.place, one.part, rule.severity, num=len(paths))


def _named(paths: Sequence[str]) -> list[str]:
    """The paths in backticks; those of copies as one glob, with their number."""
    copies: dict[str, list[str]] = {}
    for path in paths:
        copies.setdefault(glob(path), []).append(path)
    return [f"`{same[0]}`" if len(same) == 1 else f"`{name}` ({len(same):,} times)" for name, same in copies.items()]


RULES = Registry[LintRule](
    "a lint rule",
    "modelforge.rules",
    definition=lambda rule: rule.find,
    package="modelforge.linting.rules",
    code="MF080",
    decorator="mf.register_rule",
)
"""Every rule by its code."""
unregister_rule = RULES.remove


def register_rule(
    code: str,
    *,
    title: str = "",
    why: str,
    when: str,
    bad: str = "",
    good: str = "",
    severity: Severity = "note",
    retired: str = "",
    last: bool = False,
) -> Callable[[AnyFind], AnyFind]:
    """Makes a function known as a lint rule: from a `Subject` to what it finds.

    Args:
        code: Letters and three digits, such as `ACME101`; it stays the rule's for ever.
        title: What is found, in a few words; may be left out for a code in `CODES`, which has one.
        why: Why a finding matters, in one or two sentences.
        when: The formula or the threshold, with its source.
        bad: A config, as YAML, that has the finding; empty where it takes code.
        good: A config that is nearly the same, and has not.
        severity: `warning` where the finding is hardly ever meant; new rules start as notes.
        retired: Why the rule is no longer applied; its page stays.
        last: Whether it is applied after all others.

    Raises:
        ValueError: the code has another form, there is no title, or a rule of that code exists.

    Example:
        >>> @register_rule("ACME101", title="a wide layer", why="It is slow.", when="Over 4,096 rows.")
        ... def wide(subject):
        ...     for parameter in subject.parameters:
        ...         if parameter.shape[0] > 4096:
        ...             yield Found(parameter.key, parameter.path, "{} is wide", "make it smaller")
        >>> unregister_rule("ACME101")
    """
    if not _CODE.fullmatch(code):
        raise ValueError(f"the code of a lint rule is letters and three digits, such as `ACME101`, but is {code!r}")

    title = title or CODES.get(code, "")
    if not title:
        raise ValueError(f"`title` must say what {code} finds, in a few words, such as `a wide layer`")

    def register(find: AnyFind) -> AnyFind:
        rule = LintRule(
            code=code,
            title=title,
            severity=severity,
            why=why,
            when=when,
            bad=bad,
            good=good,
            find=find,
            retired=retired,
            last=last,
        )
        RULES.add(code, rule)
        return find

    return register


def register_planned(code: str, *, why: str, when: str, bad: str = "", good: str = "") -> None:
    """Gives a warning of planning a page among those of the rules.

    Args:
        code: The warning's.
        why: Why it matters, in one or two sentences.
        when: When planning warns.
        bad: A config, as YAML, that has the warning; empty where it takes code.
        good: A config that is nearly the same, and has not.
    """
    rule = LintRule(
        code=code,
        title=CODES[code],
        severity="warning",
        why=why,
        when=when,
        bad=bad,
        good=good,
        find=_found_before,
        planned=True,
    )
    RULES.add(code, rule)


def _found_before(subject: Subject) -> Iterable[Found]:
    """Nothing: the plan holds what planning found."""
    del subject
    return ()
