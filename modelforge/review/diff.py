"""diff: two plans → `Diff`. Layers and parameters are compared by path, and by meaning, not by text.

`read` plans one side by its name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

from modelforge.config.compose import compose
from modelforge.core.errors import Place
from modelforge.core.paths import last, parent
from modelforge.core.shown import Shown
from modelforge.core.tensors import to_data
from modelforge.core.words import a_class, plural
from modelforge.language import parse
from modelforge.language.model import ModelSpec
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.fields import decided_fields, written_place
from modelforge.planning.plan import LayerPlan, Plan, plan, planned
from modelforge.planning.references import Read
from modelforge.planning.unreached import unreached
from modelforge.report.table import to_text
from modelforge.review.documented import documented_diff
from modelforge.review.formats.text import text
from modelforge.review.model_changes import Changes, LayerDiff, ParameterDiff
from modelforge.review.pairing import Pairing, paired
from modelforge.review.sides import open_side
from modelforge.review.values import ValueChange, exact

SECTIONS = {"results": "outputs", "ties": "tie", "buffers": "layers"}
"""Facts about the whole model that a key of the model section states."""
ORDERED = ("inputs", "results")
"""Facts in which the order counts: that of the arguments and of the results of `forward`."""
RESOLVED = ("gain", "activation", "fan_in", "fan_out")
"""Numbers that explain a std; the others (bounds, the fan that a mode picks) follow from these and the fields."""

FOLLOWING = ("std", "mean", "low", "high", "fan")
"""Numbers that follow from others."""


class Diff(Shown, Changes):
    """The differences between two models; prints as `modelforge diff` does."""

    def __str__(self) -> str:
        return to_text(text(documented_diff(self)))

    def _brief(self) -> str:
        return "equal" if self.equal else f"{plural(len(self.parameters), 'parameter')} differ"


def diff(old: Plan | ModelSpec, new: Plan | ModelSpec) -> Diff:
    """Compares the models of two configs.

    A line that moved, or an equal rule in another block, is not a difference.

    Raises:
        ForgeError: see `plan`; a `Plan` cannot fail.
        TypeError: a side is neither.

    Example:
        >>> from modelforge.language import parse
        >>> model = {"input": {"shape": [4]}, "layers": {"head": {"type": "Linear", "out_features": 2}}}
        >>> old, new = (parse(model, init={"scheme": "xavier", "gain": gain}) for gain in (1.0, 1.4))
        >>> [(item.path, round(item.ratio, 6)) for item in diff(old, new).parameters]
        [('head.weight', 1.4)]
        >>> diff(old, old).equal
        True
    """
    for side in (old, new):
        if isinstance(side, str):
            raise TypeError("diff takes a ModelSpec or a Plan, but gets a str: `modelforge.review.diff.read` plans it")
    before, after = planned(old, "diff"), planned(new, "diff")
    pairs = paired(before, after)
    parameters = tuple(_parameters(before, after, pairs))
    different = {item.path for item in parameters}
    layers = tuple(_layers(before, after, pairs))
    return Diff(
        totals=tuple(_totals(before, after, pairs)),
        layers=layers,
        parameters=parameters,
        num_unchanged=sum(parameter.path not in different for parameter in after.parameters),
        left=unreached(after.parameters, after.ties),
        reads=tuple(_reads_of(layers, after, {})),
        old_reads=tuple(_reads_of(layers, before, pairs.new_layers)),
    )


def read(name: str, conf: Path | None = None, overrides: Sequence[str] = ()) -> Plan:
    """Plans one side of a diff.

    Args:
        name: `.` for the working tree; a folder (a config folder, or one that holds `conf/`); overrides in one string
            (`"model=lstm init.gain=2"`); or a git revision, whose configs are read without a checkout, with the folder
            if it is another one there (`HEAD~1:configs`).
        conf: The config folder that overrides apply to, and that is looked up in a revision; None for the default one.
        overrides: Further overrides.

    Raises:
        ForgeError: the name means nothing, or what it means cannot be planned.
        TypeError: it is not a name.
    """
    if not isinstance(name, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers need not be typed
        raise TypeError(f"read takes a folder, overrides or a revision as text, but gets {a_class(name)}")
    with open_side(name, conf) as side:
        composed = compose(side.folder, (*side.overrides, *overrides), shown_as=side.shown_as)
        return plan(parse(composed))


def _totals(old: Plan, new: Plan, pairs: Pairing) -> Iterator[ValueChange]:
    before, after = _facts(old, pairs), _facts(new)
    if not all(any(layer.has_buffers for layer in side.layers) for side in (old, new)):
        del before["dtype"]  # which is that of buffers: each parameter has its own
    for name in before:
        one, other = before[name], after[name]
        if one != other or (name in ORDERED and list(one) != list(other)):
            yield ValueChange(name, one, other, _place(old, name), _place(new, name))


def _facts(plan: Plan, pairs: Pairing | None = None) -> dict[str, Any]:
    """Facts about a whole model, by the name of a change in them; with the names of the new side, if it is given."""
    names = pairs.siblings("") if pairs else {}
    called = pairs.new_parameter if pairs else str
    end = _last(plan.root)
    return {
        "seed": plan.seed,
        "inputs": {name: to_data(value) for name, value in plan.inputs.items()},
        "result": names.get(end, end) if end else None,
        "output": to_data(plan.output),
        # A result without a name is the last layer's: `result` and `output`.
        "results": {name: _named(read, names) for name, read in plan.results.items() if name},
        "ties": {called(name): called(first) for name, first in plan.ties.items()},
        "buffers": {called(path): dict(part.numbers) for path, part in plan.buffers.items()},
        "dtype": plan.dtype or "float32",
        "num_parameters": plan.num_parameters,
    }


def _place(plan: Plan, name: str) -> Place | None:
    """Where the config says such a fact; None where it does not."""
    match name:
        case "seed" | "dtype":
            return plan.origins.place(name)
        case "result":
            return plan.origins.place(plan.root.children[-1].key, "key")
        case _:
            return written_place(plan.origins, "model", SECTIONS[name]) if name in SECTIONS else None


def _named(read: Read, names: Mapping[str, str]) -> str:
    """A reference, with another name for what it reads."""
    return str(replace(read, source=names.get(read.source, read.source)))


def _last(layer: LayerPlan) -> str | None:
    """The child of a combinator that gives its output; the order of the others shows in their inputs."""
    return layer.children[-1].name if layer.children else None


def _paths(old: dict[str, Any], new: dict[str, Any]) -> Iterator[str]:
    """The paths of both sides in the order of the new one; old ones come before what replaces them."""
    order = {path: index for index, path in enumerate(old)}
    waiting = [path for path in old if path not in new]
    reaches = inf
    limits: list[float] = []
    for path in reversed(new):
        reaches = order.get(path, reaches)
        limits.append(reaches)
    for path, limit in zip(new, reversed(limits), strict=True):
        while waiting and order[waiting[0]] < limit:
            yield waiting.pop(0)
        yield path
    yield from waiting


# --- layers -----------------------------------------------------------------------------------------------------------


def _layers(old: Plan, new: Plan, pairs: Pairing) -> Iterator[LayerDiff]:
    before = {pairs.new_layers.get(layer.path, f"{layer.path} "): layer for layer in old.layers}
    after = {layer.path: layer for layer in new.layers}
    for path in _paths(before, after):
        one, other = before.get(path), after.get(path)
        if one is None:
            assert other is not None
            yield LayerDiff(path, "added", None, other, place=new.origins.place(other.key, "key"))
        elif other is None:
            yield LayerDiff(one.path, "removed", one, None, place=old.origins.place(one.key, "key"))
        else:
            changes = tuple(_layer_changes(one, other, old, new, pairs))
            if changes or pairs.outermost(path):
                old_path, moved = (one.path, pairs.moved(path)) if path != one.path else ("", False)
                place = new.origins.place(other.key, "key") if old_path else None
                yield LayerDiff(
                    path=path,
                    kind="changed",
                    old=one,
                    new=other,
                    changes=changes,
                    place=place,
                    old_path=old_path,
                    moved=moved,
                )


def _reads_of(layers: tuple[LayerDiff, ...], plan: Plan, names: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Which layer of a side reads which, where one of the two differs in itself; `names` are other paths for layers."""
    own = {layer.path for layer in layers if layer.differs_itself}
    found: dict[tuple[str, str], None] = {}
    for around in plan.root.walk():
        paths = {child.name: names.get(child.path, child.path) for child in around.children}
        for child in around.children:
            ends = ((paths[read.source], paths[child.name]) for read in child.reads if read.source in paths)
            found |= dict.fromkeys(pair for pair in ends if own & {*pair})
    yield from found


