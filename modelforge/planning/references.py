"""References of layers to others: the names in reach, what each reference reads, and suggestions for wrong ones."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from modelforge.core.errors import MAX_PROBLEMS, Problem
from modelforge.core.suggestions import did_you_mean
from modelforge.core.tensors import TensorValue, Value, at, first, show
from modelforge.language.layer import REFERENCE


@dataclass(frozen=True, slots=True)
class Read:
    """A reference among siblings: the name of what is read, and where in its output (`()` is all of it)."""

    source: str
    path: tuple[int, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.source, *map(str, self.path)))


@dataclass(frozen=True, slots=True)
class Flow:
    """A value between layers: its shape, the leaves that made it, and the key of the layer that it is named after."""

    value: Value
    makers: tuple[str, ...]
    key: str
    parts: tuple[Flow, ...] = ()
    """The flows of a combinator's several inputs, where the value is their tuple."""

    def at(self, path: tuple[int, ...]) -> Flow:
        """The part of it at an index path."""
        if self.parts and path:
            return self.parts[path[0]].at(path[1:])
        return Flow(at(self.value, path), self.makers, self.key)


class Names:
    """What the layers of one combinator may read: its input, the layers before them, and the values around it."""

    def __init__(self, flows: Mapping[str, Flow | None], outer: Names | None = None) -> None:
        self.flows = dict(flows)
        self.outer = outer
        self.captured: dict[str, None] = {}
        self.read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.flows or (self.outer is not None and name in self.outer)

    def known(self) -> list[str]:
        """All names, nearest first."""
        return [*self.flows, *(self.outer.known() if self.outer is not None else ())]

    def find(self, name: str) -> Flow | None:
        """The value of that name; one from around is captured, and read by all combinators in between."""
        if name not in self.flows:
            assert self.outer is not None, "asked for only if it is there"
            self.flows[name] = self.outer.find(name)
            self.captured[name] = None
        self.read.add(name)
        return self.flows[name]


def bundle(flows: list[Flow]) -> Flow:
    makers = tuple(dict.fromkeys(maker for flow in flows for maker in flow.makers))
    return Flow(tuple(flow.value for flow in flows), makers, flows[0].key, tuple(flows))


@dataclass(frozen=True)
class References:
    """Resolves the references of a model's layers, and collects their problems."""

    inputs: Mapping[str, TensorValue]
    """Inputs of the model, by name."""
    problems: list[Problem]
    dropped: Collection[str] = ()
    """Names of layers that their `when` leaves out."""
    known: set[str] = field(default_factory=set[str])
    """Names of all layers so far, in reach or not."""

    def resolve(
        self, references: tuple[str, ...] | None, key: str, name: str, scope: Names, siblings: Collection[str]
    ) -> tuple[Read, ...] | None:
        """What the references of a layer read; None where one of them is wrong."""
        if references is None:
            hint = f"say which: `inputs: [{', '.join(self.inputs)}]`"
            message = f"`{name}` does not say which of the model's {len(self.inputs)} inputs it reads"
            self.problems.append(Problem("MF030", key, message, hint, part="key"))
            return None
        reads: list[Read] = []
        for index, reference in enumerate(references):
            read = self.read(reference, f"{key}.inputs.{index}", name, scope, siblings)
            if read is None:
                return None
            reads.append(read)
        return tuple(reads)

    def read(self, reference: str, key: str, name: str, scope: Names, siblings: Collection[str]) -> Read | None:
        """What one reference reads; None where it is wrong, or its layer failed."""
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

    def _unknown_input(self, source: str, name: str, key: str, scope: Names, siblings: Collection[str]) -> Problem:
        if source == name:
            return Problem("MF031", key, f"`{name}` cannot read itself")
        if source in siblings:
            hint = f"move `{source}` before `{name}`: layers run in the order they are written"
            return Problem("MF031", key, f"`{source}` comes after `{name}`", hint)
        if source in self.known:
            hint = "a layer can read the layers before it, beside it and around it"
            return Problem("MF030", key, f"`{source}` cannot be read from here", hint)
        if source in self.dropped:
            hint = "read another layer, or leave out the reader by the same `when`"
            return Problem("MF030", key, f"`{source}` is left out of the model: its `when` is false", hint)
        hint = did_you_mean(source, scope.known()) if len(self.problems) < MAX_PROBLEMS else ""
        return Problem("MF030", key, f"there is no layer `{source}` here", hint)
