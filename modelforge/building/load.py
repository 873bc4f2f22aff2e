"""load: parameters and buffers that `locate` has found → their values, from the files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from modelforge.building.entries import LedgerEntry
from modelforge.building.shards import Shard, shard_of
from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.frozen import FrozenDict
from modelforge.core.tensor_file import Weights, opened
from modelforge.inits.fills import FilePart
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.weight_files import stored_buffers


@dataclass(frozen=True)
class Loaded:
    """What came from files."""

    equal: Mapping[str, bool] = FrozenDict()
    """For each parameter whether its memory holds the values of the file, rounded to its dtype."""
    buffers: Mapping[str, str] = FrozenDict()
    """For each buffer its file and the name there."""

    def judge(self, entry: LedgerEntry) -> LedgerEntry:
        """The entry of a parameter, with a verdict on whether it holds the values of its file; others unchanged."""
        if entry.path not in self.equal or entry.verdict == "fail":
            return entry
        if self.equal[entry.path]:
            return replace(entry, verdict="pass")
        return replace(entry, verdict="fail", reason="its values are not those of the file")


def load(
    items: Sequence[ParameterPlan],
    shards: Mapping[str, Shard],
    buffers: Mapping[str, FilePart],
    module: nn.Module,
) -> Loaded:
    """Reads the values of parameters and buffers from their files, each tensor once.

    Args:
        items: Parameters that `locate` has found.
        shards: Their memory, by path; on any device, of any dtype, whatever part of them lives here.
        buffers: Buffers of the module that `locate` has found.
        module: Holds the parameters.

    Raises:
        ForgeError: a file has changed since it was planned.
    """
    parts = {item.path: _part(item) for item in items} | dict(buffers)
    if not parts:
        return Loaded()
    memory = {**shards, **{path: shard_of(value) for path, value in stored_buffers(module)}}
    files: dict[str, dict[str, list[str]]] = {}
    for path, part in parts.items():
        files.setdefault(part.file, {}).setdefault(part.tensor, []).append(path)
    equal: dict[str, bool] = {}
    for file, tensors in files.items():
        try:
            with opened(file) as weights:
                for paths in tensors.values():
                    values = _read(weights, parts[paths[0]])
                    equal |= {path: _copy(parts[path].part(values), memory[path]) for path in paths}
        except Refusal as refusal:
            message = f"`{file}` cannot be loaded: {refusal.reason}"
            # A file whose buffers are used serves parameters too.
            rule = next(item.rule.key for item in items if parts[item.path].file == file)
            raise ForgeError([Problem(refusal.code or "MF110", f"{rule}.path", message, refusal.hint)]) from refusal
    origins = {path: f"{part.file}: {part.tensor}" for path, part in buffers.items()}
    return Loaded(FrozenDict({item.path: equal[item.path] for item in items}), FrozenDict(origins))


def _part(item: ParameterPlan) -> FilePart:
    part = item.fills[0][1].part
    assert part is not None, "it was located"
    return part


def _read(weights: Weights, fill: FilePart) -> Tensor:
    values = weights.read(fill.tensor) if fill.tensor in weights.headers else None
    if values is None or tuple(values.shape) != fill.shape:
        raise Refusal(f"`{fill.tensor}` has changed since it was planned")
    for twin in fill.twins:
        if not torch.equal(twin.part(_read(weights, twin)), fill.part(values)):
            reason = f"`{fill.tensor}` and `{twin.tensor}` differ there, and are one parameter here"
            raise Refusal(reason, "untie them, or choose one by `subset`", "MF114")
    return values


def _copy(values: Tensor, shard: Shard) -> bool:
    """Writes the values; whether the memory then holds them."""
    shard.write(values.reshape(-1), 0)
    expected = replace(shard, local=torch.empty_like(shard.local))
    expected.write(values.reshape(-1), 0)
    return torch.equal(expected.local, shard.local)
