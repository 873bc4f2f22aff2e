"""walk: `ModelSpec` → `LayerPlan` tree, and the parameters and init blocks met on the way.

One pass in execution order expands combinators, resolves `inputs`, and asks `shapes` what each layer makes of what
arrives.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

from modelforge.core.errors import MAX_PROBLEMS, Problem, did_you_mean
from modelforge.core.frozen import FrozenDict
from modelforge.core.limits import MAX_BLOCKS, MAX_DEPTH, MAX_KINDS, MAX_LAYERS, MAX_PARAMETERS
from modelforge.core.tensors import BATCH, TensorValue, Value, at, first, plain, show, to_data
from modelforge.language import registry
from modelforge.language.combinators import BLOCKS, Child, Combinator, sequence
from modelforge.language.layer import REFERENCE, LayerSpec
from modelforge.language.model import ModelSpec
from modelforge.planning.precedence import Scope, Subject
from modelforge.planning.references import Read
from modelforge.planning.study import LayerFacts, Misfit, ParameterFacts, Studies
from modelforge.planning.topology import Topology


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
    captured: tuple[str, ...] = ()
    """Of a combinator: the last of `reads`, which its layers read from around it by these names."""
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


class _Names:
    """What the layers of one combinator may read: what arrives, the layers before them, and what is around it."""

    def __init__(self, flows: Mapping[str, _Flow | None], outer: _Names | None = None) -> None:
        self.flows = dict(flows)
        self.outer = outer
        self.captured: dict[str, None] = {}
        self.read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.flows or (self.outer is not None and name in self.outer)

    def known(self) -> list[str]:
        """All names, nearest first."""
        return [*self.flows, *(self.outer.known() if self.outer is not None else ())]

    def find(self, name: str) -> _Flow | None:
        """The value of that name; one from outside is captured, and read by all combinators on the way."""
        if name not in self.flows:
            assert self.outer is not None, "asked for only if it is there"
            self.flows[name] = self.outer.find(name)
            self.captured[name] = None
        self.read.add(name)
        return self.flows[name]


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a layer stands: its path, its key, and the init blocks around it, nearest first."""

    path: str
    key: str
    scopes: tuple[Scope, ...]
    depth: int = 0

    @property
    def note(self) -> str:
        """Which use of a block it is in, where its key does not say so."""
        return f" (in {self.path})" if self.key.startswith(f"{BLOCKS}.") else ""

    def below(self, child: Child) -> _Site:
        """The site of a child."""
        path = f"{self.path}.{child.name}" if self.path else child.name
        root = child.root or self.key
        return _Site(path, f"{root}.{child.at}" if child.at else root, self.scopes, self.depth + 1)


