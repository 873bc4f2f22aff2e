"""assign: parameters and the init blocks around them → one initializer each, every number decided.

Precedence, nearest first: the layer's block, the enclosing combinators', the model's, the `init` group, the role's
default; within one block `params`, then `types`, then the role, then the block itself. The nearest block with a scheme
wins; nearer blocks without one refine it field by field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from math import prod, sqrt
from typing import Any, Literal

from pydantic import ValidationError

from modelforge.block import Activation, Block
from modelforge.config.origins import Origins
from modelforge.errors import Place, Problem, did_you_mean
from modelforge.inits import registry
from modelforge.inits.base import CannotServe, Fill, Initializer
from modelforge.inits.defaults import ROLE_DEFAULTS, constant
from modelforge.node import FrozenDict
from modelforge.shapes import ParameterFacts
from modelforge.spec.init import NAMED_ROLES, InitSpec, describe, parse_block


@dataclass(frozen=True, slots=True)
class Scope:
    """An init block and where it speaks: parameters below `path`. `outermost` marks the `init` group."""

    block: InitSpec
    key: str
    path: str
    outermost: bool = False


@dataclass(frozen=True, slots=True)
class Subject:
    """A parameter that needs an initializer; `scopes` are nearest first."""

    path: str
    facts: ParameterFacts
    key: str
    scopes: tuple[Scope, ...]
    following: Callable[[str], tuple[Activation, ...] | None] | None = field(compare=False, repr=False)
    """Which activations read what a layer makes; None, or None as its answer, where that is not known."""

    @property
    def layer_path(self) -> str:
        """Path of the layer that holds it."""
        return self.path.removesuffix(f".{self.facts.name}")


@dataclass(frozen=True, slots=True)
class Link:
    """One init block that speaks of a parameter, and what became of it."""

    key: str
    scheme: str | None
    fields: Mapping[str, Any]
    verdict: Literal["wins", "refines", "overridden"]
    place: Place | None = None
    default: bool = False
    """True for what a role or a layer gets where no block speaks; `key` then says so in words."""

    def to_dict(self) -> dict[str, Any]:
        """The link as plain data."""
        place = self.place.to_dict() if self.place else None
        fields = {"scheme": self.scheme, **self.fields}
        return {"key": self.key, **fields, "verdict": self.verdict, "place": place}


@dataclass(frozen=True, slots=True)
class ParameterPlan:
    """One parameter, decided: what it is, which rule won, and what must come out."""

    path: str
    """Its name in `state_dict`."""
    key: str
    """Override key of its layer."""
    shape: tuple[int, ...]
    dtype: str
    role: str | None
    chain: tuple[Link, ...]
    """All blocks that speak of it, nearest first."""
    initializer: Initializer
    fills: tuple[tuple[Block, Fill], ...]
    """Its logical blocks, each with a decided fill."""
    mean: float | None
    """Target mean over all its elements; None where the scheme promises none."""
    std: float | None
    """Target standard deviation over all its elements."""

    @property
    def scheme(self) -> str:
        return self.initializer.scheme

    @property
    def rule(self) -> Link:
        """The link that won."""
        return next(link for link in self.chain if link.verdict == "wins")

    @property
    def numbers(self) -> Mapping[str, Any]:
        """What was resolved: gain, fans, bounds (those of the first block that is not fixed)."""
        return next((fill.numbers for block, fill in self.fills if block.fixed is None), {})

    def to_dict(self) -> dict[str, Any]:
        """The parameter as plain data."""
        return {
            "path": self.path,
            "key": self.key,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "role": self.role,
            "scheme": self.scheme,
            "fields": self.initializer.model_dump(mode="json"),
            "numbers": dict(self.numbers),
            "blocks": [block.name for block, _ in self.fills if block.name],
            "mean": self.mean,
            "std": self.std,
            "rule": self.rule.to_dict(),
        }


def assign(
    subjects: list[Subject], scopes: list[Scope], origins: Origins, *, fresh: bool = False
) -> tuple[tuple[ParameterPlan, ...], list[Problem]]:
    """Gives every subject its initializer.

    Args:
        subjects: The parameters.
        scopes: Every init block that was declared, those around no parameter included.
        origins: Where the blocks were written.
        fresh: The parameters are new, so there are no values to keep.

    Returns:
        The plans, and all problems: uncovered parameters, rules of equal rank, rules that match nothing, fields that a
        scheme does not have, and schemes that cannot serve a shape.
    """
    assigner = _Assigner(origins, fresh)
    plans = [plan for subject in subjects if (plan := assigner.plan(subject)) is not None]
    return tuple(plans), list(dict.fromkeys(assigner.problems + assigner.unmatched(scopes, subjects)))


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A block that speaks of the parameter at hand."""

    key: str
    block: InitSpec
    default: bool = False


