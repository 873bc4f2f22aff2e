"""explain: a parameter's path → every init block that applies to it, which one won, and the numbers that follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelforge.cli.answer import Answer
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.matrix import Matrix
from modelforge.core.suggestions import did_you_mean
from modelforge.core.words import cut, number, printable, short, stored, value, where
from modelforge.inits.fills import Fill
from modelforge.language.load import load
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.fields import DecidedField, decided_fields
from modelforge.planning.plan import LayerPlan, Plan, plan
from modelforge.planning.precedence import Rule
from modelforge.report.aligned import Aligned, Wrapped
from modelforge.report.table import new_table
from modelforge.signal.predict import predict
from modelforge.signal.tree import facts

VERDICTS: Mapping[str, str] = {"wins": "bold green", "refines": "cyan", "overridden": "dim"}
INDENT = (0, 0, 0, 2)
MAX_MATRICES = 4
"""Alike matrices that are all named; of more the first and the last."""


def explain(path: str, conf: Path | None, overrides: Sequence[str], *, signal: bool = False) -> Answer:
    """Why parameters start the way they do.

    Args:
        path: A parameter, a layer (all its parameters), an override key of a layer, or a glob over parameters.
        conf: The config folder; None for the default one.
        overrides: Hydra overrides.
        signal: Add what is predicted of the output of each parameter's layer.

    Raises:
        ForgeError: the config is wrong, or has nothing of that name.
    """
    decided = plan(load(conf, overrides))
    path = decided.ties.get(path, path)
    chosen, layer = _choose(path, decided)
    owners = {f"{leaf.path}.{name}": leaf for leaf in decided.layers for name in leaf.parameters}
    known = facts(decided, predict(decided)) if signal else {}
    accounts = [_account(parameter, owners[parameter.path], decided, known) for parameter in chosen]
    data = {"parameters": [account.to_dict() for account in accounts]}
    if not accounts:
        assert layer is not None
        return Answer(data, Text(f"{layer.path} ({layer.type}) has no parameters"))
    sections = [section for account in accounts for section in (Text(), _text(account))]
    return Answer(data, Group(*sections[1:]))


@dataclass(frozen=True, slots=True)
class _Group:
    """Logical matrices that follow one another and are decided alike."""

    names: tuple[str, ...]
    start: int
    stop: int
    matrix: Matrix
    fill: Fill

    def to_dict(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "rows": [self.start, self.stop],
            "shape": list(self.matrix.shape),
            "fan_in": self.matrix.fan_in,
            "fan_out": self.matrix.fan_out,
            "fixed": self.matrix.fixed,
            "mean": self.fill.mean,
            "std": self.fill.std,
            "numbers": dict(self.fill.numbers),
        }


@dataclass(frozen=True, slots=True)
class _Account:
    """All there is to say about one parameter."""

    parameter: ParameterPlan
    layer: LayerPlan
    fields: tuple[DecidedField, ...]
    groups: tuple[_Group, ...]
    signal: Mapping[str, Any] | None = None
    """What is predicted of the layer's output, and the activation after it; None where that was not asked for."""

    def to_dict(self) -> dict[str, Any]:
        return {
            **self.parameter.to_dict(),
            "layer": {"path": self.layer.path, "type": self.layer.type},
            "chain": [rule.to_dict() for rule in self.parameter.chain],
            "fields": [field.to_dict() for field in self.fields],
            "matrices": [group.to_dict() for group in self.groups],
            **({} if self.signal is None else {"signal": dict(self.signal)}),
        }


def _choose(path: str, decided: Plan) -> tuple[list[ParameterPlan], LayerPlan | None]:
    """The parameters that a path matches, and the layer if it names one."""
    exact = [parameter for parameter in decided.parameters if parameter.path == path]
    layer = next((layer for layer in decided.layers if path in (layer.path, layer.key)), None)
    if exact or layer:
        around = tuple(f"{layer.path}." for layer in decided.layers if path in (layer.path, layer.key))
        return exact or [p for p in decided.parameters if p.path.startswith(around)], layer
    matching = [parameter for parameter in decided.parameters if fnmatchcase(parameter.path, path)]
    if not matching:
        names = [parameter.path for parameter in decided.parameters] + [layer.path for layer in decided.layers]
        message = f"the model has no parameter and no layer `{path}`"
        hint = did_you_mean(path, names) or "see `modelforge show`"
        if "=" in path:
            hint = f"`{path}` is an override: name a parameter or a layer before it"
        raise ForgeError([Problem("MF080", path, message, hint)])
    return matching, None


def _account(
    parameter: ParameterPlan, layer: LayerPlan, decided: Plan, known: Mapping[str, Mapping[str, Any]]
) -> _Account:
    fields = decided_fields(parameter, decided.origins)
    return _Account(parameter, layer, fields, tuple(_groups(parameter)), known.get(layer.path))


def _groups(parameter: ParameterPlan) -> Iterator[_Group]:
    def alike(item: tuple[Matrix, Fill]) -> tuple[Any, ...]:
        matrix, fill = item
        return matrix.shape, matrix.fan_in, matrix.fan_out, matrix.fixed, fill.mean, fill.std, dict(fill.numbers)

    for _, run in groupby(parameter.fills, key=alike):
        items = list(run)
        (first, fill), (last, _) = items[0], items[-1]
        yield _Group(tuple(matrix.name for matrix, _ in items if matrix.name), first.start, last.stop, first, fill)


