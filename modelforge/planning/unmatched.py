"""Unmatched: init blocks, and parts of them, that apply to no parameter."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from functools import cached_property

from modelforge.core.errors import MAX_PROBLEMS, Problem, for_each
from modelforge.core.paths import relative
from modelforge.core.suggestions import did_you_mean
from modelforge.language.init import InitSpec
from modelforge.planning.scopes import ModelParameter, Scope


class Unmatched:
    """Finds the blocks that apply to nothing, once the rules of all parameters are known.

    Args:
        matched: The keys of all blocks that apply to a parameter.
        types: The keys of all blocks of `types` that are for a layer.
        parameters: All parameters.
        written: Whether the block at a key was written for this model. Outermost blocks for roles are meant for models
            that have them, and so need no match unless they were.
    """

    def __init__(
        self,
        matched: Collection[str],
        types: Collection[str],
        parameters: list[ModelParameter],
        written: Callable[[str], bool],
    ) -> None:
        self._matched = matched
        self._types = types
        self._parameters = parameters
        self._written = written
        self._classes: dict[str, set[str]] = {}
        self._num_hints = 0

    def of(self, scope: Scope) -> Iterator[Problem]:
        """The problems of the blocks in one scope."""
        yield from self._in_block(scope.block, scope.key, scope)
        yield from self._skips(scope)
        for role in scope.block.roles if scope.outermost else ():
            key = f"{scope.key}.{role}"
            if key not in self._matched and self._written(key):
                yield replace(self._nothing(key, f"no parameter here has the role `{role}`", scope), code="MW109")

    def _skips(self, scope: Scope) -> Iterator[Problem]:
        for index, glob in enumerate(scope.skip):
            if f"{scope.key}.skip.{glob}" not in self._matched:
                hint = self._near(glob, (parameter.path for parameter in self._parameters))
                message = f"`{glob}` matches no parameter of the model"
                yield Problem("MF118", f"{scope.key}.skip.{index}", message, hint)
        if scope.skip and scope.key not in self._matched:
            yield Problem("MF118", f"{scope.key}.skip", "this skips every parameter", "leave the whole section out")

    def _in_block(self, block: InitSpec, key: str, scope: Scope) -> Iterator[Problem]:
        if not scope.outermost:
            for role, leaf in block.roles.items():
                if f"{key}.{role}" not in self._matched and leaf.is_rule:
                    yield self._nothing(f"{key}.{role}", f"no parameter here has the role `{role}`", scope)
            if block.is_rule and key not in self._matched:
                yield self._nothing(key, "no parameter here has the role `weight`", scope)
        for name, inner in block.types.items():
            if f"{key}.types.{name}" in self._types:
                yield from self._in_block(inner, f"{key}.types.{name}", scope)
            else:
                yield self._no_layer(name, key, scope)

        def nothing(name: str) -> Problem:
            hint = self._near(name, (relative(parameter.path, scope.path) for parameter in self._inside(scope)))
            return Problem("MF023", f"{key}.params.{name}", f"`{name}` matches no parameter here", hint, part="key")

        yield from for_each([name for name in block.params if f"{key}.params.{name}" not in self._matched], nothing)

    def _no_layer(self, name: str, key: str, scope: Scope) -> Problem:
        if scope.key not in self._classes:
            self._classes[scope.key] = {cls for item in self._inside(scope) for cls in item.facts.classes}
        classes = self._classes[scope.key]
        message = f"no layer here is a `{name}`"
        hint = self._near(name, classes) or ("" if classes else "no layer here has parameters")
        if name in classes:
            message = f"all parameters of each `{name}` here are frozen (`requires_grad=False`), and so kept"
            hint = "to fill them nevertheless, name them in `params`"
        return Problem("MF023", f"{key}.types.{name}", message, hint, part="key")

    def _nothing(self, key: str, reason: str, scope: Scope) -> Problem:
        roles = sorted({parameter.facts.layout.role or "none" for parameter in self._inside(scope)})
        hint = f"the roles here: {', '.join(roles)}" if roles else "there are no parameters here: remove the block"
        return Problem("MF023", key, f"this init rule matches nothing: {reason}", hint, part="key")

    def _near(self, name: str, known: Iterable[str]) -> str:
        """A hint, unless there are more problems already than will be shown."""
        self._num_hints += 1
        return did_you_mean(name, known) if self._num_hints <= MAX_PROBLEMS else ""

    def _inside(self, scope: Scope) -> list[ModelParameter]:
        return self._by_scope.get(scope.key, [])

    @cached_property
    def _by_scope(self) -> dict[str, list[ModelParameter]]:
        """The parameters inside each scope, by its key."""
        found: dict[str, list[ModelParameter]] = {}
        for parameter in self._parameters:
            for key in dict.fromkeys(scope.key for scope in parameter.scopes):
                found.setdefault(key, []).append(parameter)
        return found
