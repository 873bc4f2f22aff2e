"""locate: parameters whose values are in files → the tensor of each. Only headers are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor, nn

from modelforge.core.errors import Problem, Refusal
from modelforge.core.frozen import FrozenDict
from modelforge.core.paths import join, parent
from modelforge.core.quoting import listed
from modelforge.core.suggestions import did_you_mean, nearest
from modelforge.core.tensor_file import WRAPPERS, Header, opened
from modelforge.inits.fills import FilePart, Fill
from modelforge.inits.from_file import FromFile, Renamed
from modelforge.planning.assign import ParameterPlan

Shape = tuple[int, ...]
MAX_LISTED = 10
"""Parameters that one problem names."""


@dataclass(frozen=True)
class Located:
    """All parameters, where those of files have fills that say where; and the buffers that files hold."""

    parameters: tuple[ParameterPlan, ...]
    buffers: Mapping[str, FilePart] = FrozenDict()
    problems: tuple[Problem, ...] = ()
    """Files that cannot be read, parameters that a file lacks, tensors that the model lacks, other shapes and kinds of
    numbers, tensors that cannot be split or transposed, and `subset` and `rename` that match nothing."""


def locate(
    decided: Sequence[ParameterPlan],
    others: Callable[[], Mapping[str, Shape | None]] | None,
    skips: Mapping[str, Collection[str]] = FrozenDict(),
    ties: Mapping[str, str] = FrozenDict(),
) -> Located:
    """Finds the tensor of each parameter whose values come from a file; the other parameters stay as they are.

    Args:
        decided: The parameters.
        others: The other names that a file may hold: parameters without a plan, second names of tied ones, and
            buffers with their shapes (None where a tensor of that name is of no use). None where the model is not
            known as a whole, so that names cannot be judged.
        skips: By the key of a rule, globs for names in the model whose values are not taken from its file.
        ties: Second names of tied parameters, each with the first.
    """
    rules: dict[tuple[FromFile, str], list[ParameterPlan]] = {}
    for item in decided:
        if isinstance(item.initializer, FromFile):
            rules.setdefault((item.initializer, item.rule.key), []).append(item)
    if not rules:
        return Located(tuple(decided))
    shapes = {item.path: item.shape for item in decided}
    extra = None if others is None else {path: None for path in shapes} | dict(others())
    found: dict[str, ParameterPlan] = {}
    buffers: dict[str, FilePart] = {}
    problems: list[Problem] = []
    for (scheme, key), items in rules.items():
        try:
            with opened(scheme.path) as weights:
                headers = weights.headers
        except Refusal as refusal:
            message = f"`{scheme.path}` cannot be loaded: {refusal.reason}"
            problems.append(Problem(refusal.code or "MF110", f"{key}.path", message, refusal.hint))
            continue
        source = _Source(_of_training(scheme, headers, shapes), key, skips.get(key), shapes, ties)
        source.read(headers)
        problems += source.problems
        problems += _lacking(source, items)
        problems += _misfits(source, {item.path: (item.shape, item.dtype) for item in items})
        if extra is not None:
            stored = {path: shape for path, shape in extra.items() if shape is not None}
            problems += _surplus(source, extra)
            problems += _misfits(source, {path: (shape, None) for path, shape in stored.items()})
            buffers |= {path: source.fills[path] for path in stored if path in source.fills}
        found |= {item.path: _located(item, source.fills[item.path]) for item in items if item.path in source.fills}
    return Located(tuple(found.get(item.path, item) for item in decided), FrozenDict(buffers), tuple(problems))


def stored_buffers(module: nn.Module, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """The buffers that a checkpoint of a module holds, by name."""
    for path, owner in module.named_modules(prefix=prefix):
        for name, value in owner._buffers.items():
            if value is not None and name not in owner._non_persistent_buffers_set:
                yield join(path, name), value


def _of_training(scheme: FromFile, headers: Collection[str], shapes: Collection[str]) -> FromFile:
    """The scheme, with the prefixes that training puts before each name (`state_dict.model.`, `module.`, `_orig_mod.`)
    stripped as well, unless the model has a name that begins so, or the scheme renames one."""
    known = {name.partition(".")[0] for name in (*shapes, *scheme.rename)}
    strip: list[str] = []
    names = [*headers]
    while names:
        first = names[0].partition(".")[0]
        if first not in WRAPPERS or first in known or not all(name.startswith(f"{first}.") for name in names):
            break
        strip.append(first)
        names = [name.removeprefix(f"{first}.") for name in names]
    return scheme.model_copy(update={"strip": (*strip, *scheme.strip)}) if strip else scheme


@dataclass
class _Source:
    """The file of one rule: where in it the values of each name in the model are."""

    scheme: FromFile
    key: str
    skips: Collection[str] | None
    """Globs for names in the model that it leaves out; None where the rule has no `skip`."""
    shapes: Mapping[str, Shape]
    """Of the model's parameters; a tensor is split by them."""
    ties: Mapping[str, str]
    """Second names of tied parameters, each with the first."""
    fills: dict[str, FilePart] = field(default_factory=dict[str, FilePart])
    problems: list[Problem] = field(default_factory=list[Problem])
    unsplit: dict[str, FilePart] = field(default_factory=dict[str, FilePart])
    """Names that are not parameters, by which a tensor cannot be split."""

    def way_out(self, names: Sequence[str], known: Collection[str]) -> str:
        """A hint for parameters whose values the file lacks, among all that the rule covers."""
        if self.skips is None:
            return "give these parameters another scheme in `params`"
        globs = [*self.skips, *_globs(names, known)]
        shown = ", ".join(globs) if len(globs) <= MAX_LISTED else "..."
        return f"leave them to their init blocks: `'weights.skip=[{shown}]'`"

    def read(self, headers: Mapping[str, Header]) -> None:
        """Finds the name in the model of each tensor of the file."""
        used: set[str] = set()
        for name, header in headers.items():
            if not self.scheme.selected(name):
                continue
            renamed = self.scheme.renamed(name)
            used.update(renamed.by)
            dtype = str(header.dtype).removeprefix("torch.")
            whole = FilePart(self.scheme.path, name, header.shape, dtype, renamed.transpose, renamed.squeeze)
            for new, fill in self._parts(renamed, whole):
                if new in self.fills:
                    message = f"`{self.fills[new].tensor}` and `{name}` of `{self.scheme.path}` both become `{new}`"
                    hint = "rename them to different names, or leave one out with `subset`"
                    self.problems.append(Problem("MF116", f"{self.key}.rename", message, hint))
                if not any(fnmatchcase(new, glob) for glob in self.skips or ()):
                    self.fills[new] = fill
        self._join_ties()
        for index, glob in enumerate(self.scheme.subset):
            if not any(fnmatchcase(name, glob) for name in headers):
                path = f"{self.key}.subset" + (f".{index}" if len(self.scheme.subset) > 1 else "")
                self._matches_nothing(path, glob, headers)
        # A tensor of no use need not be there, and the map for a family of models fits older and newer files.
        for old, new in self.scheme.rename.items() if self.skips is None else ():
            if old not in used and new is not None:
                self._matches_nothing(f"{self.key}.rename.{old}", old, headers, part="key")

    def _join_ties(self) -> None:
        """A file may hold a tied parameter under each of its names: the values must then be equal."""
        for name, first in self.ties.items():
            fill = self.fills.pop(name, None)
            if fill is None or any(fnmatchcase(first, glob) for glob in self.skips or ()):
                continue
            known = self.fills.get(first)
            self.fills[first] = fill if known is None else replace(known, twins=(*known.twins, fill))

    def _parts(self, renamed: Renamed, whole: FilePart) -> Iterator[tuple[str, FilePart]]:
        """The names in the model that a tensor serves, each with its part of it."""
        rule = f"{self.key}.rename.{renamed.by[-1]}" if renamed.by else self.key
        if refused := _unmovable(whole):
            message = f"`{whole.tensor}` of `{whole.file}` is {whole.shape}, and cannot be {refused}"
            self.problems.append(Problem("MF117", rule, message))
            return
        if len(renamed.names) < 2:
            yield from ((name, whole) for name in renamed.names)
            return
        known = {name: self.shapes[name] for name in renamed.names if name in self.shapes}
        if len(known) < len(renamed.names):
            self.unsplit |= {name: whole for name in renamed.names if name not in known}
            return
        rows = [shape[0] if shape else 0 for shape in known.values()]
        if not whole.part_shape or sum(rows) != whole.part_shape[0]:
            parts = ", ".join(f"{name} {shape}" for name, shape in known.items())
            message = f"`{whole.tensor}` of `{whole.file}` is {_shown(whole)} there, and cannot be split into {parts}"
            hint = f"{' + '.join(map(str, rows))} = {sum(rows)}: its first dimension must be their sum"
            self.problems.append(Problem("MF117", rule, message, hint))
            return
        stop = 0
        for name, count in zip(known, rows, strict=True):
            yield name, replace(whole, rows=(stop, stop + count))
            stop += count

    def _matches_nothing(
        self, path: str, name: str, headers: Collection[str], part: Literal["key", "value"] = "value"
    ) -> None:
        message = f"`{name}` matches no name in `{self.scheme.path}`"
        shown = listed(headers, MAX_LISTED, quote="`")
        hint = did_you_mean(name, {*headers, *(name.partition(".")[0] for name in headers)})
        hint = hint or (f"it has {shown}" if shown else "it holds no tensors")
        self.problems.append(Problem("MF115", path, message, hint, part=part))