def _layer_changes(one: LayerPlan, other: LayerPlan, old: Plan, new: Plan, pairs: Pairing) -> Iterator[ValueChange]:
    def change(name: str, before: Any, after: Any) -> ValueChange:
        key = "inputs" if name == "reads" else name
        places = (written_place(old.origins, one.key, key), written_place(new.origins, other.key, key))
        return ValueChange(name, before, after, *places)

    if one.type != other.type:
        yield change("type", one.type, other.type)
    for name in dict.fromkeys((*one.arguments, *other.arguments)):
        before, after = one.arguments.get(name), other.arguments.get(name)
        if before != after:
            yield change(name, before, after)
    names = pairs.siblings(parent(other.path))
    before, after = [_named(read, names) for read in one.reads], [str(read) for read in other.reads]
    if before != after and not pairs.moved(other.path):
        yield change("reads", before, after)
    names = pairs.siblings(other.path)
    if one.children and other.children and names.get(last(one.children[-1].path), _last(one)) != _last(other):
        places = (old.origins.place(one.children[-1].key, "key"), new.origins.place(other.children[-1].key, "key"))
        yield ValueChange("result", _last(one), _last(other), *places)
    if one.output != other.output:
        yield ValueChange("output", to_data(one.output), to_data(other.output))


# --- parameters -------------------------------------------------------------------------------------------------------


