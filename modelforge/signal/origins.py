"""origins: which tensors depend on each other, as they are made of one without drawn weights between."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from itertools import combinations

from modelforge.planning.assign import ParameterPlan
from modelforge.signal.flow import LeafLayer, Source
from modelforge.signal.rule import RULES
from modelforge.signal.value import Signal

WEIGHTS = ("weight", "recurrent")
"""Roles of parameters that mix what is read. Where they are drawn about 0, or are 0, what they make has no covariance
with it."""


class Origins:
    """What each tensor is made of, layer by layer in execution order."""

    def __init__(self) -> None:
        self._made_of: dict[str, frozenset[Hashable]] = {}
        self._mixed: set[str] = set()

    def add(self, leaf: LeafLayer, parameters: Mapping[str, ParameterPlan]) -> None:
        """Notes what a layer reads."""
        path, kind = leaf.layer.path, leaf.layer.type
        own: frozenset[Hashable] = frozenset([path])
        before = own.union(*map(self._of, leaf.reads)) - own
        if kind == "Select":  # other units or positions are taken as other tensors
            self._made_of[path] = frozenset([(leaf.reads[0], str(leaf.layer.arguments))])
        elif any(map(_mixes, parameters.values())):
            self._made_of[path] = own | before if _has_shortcut(kind) else own
            self._mixed |= set() if _has_shortcut(kind) else {path}
        else:
            self._made_of[path] = before or own

    def mixed(self, leaf: LeafLayer) -> bool:
        """Whether drawn weights made what a layer reads first."""
        return bool(leaf.reads) and leaf.reads[0].maker in self._mixed

    def dependent(self, leaf: LeafLayer, signals: Mapping[Source, Signal | None]) -> bool:
        """Whether two different tensors of a layer's input are made of one without drawn weights between."""
        reads = {read for read in leaf.reads if _has_energy(signals.get(read))}
        return any(not self._of(one).isdisjoint(self._of(other)) for one, other in combinations(reads, 2))

    def _of(self, source: Source) -> frozenset[Hashable]:
        return self._made_of.get(source.maker, frozenset([source]))


def _has_shortcut(kind: str) -> bool:
    return kind in RULES and RULES.get(kind).has_shortcut


def _mixes(parameter: ParameterPlan) -> bool:
    patterned = all(fill.promise.deterministic and fill.std for _, fill in parameter.fills)
    return parameter.role in WEIGHTS and not patterned


def _has_energy(signal: Signal | None) -> bool:
    return signal is not None and signal.second > 0