def _unmovable(whole: FilePart) -> str:
    """Why a tensor cannot be squeezed or transposed as it should be; empty where it can."""
    if whole.squeeze and whole.shape[:1] != (1,):
        return "squeezed: its first dimension is not 1"
    return "transposed: it is not a matrix" if whole.transpose and len(whole.part_shape) > 2 else ""


def _located(item: ParameterPlan, fill: FilePart) -> ParameterPlan:
    """The parameter with a fill that says where its values are; rows that no scheme may change are read too."""
    fills = tuple((replace(matrix, fixed=None), Fill(numbers=fill.numbers, part=fill)) for matrix, _ in item.fills)
    return replace(item, fills=fills, mean=None, std=None)


def _lacking(source: _Source, items: Sequence[ParameterPlan]) -> Iterator[Problem]:
    lacking = [item for item in items if item.path not in source.fills]
    # A tensor that cannot be split or transposed is a problem already.
    if lacking and all(problem.code != "MF117" for problem in source.problems):
        named = listed([f"{item.path} {item.shape}" for item in lacking], MAX_LISTED)
        message = f"`{source.scheme.path}` lacks parameters of this rule: {named}"
        way_out = source.way_out([item.path for item in lacking], [item.path for item in items])
        hint = f"{way_out}, or `rename` what the file has{_near(lacking[0].path, source.fills)}"
        if prefix := _prefix([item.path for item in lacking], source.fills):
            setting = f"strip: {prefix}" if source.skips is None else f"weights.strip={prefix}"
            hint = f"its names begin with `{prefix}.`; remove this prefix: `{setting}`"
        yield Problem("MF112", source.key, message, hint)


