"""walk: `ModelSpec` → `LayerPlan` tree, and the parameters and init blocks met on the way.

One pass in execution order expands combinators, resolves `inputs`, and asks `shapes` what each layer makes of what
arrives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

from modelforge.bounds import MAX_BLOCKS, MAX_DEPTH, MAX_LAYERS, MAX_PARAMETERS
from modelforge.cascade import Scope, Subject
from modelforge.errors import Problem, did_you_mean
from modelforge.graph import Read
from modelforge.layers import registry
from modelforge.layers.combinators import Combinator, sequence
from modelforge.node import FrozenDict
from modelforge.shapes import LayerFacts, Misfit, study
from modelforge.spec.layer import REFERENCE, LayerSpec
from modelforge.spec.model import ModelSpec
from modelforge.topology import Topology
from modelforge.values import BATCH, TensorValue, Value, at, first, plain, show, to_data


@dataclass(frozen=True, slots=True)
class LayerPlan:
    """One layer, or one combinator with its children, fully decided."""

    path: str
    """Module path, and prefix of its parameters: `encoder.0.attention`."""
    key: str
    """Override key of its config: `model.layers.encoder.layers.attention`."""
    type: str
    arguments: Mapping[str, Any]
    """Constructor arguments, inferred ones included; empty for a combinator."""
    reads: tuple[Read, ...]
    """What it reads, among its siblings."""
    inputs: tuple[Value, ...]
    output: Value
    has_buffers: bool = False
    parameters: tuple[str, ...] = ()
    """Names of its parameters, below its path; empty for a combinator."""
    children: tuple[LayerPlan, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    def walk(self) -> Iterator[LayerPlan]:
        """This layer and all below it, in execution order."""
        yield self
        for child in self.children:
            yield from child.walk()

    def to_dict(self) -> dict[str, Any]:
        """The layer as plain data, without its children."""
        return {
            "path": self.path,
            "key": self.key,
            "type": self.type,
            "arguments": {name: plain(value) for name, value in self.arguments.items()},
            "reads": [str(read) for read in self.reads],
            "inputs": [to_data(value) for value in self.inputs],
            "output": to_data(self.output),
            "parameters": list(self.parameters),
        }


@dataclass(frozen=True, slots=True)
class _Flow:
    """A value on its way: what it is, which leaves made it, and the key of the layer whose name it goes by."""

    value: Value
    makers: tuple[str, ...]
    key: str
    parts: tuple[_Flow, ...] = ()
    """The flows of a combinator's several inputs, where the value is the tuple of theirs."""

    def at(self, path: tuple[int, ...]) -> _Flow:
        """What a reference means by an index path."""
        if self.parts and path:
            return self.parts[path[0]].at(path[1:])
        return _Flow(at(self.value, path), self.makers, self.key)


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a layer stands: its path, its key, and the init blocks around it, nearest first."""

    path: str
    key: str
    scopes: tuple[Scope, ...]
    depth: int = 0

    def below(self, name: str, at: str) -> _Site:
        """The site of a child of that name, written at `at`."""
        path = f"{self.path}.{name}" if self.path else name
        return _Site(path, f"{self.key}.{at}" if at else self.key, self.scopes, self.depth + 1)


class Walk:
    """One pass over a spec in execution order. A layer that failed gives None, and nothing that reads it is judged."""

    def __init__(self, spec: ModelSpec) -> None:
        self.spec = spec
        self.problems: list[Problem] = []
        self.subjects: list[Subject] = []
        self.scopes: list[Scope] = []
        self.inputs: dict[str, TensorValue] = {}
        self._facts: dict[Any, LayerFacts | Misfit] = {}
        self._topology = Topology()
        self._unknown: list[str] = []
        self._names: set[str] = set()
        self._num_layers = 0
        self._num_blocks = 0
        self._num_parameters = 0

    def judged_scopes(self) -> list[Scope]:
        """The scopes whose parameters are all known: a rule elsewhere may speak of those of a layer that failed."""
        around = {path[:end] for path in self._unknown for end in (0, *_dots(path), len(path))}
        return [scope for scope in self.scopes if scope.path not in around]

    def model(self) -> LayerPlan | None:
        """The whole model as one combinator."""
        scope: dict[str, _Flow | None] = {}
        for name, tensor in self.spec.input.items():
            self.inputs[name] = TensorValue((BATCH, *tensor.shape), tensor.dtype)
            key = "model.input" if name == "input" else f"model.input.{name}"
            scope[name] = _Flow(self.inputs[name], (), key)
        for name in scope.keys() & self.spec.layers.keys():
            key = f"model.layers.{name}"
            self.problems.append(Problem("MF016", key, f"`{name}` names an input already", part="key"))
        scopes: tuple[Scope, ...] = ()
        if self.spec.default_init is not None:
            scopes = self._within(Scope(self.spec.default_init, "init", "", outermost=True), scopes)
        if self.spec.init is not None:
            scopes = self._within(Scope(self.spec.init, "model.init", ""), scopes)
        wired = sequence(self.spec.layers)
        children, last = self._children(wired, _Site("", "model", scopes), scope)
        if children is None or last is None:
            return None
        self._topology.set_output(last.makers)
        output = at(last.value, first(last.value))
        return LayerPlan(
            "", "model", wired.type, FrozenDict(), (), tuple(self.inputs.values()), output, children=children
        )

    def _within(self, scope: Scope, scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
        self.scopes.append(scope)
        return (scope, *scopes)

    def _children(
        self, spec: Combinator, site: _Site, scope: dict[str, _Flow | None]
    ) -> tuple[tuple[LayerPlan, ...] | None, _Flow | None]:
        plans: list[LayerPlan | None] = []
        flow: _Flow | None = None
        previous = next(iter(scope)) if len(scope) == 1 else None
        if site.depth > MAX_DEPTH:
            self.problems.append(Problem("MF060", site.key, f"layers are nested more than {MAX_DEPTH} deep"))
            self._unknown.append(site.path)
            return None, None
        wired = list(spec.wire())
        names = [child.name for child in wired]
        for child in wired:
            self._num_layers += 1
            if self._num_layers > MAX_LAYERS:
                self._unknown.append(site.path)
                if self._num_layers == MAX_LAYERS + 1:
                    self.problems.append(Problem("MF060", site.key, f"the model has more than {MAX_LAYERS:,} layers"))
                return None, None
            references = child.spec.inputs or child.reads or ((previous,) if previous else None)
            inner = site.below(child.name, child.at)
            reads = self._resolve(references, inner.key, child.name, scope, names)
            planned, flow = self._layer(child.spec, inner, reads, scope)
            plans.append(planned)
            scope[child.name] = flow
            self._names.add(child.name)
            previous = child.name
        done = tuple(item for item in plans if item is not None)
        return (done if len(done) == len(plans) else None), flow

    def _resolve(
        self,
        references: tuple[str, ...] | None,
        key: str,
        name: str,
        scope: Mapping[str, _Flow | None],
        siblings: list[str],
    ) -> tuple[Read, ...] | None:
        """References → reads; None where one of them is wrong."""
        if references is None:
            hint = f"say which: `inputs: [{', '.join(self.inputs)}]`"
            message = f"`{name}` does not say which of the model's {len(self.inputs)} inputs it reads"
            self.problems.append(Problem("MF030", key, message, hint, part="key"))
            return None
        reads: list[Read] = []
        for index, reference in enumerate(references):
            match = REFERENCE.fullmatch(reference)
            assert match is not None, "the parser lets only references through"
            source, numbers = match.group(1), tuple(int(part) for part in match.group(2).split(".")[1:])
            at_key = f"{key}.inputs.{index}"
            if source not in scope:
                self.problems.append(self._unknown_input(source, name, at_key, scope, siblings))
                return None
            flow = scope[source]
            if flow is None:
                return None
            try:
                value = at(flow.value, numbers)
            except (IndexError, TypeError):
                hint = f"`{source}` gives {show(flow.value)}"
                self.problems.append(Problem("MF030", at_key, f"`{source}` has no output `{reference}`", hint))
                return None
            reads.append(Read(source, numbers + (() if numbers else first(value))))
        return tuple(reads)

    def _unknown_input(
        self, source: str, name: str, key: str, scope: Mapping[str, _Flow | None], siblings: list[str]
    ) -> Problem:
        if source == name:
            return Problem("MF031", key, f"`{name}` cannot read itself")
        if source in siblings:
            hint = f"move `{source}` before `{name}`: layers run in the order they are written"
            return Problem("MF031", key, f"`{source}` comes after `{name}`", hint)
        if source in self._names:
            hint = (
                f"`{source}` is outside: `input` is what this combinator reads, and its own `inputs` say what that is"
            )
            return Problem("MF030", key, f"there is no layer `{source}` in here", hint)
        return Problem("MF030", key, f"there is no layer `{source}` here", did_you_mean(source, scope))

    def _layer(
        self, spec: LayerSpec, site: _Site, reads: tuple[Read, ...] | None, scope: Mapping[str, _Flow | None]
    ) -> tuple[LayerPlan | None, _Flow | None]:
        if spec.init is not None:
            own = Scope(spec.init, f"{site.key}.init", site.path)
            site = replace(site, scopes=self._within(own, site.scopes))
        flows: list[_Flow] = []
        for read in reads or ():
            flow = scope[read.source]
            assert flow is not None
            flows.append(flow.at(read.path))
        if isinstance(spec, Combinator):
            return self._combinator(spec, site, reads, flows)
        return self._leaf(spec, site, reads, flows)

    def _combinator(
        self, spec: Combinator, site: _Site, reads: tuple[Read, ...] | None, flows: list[_Flow]
    ) -> tuple[LayerPlan | None, _Flow | None]:
        arrives: _Flow | None = None
        if reads is not None:
            arrives = flows[0] if len(flows) == 1 else _bundle(flows)
        inner: dict[str, _Flow | None] = {"input": arrives}
        start = self._topology.num_leaves
        children, flow = self._children(spec, site, inner)
        if children is None or flow is None or reads is None:
            return None, None
        if branch := spec.branch():
            end = inner[branch[-1]]
            assert end is not None, "all children are planned"
            self._topology.add_branch([f"{site.path}.{name}" for name in branch], end.makers, start)
        inputs = tuple(item.value for item in flows)
        planned = LayerPlan(site.path, site.key, spec.type, FrozenDict(), reads, inputs, flow.value, children=children)
        return planned, _Flow(flow.value, flow.makers, site.key)

    def _leaf(
        self, spec: LayerSpec, site: _Site, reads: tuple[Read, ...] | None, flows: list[_Flow]
    ) -> tuple[LayerPlan | None, _Flow | None]:
        path, key = site.path, site.key
        if reads is None:
            self._unknown.append(path)
            return None, None
        inputs = tuple(flow.value for flow in flows)
        facts = self._study(spec, inputs)
        if isinstance(facts, Misfit):
            self._unknown.append(path)
            self.problems.append(_misfit(facts, key, flows))
            return None, None
        if not self._within_bounds(facts, key):
            self._unknown.append(path)
            return None, None
        makers = tuple(dict.fromkeys(maker for flow in flows for maker in flow.makers))
        reads_input = any(not flow.makers for flow in flows)
        self._topology.add_leaf(path, spec.type, facts, makers, reads_input=reads_input)
        for item in facts.parameters:
            context = partial(self._topology.context, path, item)
            following = self._topology.following
            self.subjects.append(Subject(f"{path}.{item.name}", item, key, site.scopes, following, context))
        names = tuple(item.name for item in facts.parameters)
        planned = LayerPlan(
            path, key, spec.type, FrozenDict(facts.arguments), reads, inputs, facts.output, facts.has_buffers, names
        )
        return planned, _Flow(facts.output, (path,), key)

    def _within_bounds(self, facts: LayerFacts, key: str) -> bool:
        """Counts a layer's parameters; False from the layer on with which they are too many."""
        if self._num_parameters > MAX_PARAMETERS or self._num_blocks > MAX_BLOCKS:
            return False
        self._num_parameters += sum(prod(item.shape) for item in facts.parameters)
        self._num_blocks += sum(len(item.layout.blocks) for item in facts.parameters)
        if self._num_parameters > MAX_PARAMETERS:
            message = f"the model has {self._num_parameters:,} parameters up to here, but {MAX_PARAMETERS:,} at most"
        elif self._num_blocks > MAX_BLOCKS:
            message = f"the model's parameters are more than {MAX_BLOCKS:,} matrices and vectors"
        else:
            return True
        self.problems.append(Problem("MF060", key, message, "give its layers smaller sizes, or fewer", part="key"))
        return False

    def _study(self, spec: LayerSpec, inputs: tuple[Value, ...]) -> LayerFacts | Misfit:
        """Equal layers on equal inputs are studied once."""
        arguments = spec.arguments
        key = (spec.type, repr(arguments), inputs)
        if key not in self._facts:
            try:
                self._facts[key] = study(registry.get(spec.type), arguments, inputs)
            except Misfit as misfit:
                self._facts[key] = misfit
        return self._facts[key]


def _bundle(flows: list[_Flow]) -> _Flow:
    makers = tuple(dict.fromkeys(maker for flow in flows for maker in flow.makers))
    return _Flow(tuple(flow.value for flow in flows), makers, flows[0].key, tuple(flows))


def _dots(path: str) -> Iterator[int]:
    return (index for index, letter in enumerate(path) if letter == ".")


def _misfit(misfit: Misfit, key: str, flows: list[_Flow]) -> Problem:
    message = misfit.message
    if misfit.code in ("MF040", "MF042", "MF043"):
        message += " from " + " and ".join(dict.fromkeys(flow.key for flow in flows)) + misfit.rest
    if misfit.argument:
        return Problem(misfit.code, f"{key}.{misfit.argument}", message, misfit.hint)
    return Problem(misfit.code, key, message, misfit.hint, part="key")
