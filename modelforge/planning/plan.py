"""plan: `ModelSpec` → `Plan`. Every decision is taken here; nothing is allocated.

`walk` finds shapes and parameters, `assign` gives each parameter its initializer, `idle_rules` warns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from math import prod
from typing import Any

from rich.console import RenderableType

from modelforge.config.origins import Origins
from modelforge.core.complaints import require
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.rng import keyed_globals
from modelforge.core.shown import Shown
from modelforge.core.suggestions import lookup
from modelforge.core.tensors import TensorValue, Value, to_data
from modelforge.core.torch_state import one_thread, uncollected
from modelforge.core.words import plural
from modelforge.inits.fills import FilePart
from modelforge.language import registry
from modelforge.language.left_behind import left_behind
from modelforge.language.lint import LintSpec
from modelforge.language.model import ModelSpec
from modelforge.planning.assign import ParameterPlan, assign
from modelforge.planning.idle_rules import idle_rules
from modelforge.planning.layer_plan import LayerPlan as LayerPlan
from modelforge.planning.precedence import absent_schemes
from modelforge.planning.references import Read
from modelforge.planning.study import Studies, construct
from modelforge.planning.table import TreeTable
from modelforge.planning.walk import Walk
from modelforge.planning.weight_files import Located, locate, stored_buffers
from modelforge.report.table import to_text


@dataclass(frozen=True, repr=False)
class Plan(Shown):
    """A model, decided: its layers, its parameters, and the initial values of each."""

    root: LayerPlan
    """The model as a combinator of its layers."""
    inputs: Mapping[str, TensorValue]
    parameters: tuple[ParameterPlan, ...]
    seed: int
    results: Mapping[str, Read]
    """The results of the model, by name; one without a name (`""`) is a plain tensor."""
    ties: Mapping[str, str] = FrozenDict()
    """Second names of tied parameters, each with the first, whose rule fills both."""
    buffers: Mapping[str, FilePart] = FrozenDict()
    """Buffers whose values are in files, by path."""
    dtype: str | None = None
    """Of floating-point parameters and buffers, where the model states it."""
    warnings: tuple[Problem, ...] = ()
    lint: LintSpec = LintSpec()  # noqa: RUF009  # it is frozen
    """Findings that are meant."""
    origins: Origins = field(default_factory=Origins.empty, repr=False, compare=False)

    @cached_property
    def layers(self) -> tuple[LayerPlan, ...]:
        """All layers in execution order, combinators before their children."""
        return tuple(layer for child in self.root.children for layer in child.walk())

    @property
    def output(self) -> Value:
        return self.root.output

    @cached_property
    def num_parameters(self) -> int:
        """Number of elements in all parameters."""
        return sum(prod(parameter.shape) for parameter in self.parameters)

    @cached_property
    def _by_path(self) -> dict[str, ParameterPlan]:
        return {parameter.path: parameter for parameter in self.parameters}

    def parameter(self, path: str) -> ParameterPlan:
        """The parameter of that path; KeyError with the nearest paths if there is none."""
        return lookup(self._by_path, path, "the plan has no parameter")

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data."""
        return {
            "seed": self.seed,
            "dtype": self.dtype,
            "num_parameters": self.num_parameters,
            "inputs": {name: to_data(value) for name, value in self.inputs.items()},
            "output": to_data(self.output),
            "results": {name: str(read) for name, read in self.results.items()},
            "ties": dict(self.ties),
            "layers": [layer.to_dict() for layer in self.layers],
            "parameters": [parameter.to_dict() for parameter in self.parameters],
            "buffers": {path: dict(part.numbers) for path, part in self.buffers.items()},
            "warnings": [warning.to_dict() for warning in self.warnings],
        }

    def table(self, flops: Mapping[str, int] | None = None) -> RenderableType:
        """The tree of layers for a terminal, as `modelforge show` prints it.

        Args:
            flops: Cost of each layer by path; None leaves the column out.
        """
        return TreeTable(self.root, self.inputs, self.parameters, self.ties, flops)

    def __str__(self) -> str:
        return to_text(self.table())

    def _brief(self) -> str:
        return f"{plural(len(self.layers), 'layer')}, {plural(self.num_parameters, 'parameter')}"