class _Assigner:
    def __init__(self, origins: Origins, fresh: bool) -> None:
        self.origins = origins
        self.fresh = fresh
        self.problems: list[Problem] = []
        self._matched: set[str] = set()
        self._clashes: set[tuple[str, ...]] = set()
        self._initializers: dict[Any, Initializer | None] = {}
        self._fills: dict[Any, Fill] = {}
        self._places: dict[str, Place | None] = {}

    def plan(self, subject: Subject) -> ParameterPlan | None:
        facts = subject.facts
        candidates = list(self._candidates(subject))
        chain = self._chain(candidates)
        won = next((link for link in chain if link.verdict == "wins"), None)
        if won is None:
            self._uncovered(subject, chain)
            return None
        assert won.scheme is not None
        refinements = [link for link in chain if link.verdict == "refines"]
        initializer = self._initializer(won, refinements)
        if initializer is None:
            return None
        refused = _refused(initializer, facts, fresh=self.fresh)
        try:
            if refused is not None:
                raise refused
            fills = tuple((block, self._fill(_holder(block) or initializer, block)) for block in self._blocks(subject))
        except CannotServe as refusal:
            path = subject.key if won.default else won.key
            message = f"`{won.scheme}` cannot fill {subject.path} {_shape(facts.shape)}: {refusal.reason}"
            self.problems.append(Problem("MF026", path, message, refusal.hint))
            return None
        mean, std = moments(fills)
        return ParameterPlan(
            subject.path, subject.key, facts.shape, facts.dtype, facts.layout.role, chain, initializer, fills, mean, std
        )

    def unmatched(self, scopes: list[Scope], subjects: list[Subject]) -> list[Problem]:
        """Rules that speak of no parameter at all. Copies of a `Repeat` share one key, and one copy's match serves."""
        return [
            problem
            for scope in {scope.key: scope for scope in scopes}.values()
            for problem in self._unmatched_in(scope.block, scope.key, scope, subjects)
        ]

    def _unmatched_in(self, block: InitSpec, key: str, scope: Scope, subjects: list[Subject]) -> Iterator[Problem]:
        if not scope.outermost:
            for role, leaf in block.roles.items():
                if f"{key}.{role}" not in self._matched and leaf.speaks:
                    reason = f"no parameter here has the role `{role}`"
                    yield self._nothing(f"{key}.{role}", reason, _inside(scope, subjects))
            if block.speaks and key not in self._matched:
                yield self._nothing(key, "no parameter here has the role `weight`", _inside(scope, subjects))
        for name, inner in block.types.items():
            if f"{key}.types.{name}" not in self._matched:
                classes = {cls for subject in _inside(scope, subjects) for cls in subject.facts.classes}
                hint = did_you_mean(name, classes) or "the classes here: none has parameters"
                yield Problem("MF023", f"{key}.types.{name}", f"no layer here is a `{name}`", hint, part="key")
            else:
                yield from self._unmatched_in(inner, f"{key}.types.{name}", replace(scope, outermost=True), subjects)
        for name in block.params:
            if f"{key}.params.{name}" not in self._matched:
                names = [_below(subject.path, scope.path) for subject in _inside(scope, subjects)]
                hint = did_you_mean(name, names)
                yield Problem("MF023", f"{key}.params.{name}", f"`{name}` matches no parameter here", hint, part="key")

    def _nothing(self, key: str, reason: str, inside: list[Subject]) -> Problem:
        roles = sorted({subject.facts.layout.role or "none" for subject in inside})
        hint = f"the roles here: {', '.join(roles)}" if roles else "there are no parameters here: remove the block"
        return Problem("MF023", key, f"this init rule matches nothing: {reason}", hint, part="key")

    # --- which blocks speak of a parameter ----------------------------------------------------------------------------

    def _candidates(self, subject: Subject) -> Iterator[_Candidate]:
        for scope in subject.scopes:
            yield from self._in_block(scope.block, scope.key, subject, _below(subject.path, scope.path))
        role = subject.facts.layout.role
        default = subject.facts.layout.default
        if default is not None:
            cls = next(iter(subject.facts.classes))
            yield _Candidate(f"default of {cls}", parse_block(constant(default)), default=True)
        elif role is not None and role in ROLE_DEFAULTS:
            yield _Candidate(f"default of role `{role}`", _role_default(role), default=True)

    def _in_block(self, block: InitSpec, key: str, subject: Subject, name: str) -> Iterator[_Candidate]:
        yield from self._in_params(block, key, subject, name)
        for cls, path in subject.facts.classes.items():
            if cls in block.types:
                inner_key = f"{key}.types.{cls}"
                self._matched.add(inner_key)
                yield from self._in_block(block.types[cls], inner_key, subject, _below(subject.facts.name, path))
        role = subject.facts.layout.role
        if role in block.roles:
            yield self._match(f"{key}.{role}", block.roles[role])
        if block.speaks and (role in ("weight", "recurrent") or _speaks_of_all(block)):
            yield self._match(key, block)

    def _in_params(self, block: InitSpec, key: str, subject: Subject, name: str) -> Iterator[_Candidate]:
        if name in block.params:
            yield self._match(f"{key}.params.{name}", block.params[name])
        globs = [glob for glob in block.params if glob != name and fnmatchcase(name, glob)]
        exact = name in block.params and block.params[name].scheme is not None
        if len(globs) > 1 and not exact and (key, *globs) not in self._clashes:
            self._clashes.add((key, *globs))
            listed = " and ".join(f"`{glob}`" for glob in globs)
            message = f"{listed} both match `{subject.path}`, and neither is nearer"
            hint = f"name it in full: `{name}`, or make the globs disjoint"
            self.problems.append(Problem("MF024", f"{key}.params.{globs[-1]}", message, hint, part="key"))
        self._matched.update(f"{key}.params.{glob}" for glob in globs)
        for glob in globs[:1]:
            yield self._match(f"{key}.params.{glob}", block.params[glob])

    def _match(self, key: str, block: InitSpec) -> _Candidate:
        self._matched.add(key)
        return _Candidate(key, block)

    # --- from blocks to an initializer --------------------------------------------------------------------------------

    def _chain(self, candidates: list[_Candidate]) -> tuple[Link, ...]:
        links: list[Link] = []
        won = False
        for candidate in candidates:
            block = candidate.block
            verdict = "overridden" if won else "wins" if block.scheme is not None else "refines"
            won = won or block.scheme is not None
            place = None if candidate.default else self._place(candidate.key)
            links.append(Link(candidate.key, block.scheme, block.fields, verdict, place, candidate.default))
        return tuple(links)

    def _place(self, key: str) -> Place | None:
        if key not in self._places:
            self._places[key] = self.origins.place(key)
        return self._places[key]

    def _initializer(self, won: Link, refinements: list[Link]) -> Initializer | None:
        # Nearer blocks refine last, so that they have the last word.
        layers = [won, *reversed(refinements)]
        origin = {name: link.key for link in layers for name in link.fields}
        fields = FrozenDict({name: value for link in layers for name, value in link.fields.items()})
        memo = (won.scheme, fields, tuple(origin.items()))
        if memo not in self._initializers:
            self._initializers[memo] = self._validate(won, fields, origin)
        return self._initializers[memo]

    def _validate(self, won: Link, fields: Mapping[str, Any], origin: Mapping[str, str]) -> Initializer | None:
        assert won.scheme is not None
        initializer = registry.get(won.scheme)
        unknown = [name for name in fields if name not in initializer.model_fields]
        for name in unknown:
            origin_of_scheme = won.key if won.default else f"`{won.key}`"
            message = f"scheme `{won.scheme}` (from {origin_of_scheme}) has no field `{name}`"
            hint = did_you_mean(name, initializer.model_fields) or f"`{won.scheme}` has no fields: give a `scheme` here"
            self.problems.append(Problem("MF021", f"{origin[name]}.{name}", message, hint, part="key"))
        try:
            valid = initializer.model_validate({name: fields[name] for name in fields if name not in unknown})
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                name = str(detail["loc"][0]) if detail["loc"] else ""
                key = f"{origin[name]}.{name}" if name in origin else won.key
                hint = str((detail.get("ctx") or {}).get("hint", ""))
                message = describe(detail["msg"])
                message = f"`{name}` {message}" if message.startswith("must be ") and name else message
                self.problems.append(Problem("MF022", key, message, hint))
            return None
        return None if unknown else valid

    def _blocks(self, subject: Subject) -> Iterator[Block]:
        follows: tuple[Activation, ...] | None = None
        if isinstance(subject.facts.follows, tuple):
            follows = subject.facts.follows
        elif subject.facts.follows == "output" and subject.following is not None:
            follows = subject.following(subject.layer_path)
        for block in subject.facts.layout.blocks:
            yield block if block.activations is not None else replace(block, activations=follows)

    def _fill(self, initializer: Initializer, block: Block) -> Fill:
        memo = (initializer, block)
        if memo not in self._fills:
            self._fills[memo] = initializer.resolve(block)
        return self._fills[memo]

    def _uncovered(self, subject: Subject, chain: tuple[Link, ...]) -> None:
        facts = subject.facts
        shown = f"{subject.path} {_shape(facts.shape)}"
        if chain:
            message = f"this block refines what `{subject.path}` inherits, but it inherits no scheme"
            self.problems.append(Problem("MF027", chain[0].key, message, "give it a `scheme`", part="key"))
        elif facts.layout.role is None:
            message = f"no rule covers {shown}, and its role is not known"
            hint = f"cover it by name: `init: {{params: {{{facts.name}: ...}}}}`, or register the layer with its roles"
            self.problems.append(Problem("MF025", subject.key, message, hint, part="key"))
        else:
            message = f"no rule covers {shown} (role `{facts.layout.role}`)"
            hint = "give the layer or the model an `init` block with a `scheme`, or choose an init group: `init=...`"
            self.problems.append(Problem("MF025", subject.key, message, hint, part="key"))