def _surplus(source: _Source, known: Collection[str]) -> Iterator[Problem]:
    surplus = {name: fill for name, fill in source.fills.items() if name not in known} | source.unsplit
    if surplus:
        named = listed([f"{name} {fill.shape}" for name, fill in surplus.items()], MAX_LISTED)
        message = f"the model has no parameters for these tensors of `{source.scheme.path}`: {named}"
        hint = "`subset` says which tensors to take, and `rename` what they are called here"
        yield Problem("MF113", source.key, message, hint + _near(next(iter(surplus)), known))


def _prefix(names: Sequence[str], found: Collection[str]) -> str:
    """The prefix, without its dot, that the names in the file have before each of `names`; empty where there is none.

    >>> _prefix(["head.weight", "head.bias"], ["net.head.weight", "net.head.bias"]), _prefix(["a"], ["b"])
    ('net', '')
    """
    prefixes = (name.removesuffix(f".{names[0]}") for name in found if name.endswith(f".{names[0]}"))
    return next((prefix for prefix in prefixes if all(f"{prefix}.{name}" in found for name in names)), "")


def _near(name: str, known: Collection[str]) -> str:
    """A suggestion behind a hint; a list of all names would be too much there."""
    near = nearest(name, known)
    return f"; {near}" if near else ""


def _misfits(source: _Source, wanted: Mapping[str, tuple[Shape, str | None]]) -> Iterator[Problem]:
    found = {name: source.fills[name] for name in wanted if name in source.fills}
    shapes = {
        name: f"{name} is {_shown(fill)} there, but must be {wanted[name][0]}"
        for name, fill in found.items()
        if fill.part_shape != wanted[name][0]
    }
    kinds = {
        name: f"{name} is {fill.dtype} there, but {dtype} here"
        for name, fill in found.items()
        if (dtype := wanted[name][1]) is not None and _kind(fill.dtype) != _kind(dtype)
    }
    for what, wrong in (("shapes", shapes), ("kinds of numbers", kinds)):
        if wrong:
            message = f"`{source.scheme.path}` has other {what}: {listed(wrong.values(), MAX_LISTED, '; ')}"
            yield Problem("MF114", source.key, message, source.way_out([*wrong], wanted))


def _globs(names: Sequence[str], known: Collection[str]) -> list[str]:
    """Globs for these parameters and no other: `head.*` where they are all of `head`.

    >>> _globs(["head.weight", "head.bias", "a.weight"], ["head.weight", "head.bias", "a.weight", "a.bias"])
    ['head.*', 'a.weight']
    """
    parents = {name: parent(name) for name in names}
    others = [name for name in known if name not in parents]
    split = {parent for parent in parents.values() if any(name.startswith(f"{parent}.") for name in others)} | {""}
    return [*dict.fromkeys(name if parent in split else f"{parent}.*" for name, parent in parents.items())]


def _shown(fill: FilePart) -> str:
    transposed = " (transposed)" if fill.transpose and len(fill.part_shape) > 1 else ""
    return f"{fill.part_shape}{transposed}"


def _kind(name: str) -> str:
    dtype: torch.dtype = getattr(torch, name)
    return "real" if dtype.is_floating_point else "complex" if dtype.is_complex else name
