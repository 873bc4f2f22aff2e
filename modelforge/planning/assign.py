"""assign: parameters and the init blocks that speak of them → one initializer each, every number decided.

The nearest block with a scheme wins; nearer blocks without one refine it field by field.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod, sqrt
from typing import Any, Literal

from pydantic import ValidationError

from modelforge.config.origins import Origins
from modelforge.core.complaints import problem
from modelforge.core.errors import Place, Problem, Refusal
from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Matrix
from modelforge.inits import registry
from modelforge.inits.base import Initializer
from modelforge.inits.defaults import constant
from modelforge.inits.fills import Fill
from modelforge.modules.parameters import split
from modelforge.planning.precedence import Candidate, Cascade, Scope, Subject
from modelforge.planning.study import ParameterFacts


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
    """As it is stored."""
    dtype: str
    role: str | None
    chain: tuple[Link, ...]
    """All blocks that speak of it, nearest first."""
    initializer: Initializer
    fills: tuple[tuple[Matrix, Fill], ...]
    """Its logical blocks, each with a decided fill."""
    mean: float | None
    """Target mean over all its elements; None where the scheme promises none."""
    std: float | None
    """Target standard deviation over all its elements."""
    transposed: tuple[int, int] | None = None
    """The dimensions that are exchanged in how it is stored; None where outputs come first."""

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
            "transposed": self.transposed and list(self.transposed),
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
        The plans, and all problems and warnings: uncovered parameters, rules of equal rank, rules that match nothing,
        fields that a scheme does not have, and schemes that cannot serve a shape.
    """
    assigner = _Assigner(origins, fresh)
    plans = [plan for subject in subjects if (plan := assigner.plan(subject)) is not None]
    return tuple(plans), list(dict.fromkeys(assigner.problems + assigner.unmatched(scopes, subjects)))


class _Assigner:
    def __init__(self, origins: Origins, fresh: bool) -> None:
        self.origins = origins
        self.fresh = fresh
        self.cascade = Cascade()
        self.problems = self.cascade.problems
        self._initializers: dict[Any, Initializer | None] = {}
        self._fills: dict[Any, Fill] = {}
        self._places: dict[str, Place | None] = {}

    def plan(self, subject: Subject) -> ParameterPlan | None:
        facts = subject.facts
        candidates = list(self.cascade.candidates(subject))
        chain = self._chain(candidates)
        won = next((link for link in chain if link.verdict == "wins"), None)
        if won is None:
            self._uncovered(subject, chain)
            return None
        assert won.scheme is not None
        refinements = [link for link in chain if link.verdict == "refines"]
        decided = candidates[chain.index(won)].block.initializer
        initializer = self._refined(won, refinements) if refinements else decided
        if initializer is None:
            return None
        refused = _refused(initializer, facts, fresh=self.fresh)
        try:
            if refused is not None:
                raise refused
            subject = _as_declared(subject, candidates)
            fills = tuple((block, self._fill(_holder(block) or initializer, block)) for block in self._blocks(subject))
        except Refusal as refusal:
            path = subject.key if won.default else won.key
            message = f"`{won.scheme}` cannot fill {subject.path} {_shape(facts.shape)}: {refusal.reason}"
            self.problems.append(Problem(refusal.code or "MF026", path, message, refusal.hint))
            return None
        if guess := _guess(subject, fills):
            self.problems.append(guess)
        mean, std = moments(fills)
        return ParameterPlan(
            subject.path,
            subject.key,
            facts.shape,
            facts.dtype,
            facts.layout.role,
            chain,
            initializer,
            fills,
            mean,
            std,
            facts.layout.transposed,
        )

    def unmatched(self, scopes: list[Scope], subjects: list[Subject]) -> list[Problem]:
        """Rules that match nothing; of the `init` group those that an override wrote."""
        return self.cascade.unmatched(scopes, subjects, self._is_override)

    def _is_override(self, key: str) -> bool:
        place = self._place(key)
        return place is not None and place.override is not None

    # --- from blocks to an initializer --------------------------------------------------------------------------------

    def _chain(self, candidates: list[Candidate]) -> tuple[Link, ...]:
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

    def _refined(self, won: Link, refinements: list[Link]) -> Initializer | None:
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
        try:
            return registry.get(won.scheme).model_validate(fields)
        except ValidationError as error:
            owner = registry.owner(won.scheme, won.key if won.default else f"`{won.key}`")
            for detail in error.errors(include_url=False):
                names = [str(name) for name in detail["loc"]]
                key = ".".join((origin.get(names[0], won.key) if names else won.key, *names))
                self.problems.append(problem(detail, key, owner))
            return None

    def _blocks(self, subject: Subject) -> Iterator[Matrix]:
        for block in subject.facts.layout.blocks:
            activations = subject.follows if block.activations is None else block.activations
            yield replace(
                block,
                activations=activations,
                role=subject.facts.layout.role,
                context=subject.context,
                attention=block.attention and block.attention.below(subject.layer_path),
                tied=subject.tied,
                default=subject.facts.layout.default,
                stored=subject.facts.shape,
            )

    def _fill(self, initializer: Initializer, block: Matrix) -> Fill:
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


