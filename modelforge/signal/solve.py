"""solve: `Plan` → the gains (or stds) with which predicted energies stay the same through the whole graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import exp, log
from typing import Literal, get_args

from modelforge.core.complaints import require_count
from modelforge.inits import registry
from modelforge.inits.defaults import ROLE_DEFAULTS, constant
from modelforge.language.model import ModelSpec
from modelforge.planning.assign import ParameterPlan, moments
from modelforge.planning.plan import Plan, planned
from modelforge.signal.back import backward
from modelforge.signal.conditions import Condition, Unsolvable, met, output_of
from modelforge.signal.flow import LeafGraph, LeafLayer, Source, flow
from modelforge.signal.levers import LeftAlone, Lever, levers
from modelforge.signal.origins import Origins
from modelforge.signal.predict import arriving_at, by_owner, forward, rule_of
from modelforge.signal.retuned import REPLACEMENT, root_mean_square
from modelforge.signal.rule import Node, Passed, Unpredictable
from modelforge.signal.solution import Solution, solution
from modelforge.signal.value import Gradient, Signal

Direction = Literal["forward", "backward", "both"]
ROUNDS = 100
"""Passes through the network after which an iteration ends in any case."""
ENOUGH = 1e-4
"""The largest change of ln E w² in a pass after which it has converged."""

Parameters = Mapping[str, ParameterPlan]


def solve(plan: ModelSpec | Plan, direction: Direction = "forward", *, batch_size: int = 32) -> Solution:
    """Finds initial values with which neither signals nor gradients grow or shrink with depth, as predicted.

    Every layer with weights gets one condition, and its std follows from that: in one pass through the network where
    only signals count, and in a few where gradients do.

    - forward: its output has energy 1; at the end of one of N residual branches, 1/N of what the stream begins with, so
      that N branches double it.
    - backward: it passes on as much energy of gradients as it gets; at the beginning of a branch, 1/N of that.
    - both: the geometric mean of the two E w². A layer multiplies the energy of signals by as much as it
      divides that of gradients, so that E x²/E g² is the same everywhere.

    Formula: E w² = (1 - E b²)/(n_in·E x²), or 1/(n_out·E φ′²), or the geometric mean of both
    Source: Glorot and Bengio 2010 (of both, they take the harmonic mean); He et al. 2015, arXiv:1502.01852

    Args:
        plan: The plan of the model, or its spec.
        direction: What must stay the same.
        batch_size: Examples in a batch, as in `predict`.

    Raises:
        ValueError: there is no such direction; `batch_size` is no whole number from 1 on.

    Example:
        >>> from modelforge.planning.plan import plan
        >>> from modelforge.language import parse
        >>> layers = {"up": {"type": "Linear", "out_features": 64}, "act": "ReLU"}
        >>> layers |= {"down": {"type": "Linear", "out_features": 4}}
        >>> decided = plan(parse({"input": {"shape": [64]}, "layers": layers}, init={"scheme": "lecun"}))
        >>> solve(decided).overrides
        ('++model.init.params={down.weight: {gain: 1.4142}}',)
    """
    plan = planned(plan, "solve")
    require_count(batch_size, "solve takes `batch_size` examples")
    if direction not in get_args(Direction):
        raise ValueError(f"`direction` is one of {', '.join(get_args(Direction))}, not {direction!r}")
    network = _Network(plan, direction, batch_size)
    found = _Pass(network, network.start, {})
    for _ in range(ROUNDS if direction != "forward" else 0):
        before, found = found, _Pass(network, found.parameters, found.gradients_passed())
        if found.change_from(before.parameters) < ENOUGH:
            break
    return solution(plan, found.parameters, (*network.left, *found.left), direction, batch_size)


def _square(parameter: ParameterPlan) -> float:
    return (root_mean_square(parameter) or 0.0) ** 2


@dataclass(frozen=True)
class _Network:
    """What stays the same in all passes."""

    plan: Plan
    direction: Direction
    batch: int

    @cached_property
    def flow(self) -> LeafGraph:
        return flow(self.plan)

    @cached_property
    def start(self) -> Parameters:
        """The parameters by path; where a layer would fill its own, what an init block would."""
        return {parameter.path: _drawn(parameter) for parameter in self.plan.parameters}

    @cached_property
    def _levers(self) -> tuple[dict[str, Lever], tuple[LeftAlone, ...]]:
        return levers(self.flow, by_owner(self.named(self.start)))

    @property
    def levers(self) -> Mapping[str, Lever]:
        return self._levers[0]

    @property
    def left(self) -> tuple[LeftAlone, ...]:
        return self._levers[1]

    @cached_property
    def leaves(self) -> Mapping[str, LeafLayer]:
        return {leaf.layer.path: leaf for leaf in self.flow.leaves}

    def named(self, parameters: Parameters) -> dict[str, ParameterPlan]:
        """The parameters by all their names."""
        ties = {name: parameters[first] for name, first in self.plan.ties.items() if first in parameters}
        return {**parameters, **ties}


def _drawn(parameter: ParameterPlan) -> ParameterPlan:
    """A parameter that its own layer would fill, whose moments are not known, as an init block fills it."""
    if parameter.initializer.values_from != "module":
        return parameter
    default = next((matrix.default for matrix, _ in parameter.fills if matrix.default is not None), None)
    block = ROLE_DEFAULTS.get(parameter.role or "", REPLACEMENT) if default is None else constant(default)
    initializer = registry.create(block)
    fills = tuple((matrix, initializer.resolve(matrix)) for matrix, _ in parameter.fills)
    mean, std = moments(fills)
    return replace(parameter, initializer=initializer, fills=fills, mean=mean, std=std)


class _Pass:
    """One pass through the network, in which each layer is given the weights that meet its condition."""

    def __init__(self, network: _Network, parameters: Parameters, passed: Mapping[str, float]) -> None:
        self.network = network
        self.parameters: dict[str, ParameterPlan] = dict(parameters)
        self.left: list[LeftAlone] = []
        self.sized: list[str] = []
        """Paths of the parameters that met a condition."""
        self.signals: dict[Source, Signal | None] = {
            Source(f"@{name}"): arriving_at(value, network.batch) for name, value in network.plan.inputs.items()
        }
        self.done: dict[str, tuple[LeafLayer, Passed | None, str]] = {}
        self._excesses: dict[str, float] = {}
        self._streams: dict[str, float] = {}
        """The energy that a residual stream has at its beginning, by the sums on its way."""
        self._owned = by_owner(network.named(parameters))
        self._passed = passed
        causes, origins = dict[str, str](), Origins()
        for leaf in network.flow.leaves:
            path = leaf.layer.path
            node = Node(
                leaf.layer,
                self._owned.get(path, {}),
                tuple(self.signals.get(read) for read in leaf.reads),
                network.batch,
                training=True,
                spreads=False,
                sources=leaf.reads,
                mixed=origins.mixed(leaf),
                dependent=origins.dependent(leaf, self.signals),
            )
            origins.add(leaf, node.parameters)
            lever = network.levers.get(path)
            if lever is not None:
                node = self._met(leaf, node, lever)
            result, reason = forward(node, leaf, self.signals, causes)
            outputs = {(): None} if result is None else result.outputs
            self.signals |= {Source(path, index): signal for index, signal in outputs.items()}
            self.done[path] = (leaf, result, reason)
            rule = rule_of(node)
            restarts = rule is not None and rule.restarts
            self._excesses.setdefault(path, 1.0 if restarts else self._excess(leaf))

    def change_from(self, before: Parameters) -> float:
        """The largest change of ln E w²."""
        changes = (log(_square(self.parameters[path]) / _square(before[path])) for path in self.sized)
        return max(map(abs, changes), default=0.0)

    def _met(self, leaf: LeafLayer, node: Node, lever: Lever) -> Node:
        path, rule = leaf.layer.path, rule_of(node)
        condition = self._condition(leaf, lever)
        try:
            if rule is None or None in node.signals[:1]:
                raise Unsolvable("what it reads is not known" if rule else f"`{leaf.layer.type}` has no signal rule")
            node = met(node, rule, lever, condition)
            made = output_of(rule.ask(node))
            if made.shared:
                raise Unsolvable("its weights have a mean, so that all its units share a sum")
            self._excesses[path] = made.second / condition.energy if condition.forward else 1
        except (Unpredictable, Unsolvable) as reason:
            self.left += [LeftAlone(node.parameters[name].path, str(reason)) for name in lever.names]
            return node
        for name in lever.names:
            self.parameters[node.parameters[name].path] = node.parameters[name]
            self.sized.append(node.parameters[name].path)
        return node

    def _condition(self, leaf: LeafLayer, lever: Lever) -> Condition:
        energy, direction = 1.0, self.network.direction
        if lever.joins is not None and lever.shortcut is not None:
            shortcut = self.signals.get(lever.shortcut)
            stream = self._streams.get(lever.shortcut.maker, 1.0 if shortcut is None else shortcut.second)
            self._streams[lever.joins.layer.path] = stream
            energy = stream / lever.branches
        passed = self._passed.get(leaf.layer.path)
        if passed is None or lever.is_scale:
            return Condition(energy)
        passes = 1 / max(1, lever.begins)
        return Condition(energy, passes, passed, self._excess(leaf), forward=direction == "both")

    def _excess(self, leaf: LeafLayer) -> float:
        """By how much what a layer reads exceeds what conditions on signals alone would make: the geometric mean."""
        known = [log(self._excesses.get(read.maker, 1.0)) for read in leaf.reads]
        return exp(sum(known) / len(known)) if known else 1.0

    def gradients_passed(self) -> dict[str, float]:
        """The energy of gradients that each layer passes on by E w² = 1, in units of what arrives at it.

        Where several layers read one tensor, each has to pass on its part only, and so counts that many times.
        """
        network = self.network
        gradients, _ = backward([*self.done.values()], network.flow.results.values(), self.signals, network.batch)
        energies: dict[str, float] = {}
        ends: dict[str, Source] = {}
        for path, lever in self.network.levers.items():
            leaf, result, _ = self.done[path]
            if result is None or not lever.main or lever.recurrent:
                continue
            arriving = {index: found for index in result.outputs if (found := gradients.get(Source(path, index)))}
            sent = result.sent(arriving) if arriving else None
            if not sent or sent[0] is None:
                continue
            energy, ends[path] = self._sent(sent[0], leaf.reads[0])
            arrived = next(iter(arriving.values())).energy
            square = _square(self._owned_by(path, lever))
            if energy > 0 and arrived > 0 and square > 0:
                energies[path] = energy / arrived / square
        sharing = Counter(ends[path] for path in energies if not self.network.levers[path].begins)
        return {path: energy * max(1, sharing[ends[path]]) for path, energy in energies.items()}

    def _owned_by(self, path: str, lever: Lever) -> ParameterPlan:
        return self.parameters[f"{path}.{lever.main[-1]}"]

    def _sent(self, gradient: Gradient, source: Source) -> tuple[float, Source]:
        """The energy of a gradient before the layers without weights that it goes back through, and where that is."""
        while (made := self.done.get(source.maker)) is not None:
            leaf, result, _ = made
            if result is None or len(leaf.reads) != 1 or source.maker in self.network.levers:
                break
            before = result.sent({source.index: gradient})
            if not before or before[0] is None:
                break
            gradient, source = before[0], leaf.reads[0]
        return gradient.energy, source