def plan(spec: ModelSpec | Plan, studies: Studies | None = None, *, read_files: bool = True) -> Plan:
    """Decides everything about a model without allocating memory.

    Args:
        spec: The model; a `Plan` is returned as it is.
        studies: The layers that earlier plans studied; one for many plans saves time.
        read_files: Whether to look into files of weights; if not, parameters from files are planned, and not found in
            them, and nothing can be built from the plan.

    Raises:
        ForgeError: all that does not fit: inputs, shapes, arguments, init rules.

    Example:
        >>> from modelforge.language import parse
        >>> layers = {"hidden": {"type": "Linear", "out_features": 16}, "act": "ReLU"}
        >>> decided = plan(parse({"input": {"shape": [4]}, "layers": layers}, init={"scheme": "kaiming"}))
        >>> decided.num_parameters, str(decided.output)
        (80, '(16,)')
        >>> round(decided.parameter("hidden.weight").std, 6)  # sqrt(2 / fan_in)
        0.707107
    """
    if isinstance(spec, Plan):
        return spec
    require(spec, ModelSpec, "plan takes a ModelSpec or a Plan, as `parse`, `load` and `plan` give")
    # A constructor that draws must not depend on other draws; threads would wait for each other over small trials.
    with uncollected(), keyed_globals(spec.seed, "plan"), one_thread():
        studies = studies or Studies()
        walk = Walk(spec, studies)
        root = walk.model()
        scopes = walk.judged_scopes()
        if absent := [problem for scope in walk.scopes for problem in absent_schemes(scope.block, scope.key)]:
            raise ForgeError(map(spec.origins.locate, dict.fromkeys(absent)))
        parameters, problems = assign(walk.parameters, scopes, spec.origins, fresh=True, placed=studies.placed)
        names = None if root is None else partial(_names, walk, root)
        skips = {} if spec.weights is None else {"weights": spec.weights.skip}
        located = locate(parameters, names, skips, walk.ties) if read_files else Located(tuple(parameters))
    problems = [*walk.problems, *problems, *located.problems]
    if errors := [problem for problem in problems if problem.severity == "error"]:
        raise ForgeError(spec.origins.locate(problem) for problem in errors)
    assert root is not None
    left = left_behind(((scope.key, scope.block) for scope in scopes), spec.origins)
    found = [*walk.warnings, *problems, *left, *idle_rules(located.parameters, spec.origins)]
    warnings = tuple(spec.origins.locate(problem) for problem in found)
    return Plan(
        root=root,
        inputs=FrozenDict(walk.inputs),
        parameters=tuple(_as_stated(item, spec.dtype) for item in located.parameters),
        seed=spec.seed,
        results=FrozenDict(walk.results),
        ties=FrozenDict(walk.ties),
        buffers=located.buffers,
        dtype=spec.dtype,
        warnings=warnings,
        lint=spec.lint or LintSpec(),
        origins=spec.origins,
    )


def planned(model: ModelSpec | Plan, function: str) -> Plan:
    """The plan of what a public function takes; `function` is its name."""
    require(model, ModelSpec | Plan, f"{function} takes a ModelSpec or a Plan, as `parse`, `load` and `plan` give")
    return plan(model)


def _as_stated(item: ParameterPlan, dtype: str | None) -> ParameterPlan:
    """The parameter in the dtype that the model states, if it holds real numbers."""
    return replace(item, dtype=dtype) if dtype is not None and "float" in item.dtype else item


def _names(walk: Walk, root: LayerPlan) -> dict[str, tuple[int, ...] | None]:
    """All names in a checkpoint of the model; buffers with their shapes."""
    names: dict[str, tuple[int, ...] | None] = dict.fromkeys(
        [*(parameter.path for parameter in walk.parameters), *walk.ties]
    )
    for layer in root.walk():
        if layer.has_buffers:
            module = construct(registry.get(layer.type), layer.arguments)
            names |= {name: tuple(value.shape) for name, value in stored_buffers(module, layer.path)}
    return names