def moments(fills: tuple[tuple[Matrix, Fill], ...]) -> tuple[float | None, float | None]:
    """Mean and standard deviation over all elements that a scheme decides, from the targets of the blocks."""
    fills = tuple((block, fill) for block, fill in fills if block.fixed is None) or fills
    if len(fills) == 1:
        return fills[0][1].mean, fills[0][1].std
    targets = [(prod(block.shape), fill.mean, fill.std) for block, fill in fills]
    known = [(size, mean, std) for size, mean, std in targets if mean is not None and std is not None]
    total = sum(size for size, _, _ in known)
    if len(known) < len(fills):
        return None, None
    if total == 0:
        return known[0][1:]
    mean = sum(size * mean for size, mean, _ in known) / total
    second = sum(size * (std**2 + (own - mean) ** 2) for size, own, std in known) / total
    return mean, sqrt(second)


def _refused(initializer: Initializer, facts: ParameterFacts, *, fresh: bool) -> Refusal | None:
    """What no scheme of this kind can do, whatever the block."""
    if initializer.values_from == "existing" and fresh:
        return Refusal("it keeps values, but the parameter is new", "it is for `mf.initialize` on existing modules")
    if initializer.values_from == "module" and not facts.resettable:
        return Refusal("its module has no `reset_parameters`", "choose a scheme that draws")
    if initializer.values_from in ("draw", "module") and is_narrow(facts.dtype):
        reason = f"it is {facts.dtype}, which has too few bits for values of every size"
        return Refusal(reason, "initialise in float32 and convert then; its own values can stay: `keep`")
    if initializer.values_from == "module" and not facts.dtype.startswith(("float", "bfloat", "complex")):
        reason = f"it is {facts.dtype}, and whether whole numbers were written does not show"
        return Refusal(reason, "its own values can stay: `keep`")
    if initializer.values_from == "draw" and not facts.dtype.startswith(("float", "bfloat")):
        return Refusal(f"values are drawn as real numbers, but it is {facts.dtype}", "its own values can stay: `keep`")
    return None


def is_narrow(dtype: str) -> bool:
    """Whether it is a float of 8 bits or fewer: numbers of that kind go with a scale, which no parameter has."""
    return dtype.startswith(("float8", "float4"))


def _guess(subject: Subject, fills: tuple[tuple[Matrix, Fill], ...]) -> Problem | None:
    """What its name says of a parameter that may be several matrices, where the fans of the whole were counted."""
    facts, guess = subject.facts, subject.facts.layout.guess
    counted = {"fan_in", "fan_out", "rows"} & fills[0][1].numbers.keys()
    if not guess or len(fills) > 1 or len(facts.shape) < 2 or not counted:
        return None
    message = f"`{subject.path}` {_shape(facts.shape)} may be {guess} matrices side by side, and counts as one"
    declared = f"`params: {{{facts.name}: {{matrices: {guess}}}}}`"
    hint = f"say what it is: {declared}, or `matrices: [...]` with the rows of each"
    return Problem("MW113", subject.key, message, hint, severity="warning", part="key")


def _as_declared(subject: Subject, candidates: list[Candidate]) -> Subject:
    """With the matrices that the nearest block declares, if one does.

    Raises:
        Refusal: they are not the rows that there are.
    """
    declared = next((item.block.matrices for item in candidates if item.block.matrices is not None), None)
    if declared is None:
        return subject
    facts = subject.facts
    if any(block.fixed is not None or block.input_first for block in facts.layout.blocks):
        raise Refusal("it has no rows that could be matrices", "leave `matrices` out")
    rows = sum(block.shape[0] for block in facts.layout.blocks if block.shape)
    if isinstance(declared, int):
        if not rows or rows % declared:
            reason = f"its {rows} rows do not make {declared} equal matrices"
            raise Refusal(reason, "give the rows of each: `matrices: [...]`")
        declared = (rows // declared,) * declared
    elif sum(declared) != rows:
        shown = f"{' + '.join(map(str, declared))} = {sum(declared)}"
        raise Refusal(f"it has {rows} rows, but `matrices` makes {shown}", "they must add up to its rows")
    return replace(subject, facts=replace(facts, layout=split(facts.layout, declared)))


def _holder(block: Matrix) -> Initializer | None:
    """What fills rows that no scheme may change."""
    return None if block.fixed is None else registry.create(constant(block.fixed))


def _shape(shape: tuple[int, ...]) -> str:
    return f"{tuple(shape)}"
