"""`Probe`: what was measured of a network, as frozen values that print as a table and as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rich.console import RenderableType

from modelforge.core.shown import Shown
from modelforge.core.suggestions import lookup
from modelforge.core.words import plural
from modelforge.report.table import to_text
from modelforge.signal.jacobian import Jacobian
from modelforge.signal.nodes import ProbedNode, finite
from modelforge.signal.probe_table import probe_table
from modelforge.signal.recurrent import Spectrum

Mode = Literal["train", "eval", "mixed"]


@dataclass(frozen=True, slots=True, repr=False)
class Probe(Shown):
    """How a network starts, as measured on a batch."""

    inputs: tuple[ProbedNode, ...]
    """The floating-point tensors of the batch."""
    nodes: tuple[ProbedNode, ...]
    """Modules in the order in which they finish; a container that gives what its last module gave is left out."""
    jacobian: Jacobian | None
    spectra: tuple[Spectrum, ...]
    mode: Mode
    seeds: tuple[int, ...]
    same: Mapping[str, str]
    """The containers that are left out, each with the module that has their node."""

    def __getitem__(self, path: str) -> ProbedNode:
        """The node of a module; of a container that is left out, that of the module which made its output.

        Raises:
            KeyError: nothing was measured there; it names the nearest paths.
        """
        return lookup(self.by_path, path, "nothing was measured at")

    def __contains__(self, path: object) -> bool:
        return path in self.by_path

    def __iter__(self) -> Iterator[ProbedNode]:
        return iter(self.nodes)

    @property
    def by_path(self) -> Mapping[str, ProbedNode]:
        """The nodes by path, also those of containers that are left out."""
        found = {node.path: node for node in self.nodes}
        return found | {path: found[maker] for path, maker in self.same.items()}

    def to_dict(self) -> dict[str, Any]:
        """All that was measured as plain data; a number that is not finite is None."""
        return {
            "mode": self.mode,
            "seeds": [*self.seeds],
            "inputs": [node.to_dict() for node in self.inputs],
            "nodes": [node.to_dict() for node in self.nodes],
            "same": {**self.same},
            "jacobian": None if self.jacobian is None else finite(self.jacobian.to_dict()),
            "spectra": [finite(spectrum.to_dict()) for spectrum in self.spectra],
        }

    def __rich__(self) -> RenderableType:
        return probe_table(self.inputs, self.nodes, self.jacobian, self.spectra)

    def __str__(self) -> str:
        return to_text(self.__rich__())

    def _brief(self) -> str:
        return f"{plural(len(self.nodes), 'node')}, {self.mode}, {plural(len(self.seeds), 'seed')}"
