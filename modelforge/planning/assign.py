"""assign: parameters and the init blocks around them → one initializer each, every number decided.

The nearest block with a scheme wins; nearer blocks without one refine it field by field.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import prod, sqrt
from typing import Any

from pydantic import ValidationError

from modelforge.config.origins import Origins
from modelforge.core.bounded_cache import Recent
from modelforge.core.complaints import problem
from modelforge.core.errors import Problem, Refusal
from modelforge.core.matrix import Matrix
from modelforge.inits import registry
from modelforge.inits.base import Elementwise, Initializer
from modelforge.inits.defaults import constant
from modelforge.inits.fills import Fill
from modelforge.modules.parameters import split
from modelforge.planning.precedence import Precedence, Rule
from modelforge.planning.scopes import ModelParameter, Scope
from modelforge.planning.study import ParameterFacts, Placed


@dataclass(frozen=True, slots=True)
class ParameterPlan:
    """One parameter, decided: what it is, which rule won, and what its values must be."""

    path: str
    """Its name in `state_dict`."""
    key: str
    """Override key of its layer."""
    shape: tuple[int, ...]
    """As it is stored."""
    dtype: str
    role: str | None
    chain: tuple[Rule, ...]
    """All rules for it, nearest first."""
    initializer: Initializer
    fills: tuple[tuple[Matrix, Fill], ...]
    """Its matrices, each with a decided fill."""
    mean: float | None
    """Target mean over all its elements; None where the scheme promises none."""
    std: float | None
    """Target std over all its elements."""
    transposed: tuple[int, int] | None = None
    """The dimensions that are exchanged in how it is stored; None where outputs come first."""

    @property
    def scheme(self) -> str:
        return self.initializer.scheme

    @property
    def rule(self) -> Rule:
        """The rule that won."""
        return next(rule for rule in self.chain if rule.verdict == "wins")

    @property
    def numbers(self) -> Mapping[str, Any]:
        """Resolved numbers (gain, fans, bounds) of the first matrix that is not fixed."""
        return next((fill.numbers for matrix, fill in self.fills if matrix.fixed is None), {})

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
            "matrices": [matrix.name for matrix, _ in self.fills if matrix.name],
            "mean": self.mean,
            "std": self.std,
            "rule": self.rule.to_dict(),
        }


def assign(
    parameters: list[ModelParameter],
    scopes: list[Scope],
    origins: Origins,
    *,
    fresh: bool = False,
    placed: Placed | None = None,
) -> tuple[tuple[ParameterPlan, ...], list[Problem]]:
    """Gives every parameter its initializer.

    Args:
        parameters: The parameters, in execution order.
        scopes: Every init block that was declared, those around no parameter included.
        origins: Where the blocks were written.
        fresh: The parameters are new, so there are no values to keep.
        placed: The matrices of earlier plans; a layer that stands at the same place again has the same.

    Returns:
        The plans, and all problems and warnings: uncovered parameters, rules of equal rank, blocks that apply to
        nothing, fields that a scheme does not have, and schemes that cannot serve a shape.
    """
    assigner = _Assigner(origins, fresh, placed or Recent())
    plans: list[ParameterPlan] = []
    for parameter in parameters:
        if (plan := assigner.plan(parameter)) is not None:
            plans.append(plan)
        if assigner.precedence.is_exhausted:
            return tuple(plans), assigner.problems
    return tuple(plans), list(dict.fromkeys(assigner.problems + assigner.unmatched(scopes, parameters)))


class _Assigner:
    def __init__(self, origins: Origins, fresh: bool, placed: Placed) -> None:
        self.fresh = fresh
        self.placed = placed
        self.precedence = Precedence()
        self.problems = self.precedence.problems
        # Copies of a layer have the same rules and matrices.
        self._place = cache(origins.place)
        self._initializer = cache(self._validate)
        self._chains: dict[Hashable, tuple[Rule, ...]] = {}
        self._fills: dict[Initializer, dict[Matrix, Fill]] = {}

    def plan(self, parameter: ModelParameter) -> ParameterPlan | None:
        facts = parameter.facts
        chain = self._chain(parameter)
        won = next((rule for rule in chain if rule.verdict == "wins"), None)
        if won is None:
            self._uncovered(parameter, chain)
            return None
        initializer = self._initializer(won, *(rule for rule in reversed(chain) if rule.verdict == "refines"))
        if initializer is None:
            return None
        try:
            _check(initializer, facts, fresh=self.fresh)
            parameter = _as_declared(parameter, chain)
            fills = tuple(self._filled(initializer, self._matrices(parameter)))
        except Refusal as refusal:
            path = parameter.key if won.default else won.key
            message = f"`{won.scheme}` cannot fill {parameter.path} {facts.shape}: {refusal.reason}"
            self.problems.append(Problem(refusal.code or "MF026", path, message, refusal.hint))
            return None
        if guess := _guess(parameter, fills):
            self.problems.append(guess)
        mean, std = moments(fills)
        return ParameterPlan(
            parameter.path,
            parameter.key,
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

    def unmatched(self, scopes: list[Scope], parameters: list[ModelParameter]) -> list[Problem]:
        """Blocks that apply to nothing; of the `init` group only those that an override wrote."""

        def is_override(key: str) -> bool:
            place = self._place(key)
            return place is not None and place.override is not None

        return self.precedence.unmatched(scopes, parameters, is_override)

    def _chain(self, parameter: ModelParameter) -> tuple[Rule, ...]:
        """The rules of a parameter, each with its verdict and place."""
        # Facts and blocks are long, and equal ones are the same object.
        alike = parameter.frozen, id(parameter.facts), *((id(scope.block), scope.key) for scope in parameter.scopes)
        key = parameter.path if self.precedence.by_name(parameter) else alike
        if key not in self._chains:
            self._chains[key] = tuple(self._judged(parameter))
        return self._chains[key]

    def _judged(self, parameter: ModelParameter) -> Iterator[Rule]:
        won = False
        for rule in self.precedence.rules(parameter):
            verdict = "overridden" if won else "wins" if rule.scheme is not None else "refines"
            won = won or rule.scheme is not None
            yield replace(rule, verdict=verdict, place=None if rule.default else self._place(rule.key))

    def _validate(self, won: Rule, *refinements: Rule) -> Initializer | None:
        """The initializer of a rule and of those that refine it, farthest first: nearer ones have the last word."""
        if not refinements:
            return won.initializer
        assert won.scheme is not None
        origin = {name: rule.key for rule in (won, *refinements) for name in rule.fields}
        fields = {name: value for rule in (won, *refinements) for name, value in rule.fields.items()}
        try:
            return registry.get(won.scheme).model_validate(fields)
        except ValidationError as error:
            owner = registry.owner(won.scheme, won.key if won.default else f"`{won.key}`")
            for detail in error.errors(include_url=False):
                names = [str(name) for name in detail["loc"]]
                key = ".".join((origin.get(names[0], won.key) if names else won.key, *names))
                self.problems.append(problem(detail, key, owner))
            return None

    def _matrices(self, parameter: ModelParameter) -> tuple[Matrix, ...]:
        facts = parameter.facts
        # Facts are long, and equal ones are the same object: what is known of them keeps them, and so their id.
        key = id(facts), parameter.path, parameter.follows, parameter.context, parameter.tied
        return self.placed.get(key, lambda: (facts, tuple(_matrices_in_model(parameter))))[1]

    def _filled(self, initializer: Initializer, matrices: tuple[Matrix, ...]) -> Iterator[tuple[Matrix, Fill]]:
        last: tuple[Matrix, Fill] | None = None
        for matrix in matrices:
            # A convolution may have thousands of groups, mostly with one law.
            if last is None or not (matrix.repeats(last[0]) and _has_law_of(last[1], initializer, matrix)):
                last = matrix, self._fill(initializer, matrix)
            yield matrix, last[1]

    def _fill(self, initializer: Initializer, matrix: Matrix) -> Fill:
        holder = initializer if matrix.fixed is None else registry.create(constant(matrix.fixed))
        known = self._fills.setdefault(holder, {})
        if (fill := known.get(matrix)) is None:
            fill = known[matrix] = holder.resolve(matrix)
        return fill

    def _uncovered(self, parameter: ModelParameter, chain: tuple[Rule, ...]) -> None:
        facts = parameter.facts
        code, key = "MF025", parameter.key
        if chain:
            code, key = "MF027", chain[0].key
            message = f"this block refines what `{parameter.path}` inherits, but it inherits no scheme"
            hint = "give it a `scheme`"
        elif facts.layout.role is None:
            message = f"no rule covers {parameter.path} {facts.shape}, and its role is not known"
            hint = f"cover it by name: `init: {{params: {{{facts.name}: ...}}}}`, or register the layer with its roles"
        else:
            message = f"no rule covers {parameter.path} {facts.shape} (role `{facts.layout.role}`)"
            hint = "give the layer or the model an `init` block with a `scheme`, or choose an init group: `init=...`"
        self.problems.append(Problem(code, key, message, hint, part="key"))


def moments(fills: tuple[tuple[Matrix, Fill], ...]) -> tuple[float | None, float | None]:
    """Mean and std over all elements that a scheme decides, from the targets of the matrices."""
    fills = tuple((matrix, fill) for matrix, fill in fills if matrix.fixed is None) or fills
    if len(fills) == 1:
        return fills[0][1].mean, fills[0][1].std
    targets = [(prod(matrix.shape), fill.mean, fill.std) for matrix, fill in fills]
    known = [(size, mean, std) for size, mean, std in targets if mean is not None and std is not None]
    total = sum(size for size, _, _ in known)
    if len(known) < len(fills):
        return None, None
    if total == 0:
        return known[0][1:]
    mean = sum(size * mean for size, mean, _ in known) / total
    second = sum(size * (std**2 + (own - mean) ** 2) for size, own, std in known) / total
    return mean, sqrt(second)


def _has_law_of(fill: Fill, initializer: Initializer, matrix: Matrix) -> bool:
    """Whether the fill of one group of a convolution is that of another as well: a law may depend on the group."""
    if matrix.fixed is not None:
        return True
    return isinstance(initializer, Elementwise) and fill.drawn_by == initializer.law(matrix)


def _check(initializer: Initializer, facts: ParameterFacts, *, fresh: bool) -> None:
    """Compares a scheme with a parameter, whatever its matrices.

    Raises:
        Refusal: no scheme of this kind can fill it.
    """
    source, dtype = initializer.values_from, facts.dtype
    if source == "existing" and fresh:
        raise Refusal("it keeps values, but the parameter is new", "it is for `mf.initialize` on existing modules")
    if source == "module" and not facts.resettable:
        raise Refusal("its module has no `reset_parameters`", "choose a scheme that draws")
    if source in ("draw", "module") and is_narrow(dtype):
        hint = "initialise in float32 and convert then; its own values can stay: `keep`"
        raise Refusal(f"it is {dtype}, which has too few bits for values of every size", hint)
    if source == "module" and not dtype.startswith(("float", "bfloat", "complex")):
        reason = f"it is {dtype}, and whether whole numbers were written does not show"
        raise Refusal(reason, "its own values can stay: `keep`")
    if source == "draw" and not dtype.startswith(("float", "bfloat")):
        raise Refusal(f"values are drawn as real numbers, but it is {dtype}", "its own values can stay: `keep`")


def is_narrow(dtype: str) -> bool:
    """Whether a dtype is a float of 8 bits or fewer: such numbers go with a scale, which no parameter has."""
    return dtype.startswith(("float8", "float4"))


def _guess(parameter: ModelParameter, fills: tuple[tuple[Matrix, Fill], ...]) -> Problem | None:
    """A warning where the name of a parameter suggests several matrices, and the fans of the whole were counted."""
    facts, guess = parameter.facts, parameter.facts.layout.guess
    counted = {"fan_in", "fan_out", "rows"} & fills[0][1].numbers.keys()
    if not guess or len(fills) > 1 or len(facts.shape) < 2 or not counted:
        return None
    message = f"`{parameter.path}` {facts.shape} may be {guess} matrices side by side, and counts as one"
    declared = f"`params: {{{facts.name}: {{matrices: {guess}}}}}`"
    hint = f"say what it is: {declared}, or `matrices: [...]` with the rows of each"
    return Problem("MW113", parameter.key, message, hint, part="key")


def _as_declared(parameter: ModelParameter, chain: tuple[Rule, ...]) -> ModelParameter:
    """The parameter with the matrices that the nearest rule declares, if one does.

    Raises:
        Refusal: their rows are not the parameter's.
    """
    declared = next((rule.matrices for rule in chain if rule.matrices is not None), None)
    if declared is None:
        return parameter
    facts = parameter.facts
    if any(matrix.fixed is not None or matrix.input_first for matrix in facts.layout.matrices):
        raise Refusal("it has no rows that could be matrices", "leave `matrices` out")
    rows = sum(matrix.shape[0] for matrix in facts.layout.matrices if matrix.shape)
    if isinstance(declared, int):
        if not rows or rows % declared:
            reason = f"its {rows} rows do not make {declared} equal matrices"
            raise Refusal(reason, "give the rows of each: `matrices: [...]`")
        declared = (rows // declared,) * declared
    elif sum(declared) != rows:
        shown = f"{' + '.join(map(str, declared))} = {sum(declared)}"
        raise Refusal(f"it has {rows} rows, but `matrices` makes {shown}", "they must add up to its rows")
    return replace(parameter, facts=replace(facts, layout=split(facts.layout, declared)))


def _matrices_in_model(parameter: ModelParameter) -> Iterator[Matrix]:
    facts, path, tied = parameter.facts, parameter.layer_path, parameter.tied
    last: tuple[Matrix, Matrix] | None = None
    for matrix in facts.layout.matrices:
        if last is not None and matrix.repeats(last[0]):
            yield last[1].at(matrix.name, matrix.start)
            continue
        here = replace(
            matrix,
            activations=parameter.follows if matrix.activations is None else matrix.activations,
            role=facts.layout.role,
            context=parameter.context,
            attention=matrix.attention and matrix.attention.below(path),
            tied=tied,
            default=facts.layout.default,
            stored=facts.shape,
        )
        last = matrix, here
        yield here
