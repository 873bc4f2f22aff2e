"""precedence: parameters and the init blocks around them → the rules of each, nearest first.

Precedence, nearest first: the layer's block, the enclosing combinators', the model's, the `init` group, the role's
default; within one block `params`, then `types`, then the role, then the block itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from modelforge.core.errors import Place, Problem
from modelforge.core.frozen import plain
from modelforge.core.limits import MAX_COMPARISONS
from modelforge.core.paths import is_below, relative
from modelforge.inits import registry
from modelforge.inits.base import Initializer
from modelforge.inits.defaults import KEPT, ROLE_DEFAULTS, constant
from modelforge.language.init import NAMED_ROLES, InitSpec, parse_block
from modelforge.planning.globs import Globs
from modelforge.planning.scopes import ModelParameter, Scope
from modelforge.planning.unmatched import Unmatched


@dataclass(frozen=True, slots=True)
class Rule:
    """An init block as it applies to one parameter."""

    key: str
    scheme: str | None
    fields: Mapping[str, Any]
    verdict: Literal["wins", "refines", "overridden"] = "overridden"
    place: Place | None = None
    default: bool = False
    """Whether no block was written, and this is what a role or a layer gets then; `key` says so in words."""
    named: bool = False
    """Whether `params` names the parameter."""
    matrices: int | tuple[int, ...] | None = None
    """The matrices that the block declares the parameter to be."""
    initializer: Initializer | None = field(default=None, repr=False)
    """That of the block alone; None without a scheme."""

    @classmethod
    def of(cls, key: str, block: InitSpec, *, default: bool = False, named: bool = False) -> Rule:
        """The rule that a block makes; its verdict is not decided yet."""
        return cls(
            key,
            block.scheme,
            block.fields,
            default=default,
            named=named,
            matrices=block.matrices,
            initializer=block.initializer,
        )

    def to_dict(self) -> dict[str, Any]:
        """The rule as plain data."""
        place = self.place.to_dict() if self.place else None
        fields = {"scheme": self.scheme, **self.fields}
        if self.matrices is not None:
            fields["matrices"] = plain(self.matrices)
        return {"key": self.key, **fields, "verdict": self.verdict, "place": place}


@dataclass(slots=True)
class Matches:
    """The keys of the blocks that apply to parameters."""

    blocks: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    """Of blocks for a class of layers, whether they have a rule for the parameter or not."""

    def add(self, other: Matches) -> None:
        """Takes in those of another parameter."""
        self.blocks |= other.blocks
        self.types |= other.types


class Precedence:
    """Finds the rules of each parameter, and afterwards the blocks that apply to none."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self._matches = Matches()
        self._clashes: set[tuple[str, ...]] = set()
        self._globs: dict[int, tuple[Collection[str], Globs]] = {}
        self._has_names: dict[int, tuple[InitSpec, bool]] = {}
        self._num_compared = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether there were too many comparisons; that is a problem already."""
        return self._num_compared > MAX_COMPARISONS

    def rules(self, parameter: ModelParameter) -> list[Rule]:
        """All rules for a parameter, nearest first."""
        matches = Matches()
        found = [*self._rules(parameter, matches)]
        if parameter.frozen and not any(rule.named for rule in found) and not _from_file(found):
            return [Rule.of(FROZEN, parse_block(dict(KEPT)), default=True)]
        self._matches.add(matches)
        return found

    def by_name(self, parameter: ModelParameter) -> bool:
        """Whether the names of a parameter say which rules it has, and not only what it is and what is around it."""
        return any(scope.skip or self._names_any(scope.block) for scope in parameter.scopes)

    def _names_any(self, block: InitSpec) -> bool:
        if id(block) not in self._has_names:
            has_names = bool(block.params) or any(map(self._names_any, block.types.values()))
            self._has_names[id(block)] = block, has_names  # it keeps the block, and so its id
        return self._has_names[id(block)][1]

    def _rules(self, parameter: ModelParameter, matches: Matches) -> Iterator[Rule]:
        """The rules as if the parameter was not frozen; notes in `matches` which blocks apply."""
        for scope in parameter.scopes:
            names = _names(parameter, parameter.path, scope.path)
            if not self._skipped(scope, names, matches):
                yield from self._in_block(scope.block, scope.key, parameter, names, matches)
        layout = parameter.facts.layout
        if layout.default is not None:
            cls = next(iter(parameter.facts.classes))
            yield Rule.of(f"default of {cls}", parse_block(constant(layout.default)), default=True)
        elif layout.role is not None and layout.role in ROLE_DEFAULTS:
            block = parse_block(dict(ROLE_DEFAULTS[layout.role]))
            yield Rule.of(f"default of role `{layout.role}`", block, default=True)

    def _in_block(
        self, block: InitSpec, key: str, parameter: ModelParameter, names: list[str], matches: Matches
    ) -> Iterator[Rule]:
        self._count(1, key)
        yield from self._in_params(block, key, parameter, names, matches)
        for cls, path in parameter.facts.classes.items():
            if cls in block.types:
                inner_key = f"{key}.types.{cls}"
                matches.types.add(inner_key)
                inner_names = _names(parameter, parameter.facts.name, path)
                yield from self._in_block(block.types[cls], inner_key, parameter, inner_names, matches)
        role = parameter.facts.layout.role
        if role in block.roles:
            yield _applying(f"{key}.{role}", block.roles[role], matches)
        if block.is_rule and (role in ("weight", "recurrent") or _is_for_all(block)):
            yield _applying(key, block, matches)

    def _skipped(self, scope: Scope, names: list[str], matches: Matches) -> bool:
        globs = self._matching(scope.skip, f"{scope.key}.skip", names)
        matches.blocks.update(f"{scope.key}.skip.{glob}" for glob in globs)
        return bool(globs)

    def _in_params(
        self, block: InitSpec, key: str, parameter: ModelParameter, names: list[str], matches: Matches
    ) -> Iterator[Rule]:
        written = [name for name in names if name in block.params]
        globs = [glob for glob in self._matching(block.params, f"{key}.params", names) if glob not in written]
        exact = bool(written) and block.params[written[0]].scheme is not None
        for rivals in (written, [] if exact else globs):
            self._refuse_rivals(rivals, key, parameter, names[0])
        matches.blocks.update(f"{key}.params.{name}" for name in (*written, *globs))
        for name in (*written[:1], *globs[:1]):
            yield _applying(f"{key}.params.{name}", block.params[name], matches, named=True)

    def _matching(self, globs: Collection[str], key: str, names: list[str]) -> list[str]:
        """The globs of one block that match any of a parameter's names."""
        if not globs:
            return []
        if id(globs) not in self._globs:
            self._globs[id(globs)] = globs, Globs(globs)  # it keeps them, and so their id
        _, known = self._globs[id(globs)]
        before = known.num_compared
        found = known.matching(*names)
        self._count(known.num_compared - before, key)
        return found

    def _count(self, number: int, key: str) -> None:
        was_exhausted = self.is_exhausted
        self._num_compared += number
        if self.is_exhausted and not was_exhausted:
            message = f"init blocks and globs are compared with parameters more than {MAX_COMPARISONS:,} times"
            hint = "begin or end globs with the name of a layer, or write fewer"
            self.problems.append(Problem("MF060", key, message, hint, part="key"))

    def _refuse_rivals(self, rivals: list[str], key: str, parameter: ModelParameter, name: str) -> None:
        """Reports two globs, or two names of one tied parameter, in the same block."""
        if len(rivals) > 1 and (key, *rivals) not in self._clashes:
            self._clashes.add((key, *rivals))
            listed = " and ".join(f"`{rival}`" for rival in rivals)
            message = f"{listed} both match `{parameter.path}`, and neither is nearer"
            hint = f"name it in full: `{name}`, or make the globs disjoint"
            if rivals[0] in (name, *parameter.aliases):
                hint = "it is one parameter with several names: keep one of the rules"
            self.problems.append(Problem("MF024", f"{key}.params.{rivals[-1]}", message, hint, part="key"))

    def unmatched(
        self, scopes: list[Scope], parameters: list[ModelParameter], written: Callable[[str], bool]
    ) -> list[Problem]:
        """Blocks that apply to no parameter at all; see `Unmatched`."""
        found = Unmatched(self._matches.blocks, self._matches.types, parameters, written)
        # Copies of a `Repeat` share one key, and one copy's match serves.
        return [problem for scope in {scope.key: scope for scope in scopes}.values() for problem in found.of(scope)]


