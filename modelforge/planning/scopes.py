"""Scopes: parameters at their places in a model, and the init blocks around each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Activation, Context
from modelforge.language.init import InitSpec
from modelforge.planning.study import ParameterFacts


@dataclass(frozen=True, slots=True)
class Scope:
    """An init block and the parameters that it is for: those below `path`."""

    block: InitSpec
    key: str
    path: str
    outermost: bool = False
    """Whether its roles need not occur: of the `init` group, and of weights from a file."""
    skip: tuple[str, ...] = ()
    """Globs for parameters below `path` that are left out."""


@dataclass(frozen=True, slots=True)
class ModelParameter:
    """A parameter at its place in the model, before it is decided; `scopes` are nearest first."""

    path: str
    facts: ParameterFacts
    key: str
    scopes: tuple[Scope, ...]
    follows: tuple[Activation, ...] | None = None
    """The activations that read its output; None where they are not known."""
    context: Context | None = None
    """Where it stands in the whole model; None where that is not known."""
    aliases: Mapping[str, str | None] = FrozenDict()
    """Its other names, where it is used in several places, each with its role there; `params` takes any of them."""
    frozen: bool = False
    """Whether it exists and is not trained: it keeps its values, unless `params` names it or a file has them."""

    @property
    def layer_path(self) -> str:
        """Path of the layer that holds it; empty without one."""
        return self.path.removesuffix(self.facts.name).removesuffix(".")

    @property
    def tied(self) -> bool:
        """Whether it is a table for lookups in one place, and a weight in another."""
        return {"embedding", "weight"} <= {self.facts.layout.role, *self.aliases.values()}
