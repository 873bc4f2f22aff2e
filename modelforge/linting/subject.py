"""`Subject`: what lint rules look at: a plan, and what follows from it, each computed when a rule first asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from modelforge.core.errors import Place, Refusal
from modelforge.core.paths import around, relative
from modelforge.inits import Statistics, statistics
from modelforge.linting.ignoring import Ignores
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.layer_plan import LayerPlan
from modelforge.planning.plan import Plan
from modelforge.signal.flow import LeafGraph, LeafLayer, flow
from modelforge.signal.predict import Prediction, predict
from modelforge.signal.rule import RULES


@dataclass(frozen=True, slots=True)
class Training:
    """What rules may know of how a model is trained."""

    optimizer: str
    """The class of the optimizer."""
    by_width: bool
    """Whether learning rates follow the widths that initializers state."""
    num_classes: int | None = None
    """Classes that the outputs are scores for; None for other tasks."""
    padding_idx: int | None = None
    """The token that shorter texts are filled up with; None where the data has none."""
    padding: str = "right"
    """The side of a text where it stands."""


@dataclass(frozen=True)
class Subject:
    """A plan, how it is trained where that is known, and views of both."""

    plan: Plan
    training: Training | None = None
    ignores: Ignores = field(default_factory=lambda: Ignores({}))
    """What the model declares to be meant, and what of it the rules before needed."""

    @property
    def parameters(self) -> Sequence[ParameterPlan]:
        """All parameters in execution order."""
        return self.plan.parameters

    @cached_property
    def by_path(self) -> Mapping[str, ParameterPlan]:
        """All parameters by path, tied ones by each of their names."""
        found = {parameter.path: parameter for parameter in self.plan.parameters}
        return found | {name: found[first] for name, first in self.plan.ties.items() if first in found}

    @cached_property
    def prediction(self) -> Prediction:
        """Signals and gradients to expect."""
        return predict(self.plan)

    @cached_property
    def flow(self) -> LeafGraph:
        """The layers that compute, and what each reads."""
        return flow(self.plan)

    @cached_property
    def leaves(self) -> Mapping[str, LeafLayer]:
        """The layers that compute, by path."""
        return {leaf.layer.path: leaf for leaf in self.flow.leaves}

    @cached_property
    def readers(self) -> Mapping[str, Sequence[LeafLayer]]:
        """The layers that read what a layer gives, by its path; those of an input of the model by `@` and its name."""
        found: dict[str, list[LeafLayer]] = {}
        for leaf in self.flow.leaves:
            for read in leaf.reads:
                found.setdefault(read.maker, []).append(leaf)
        return found

    @cached_property
    def since_norm(self) -> Sequence[LeafLayer]:
        """The layers after the last norm, where energies multiply from layer to layer; all, if there is no norm."""
        leaves = self.flow.leaves
        norms = (place for place, leaf in enumerate(leaves) if self.is_norm(leaf.layer))
        return leaves[max(norms, default=-1) + 1 :]

    @cached_property
    def parameters_since_norm(self) -> Sequence[ParameterPlan]:
        """The parameters of these layers, in execution order."""
        every = (parameter for leaf in self.since_norm for parameter in self.of_layer(leaf.layer).values())
        return list({parameter.path: parameter for parameter in every}.values())

    def is_norm(self, layer: LayerPlan) -> bool:
        """Whether a layer sets the energy of a signal, whatever arrives; one without a signal rule, where it scales."""
        if layer.type in RULES:
            return RULES.get(layer.type).normalizes
        return any(parameter.role == "scale" for parameter in self.of_layer(layer).values())

    @cached_property
    def _owned(self) -> Mapping[str, Mapping[str, ParameterPlan]]:
        owned: dict[str, dict[str, ParameterPlan]] = {}
        for path, parameter in self.by_path.items():
            owner = next((one for one in reversed(around(path)) if one in self.leaves), "")
            owned.setdefault(owner, {})[relative(path, owner)] = parameter
        return owned

    def of_layer(self, layer: LayerPlan) -> Mapping[str, ParameterPlan]:
        """The parameters of a layer by name, tied ones included."""
        return self._owned.get(layer.path, {})

    def ignored_at(self, code: str, glob: str) -> Place | None:
        """Where an entry of `lint.ignore` is written."""
        ignore = ("model", "lint", "ignore", code)
        return self.plan.origins.at((*ignore, glob)) or self.plan.origins.at(ignore)


def followed_by(parameter: ParameterPlan) -> Statistics | None:
    """The statistics of the one activation that follows a weight; None where none or several do, or it has no gain."""
    activations = parameter.fills[0][0].activations
    if activations is None or len(activations) != 1:
        return None
    try:
        return statistics(activations[0])
    except Refusal:
        return None


def key_of(parameter: ParameterPlan) -> str:
    """The override key of the init block that fills a parameter; of its layer where a default does."""
    return parameter.key if parameter.rule.default else parameter.rule.key


def is_constant(parameter: ParameterPlan) -> bool:
    """Whether the values of a parameter do not differ from unit to unit; those of two gates may."""
    return all(fill.std == 0 for _, fill in parameter.fills)