def moments(fills: tuple[tuple[Block, Fill], ...]) -> tuple[float | None, float | None]:
    """Mean and standard deviation over all elements that a scheme decides, from the targets of the blocks."""
    fills = tuple((block, fill) for block, fill in fills if block.fixed is None) or fills
    sizes = [prod(block.shape) for block, _ in fills]
    means = [fill.mean for _, fill in fills]
    stds = [fill.std for _, fill in fills]
    total = sum(sizes)
    if None in means or None in stds:
        return None, None
    if len(fills) == 1 or total == 0:
        return means[0], stds[0]
    mean = sum(size * mean for size, mean in zip(sizes, means, strict=True)) / total  # pyright: ignore[reportOperatorIssue]  # None is excluded above
    second = sum(size * (std**2 + (m - mean) ** 2) for size, m, std in zip(sizes, means, stds, strict=True)) / total  # pyright: ignore[reportOptionalOperand, reportOperatorIssue]
    return mean, sqrt(second)


def _refused(initializer: Initializer, facts: ParameterFacts, *, fresh: bool) -> CannotServe | None:
    """What no scheme of this kind can do, whatever the block."""
    if initializer.values_from == "existing" and fresh:
        return CannotServe("it keeps values, but the parameter is new", "it is for `mf.initialize` on existing modules")
    if initializer.values_from == "module" and not facts.resettable:
        return CannotServe("its module has no `reset_parameters`", "choose a scheme that draws")
    if initializer.values_from == "draw" and not facts.dtype.startswith(("float", "bfloat")):
        return CannotServe(
            f"values are drawn as real numbers, but it is {facts.dtype}", "its own values can stay: `keep`"
        )
    return None


def _speaks_of_all(block: InitSpec) -> bool:
    """A scheme that leaves the values to others means the module as a whole, not its kernels alone."""
    return block.scheme is not None and registry.get(block.scheme).values_from != "draw"


def _holder(block: Block) -> Initializer | None:
    """What fills rows that no scheme may change."""
    return None if block.fixed is None else registry.create(constant(block.fixed))


def _role_default(role: str) -> InitSpec:
    return parse_block(dict(ROLE_DEFAULTS[role]))


def _inside(scope: Scope, subjects: list[Subject]) -> list[Subject]:
    return [subject for subject in subjects if any(item.key == scope.key for item in subject.scopes)]


def _below(path: str, scope_path: str) -> str:
    return path.removeprefix(f"{scope_path}.") if scope_path else path


def _shape(shape: tuple[int, ...]) -> str:
    return f"{tuple(shape)}"


assert set(ROLE_DEFAULTS) <= set(NAMED_ROLES)
