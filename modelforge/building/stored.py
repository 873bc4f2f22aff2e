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
from modelforge.planning.stored import Target, stored_buffers


@dataclass(frozen=True)
class Loaded:
    """What came from files."""

    equal: Mapping[str, bool] = FrozenDict()
    """For each parameter whether its memory holds what the file does, rounded to its dtype."""
    buffers: Mapping[str, str] = FrozenDict()
    """For each buffer its file and the name there."""

    def judge(self, entry: LedgerEntry) -> LedgerEntry:
        """The entry of a parameter, with a verdict on whether it holds what its file does; others as they are."""
        if entry.path not in self.equal or entry.verdict == "fail":
            return entry
        return replace(entry, verdict="pass" if self.equal[entry.path] else "fail")


def load(
    items: Sequence[ParameterPlan],
    shards: Mapping[str, Shard],
    buffers: Sequence[Target],
    module: nn.Module,
) -> Loaded:
    """Reads the values of parameters and buffers from their files, each tensor once.

    Args:
        items: Parameters that `locate` has found.
        shards: Their memory, by path; on any device, of any dtype, in whatever part it lives here.
        buffers: Those of the module that `locate` has found.
        module: Whose parameters they are.

    Raises:
        ForgeError: a file is not what it was when it was planned.
    """
    memory = {**shards, **{path: shard_of(value) for path, value in stored_buffers(module)}}
    wanted: dict[str, dict[str, list[Target]]] = {}
    for target in (*map(_as_target, items), *buffers):
        wanted.setdefault(target.fill.file, {}).setdefault(target.fill.tensor, []).append(target)
    equal: dict[str, bool] = {}
    for file, tensors in wanted.items():
        try:
            with opened(file) as weights:
                for targets in tensors.values():
                    values = _read(weights, targets[0].fill)
                    for target in targets:
                        equal[target.path] = _copy(target.fill.part(values), memory[target.path])
        except Refusal as refusal:
            message = f"`{file}` gives no values: {refusal.reason}"
            rule = next(target.rule for targets in tensors.values() for target in targets)
            raise ForgeError([Problem(refusal.code or "MF110", f"{rule}.path", message, refusal.hint)]) from refusal
    origins = {buffer.path: f"{buffer.fill.file}: {buffer.fill.tensor}" for buffer in buffers}
    return Loaded(FrozenDict({item.path: equal[item.path] for item in items}), FrozenDict(origins))


def _as_target(item: ParameterPlan) -> Target:
    part = item.fills[0][1].part
    assert part is not None, "it was located"
    return Target(item.path, item.rule.key, part)


def _read(weights: Weights, fill: FilePart) -> Tensor:
    values = weights.read(fill.tensor) if fill.tensor in weights.headers else None
    if values is None or tuple(values.shape) != fill.shape:
        raise Refusal(f"`{fill.tensor}` is not what it was when it was planned")
    for twin in fill.twins:
        if not torch.equal(twin.part(_read(weights, twin)), fill.part(values)):
            reason = f"`{fill.tensor}` and `{twin.tensor}` differ there, and are one parameter here"
            raise Refusal(reason, "untie them, or say by `subset` which is meant", "MF114")
    return values


def _copy(values: Tensor, shard: Shard) -> bool:
    shard.write(values.reshape(-1), 0)
    expected = replace(shard, local=torch.empty_like(shard.local))
    expected.write(values.reshape(-1), 0)
    return torch.equal(expected.local, shard.local)
