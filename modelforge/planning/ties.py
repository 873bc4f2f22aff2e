"""Ties: parameters with several names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from modelforge.core.errors import MAX_PROBLEMS, Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.suggestions import did_you_mean
from modelforge.planning.scopes import ModelParameter
from modelforge.planning.study import ParameterFacts


class Ties:
    """The ties of a model; rules are those of the first name in execution order.

    Args:
        declared: The `tie` section: from a parameter's path to that of the parameter which it is.
    """

    def __init__(self, declared: Mapping[str, str]) -> None:
        self._declared = declared
        self._sources = frozenset(declared.values())
        self._facts: dict[str, ParameterFacts] = {}
        self._first_of: dict[str, str] = {}
        self.first: dict[str, str] = {}
        """Second names of parameters, each with the first."""

    def add(self, path: str, facts: ParameterFacts) -> bool:
        """Adds a parameter, in execution order; returns whether an earlier one is the same."""
        group = self._declared.get(path, path)
        if group == path and path not in self._sources:
            return False
        first = self._first_of.setdefault(group, path)
        if first != path:
            self.first[path] = first
            self._facts[path] = facts
        return first != path

    def problems(self, parameters: Iterable[ModelParameter], *, complete: bool, hints: bool) -> Iterator[Problem]:
        """The problems of the `tie` section.

        Args:
            parameters: All other parameters.
            complete: Whether all layers are known, so that a missing parameter is an error.
            hints: Whether to search for similar names.
        """
        known = {parameter.path: parameter.facts for parameter in parameters} | self._facts
        num_hints = MAX_PROBLEMS if hints else 0
        for path, source in self._declared.items():
            key = f"model.tie.{path}"
            missing = [name for name in (path, source) if name not in known]
            if source == path:
                yield Problem("MF045", key, f"`{path}` is tied to itself", "name the other parameter, or leave it out")
            elif source in self._declared:
                first = self._declared[source]
                hint = f"tie both to `{first}`" if first != path else "leave out one of the two lines"
                yield Problem("MF045", key, f"`{source}` is itself tied to another parameter", hint)
            elif missing and complete:
                hint = did_you_mean(missing[0], known) if num_hints > 0 else ""
                num_hints -= 1
                part = "key" if missing[0] == path else "value"
                yield Problem("MF045", key, f"there is no parameter `{missing[0]}`", hint, part=part)
            elif not missing:
                one, other = known[path], known[source]
                if (one.shape, one.dtype) != (other.shape, other.dtype):
                    message = f"`{path}` is {one.shape} {one.dtype}, but `{source}` is {other.shape} {other.dtype}"
                    yield Problem("MF045", key, message, "tied parameters must have the same shape and dtype")

    def with_aliases(self, parameters: Iterable[ModelParameter]) -> list[ModelParameter]:
        """The parameters, each with its other names and their roles."""
        others: dict[str, dict[str, str | None]] = {}
        for path, first in self.first.items():
            others.setdefault(first, {})[path] = self._facts[path].layout.role
        return [
            replace(parameter, aliases=FrozenDict(others[parameter.path])) if parameter.path in others else parameter
            for parameter in parameters
        ]
