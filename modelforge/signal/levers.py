"""levers: a plan → for each layer with weights what its output's energy goes by, and what its energy should be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from modelforge.core.matrix import Branch
from modelforge.planning.assign import ParameterPlan
from modelforge.signal.flow import LeafGraph, LeafLayer, Source
from modelforge.signal.retuned import root_mean_square
from modelforge.signal.rule import RULES


@dataclass(frozen=True, slots=True)
class Lever:
    """Parameters of one layer by which energies go; names are below the layer's path."""

    main: tuple[str, ...]
    """Weights, or the scale of a norm, that multiply what the layer gives."""
    inner: tuple[str, ...] = ()
    """Projections to queries, keys and values."""
    recurrent: tuple[str, ...] = ()
    is_scale: bool = False
    """Whether it is a norm's scale."""
    branches: int = 0
    """Residual branches of the model, where this layer ends one; else 0."""
    begins: int = 0
    """The same where it is the first of a branch that has weights."""
    joins: LeafLayer | None = None
    """The layer that adds a branch that ends here to something."""
    shortcut: Source | None = None
    """What it is added to."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        return (*self.inner, *self.recurrent, *self.main)


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """A parameter that keeps its initial values, and why."""

    path: str
    reason: str


Readers = Mapping[Source, Sequence[LeafLayer]]


def readers(flowing: LeafGraph) -> Readers:
    """Who reads each tensor."""
    found: dict[Source, list[LeafLayer]] = {}
    for leaf in flowing.leaves:
        for read in leaf.reads:
            found.setdefault(read, []).append(leaf)
    return found


def levers(
    flowing: LeafGraph, owned: Mapping[str, Mapping[str, ParameterPlan]]
) -> tuple[dict[str, Lever], tuple[LeftAlone, ...]]:
    """The lever of each leaf that has one, and the weights that are none."""
    read_by = readers(flowing)
    found: dict[str, Lever] = {}
    left: list[LeftAlone] = []
    begun: set[int] = set()
    for leaf in flowing.leaves:
        parameters = owned.get(leaf.layer.path, {})
        usable: list[str] = []
        for name, parameter in parameters.items():
            if parameter.role not in ("weight", "recurrent"):
                continue
            if reason := _fixed(leaf, name, parameter, read_by):
                left.append(LeftAlone(parameter.path, reason))
            else:
                usable.append(name)
        if not usable and not (usable := _scale(leaf, parameters, read_by)):
            continue
        found[leaf.layer.path] = _lever(leaf, usable, parameters, begun, read_by)
    return found, tuple(left)


def _fixed(leaf: LeafLayer, name: str, parameter: ParameterPlan, read_by: Readers) -> str:
    """Why a weight is no lever; empty if it is one."""
    if parameter.path != f"{leaf.layer.path}.{name}":
        return f"it is `{parameter.path}`, which two layers share"
    source = parameter.initializer.values_from
    if source in ("file", "existing"):
        return f"`{parameter.scheme}` keeps given values"
    size = root_mean_square(parameter)
    if size == 0:
        return "it starts at 0"
    if size is None and source == "draw":
        return f"`{parameter.scheme}` promises no mean and std"
    following = read_by.get(Source(leaf.layer.path), ())
    norms = [one.layer.path for one in following if one.layer.type in RULES and RULES.get(one.layer.type).restarts]
    if norms and len(norms) == len(following):
        return f"the norm `{norms[0]}` removes its scale"
    return ""


def _scale(leaf: LeafLayer, parameters: Mapping[str, ParameterPlan], read_by: Readers) -> list[str]:
    """The scale of a norm at the end of a residual branch."""
    if leaf.layer.type not in RULES or not RULES.get(leaf.layer.type).restarts:
        return []
    names = [name for name, parameter in parameters.items() if parameter.role == "scale" and parameter.mean]
    return [name for name in names if (found := _branch(parameters[name])) and found.ends and _sum(leaf, read_by)[0]]


def _lever(
    leaf: LeafLayer, names: list[str], parameters: Mapping[str, ParameterPlan], begun: set[int], read_by: Readers
) -> Lever:
    recurrent = tuple(name for name in names if parameters[name].role == "recurrent")
    rest = [name for name in names if name not in recurrent]
    inner = tuple(name for name in rest if _is_inner(parameters[name]) and len(rest) > 1)
    main = tuple(name for name in rest if name not in inner)
    branch = _branch(parameters[main[-1]]) if main else None
    context = parameters[main[-1]].fills[0][0].context if main else None
    num = 0 if context is None else context.num_branches
    begins = 0
    if branch is not None and branch.index not in begun:
        begun.add(branch.index)
        begins = num
    joins, shortcut = _sum(leaf, read_by) if branch is not None and branch.ends else (None, None)
    is_scale = bool(main) and parameters[main[-1]].role == "scale"
    return Lever(main, inner, recurrent, is_scale, num if shortcut else 0, begins, joins, shortcut)


def _branch(parameter: ParameterPlan) -> Branch | None:
    context = parameter.fills[0][0].context
    return None if context is None else context.branch


def _is_inner(parameter: ParameterPlan) -> bool:
    attention = parameter.fills[0][0].attention
    return attention is not None and "o" not in attention.projections


def _sum(leaf: LeafLayer, read_by: Readers) -> tuple[LeafLayer | None, Source | None]:
    """The layer that adds something to what a leaf gives, layers without parameters between, and what that is."""
    source = Source(leaf.layer.path)
    while True:
        following = read_by.get(source) or read_by.get(Source(source.maker, (0,)), ())
        if len(following) != 1 or following[0].layer.parameters:
            return None, None
        (reader,) = following
        if len(reader.reads) > 1:
            return reader, next((read for read in reader.reads if read.maker != source.maker), None)
        source = Source(reader.layer.path)