def _parameters(old: Plan, new: Plan, pairs: Pairing) -> Iterator[ParameterDiff]:
    after = {parameter.path: parameter for parameter in new.parameters}
    names = {pairs.old_parameter(path): path for path in after}
    before = {names.get(item.path, f"{item.path} "): item for item in old.parameters}
    for path in _paths(before, after):
        one, other = before.get(path), after.get(path)
        if one is None or other is None:
            found = one or other
            assert found is not None
            yield ParameterDiff(found.path, "removed" if other is None else "added", one, other)
            continue
        changes = tuple(_parameter_changes(one, other, old, new))
        old_path = one.path if one.path != path else ""
        if changes or old_path:
            yield ParameterDiff(path, "changed", one, other, changes, old_path)


def _parameter_changes(one: ParameterPlan, other: ParameterPlan, old: Plan, new: Plan) -> Iterator[ValueChange]:
    if _drawn_alike(one, other):
        return  # the same values, said in another way: `gain: relu` and its number
    changes = [*_plain_changes(one, other), *_field_changes(one, other, old, new), *_resolved_changes(one, other)]
    if not changes:
        changes += _number_changes(one, other)
    if not changes and _layout(one) != _layout(other):
        changes.append(ValueChange("matrices", _layout(one), _layout(other)))
    yield from changes
    if one.mean != other.mean:
        yield ValueChange("mean", one.mean, other.mean)
    if one.std != other.std:
        yield ValueChange("std", one.std, other.std)
    # The same values by another block are the same values.
    if changes and one.rule.key != other.rule.key:
        yield ValueChange("rule", one.rule.key, other.rule.key, one.rule.place, other.rule.place)


def _drawn_alike(one: ParameterPlan, other: ParameterPlan) -> bool:
    """Whether one seed and path give both the same values to the bit, whatever fields say so."""
    sides = [
        (
            (side.shape, side.dtype, side.transposed, side.initializer.draws_per),
            [(matrix, fill.drawn_by) for matrix, fill in side.fills],
        )
        for side in (one, other)
    ]
    return sides[0] == sides[1] and all(fill.drawn_by is not None for _, fill in one.fills)


def _plain_changes(one: ParameterPlan, other: ParameterPlan) -> Iterator[ValueChange]:
    if one.shape != other.shape:
        yield ValueChange("shape", list(one.shape), list(other.shape))
    if one.dtype != other.dtype:
        yield ValueChange("dtype", one.dtype, other.dtype)
    if one.scheme != other.scheme:
        yield ValueChange("scheme", one.scheme, other.scheme, one.rule.place, other.rule.place)


def _field_changes(one: ParameterPlan, other: ParameterPlan, old: Plan, new: Plan) -> Iterator[ValueChange]:
    # Only the text shows that renames of a file's names come in another order.
    if one.initializer == other.initializer and repr(one.initializer) == repr(other.initializer):
        return
    before = {field.name: field for field in decided_fields(one, old.origins)}
    after = {field.name: field for field in decided_fields(other, new.origins)}
    for name in dict.fromkeys((*before, *after)):
        left, right = before.get(name), after.get(name)
        if left and right:
            differs = exact(left.value) != exact(right.value)
        else:  # a field of one side's scheme alone is part of the change of schemes, where a block sets it
            field = left or right
            differs = one.scheme != other.scheme and field is not None and bool(field.key)
        if differs:
            values = (left and left.value, right and right.value)
            yield ValueChange(name, *values, left and left.place, right and right.place)


def _resolved_changes(one: ParameterPlan, other: ParameterPlan) -> Iterator[ValueChange]:
    """Numbers that differ although no field of that name does: `gain: auto` after another activation, other fans."""
    for name in RESOLVED:
        stated = [getattr(parameter.initializer, name, None) for parameter in (one, other)]
        before, after = one.numbers.get(name), other.numbers.get(name)
        if before != after and before is not None and after is not None and stated[0] == stated[1]:
            yield ValueChange(name, before, after)


def _number_changes(one: ParameterPlan, other: ParameterPlan) -> Iterator[ValueChange]:
    """Numbers of the scheme that nothing else explains, such as the residual branches that `gpt2` counts."""
    for name in one.numbers:
        before, after = one.numbers[name], other.numbers.get(name)
        if name not in FOLLOWING and before != after and after is not None:
            yield ValueChange(name, before, after)


def _layout(parameter: ParameterPlan) -> list[Any]:
    """The matrices, how they are stored, and their targets."""
    matrices = [
        [matrix.start, matrix.stop, matrix.name, matrix.fixed, fill.mean, fill.std] for matrix, fill in parameter.fills
    ]
    return [parameter.transposed, *matrices]
