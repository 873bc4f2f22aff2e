"""`Graph`: the `nn.Module` that every combinator becomes. Layers run in order and read earlier values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from modelforge.planning.references import Read

Step = tuple[str, str | None, tuple[Read, ...], tuple[str, ...]]
"""A child's name, by which its value is read; what it reads, where that is one whole value; all that it reads; and the
values that are not read after it."""


class Graph(nn.Module):
    """Runs its children in order, each on values before it. No value lives longer than in code by hand."""

    def __init__(
        self,
        children: Mapping[str, nn.Module],
        inputs: Sequence[str],
        reads: Mapping[str, Sequence[Read]],
        *,
        num_inputs: int,
        outer: Sequence[str] = (),
        results: Sequence[Read] = (),
        names: Sequence[str] = (),
    ) -> None:
        """Wires `children`.

        Args:
            children: The layers by name, in execution order.
            inputs: Names by which children read the inputs; one name for several inputs stands for all of them.
            reads: What each child reads.
            num_inputs: The number of arguments that `forward` takes for `inputs`.
            outer: Names by which children read values from around this graph; `forward` takes them last.
            results: What is returned; default the last child's whole output.
            names: Names of the results, which are then returned as a dict.
        """
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)
        results = tuple(results) or (Read(list(children)[-1]),)
        self._steps = _steps(reads, [*children], [*inputs, *outer], results)
        self._results = results
        self._names = tuple(names)
        self._arguments = (*inputs, *outer)
        self._num_inputs = num_inputs
        self._num_arguments = num_inputs + len(outer)
        self._packs = len(inputs) != num_inputs

    def forward(self, *inputs: Any) -> Any:
        if len(inputs) != self._num_arguments:
            raise TypeError(f"forward takes {self._num_arguments} inputs, but gets {len(inputs)}")
        if self._packs:
            inputs = inputs[: self._num_inputs], *inputs[self._num_inputs :]
        values = dict(zip(self._arguments, inputs, strict=True))
        modules = self._modules
        for name, only, reads, dead in self._steps:
            module: Any = modules[name]
            if only is None:
                values[name] = module(*[_pick(values[read.source], read.path) for read in reads])
            else:
                values[name] = module(values[only])
            for source in dead:
                del values[source]
        results = [_pick(values[read.source], read.path) for read in self._results]
        return dict(zip(self._names, results, strict=True)) if self._names else results[0]


def _pick(value: Any, path: tuple[int, ...]) -> Any:
    for index in path:
        value = value[index]
    return value


def _steps(
    reads: Mapping[str, Sequence[Read]], names: Sequence[str], inputs: Sequence[str], results: Sequence[Read]
) -> tuple[Step, ...]:
    """The steps of children in this order; results live to the end."""
    last_reader = {read.source: name for name in names for read in reads[name]}
    last_reader |= dict.fromkeys((read.source for read in results), "")
    last_reader = {name: names[0] for name in inputs} | {name: name for name in names} | last_reader
    dead: dict[str, list[str]] = {name: [] for name in (*names, "")}
    for name, reader in last_reader.items():
        dead[reader].append(name)
    steps: list[Step] = []
    for name in names:
        whole = len(reads[name]) == 1 and not reads[name][0].path
        steps.append((name, reads[name][0].source if whole else None, tuple(reads[name]), tuple(dead[name])))
    return tuple(steps)