def _applying(key: str, block: InitSpec, matches: Matches, *, named: bool = False) -> Rule:
    """The rule of a block, which is noted."""
    matches.blocks.add(key)
    return Rule.of(key, block, named=named)


def absent_schemes(block: InitSpec, key: str) -> Iterator[Problem]:
    """Schemes of a block that were unregistered after the config was read."""
    if block.scheme is not None and block.scheme not in registry.SCHEMES:
        hint = registry.explain_absence(block.scheme)
        yield Problem("MF020", f"{key}.scheme", f"unknown scheme `{block.scheme}`", hint)
    for at, inner in (("", block.roles), (".types", block.types), (".params", block.params)):
        for name, leaf in inner.items():
            yield from absent_schemes(leaf, f"{key}{at}.{name}")


FROZEN = "frozen: `requires_grad=False`"
"""What keeps a frozen parameter as it is, in place of the key of a block."""


def _from_file(rules: list[Rule]) -> bool:
    """Whether a file gives the values, which it does by the parameter's name."""
    scheme = next((rule.scheme for rule in rules if rule.scheme is not None), None)
    return scheme is not None and registry.get(scheme).values_from == "file"


def _is_for_all(block: InitSpec) -> bool:
    """Whether a plain block is for all roles: a scheme that draws nothing means the module, not its kernels alone."""
    return block.scheme is not None and registry.get(block.scheme).values_from != "draw"


def _names(parameter: ModelParameter, name: str, scope_path: str) -> list[str]:
    """The names that rules below `scope_path` have for a parameter: `name`, and its aliases there."""
    others = [alias for alias in parameter.aliases if is_below(alias, scope_path)]
    return [relative(path, scope_path) for path in (name, *others)]


assert set(ROLE_DEFAULTS) <= set(NAMED_ROLES)
