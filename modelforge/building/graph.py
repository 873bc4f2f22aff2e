"""`Graph`: the `nn.Module` that every combinator becomes. Layers run in order and read earlier values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from modelforge.planning.references import Read

Step = tuple[str, int | None, tuple[tuple[int, tuple[int, ...]], ...], int, tuple[int, ...]]
"""A child's name; the register it reads, where it reads one and all of it; the registers and index paths it reads; the
register it writes; and the registers that are not read after it."""


class Graph(nn.Module):
    """Runs its children in order. Each reads registers and writes one; a register is reused after its last reader.

    A chain needs one register, so it runs as fast as `nn.Sequential`; no value lives longer than in code by hand.
    """

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
        self._steps, self._num_registers, registers = _allocate(list(children), [*inputs, *outer], reads, results)
        self._results = tuple((registers[read.source], read.path) for read in results)
        self._names = tuple(names)
        self._num_inputs = num_inputs
        self._num_arguments = num_inputs + len(outer)
        self._packs = len(inputs) != num_inputs

    def forward(self, *inputs: Any) -> Any:
        if len(inputs) != self._num_arguments:
            raise TypeError(f"forward takes {self._num_arguments} inputs, but gets {len(inputs)}")
        own = self._num_inputs
        registers: list[Any] = [inputs[:own], *inputs[own:]] if self._packs else list(inputs)
        registers += [None] * (self._num_registers - len(registers))
        modules = self._modules
        for name, only, reads, write, dead in self._steps:
            module: Any = modules[name]
            if only is None:
                registers[write] = module(*[_pick(registers[register], path) for register, path in reads])
            else:
                registers[write] = module(registers[only])
            for register in dead:
                registers[register] = None
        results = [_pick(registers[register], path) for register, path in self._results]
        return dict(zip(self._names, results, strict=True)) if self._names else results[0]


def _pick(value: Any, path: tuple[int, ...]) -> Any:
    for index in path:
        value = value[index]
    return value


def _allocate(
    names: list[str], inputs: list[str], reads: Mapping[str, Sequence[Read]], results: Sequence[Read]
) -> tuple[tuple[Step, ...], int, dict[str, int]]:
    """Registers for all values: each lives until its last reader, and results to the end."""
    last_reader = {read.source: index for index, name in enumerate(names) for read in reads[name]}
    last_reader |= {read.source: len(names) for read in results}
    register = {name: index for index, name in enumerate(inputs)}
    num_registers = len(inputs)
    free = [register[name] for name in inputs if name not in last_reader]
    steps: list[Step] = []
    for index, name in enumerate(names):
        sources = tuple((register[read.source], read.path) for read in reads[name])
        dead = {register[read.source] for read in reads[name] if last_reader[read.source] == index}
        free += dead
        if not free:
            free.append(num_registers)
            num_registers += 1
        register[name] = free.pop()
        dead.discard(register[name])
        if name not in last_reader:
            free.append(register[name])
            dead.add(register[name])
        only = sources[0][0] if len(sources) == 1 and not sources[0][1] else None
        steps.append((name, only, sources, register[name], tuple(dead)))
    return tuple(steps), num_registers, register
