"""`LayerPlan`: one layer of a plan, and those below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelforge.core.frozen import plain
from modelforge.core.paths import last
from modelforge.core.tensors import Value, to_data
from modelforge.planning.references import Read


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
        return last(self.path)

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
