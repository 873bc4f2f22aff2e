"""`Graph`: the `nn.Module` that every combinator becomes. Layers run in order and read earlier values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True, slots=True)
class Read:
    """A reference among siblings: the name of what is read, and where in its output (`()` is all of it)."""

    source: str
    path: tuple[int, ...] = ()

    def __str__(self) -> str:
        return ".".join((self.source, *map(str, self.path)))


Step = tuple[str, int | None, tuple[tuple[int, tuple[int, ...]], ...], int, tuple[int, ...]]
"""A child's name; the register it reads, where it reads one and all of it; the registers and index paths it reads; the
register it writes; and the registers that nobody reads after it."""


class Graph(nn.Module):
    """Runs its children in order. Each reads registers and writes one; a register is reused after its last reader.

    A chain needs one register, so it runs as fast as `nn.Sequential`; nothing is kept alive longer than by hand.
    """

    def __init__(
        self,
        children: Mapping[str, nn.Module],
        inputs: Sequence[str],
        reads: Mapping[str, Sequence[Read]],
        *,
        num_inputs: int,
        output: tuple[int, ...] = (),
    ) -> None:
        """Wires `children`.

        Args:
            children: The layers by name, in execution order.
            inputs: Names by which children read what arrives; one name for several inputs stands for all of them.
            reads: What each child reads.
            num_inputs: How many arguments `forward` takes.
            output: Where in the last child's output the result is; `()` is all of it.
        """
        super().__init__()
        for name, child in children.items():
            self.add_module(name, child)
        self._steps, self._num_registers, last = _allocate(list(children), list(inputs), reads)
        self._result = (last, output)
        self._num_inputs = num_inputs
        self._packs = len(inputs) != num_inputs

    def forward(self, *inputs: Any) -> Any:
        if len(inputs) != self._num_inputs:
            raise TypeError(f"forward takes {self._num_inputs} inputs, but gets {len(inputs)}")
        registers: list[Any] = [inputs] if self._packs else list(inputs)
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
        register, path = self._result
        return _pick(registers[register], path)


def _pick(value: Any, path: tuple[int, ...]) -> Any:
    for index in path:
        value = value[index]
    return value


def _allocate(
    names: list[str], inputs: list[str], reads: Mapping[str, Sequence[Read]]
) -> tuple[tuple[Step, ...], int, int]:
    """Registers for all values: an input or output lives until its last reader, the last output to the end."""
    last_reader = {read.source: index for index, name in enumerate(names) for read in reads[name]}
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
        if name not in last_reader and name != names[-1]:
            free.append(register[name])
            dead.add(register[name])
        only = sources[0][0] if len(sources) == 1 and not sources[0][1] else None
        steps.append((name, only, sources, register[name], tuple(dead)))
    return tuple(steps), num_registers, register[names[-1]]
