"""`Ignores`: the findings that a model's `lint.ignore` declares to be meant, and which of them are needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from modelforge.language.lint import EVERYWHERE

Entry = tuple[str, str]
"""A code, and a glob over paths."""


@dataclass(frozen=True, slots=True)
class Ignores:
    """Reasons by code and glob, and a record of the entries that a finding needed."""

    declared: Mapping[str, Mapping[str, str]]
    needed: set[Entry] = field(default_factory=set[Entry])

    def reason(self, code: str, path: str) -> str | None:
        """Why a finding is meant; None where no entry covers it.

        Args:
            code: The finding's.
            path: What it is about: a parameter, a layer, or an override key.
        """
        for glob, reason in self.declared.get(code, {}).items():
            if glob == EVERYWHERE or fnmatchcase(path, glob):
                self.needed.add((code, glob))
                return reason
        return None

    def unused(self) -> Iterator[Entry]:
        """The entries that no finding needed."""
        every = ((code, glob) for code, globs in self.declared.items() for glob in globs)
        yield from (entry for entry in every if entry not in self.needed)