# --- text -------------------------------------------------------------------------------------------------------------


def _text(account: _Account) -> RenderableType:
    parameter, layer = account.parameter, account.layer
    role = {None: "parameter", "recurrent": "recurrent weight"}.get(parameter.role, parameter.role)
    facts = (
        f"  {stored(parameter.shape, parameter.transposed)} {parameter.dtype}, {role} of {layer.path} ({layer.type})"
    )
    head = Text.assemble((printable(parameter.path), "bold"), facts)
    if parameter.std is None:
        spread = _PROMISES.get(parameter.initializer.values_from, "no promised mean or std")
        spread = ", ".join((spread, *_of_file(parameter.numbers)))
    else:
        spread = f"mean {number(parameter.mean)}, std {number(parameter.std)}"
    start = Text.assemble("starts as ", (parameter.scheme, "bold green"), f": {spread}")
    lines = [Wrapped(head), Wrapped(start)]
    if account.signal is not None:
        lines.append(Wrapped(Text(f"{layer.path} gives {_strength(account.signal)}")))
    parts: list[RenderableType] = [*lines, Text(), _chain(parameter.chain)]
    if account.fields:
        parts += [Text(), _fields(account.fields, parameter.scheme)]
    if parameter.initializer.values_from == "draw":
        parts += [Text(), Padding(_matrices(account), INDENT)]
    return Group(*parts)


def _strength(signal: Mapping[str, Any]) -> str:
    """What is predicted of a layer's output, in one line."""
    parts = [
        f"{title} {number(signal[name])} ± {100 * signal[f'{name}_spread']:.2g} %"
        for name, title in (("std", "std"), ("gradient", "gradient"))
        if signal[name] is not None
    ]
    said = ", ".join(parts) or "a signal that cannot be predicted"
    return said if signal["read_by"] is None else f"{said}; read by: {signal['read_by']}"


_PROMISES: Mapping[str, str] = {
    "module": "the values of the layer's own `reset_parameters`",
    "existing": "the values that are there",
    "file": "the values of a file",
}


def _of_file(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Which values of the file; nothing for schemes that read none."""
    if "tensor" in numbers:
        yield f"tensor {printable(numbers['tensor'])}"
        yield f"stored as {numbers['file_dtype']}"
    if numbers.get("transposed"):
        yield "transposed"
    if rows := numbers.get("rows"):
        yield f"rows {rows[0]}:{rows[1]}"


def _chain(chain: tuple[Rule, ...]) -> RenderableType:
    """Two lines a block: its key and place, and below it what it says."""
    width = max(len(rule.verdict) for rule in chain)
    parts: list[RenderableType] = []
    keys = max(cell_len(printable(rule.key)) for rule in chain)
    for rule in chain:
        style = "dim" if rule.verdict == "overridden" else ""
        declared = {} if rule.matrices is None else {"matrices": rule.matrices}
        fields = (f"{name}: {cut(short(item))}" for name, item in (declared | dict(rule.fields)).items())
        says = ", ".join([*filter(None, [rule.scheme]), *fields])
        key = Text(printable(rule.key).ljust(keys), style)
        verdict = Text(rule.verdict.ljust(width), VERDICTS[rule.verdict])
        parts.append(Aligned([[verdict, key, Text(where(rule.place), style)]], indent=2, stages=(2,)))
        parts.append(Wrapped(Text(says, "dim"), indent=width + 6))
    return Group(*parts)


def _fields(fields: tuple[DecidedField, ...], scheme: str) -> RenderableType:
    """One line a field that a config set; the others in one."""
    rows = [
        [Text(field.name), Text(short(field.value), "bold"), Text(where(field.place) or printable(field.key))]
        for field in fields
        if field.key
    ]
    rest = ", ".join(f"{field.name} {value(field.value)}" for field in fields if not field.key)
    defaults = [Wrapped(Text(f"by default of {scheme}: {rest}", "dim"), indent=2)] if rest else []
    return Group(Aligned(rows, indent=2, stages=(2,)), *defaults)


def _matrices(account: _Account) -> Table:
    """One line a group of alike matrices; numbers that a field states already are left out."""
    stated = {field.name: field.value for field in account.fields}
    named = any(group.names for group in account.groups)
    rows = "rows" if account.parameter.transposed is None else "outputs"
    table = new_table()
    table.add_column("matrix" if named else rows, overflow="fold")
    if named:
        table.add_column(rows)
    for header in ("fan in", "fan out", "mean", "std"):
        table.add_column(header, justify="right")
    table.add_column("resolved", overflow="fold")
    for group in account.groups:
        numbers = {k: v for k, v in group.fill.numbers.items() if stated.get(k) != v and k not in ("fan_in", "fan_out")}
        resolved = ", ".join(f"{name} {value(item)}" for name, item in numbers.items())
        moments = (number(group.fill.mean), number(group.fill.std))
        label = [_names(group.names)] if named else []
        fans = (number(group.matrix.fan_in), number(group.matrix.fan_out))
        fixed = group.matrix.fixed
        note = resolved if fixed is None else f"always {value(fixed)}, whatever the scheme"
        table.add_row(*label, f"{group.start}:{group.stop}", *fans, *moments, note)
    return table


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(names) if len(names) <= MAX_MATRICES else f"{names[0]} … {names[-1]}"
