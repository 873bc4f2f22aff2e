"""walk: `ModelSpec` → `LayerPlan` tree, with all parameters and init blocks.

One pass in execution order expands combinators, resolves `inputs`, and studies each layer on its inputs.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from math import prod

from modelforge.core.errors import MAX_PROBLEMS, Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.limits import MAX_DEPTH, MAX_KINDS, MAX_LAYERS, MAX_MATRICES, MAX_PARAMETERS
from modelforge.core.paths import around, join
from modelforge.core.registry import Absent
from modelforge.core.tensors import BATCH, TensorValue, Value, first
from modelforge.language import registry
from modelforge.language.combinators import BLOCKS, Child, Combinator, sequence
from modelforge.language.layer import LayerSpec
from modelforge.language.model import ModelSpec
from modelforge.planning.layer_plan import LayerPlan
from modelforge.planning.references import Flow, Names, Read, References, bundle
from modelforge.planning.scopes import ModelParameter, Scope
from modelforge.planning.starts import starts
from modelforge.planning.study import LayerFacts, Misfit, Studies
from modelforge.planning.ties import Ties
from modelforge.planning.topology import Topology


@dataclass(frozen=True, slots=True)
class _Site:
    """The place of a layer: its path, its key, and the init blocks around it, nearest first."""

    path: str
    key: str
    scopes: tuple[Scope, ...]
    depth: int = 0

    @property
    def note(self) -> str:
        """The use of a block that it is in, where its key does not show that."""
        return f" (in {self.path})" if self.key.startswith(f"{BLOCKS}.") else ""

    def below(self, child: Child) -> _Site:
        """The site of a child."""
        return _Site(join(self.path, child.name), join(child.root or self.key, child.at), self.scopes, self.depth + 1)


class Walk:
    """One pass over a spec in execution order. A layer that fails gives None, and layers that read it are not
    checked."""

    def __init__(self, spec: ModelSpec, studies: Studies) -> None:
        self.spec = spec
        self.problems: list[Problem] = []
        self.parameters: list[ModelParameter] = []
        self.scopes: list[Scope] = []
        self.inputs: dict[str, TensorValue] = {}
        self.results: dict[str, Read] = {}
        self.warnings: dict[Problem, None] = {}
        self._ties = Ties(spec.tie)
        self._references = References(self.inputs, self.problems, spec.dropped)
        self._studies = studies
        self._kinds: set[Hashable] = set()
        self._has_many_kinds = False
        self._merges: set[str] = set()
        self._topology = Topology()
        self._nearest: tuple[Scope, ...] = ()
        self._unknown: list[str] = []
        self._of_activations: list[str] = []
        self._num_layers = 0
        self._num_matrices = 0
        self._num_parameters = 0

    @property
    def ties(self) -> Mapping[str, str]:
        """Second names of tied parameters, each with the first."""
        return self._ties.first

    def judged_scopes(self) -> list[Scope]:
        """The scopes whose parameters are all known: in the others a rule may be for a layer that failed."""
        failed = {path for unknown in self._unknown for path in (*around(unknown), unknown)}
        return [scope for scope in self.scopes if scope.path not in failed]

    def model(self) -> LayerPlan | None:
        """The whole model as one combinator; completes `parameters`."""
        root = self._model()
        if self._of_activations:
            decided = starts(
                self._of_activations, self.parameters, self._ties, self._topology.context, self.spec.origins
            )
            self._topology.set_values(decided)
        self.parameters = [
            replace(
                parameter,
                follows=self._topology.follows(parameter.layer_path, parameter.facts),
                context=self._topology.context(parameter.layer_path, parameter.facts),
            )
            for parameter in self._ties.with_aliases(self.parameters)
        ]
        return root

    def _model(self) -> LayerPlan | None:
        scope: dict[str, Flow | None] = {}
        for name, tensor in self.spec.input.items():
            self.inputs[name] = TensorValue((BATCH, *tensor.shape), tensor.dtype)
            key = "model.input" if name == "input" else f"model.input.{name}"
            scope[name] = Flow(self.inputs[name], (), key)
        for name in scope.keys() & self.spec.layers.keys():
            key = f"model.layers.{name}"
            self.problems.append(Problem("MF016", key, f"`{name}` is already the name of an input", part="key"))
        scopes: tuple[Scope, ...] = ()
        if self.spec.default_init is not None:
            scopes = self._within(Scope(self.spec.default_init, "init", "", outermost=True), scopes)
        if self.spec.init is not None:
            scopes = self._within(Scope(self.spec.init, "model.init", ""), scopes)
        if (weights := self.spec.weights) is not None:
            # Nearer than the init block of any layer: a file has the last word.
            self._nearest = self._within(Scope(weights.source, "weights", "", outermost=True, skip=weights.skip), ())
        wired = sequence(self.spec.layers)
        names = Names(scope)
        children, last = self._children(wired, _Site("", "model", scopes), names)
        flows = self._results(names, children)
        hints = len(self.problems) < MAX_PROBLEMS
        self.problems += self._ties.problems(self.parameters, complete=not self._unknown, hints=hints)
        if children is None or last is None or flows is None:
            return None
        self._topology.set_output([maker for flow in flows for maker in flow.makers])
        self._warn_of_unread(wired, names, "model")
        for name in self.inputs:
            if name not in names.read:
                self._warn(
                    "model.input" if name == "input" else f"model.input.{name}", f"nothing reads the input `{name}`"
                )
        values = tuple(flow.value for flow in flows)
        output = values[0] if self.spec.outputs is None else values
        return LayerPlan(
            "", "model", wired.type, FrozenDict(), (), tuple(self.inputs.values()), output, children=children
        )

    def _results(self, names: Names, children: tuple[LayerPlan, ...] | None) -> list[Flow] | None:
        """The results of the model: the output of the last layer, or what `outputs` names."""
        if self.spec.outputs is None:
            if children is None:
                return None
            last = children[-1]
            self.results[""] = Read(last.name, first(last.output))
        else:
            for name, reference in self.spec.outputs.items():
                key = f"model.outputs.{name}"
                read = self._references.read(reference, key, "", names, set())
                if read is not None:
                    self.results[name] = read
        flows: list[Flow] = []
        for read in self.results.values():
            flow = names.find(read.source)
            if flow is None:
                return None
            flows.append(flow.at(read.path))
        return flows if len(self.results) == len(self.spec.outputs or ("",)) else None

    def _warn_of_unread(self, spec: Combinator, names: Names, key: str) -> None:
        wired = list(spec.wire())
        ends = set() if key == "model" and self.spec.outputs is not None else {wired[-1].name}
        used = names.read | ends
        for child in wired:
            if child.name not in used:
                hint = "name it in `inputs` of a later layer or in `outputs`, or remove it"
                self._warn(join(child.root or key, child.at), f"nothing reads the output of `{child.name}`", hint)

    def _warn(self, key: str, message: str, hint: str = "", code: str = "MW104") -> None:
        self.warnings[Problem(code, key, message, hint, part="key")] = None

    def _within(self, scope: Scope, scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
        self.scopes.append(scope)
        return (scope, *scopes)

    def _children(
        self, spec: Combinator, site: _Site, scope: Names
    ) -> tuple[tuple[LayerPlan, ...] | None, Flow | None]:
        plans: list[LayerPlan | None] = []
        flow: Flow | None = None
        previous = next(iter(scope.flows)) if len(scope.flows) == 1 else None
        if site.depth > MAX_DEPTH:
            self.problems.append(Problem("MF060", site.key, f"layers are nested more than {MAX_DEPTH} deep"))
            self._unknown.append(site.path)
            return None, None
        wired = list(spec.wire())
        names = {child.name for child in wired}
        for child in wired:
            self._num_layers += 1
            if self._num_layers > MAX_LAYERS:
                self._unknown.append(site.path)
                if self._num_layers == MAX_LAYERS + 1:
                    self.problems.append(Problem("MF060", site.key, f"the model has more than {MAX_LAYERS:,} layers"))
                return None, None
            references = child.spec.inputs or child.reads or ((previous,) if previous else None)
            inner = site.below(child)
            reads = self._references.resolve(references, inner.key, child.name, scope, names)
            planned, flow = self._layer(child.spec, inner, reads, scope)
            plans.append(planned)
            if child.name in scope.captured:
                message = f"`{child.name}` names a layer outside, which a layer before this one reads"
                self.problems.append(Problem("MF016", inner.key, message, "give one of them another name", part="key"))
            scope.flows[child.name] = flow
            self._references.known.add(child.name)
            previous = child.name
        done = tuple(item for item in plans if item is not None)
        return (done if len(done) == len(plans) else None), flow

    def _layer(
        self, spec: LayerSpec, site: _Site, reads: tuple[Read, ...] | None, scope: Names
    ) -> tuple[LayerPlan | None, Flow | None]:
        if isinstance(spec, Combinator) and (block := spec.declared_by()) is not None and block.init is not None:
            declared = Scope(block.init, f"{block.key}.init", site.path)
            site = replace(site, scopes=self._within(declared, site.scopes))
        if spec.init is not None:
            own = Scope(spec.init, f"{site.key}.init", site.path)
            site = replace(site, scopes=self._within(own, site.scopes))
        flows: list[Flow] = []
        for read in reads or ():
            flow = scope.flows[read.source]
            assert flow is not None
            flows.append(flow.at(read.path))
        if isinstance(spec, Combinator):
            return self._combinator(spec, site, reads, flows, scope)
        return self._leaf(spec, site, reads, flows)

    def _combinator(
        self, spec: Combinator, site: _Site, reads: tuple[Read, ...] | None, flows: list[Flow], around: Names
    ) -> tuple[LayerPlan | None, Flow | None]:
        arrives: Flow | None = None
        if reads is not None:
            arrives = flows[0] if len(flows) == 1 else bundle(flows)
        inner = Names({"input": arrives}, around)
        start = self._topology.num_nodes
        if branch := spec.branch():
            self._merges.add(f"{site.path}.{list(spec.wire())[-1].name}")
        children, flow = self._children(spec, site, inner)
        if children is None or flow is None or reads is None:
            return None, None
        if branch:
            end = inner.flows[branch[-1]]
            assert end is not None, "all children are planned"
            self._topology.add_branch([f"{site.path}.{name}" for name in branch], end.makers, start)
        self._warn_of_unread(spec, inner, site.key)
        captured = tuple(inner.captured)
        outside = [around.flows[name] for name in captured]
        reads = (*reads, *(Read(name) for name in captured))
        inputs = tuple(item.value for item in (*flows, *outside) if item is not None)
        block = spec.declared_by()
        shown = spec.type if block is None else block.name
        planned = LayerPlan(
            site.path, site.key, shown, FrozenDict(), reads, inputs, flow.value, captured, children=children
        )
        return planned, Flow(flow.value, flow.makers, site.key)

    def _leaf(
        self, spec: LayerSpec, site: _Site, reads: tuple[Read, ...] | None, flows: list[Flow]
    ) -> tuple[LayerPlan | None, Flow | None]:
        path, key = site.path, site.key
        inputs = tuple(flow.value for flow in flows)
        facts = None if reads is None else self._facts(spec, site, inputs, flows)
        if reads is None or facts is None:
            self._unknown.append(path)
            return None, None
        made = tuple(flow.makers or (f"@{flow.key}",) for flow in flows)  # no path of a layer begins with @
        self._topology.add_leaf(path, spec.type, facts, made, counts=path not in self._merges)
        if facts.parameters and registry.get(spec.type).kind == "activation":
            self._of_activations += [f"{path}.{item.name}" for item in facts.parameters]
        names = tuple(item.name for item in facts.parameters if not self._ties.add(f"{path}.{item.name}", item))
        for item in facts.parameters:
            if item.name not in names:
                continue
            self.parameters.append(ModelParameter(f"{path}.{item.name}", item, key, (*self._nearest, *site.scopes)))
        planned = LayerPlan(
            path,
            key,
            spec.type,
            FrozenDict(facts.arguments),
            reads,
            inputs,
            facts.output,
            has_buffers=facts.has_buffers,
            parameters=names,
        )
        return planned, Flow(facts.output, (path,), key)

    def _facts(self, spec: LayerSpec, site: _Site, inputs: tuple[Value, ...], flows: list[Flow]) -> LayerFacts | None:
        """The facts of a layer; None where it does not fit, or the model is too large with it."""
        try:
            layer, arguments = registry.get(spec.type), spec.arguments
        except Absent as absent:
            self.problems.append(replace(absent.problems[0], key=f"{site.key}.type"))
            return None
        # An own constructor may draw by the seed.
        kind = layer, repr(arguments), repr(inputs), None if layer.is_builtin else self.spec.seed
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            if not self._has_many_kinds:
                message = f"the model has more than {MAX_KINDS:,} different layers"
                hint = "layers with equal arguments on equal inputs count once"
                self.problems.append(Problem("MF060", site.key, message, hint, part="key"))
            self._has_many_kinds = True
            return None
        self._kinds.add(kind)
        facts = self._studies.of(kind, layer, arguments, inputs)
        if isinstance(facts, Misfit):
            problem = self._blame(_misfit(facts, site.key, flows), spec)
            self.problems.append(replace(problem, message=f"{problem.message}{site.note}"))
            return None
        for code, message, hint in facts.warnings:
            self._warn(site.key, message, hint, code)
        return facts if self._within_bounds(facts, site.key) else None

    def _within_bounds(self, facts: LayerFacts, key: str) -> bool:
        """Counts a layer's parameters; False from the layer on that makes them too many."""
        if self._num_parameters > MAX_PARAMETERS or self._num_matrices > MAX_MATRICES:
            return False
        self._num_parameters += sum(prod(item.shape) for item in facts.parameters)
        self._num_matrices += sum(len(item.layout.matrices) for item in facts.parameters)
        if self._num_parameters > MAX_PARAMETERS:
            message = (
                f"the model has {self._num_parameters:,} parameters up to this layer; the limit is {MAX_PARAMETERS:,}"
            )
        elif self._num_matrices > MAX_MATRICES:
            message = f"the model's parameters are more than {MAX_MATRICES:,} matrices and vectors"
        else:
            return True
        self.problems.append(Problem("MF060", key, message, "give its layers smaller sizes, or fewer", part="key"))
        return False

    def _blame(self, problem: Problem, spec: LayerSpec) -> Problem:
        """The problem of a layer as one of the argument that an override gave it, where there is just one."""
        keys = [f"{problem.key}.{name}" for name in spec.model_fields_set - LayerSpec.own_fields]
        places = {key: self.spec.origins.place(key) for key in keys if problem.part == "key"}
        given = [key for key, place in places.items() if place is not None and place.override is not None]
        return replace(problem, key=given[0], part="value") if len(given) == 1 else problem


def _misfit(misfit: Misfit, key: str, flows: list[Flow]) -> Problem:
    message = misfit.message
    if misfit.code in ("MF040", "MF042", "MF043"):
        message += " from " + " and ".join(dict.fromkeys(flow.key for flow in flows)) + misfit.rest
    if misfit.argument:
        return Problem(misfit.code, f"{key}.{misfit.argument}", message, misfit.hint)
    return Problem(misfit.code, key, message, misfit.hint, part="key")
