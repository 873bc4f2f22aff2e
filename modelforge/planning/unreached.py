"""unreached: a plan → the parameters that a bare `init` block does not reach, because their roles have defaults."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from modelforge.core.quoting import listed
from modelforge.core.words import number, plural
from modelforge.inits.laws.law import Distribution, Normal, Uniform
from modelforge.planning.assign import ParameterPlan

START = "`init` itself does not reach"
"""How a sentence about them begins."""
BARE = frozenset({"init", "model.init"})
"""The blocks around all layers, by key."""
MAX_NAMED = 4


@dataclass(frozen=True, slots=True)
class Unreached:
    """Parameters that start by one default, which no init block replaces or refines."""

    default: str
    """The default, as `explain` calls it."""
    role: str | None
    scheme: str
    mean: float | None
    std: float | None
    law: Distribution | None
    """The law of all of their values, if they have one."""
    paths: tuple[str, ...]
    aliases: Mapping[str, tuple[str, ...]]
    """Second names of those that are tied."""

    def to_dict(self) -> dict[str, Any]:
        """The parameters as plain data."""
        return {
            "default": self.default,
            "role": self.role,
            "scheme": self.scheme,
            "mean": self.mean,
            "std": self.std,
            "paths": list(self.paths),
            "tied": {path: list(names) for path, names in self.aliases.items()},
        }


def unreached(parameters: Iterable[ParameterPlan], ties: Mapping[str, str]) -> tuple[Unreached, ...]:
    """The parameters that keep their default, grouped by default.

    Args:
        parameters: Those of a plan.
        ties: Its ties.

    Example:
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.language import parse
        >>> layers = {"e": {"type": "Embedding", "num_embeddings": 9, "embedding_dim": 4}}
        >>> spec = parse({"input": {"shape": [5], "dtype": "int64"}, "layers": layers}, init={"scheme": "xavier"})
        >>> decided = plan(spec)
        >>> unreached_words(unreached(decided.parameters, decided.ties)).partition(" (")[0]
        '`init` itself does not reach e.weight: it keeps N(0, 0.02²), the default of role `embedding`'
    """
    found: dict[tuple[Any, ...], list[str]] = {}
    for parameter in parameters:
        if parameter.rule.default and all(rule.verdict != "refines" for rule in parameter.chain):
            laws = {fill.promise.law for matrix, fill in parameter.fills if matrix.fixed is None}
            law = laws.pop() if len(laws) == 1 else None
            rule = parameter.rule.key, parameter.role, parameter.scheme, parameter.mean, parameter.std, law
            found.setdefault(rule, []).append(parameter.path)
    aliases: dict[str, tuple[str, ...]] = {}
    for name, path in ties.items():
        aliases[path] = (*aliases.get(path, ()), name)
    return tuple(
        Unreached(*rule, paths=tuple(paths), aliases={path: aliases[path] for path in paths if path in aliases})
        for rule, paths in found.items()
    )


def unreached_words(unreached: Iterable[Unreached], std: float | None = None) -> str:
    """A sentence about the parameters that a bare block does not reach, with an override for the drawn ones; empty
    where there are none.

    Args:
        unreached: See `unreached`.
        std: The std that the block sets, for the override.
    """
    parts = [_drawn(one, std) for one in unreached if one.std]
    parts += [_fixed(one) for one in unreached if not one.std]
    return f"{START} {'; '.join(parts)}" if parts else ""


def _drawn(one: Unreached, std: float | None) -> str:
    keeps = "it keeps" if len(one.paths) == 1 else "they keep"
    reach = f" (`+init.{one.role}.std={number(one.std if std is None else std)}` sets that)" if one.role else ""
    return f"{_names(one)}: {keeps} {_law(one)}, {one.default.replace('default', 'the default', 1)}{reach}"


def _fixed(one: Unreached) -> str:
    noun = one.role or "parameter"
    verb = "stays" if len(one.paths) == 1 else "stay"
    what = number(one.mean) if one.std is not None else one.scheme
    return f"{plural(len(one.paths), noun)} that {verb} {what}"


def _law(one: Unreached) -> str:
    match one.law:
        case Normal(mean, std):
            return f"N({number(mean)}, {number(std)}²)"
        case Uniform(low, high):
            return f"U({number(low)}, {number(high)})"
        case _:
            return f"{one.scheme} with std {number(one.std)}"


def _names(one: Unreached) -> str:
    return listed([" = ".join((path, *one.aliases.get(path, ()))) for path in one.paths], MAX_NAMED)
