"""checkpoint: parameters whose values are in files → which tensor is whose, before anything is allocated; then values.

`locate` belongs to planning and reads headers alone; `load` belongs to initialising.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from modelforge.errors import ForgeError, Problem, did_you_mean
from modelforge.inits.pretrained import FileFill, Pretrained
from modelforge.ledger import LedgerEntry
from modelforge.node import FrozenDict
from modelforge.rules import ParameterPlan
from modelforge.shards import Shard
from modelforge.weights import Header, Unreadable, Weights, opened

Shape = tuple[int, ...]


def locate(
    decided: Sequence[ParameterPlan], others: Callable[[], Mapping[str, Shape | None]] | None
) -> tuple[tuple[ParameterPlan, ...], list[Problem]]:
    """Finds the tensor of each parameter whose values come from a file; the other parameters stay as they are.

    Args:
        decided: The parameters.
        others: The other names that a file may rightly have: parameters without a plan, second names of tied ones, and
            buffers with their shapes (None where a tensor of that name is of no use). None where the model is not
            known as a whole, so that names cannot be judged.

    Returns:
        The parameters with fills that say where their values are; and all problems: files that cannot be read,
        parameters that a file lacks, tensors that the model lacks, other shapes and kinds of numbers, and `subset` and
        `rename` that match nothing.
    """
    rules: dict[tuple[Pretrained, str], list[ParameterPlan]] = {}
    for item in decided:
        if isinstance(item.initializer, Pretrained):
            rules.setdefault((item.initializer, item.rule.key), []).append(item)
    if not rules:
        return tuple(decided), []
    extra = None if others is None else {item.path: None for item in decided} | dict(others())
    found: dict[str, ParameterPlan] = {}
    problems: list[Problem] = []
    for (scheme, key), items in rules.items():
        try:
            with opened(scheme.path) as weights:
                headers = weights.headers
        except Unreadable as refusal:
            message = f"`{scheme.path}` gives no values: {refusal.reason}"
            problems.append(Problem(refusal.code, f"{key}.path", message, refusal.hint))
            continue
        source = _Source(scheme, key, headers)
        problems += source.problems
        problems += _lacking(source, items)
        problems += _misfits(source, {item.path: (item.shape, item.dtype) for item in items})
        if extra is not None:
            problems += _surplus(source, extra)
            problems += _misfits(source, {name: (shape, None) for name, shape in extra.items() if shape is not None})
        found |= {item.path: source.located(item) for item in items if item.path in source.names}
    return tuple(found.get(item.path, item) for item in decided), problems


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


def load(items: Sequence[ParameterPlan], shards: Mapping[str, Shard], module: nn.Module) -> Loaded:
    """Reads the values of parameters from their files, and those of the buffers that the files name.

    Args:
        items: Parameters that `locate` has found.
        shards: Their memory, by path; on any device, of any dtype, in whatever part it lives here.
        module: Whose parameters they are.

    Raises:
        ForgeError: a file is not what it was when it was planned.
    """
    equal: dict[str, bool] = {}
    written: dict[str, str] = {}
    rules: dict[Pretrained, list[ParameterPlan]] = {}
    for item in items:
        assert isinstance(item.initializer, Pretrained), "those are given"
        rules.setdefault(item.initializer, []).append(item)
    for scheme, group in rules.items():
        try:
            with opened(scheme.path) as weights:
                for item in group:
                    fill = item.fills[0][1]
                    assert isinstance(fill, FileFill), "it was located"
                    equal[item.path] = _copy(_read(weights, fill.tensor, item.shape), shards[item.path])
                written |= _load_buffers(weights, scheme, module)
        except Unreadable as refusal:
            message = f"`{scheme.path}` gives no values any more: {refusal.reason}"
            raise ForgeError([Problem(refusal.code, f"{group[0].rule.key}.path", message, refusal.hint)]) from refusal
    return Loaded(FrozenDict(equal), FrozenDict(written))


def stored_buffers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """The buffers that a checkpoint of a module holds, by name."""
    for path, owner in module.named_modules(prefix=prefix):
        for name, value in owner._buffers.items():
            if value is not None and name not in owner._non_persistent_buffers_set:
                yield f"{path}.{name}" if path else name, value


# --- locate -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Tensor:
    """A tensor in a file: its name there and what the header says."""

    name: str
    header: Header


class _Source:
    """What a rule sees of its file: tensors by the names that they have in the model."""

    def __init__(self, scheme: Pretrained, key: str, headers: Mapping[str, Header]) -> None:
        self.scheme = scheme
        self.key = key
        self.names: dict[str, _Tensor] = {}
        self.problems: list[Problem] = []
        used: set[str] = set()
        for name, header in headers.items():
            if scheme.selected(name):
                new, by = scheme.renamed(name)
                used |= {by} if by is not None else set()
                if new in self.names:
                    message = f"`{self.names[new].name}` and `{name}` of `{scheme.path}` both become `{new}`"
                    self.problems.append(
                        Problem("MF116", f"{key}.rename", message, "keep them apart, or out: `subset`")
                    )
                self.names[new] = _Tensor(name, header)
        for index, glob in enumerate(scheme.subset):
            if not any(_matches(glob, name) for name in headers):
                self._nothing(f"{key}.subset" + (f".{index}" if len(scheme.subset) > 1 else ""), glob, headers)
        for old in scheme.rename:
            if old not in used:
                self._nothing(f"{key}.rename.{old}", old, headers, part="key")

    def _nothing(self, path: str, name: str, headers: Collection[str], part: str = "value") -> None:
        message = f"`{name}` matches no name in `{self.scheme.path}`"
        hint = did_you_mean(name, {*headers, *(name.partition(".")[0] for name in headers)}) or _some(headers)
        self.problems.append(Problem("MF115", path, message, hint, part="key" if part == "key" else "value"))

    def located(self, item: ParameterPlan) -> ParameterPlan:
        """The parameter with a fill for its tensor; rows that schemes must not change come from the file too."""
        tensor = self.names[item.path]
        fill = FileFill(self.scheme.path, tensor.name, str(tensor.header.dtype).removeprefix("torch."))
        fills = tuple((replace(block, fixed=None), fill) for block, _ in item.fills)
        return replace(item, fills=fills, mean=None, std=None)


def _lacking(source: _Source, items: Sequence[ParameterPlan]) -> Iterator[Problem]:
    lacking = [item for item in items if item.path not in source.names]
    if lacking:
        listed = ", ".join(f"{item.path} {item.shape}" for item in lacking)
        message = f"`{source.scheme.path}` has no values for what this rule covers: {listed}"
        near = did_you_mean(lacking[0].path, source.names)
        near = f"; {near}" if near.startswith("did") else ""
        hint = "give them another scheme by name, in `params`, or `rename` what the file has" + near
        yield Problem("MF112", source.key, message, hint)


def _surplus(source: _Source, known: Collection[str]) -> Iterator[Problem]:
    surplus = [name for name in source.names if name not in known]
    if surplus:
        listed = ", ".join(f"{name} {source.names[name].header.shape}" for name in surplus)
        message = f"the model has no place for these tensors of `{source.scheme.path}`: {listed}"
        near = did_you_mean(surplus[0], known)
        near = f"; {near}" if near.startswith("did") else ""
        yield Problem("MF113", source.key, message, "`subset` says what to take, and `rename` what it is here" + near)


def _misfits(source: _Source, wanted: Mapping[str, tuple[Shape, str | None]]) -> Iterator[Problem]:
    found = {name: source.names[name].header for name in wanted if name in source.names}
    shapes = [
        f"{name} is {header.shape} there, but must be {wanted[name][0]}"
        for name, header in found.items()
        if header.shape != wanted[name][0]
    ]
    if shapes:
        message = f"`{source.scheme.path}` has other shapes: {'; '.join(shapes)}"
        yield Problem("MF114", source.key, message, "give these another scheme by name, in `params`")
    kinds = [
        f"{name} is {header.dtype} there, but {dtype} here".replace("torch.", "")
        for name, header in found.items()
        if (dtype := wanted[name][1]) is not None and _kind(header.dtype) != _kind(getattr(torch, dtype))
    ]
    if kinds:
        message = f"`{source.scheme.path}` has other kinds of numbers: {'; '.join(kinds)}"
        yield Problem("MF114", source.key, message, "give these another scheme by name, in `params`")


def _kind(dtype: torch.dtype) -> str:
    return "real" if dtype.is_floating_point else "complex" if dtype.is_complex else str(dtype)


def _matches(glob: str, name: str) -> bool:
    return Pretrained(path="-", subset=(glob,)).selected(name)


def _some(names: Collection[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in [*names][:5])
    return f"it has {shown}{', ...' if len(names) > 5 else ''}" if names else "it holds no tensors"


# --- load -------------------------------------------------------------------------------------------------------------


def _read(weights: Weights, name: str, shape: Shape) -> Tensor:
    values = weights.read(name) if name in weights.headers else None
    if values is None or tuple(values.shape) != shape:
        raise Unreadable(f"`{name}` is not what it was when it was planned")
    return values


def _copy(values: Tensor, shard: Shard) -> bool:
    shard.write(values.reshape(-1), 0)
    expected = replace(shard, local=torch.empty_like(shard.local))
    expected.write(values.reshape(-1), 0)
    return torch.equal(expected.local, shard.local)


def _load_buffers(weights: Weights, scheme: Pretrained, module: nn.Module) -> dict[str, str]:
    names = {scheme.renamed(name)[0]: name for name in weights.headers if scheme.selected(name)}
    found = {path: value for path, value in stored_buffers(module) if path in names}
    for path, value in found.items():
        value.copy_(_read(weights, names[path], tuple(value.shape)))
    return {path: f"{scheme.path}: {names[path]}" for path in found}
