"""changes: the levels of a network → the largest change of a signal, and that of a gradient, on the ways to an output.

Both are followed on the way that most of the signal takes to an output, and on each way to a part of a concatenation,
which hides what became of the part: residual branches and heads may start small. A signal is compared with where it
last started: at an input, an embedding or a norm. A gradient is compared by its squared length, between norms, and from
norm to norm, where it grows somewhat in any deep network, whatever the weights (Yang et al. 2019, arXiv:1902.08129):
only a large change counts there. What averages over positions take away is not counted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import exp, log

from modelforge.diagnosis.document import Level
from modelforge.diagnosis.levels import judged
from modelforge.planning.plan import Plan
from modelforge.signal.averages import lost_to_averages
from modelforge.signal.flow import flow
from modelforge.signal.measured import Mode
from modelforge.signal.rule import RULES

DRIFT = 1e3
"""The factor on an energy from which on a network drifts: its root mean square changes by a factor of 30."""
LOST = 1e6
"""The factor from which on it vanishes or explodes."""


@dataclass(frozen=True, slots=True)
class Change:
    """By how much an energy changes between two levels."""

    what: str
    """`signal` or `gradient`."""
    start: Level
    end: Level
    before: float
    after: float
    way: Sequence[str]
    """Paths of the layers from an input to an output; many changes share one."""
    places: tuple[int, int]
    """Where both levels are on it, the one nearer to the input first."""
    least: float = DRIFT
    """The factor from which on it is a fault."""
    lost: float = 1.0
    """By what averages over positions between them divide it, which does not count."""

    @property
    def passed(self) -> Sequence[str]:
        """The layers from one level to the other, with that which is nearer to the input."""
        first, last = self.places
        return self.way[first : last + 1]

    @property
    def factor(self) -> float:
        """What counts."""
        return self.after * self.lost / self.before

    @property
    def size(self) -> float:
        """The absolute logarithm of the factor."""
        return abs(log(self.factor))

    @property
    def drifts(self) -> bool:
        """Whether it is a fault."""
        return exp(self.size) >= self.least


@dataclass(frozen=True, slots=True)
class Way:
    """Layers that read one another, from an input or from where they leave another way."""

    paths: Sequence[str]
    norms: Sequence[int]
    """Places where a signal starts again."""
    leaves_another: bool
    """Whether the first layer is on another way too."""

    def pieces(self) -> list[tuple[int, int]]:
        """The first place and the last of each piece from one norm to the next, the norm first."""
        cuts = [place for place in self.norms if place]
        ends = [0, *cuts, len(self.paths)]
        return [(first, last - 1) for first, last in pairwise(ends)]


class Ways:
    """The ways of a network, and the changes on them."""

    def __init__(self, plan: Plan, levels: Sequence[Level], mode: Mode = "train") -> None:
        graph = flow(plan)
        self._makers = {leaf.layer.path: leaf for leaf in graph.leaves}
        self._results = [*dict.fromkeys(source.maker for source in graph.results.values())]
        self._levels = {level.path: level for level in levels}
        self._sizes = {level.path: level.size for level in levels}
        # Without 0, as after a layer that starts at zero.
        self._energies = {path: energy for path, energy in judged(levels, "signal").items() if energy}
        self._lengths = {
            path: energy * level.size
            for path, energy in judged(levels, "gradient").items()
            if energy and (level := self._levels[path]).size and level.type != "input"
        }
        self._mode: Mode = mode

    @property
    def changes(self) -> list[Change]:
        """The largest change of a signal, and that of a gradient, the larger one first."""
        found = [change for change in (_worst(self._forward()), _worst(self._backward())) if change is not None]

        # Where both change alike, the signal is named: the gradient follows it.
        def rank(change: Change) -> float:
            return -change.size / log(change.least) * (1.2 if change.what == "signal" else 1)

        return sorted(found, key=rank)

    def energies(self, what: str) -> Mapping[str, float]:
        """The energies of signals, or the squared lengths of gradients, that are compared."""
        return self._energies if what == "signal" else self._lengths

    def undone(self, what: str, paths: Sequence[str]) -> Mapping[str, float]:
        """The same of some layers in order, without what averages over positions between them take away."""
        energies = self.energies(what)
        way = paths if what == "signal" else paths[::-1]
        lost = lost_to_averages(way, self._makers, energies, self._sizes)
        return {path: energies[path] * lost[path] for path in paths if path in energies}

    @cached_property
    def all(self) -> list[Way]:
        """The way of most of the signal to each result, without the result; and those to parts of concatenations."""
        ways = [self._way(result, ()) for result in self._results]
        # Results may start small: they are on no way.
        ways = [
            Way(way.paths[:-1], [place for place in way.norms if place < len(way.paths) - 1], False) for way in ways
        ]
        seen = {path for way in ways for path in way.paths}
        joined = [leaf for leaf in reversed(self._makers.values()) if leaf.layer.type == "Concat"]
        for leaf in joined:
            for read in leaf.reads:
                if read.maker in self._makers and read.maker not in seen:
                    ways.append(self._way(read.maker, seen))
                    seen.update(ways[-1].paths)
        return ways

    def _way(self, end: str, seen: set[str] | tuple[()]) -> Way:
        """The layers to one, back along what is strongest, to an input or to a layer that was seen."""
        back = [end] if end in self._makers else []
        while back and back[-1] in self._makers and (back[-1] not in seen):
            reads = [read.maker.removeprefix("@") for read in self._makers[back[-1]].reads]
            if not reads:
                break
            back.append(max(reads, key=lambda maker: self._energies.get(maker, 0.0)))
        paths = back[::-1]
        norms = [place for place, path in enumerate(paths) if path in self._makers and self._restarts(path)]
        return Way(paths, norms, bool(paths) and paths[0] in seen)

    def _restarts(self, path: str) -> bool:
        """Whether a signal starts again at a layer; at a norm over the batch not in evaluation."""
        layer = self._makers[path].layer
        running = layer.type.startswith(("BatchNorm", "SyncBatchNorm")) or layer.arguments.get("track_running_stats")
        if self._mode != "train" and running:
            return False
        return layer.type in RULES and RULES.get(layer.type).restarts

    def _forward(self) -> list[Change]:
        """The changes of a signal since it started; in front of a norm, only a large one is a fault."""
        found: list[Change] = []
        for way in self.all:
            pieces = way.pieces()
            for first, last in pieces:
                piece = way.paths[first : last + 1]
                lost = lost_to_averages(piece, self._makers, self._energies, self._sizes)
                there = [place for place in range(first, last + 1) if way.paths[place] in self._energies]
                least = DRIFT if (first, last) == pieces[-1] else LOST
                for place in there[1:]:
                    found.append(self._change("signal", way, (there[0], place), lost, least))
        return found

    def _backward(self) -> list[Change]:
        """The changes of a gradient's squared length on the same ways, between norms or from norm to norm."""
        found: list[Change] = []
        for way in self.all:
            # What leaves another way gets the gradients of both.
            start = 1 if way.leaves_another else 0
            lost = lost_to_averages(way.paths[::-1], self._makers, self._lengths, self._sizes)
            pieces = [(range(first, last + 1), DRIFT) for first, last in way.pieces()]
            for places, least in [(way.norms, LOST), *pieces]:
                there = [place for place in places if place >= start and way.paths[place] in self._lengths]
                found += [self._change("gradient", way, (place, there[-1]), lost, least) for place in there[:-1]]
        return found

    def _change(self, what: str, way: Way, places: tuple[int, int], lost: Mapping[str, float], least: float) -> Change:
        start, end = (way.paths[place] for place in (places if what == "signal" else places[::-1]))
        energies, divided = self.energies(what), lost[end] / lost[start]
        ends = self._levels[start], self._levels[end], energies[start], energies[end]
        return Change(what, *ends, way.paths, places, least, divided)


def worst(plan: Plan, levels: Sequence[Level]) -> Change | None:
    """The larger change of a signal or a gradient; None where neither is known."""
    return next(iter(Ways(plan, levels).changes), None)


def _worst(changes: Sequence[Change]) -> Change | None:
    return max(changes, key=lambda change: change.size / log(change.least), default=None)