class Walk:
    """One pass over a spec in execution order. A layer that failed gives None, and nothing that reads it is judged."""

    def __init__(self, spec: ModelSpec, studies: Studies) -> None:
        self.spec = spec
        self.problems: list[Problem] = []
        self.subjects: list[Subject] = []
        self.scopes: list[Scope] = []
        self.inputs: dict[str, TensorValue] = {}
        self.results: dict[str, Read] = {}
        self.warnings: dict[Problem, None] = {}
        self.ties: dict[str, str] = {}
        self._tied: dict[str, ParameterFacts] = {}
        self._first_of: dict[str, str] = {}
        self._studies = studies
        self._kinds: set[Hashable] = set()
        self._has_many_kinds = False
        self._merges: set[str] = set()
        self._topology = Topology()
        self._nearest: tuple[Scope, ...] = ()
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
        if (weights := self.spec.weights) is not None:
            # Nearer than the block of any layer: the file has the last word.
            self._nearest = self._within(Scope(weights.source, "weights", "", outermost=True, skip=weights.skip), ())
        wired = sequence(self.spec.layers)
        names = _Names(scope)
        children, last = self._children(wired, _Site("", "model", scopes), names)
        flows = self._results(names, children)
        self._check_ties()
        if children is None or last is None or flows is None:
            return None
        self._topology.set_output([maker for flow in flows for maker in flow.makers])
        self._warn_of_unread(wired, names, "model")
        values = tuple(flow.value for flow in flows)
        output = values[0] if self.spec.outputs is None else values
        return LayerPlan(
            "", "model", wired.type, FrozenDict(), (), tuple(self.inputs.values()), output, children=children
        )

    def _results(self, names: _Names, children: tuple[LayerPlan, ...] | None) -> list[_Flow] | None:
        """What comes out: of the last layer, or what `outputs` names."""
        if self.spec.outputs is None:
            if children is None:
                return None
            last = children[-1]
            self.results[""] = Read(last.name, first(last.output))
        else:
            for name, reference in self.spec.outputs.items():
                key = f"model.outputs.{name}"
                read = self._reference(reference, key, "", names, set())
                if read is not None:
                    self.results[name] = read
        flows: list[_Flow] = []
        for read in self.results.values():
            flow = names.find(read.source)
            if flow is None:
                return None
            flows.append(flow.at(read.path))
        return flows if len(self.results) == len(self.spec.outputs or ("",)) else None

    def _check_ties(self) -> None:
        known = {subject.path: subject.facts for subject in self.subjects} | self._tied
        for path, source in self.spec.tie.items():
            key = f"model.tie.{path}"
            missing = [name for name in (path, source) if name not in known]
            if source in self.spec.tie:
                hint = f"tie both to `{self.spec.tie[source]}`" if self.spec.tie[source] != path else ""
                self.problems.append(Problem("MF045", key, f"`{source}` is itself tied to another one", hint))
            elif missing and not self._unknown:  # a layer that failed may hold it
                hint = did_you_mean(missing[0], known) if len(self.problems) < MAX_PROBLEMS else ""
                part = "key" if missing[0] == path else "value"
                self.problems.append(Problem("MF045", key, f"there is no parameter `{missing[0]}`", hint, part=part))
            elif not missing:
                one, other = known[path], known[source]
                if (one.shape, one.dtype) != (other.shape, other.dtype):
                    message = f"`{path}` is {one.shape} {one.dtype}, but `{source}` is {other.shape} {other.dtype}"
                    self.problems.append(Problem("MF045", key, message, "tied parameters are one, so of one shape"))
        others: dict[str, dict[str, str | None]] = {}
        for path, first_one in self.ties.items():
            others.setdefault(first_one, {})[path] = self._tied[path].layout.role
        self.subjects = [
            replace(subject, aliases=FrozenDict(others.get(subject.path, {}))) for subject in self.subjects
        ]

    def _warn_of_unread(self, spec: Combinator, names: _Names, key: str) -> None:
        wired = list(spec.wire())
        ends = set() if key == "model" and self.spec.outputs is not None else {wired[-1].name}
        used = names.read | ends
        for child in wired:
            if child.name not in used:
                at_key = f"{child.root or key}.{child.at}" if child.at else key
                message = f"nobody reads what `{child.name}` makes"
                hint = "name it in `inputs` of a later layer or in `outputs`, or remove it"
                self.warnings[Problem("MW104", at_key, message, hint, part="key", severity="warning")] = None
        for name in self.inputs if key == "model" else ():
            if name not in names.read:
                at_key = "model.input" if name == "input" else f"model.input.{name}"
                problem = Problem("MW104", at_key, f"nobody reads the input `{name}`", part="key", severity="warning")
                self.warnings[problem] = None

    def _within(self, scope: Scope, scopes: tuple[Scope, ...]) -> tuple[Scope, ...]:
        self.scopes.append(scope)
        return (scope, *scopes)

    def _children(
        self, spec: Combinator, site: _Site, scope: _Names
    ) -> tuple[tuple[LayerPlan, ...] | None, _Flow | None]:
        plans: list[LayerPlan | None] = []
        flow: _Flow | None = None
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
            reads = self._resolve(references, inner.key, child.name, scope, names)
            planned, flow = self._layer(child.spec, inner, reads, scope)
            plans.append(planned)
            if child.name in scope.captured:
                message = f"`{child.name}` names a layer outside, which a layer before this one reads"
                self.problems.append(Problem("MF016", inner.key, message, "give one of them another name", part="key"))
            scope.flows[child.name] = flow
            self._names.add(child.name)
            previous = child.name
        done = tuple(item for item in plans if item is not None)
        return (done if len(done) == len(plans) else None), flow

    def _resolve(
        self, references: tuple[str, ...] | None, key: str, name: str, scope: _Names, siblings: set[str]
    ) -> tuple[Read, ...] | None:
        """References → reads; None where one of them is wrong."""
        if references is None:
            hint = f"say which: `inputs: [{', '.join(self.inputs)}]`"
            message = f"`{name}` does not say which of the model's {len(self.inputs)} inputs it reads"
            self.problems.append(Problem("MF030", key, message, hint, part="key"))
            return None
        reads: list[Read] = []
        for index, reference in enumerate(references):
            read = self._reference(reference, f"{key}.inputs.{index}", name, scope, siblings)
            if read is None:
                return None
            reads.append(read)
        return tuple(reads)

    def _reference(self, reference: str, key: str, name: str, scope: _Names, siblings: set[str]) -> Read | None:
        match = REFERENCE.fullmatch(reference)
        assert match is not None, "the parser lets only references through"
        source, numbers = match.group(1), tuple(int(part) for part in match.group(2).split(".")[1:])
        if source not in scope or (source not in scope.flows and source in siblings):
            self.problems.append(self._unknown_input(source, name, key, scope, siblings))
            return None
        flow = scope.find(source)
        if flow is None:
            return None
        try:
            value = at(flow.value, numbers)
        except (IndexError, TypeError):
            hint = f"`{source}` gives {show(flow.value)}"
            self.problems.append(Problem("MF030", key, f"`{source}` has no output `{reference}`", hint))
            return None
        return Read(source, numbers + (() if numbers else first(value)))

    def _unknown_input(self, source: str, name: str, key: str, scope: _Names, siblings: set[str]) -> Problem:
        if source == name:
            return Problem("MF031", key, f"`{name}` cannot read itself")
        if source in siblings:
            hint = f"move `{source}` before `{name}`: layers run in the order they are written"
            return Problem("MF031", key, f"`{source}` comes after `{name}`", hint)
        if source in self._names:
            hint = "a layer reads those beside it and those around it, before it"
            return Problem("MF030", key, f"`{source}` cannot be read from here", hint)
        hint = did_you_mean(source, scope.known()) if len(self.problems) < MAX_PROBLEMS else ""
        return Problem("MF030", key, f"there is no layer `{source}` here", hint)

    def _layer(
        self, spec: LayerSpec, site: _Site, reads: tuple[Read, ...] | None, scope: _Names
    ) -> tuple[LayerPlan | None, _Flow | None]:
        if isinstance(spec, Combinator) and (block := spec.declared_by()) is not None and block.init is not None:
            declared = Scope(block.init, f"{block.key}.init", site.path)
            site = replace(site, scopes=self._within(declared, site.scopes))
        if spec.init is not None:
            own = Scope(spec.init, f"{site.key}.init", site.path)
            site = replace(site, scopes=self._within(own, site.scopes))
        flows: list[_Flow] = []
        for read in reads or ():
            flow = scope.flows[read.source]
            assert flow is not None
            flows.append(flow.at(read.path))
        if isinstance(spec, Combinator):
            return self._combinator(spec, site, reads, flows, scope)
        return self._leaf(spec, site, reads, flows)

    def _combinator(
        self, spec: Combinator, site: _Site, reads: tuple[Read, ...] | None, flows: list[_Flow], around: _Names
    ) -> tuple[LayerPlan | None, _Flow | None]:
        arrives: _Flow | None = None
        if reads is not None:
            arrives = flows[0] if len(flows) == 1 else _bundle(flows)
        inner = _Names({"input": arrives}, around)
        start = self._topology.num_leaves
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
        if facts is None:
            self._unknown.append(path)
            if not self._has_many_kinds:
                message = f"the model has more than {MAX_KINDS:,} different layers"
                hint = "layers with equal arguments on equal inputs count once"
                self.problems.append(Problem("MF060", key, message, hint, part="key"))
            self._has_many_kinds = True
            return None, None
        if isinstance(facts, Misfit):
            self._unknown.append(path)
            problem = self._blame(_misfit(facts, key, flows), spec)
            self.problems.append(replace(problem, message=f"{problem.message}{site.note}"))
            return None, None
        for code, message, hint in facts.warnings:
            self.warnings[Problem(code, key, message, hint, part="key", severity="warning")] = None
        if not self._within_bounds(facts, key):
            self._unknown.append(path)
            return None, None
        made = tuple(flow.makers or (f"@{flow.key}",) for flow in flows)  # no path of a layer begins with @
        self._topology.add_leaf(path, spec.type, facts, made, counts=path not in self._merges)
        names = tuple(item.name for item in facts.parameters if not self._is_tied(f"{path}.{item.name}", item))
        for item in facts.parameters:
            if item.name not in names:
                continue
            context = partial(self._topology.context, path, item)
            following = self._topology.following
            self.subjects.append(
                Subject(f"{path}.{item.name}", item, key, (*self._nearest, *site.scopes), following, context)
            )
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
        return planned, _Flow(facts.output, (path,), key)

    def _study(self, spec: LayerSpec, inputs: tuple[Value, ...]) -> LayerFacts | Misfit | None:
        """What running a layer shows; None where too many others were run."""
        layer, arguments = registry.get(spec.type), spec.arguments
        # A constructor may draw by the seed.
        kind = layer.name, layer.make, repr(arguments), repr(inputs), self.spec.seed
        if kind not in self._kinds and len(self._kinds) >= MAX_KINDS:
            return None
        self._kinds.add(kind)
        return self._studies.of(kind, layer, arguments, inputs)

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

    def _is_tied(self, path: str, facts: ParameterFacts) -> bool:
        """Whether a parameter is one that came before: of tied ones the first has the rule, as `state_dict` has it."""
        group = self.spec.tie.get(path, path)
        if group == path and path not in self.spec.tie.values():
            return False
        first = self._first_of.setdefault(group, path)
        if first != path:
            self.ties[path] = first
            self._tied[path] = facts
        return first != path

    def _blame(self, problem: Problem, spec: LayerSpec) -> Problem:
        """A problem with a layer as one with the argument that an override gave it, where there is just one."""
        keys = [f"{problem.path}.{name}" for name in spec.model_fields_set - LayerSpec.own_fields]
        places = {key: self.spec.origins.place(key) for key in keys if problem.part == "key"}
        given = [key for key, place in places.items() if place is not None and place.override is not None]
        return replace(problem, path=given[0], part="value") if len(given) == 1 else problem


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
