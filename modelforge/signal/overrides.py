"""overrides: parameters that get other initial values than planned → the Hydra overrides that say so."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from math import exp, log
from typing import Any

from modelforge.core.paths import glob, is_below, relative
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.plan import Plan
from modelforge.planning.precedence import Rule
from modelforge.signal.retuned import DIGITS, REPLACEMENT, Retuned, retuned, root_mean_square

GROUP, MODEL = "init", "model.init"
"""The keys of the outermost blocks."""
SAME = 1e-3
"""Values whose logarithms differ by less count as one where copies share a block."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A key of the config and what it is set to."""

    key: str
    value: Any
    replaces: bool = False
    """Whether a whole block is replaced, or a number that is there; else a key that may be new is set."""

    def __str__(self) -> str:
        return f"{'' if self.replaces else '++'}{self.key}={_text(self.value)}"


@dataclass(frozen=True, slots=True)
class Written:
    """The settings, and the parameters that they lead to where that is not what was asked for."""

    settings: tuple[Setting, ...]
    shared: Mapping[str, Retuned]
    """By path, parameters of copies that share an init block and so get one value: the mean of those asked for."""


def written(plan: Plan, changes: Sequence[Retuned], indifferent: Collection[str] = ()) -> Written:
    """The settings that lead from a plan to changed parameters.

    One value for all is a field of the `init` group. Others are written by name into `model.init.params`, or, where
    a block that is nearer would win, into the block of the layer, which all copies of the layer share.

    Args:
        plan: The plan.
        changes: The parameters that change; others need the values that they have.
        indifferent: Paths of parameters that need none.
    """
    asked = {change.before.path: change for change in changes}
    settings = [*_of_group(plan, asked)]
    covered = _covered(settings, asked)
    rest = [change for path, change in asked.items() if path not in covered]
    shared: dict[str, Retuned] = {}
    own = [change for change in rest if _is_blocked(change)]
    named = [change for change in rest if not _is_blocked(change)]
    settings += _by_name(plan, named, replaced=any(setting.key == GROUP for setting in settings))
    settings += _by_layer(plan, own, set(indifferent), shared)
    return Written(tuple(settings), shared)


def _of_group(plan: Plan, asked: Mapping[str, Retuned]) -> Iterator[Setting]:
    """One value for all parameters for which the `init` group decides."""
    ruled = [parameter for parameter in plan.parameters if parameter.rule.key == GROUP]
    if any(parameter.initializer.values_from == "module" for parameter in ruled):
        gains = Counter(change.fields.get("gain") for change in asked.values() if change.before in ruled)
        (gain, _), *_ = gains.most_common(1) or [(1.0, 0)]
        yield Setting(GROUP, {**REPLACEMENT, "gain": gain}, replaces=True)
        return
    for name in ("gain", "std"):
        reached = [parameter for parameter in ruled if _setter(parameter, name) == GROUP]
        values = Counter(asked[one.path].fields.get(name) for one in reached if one.path in asked)
        if reached and all(one.path in asked for one in reached) and None not in values:
            yield Setting(f"{GROUP}.{name}", values.most_common(1)[0][0], replaces=True)


def _covered(settings: Sequence[Setting], asked: Mapping[str, Retuned]) -> set[str]:
    """Paths of the parameters that settings of the group suffice for."""
    covered: set[str] = set()
    for setting in settings:
        name = setting.key.removeprefix(f"{GROUP}.") if setting.key != GROUP else "gain"
        number = setting.value["gain"] if setting.key == GROUP else setting.value
        for path, change in asked.items():
            of_group = change.before.rule.key == GROUP
            if of_group and _setter(change.before, name) in (GROUP, None) and change.fields.get(name) == number:
                covered.add(path)
    return covered


def _setter(parameter: ParameterPlan, name: str) -> str | None:
    """The key of the block that decides a field; None where none says it."""
    return next((rule.key for rule in parameter.chain if rule.verdict != "overridden" and name in rule.fields), None)


def _is_outer(rule: Rule) -> bool:
    return rule.default or any(rule.key == key or rule.key.startswith(f"{key}.") for key in (GROUP, MODEL))


def _is_blocked(change: Retuned) -> bool:
    """Whether a block nearer than the model's has a scheme or one of the fields."""
    return bool(_nearer(change.before, change.fields))


def _nearer(parameter: ParameterPlan, fields: Mapping[str, Any]) -> list[Rule]:
    """The blocks nearer than the model's that have a scheme or one of some fields, nearest first."""
    nearer = [rule for rule in parameter.chain if not _is_outer(rule)]
    return [rule for rule in nearer if rule.scheme is not None or fields.keys() & rule.fields.keys()]


def _by_name(plan: Plan, changes: Sequence[Retuned], *, replaced: bool) -> Iterator[Setting]:
    """Rules by name in the model's block; a glob for the copies of one parameter that have one value."""
    if not changes:
        return
    asked = {change.before.path: dict(change.fields) for change in changes}
    if replaced:  # the group has the scheme that stands in for others
        asked = {path: {name: it for name, it in fields.items() if name != "scheme"} for path, fields in asked.items()}
    rules = [rule for change in changes for rule in change.before.chain]
    has_names = any(rule.named and rule.key.startswith(f"{MODEL}.") for rule in rules)
    params = {} if has_names else _by_glob(plan, asked, keep=not replaced)
    params |= {path: fields for path, fields in asked.items() if params.get(glob(path)) != fields}
    scheme = next((rule.scheme for rule in rules if rule.key == MODEL and rule.scheme is not None), None)
    yield Setting(f"{MODEL}.params", params) if scheme is None else Setting(MODEL, {"scheme": scheme, "params": params})


def _by_glob(plan: Plan, asked: Mapping[str, Mapping[str, Any]], *, keep: bool) -> dict[str, Any]:
    """For copies of a parameter what most of them need; behind the glob, what the few have that stay as they are."""
    names = [*(parameter.path for parameter in plan.parameters), *plan.ties]
    params: dict[str, Any] = {}
    for named, number in Counter(map(glob, asked)).items():
        copies = [name for name in names if fnmatchcase(name, named)]
        if number == 1 or any(glob(name) != named for name in copies):
            continue
        others = {*copies} - asked.keys()
        kept = {one.path: _present(one) for one in plan.parameters if keep and one.path in others}
        if len(others) < number / 2 and len(kept) == len(others) and all(kept.values()):
            needed = [asked[name] for name in copies if name in asked]
            texts = [*map(_text, needed)]
            common, _ = Counter(texts).most_common(1)[0]
            params |= {named: needed[texts.index(common)], **kept}
    return params


def _present(parameter: ParameterPlan) -> Mapping[str, Any]:
    """The field that decides how large a parameter's values are, as it is; empty where there is none."""
    values = {name: getattr(parameter.initializer, name, None) for name in ("gain", "std")}
    return {name: value for name, value in values.items() if value is not None}


def _by_layer(
    plan: Plan, changes: Sequence[Retuned], indifferent: Collection[str], shared: dict[str, Retuned]
) -> Iterator[Setting]:
    """Rules by name in the blocks of layers: one for all copies of a layer.

    Where copies need different values, and the block that decides is that of a combinator around them, which has them
    all, each gets a rule of its own there.
    """
    asked = {change.before.path: change for change in changes}
    places = {f"{layer.path}.{name}": (layer.key, name) for layer in plan.layers for name in layer.parameters}
    for copies in _grouped(plan, places).values():
        if _differ(_needed(copies, asked, indifferent)):
            places |= _around(plan, copies, asked)
    blocks: dict[str, dict[str, Any]] = defaultdict(dict)
    for (key, name), copies in _grouped(plan, places).items():
        first = next((asked[one.path] for one in copies if one.path in asked), None)
        if first is None:
            continue
        sizes = _needed(copies, asked, indifferent)
        if _differ(sizes) or any(one.path not in asked for one in copies):
            found = {one.path: retuned(one, exp(sum(sizes) / len(sizes)), DIGITS) for one in copies}
            shared |= {path: one for path, one in found.items() if one is not None}
            first = shared[first.before.path]
        blocks[key][name] = dict(first.fields)
    for key, params in blocks.items():
        own = (rule for change in changes for rule in change.before.chain if rule.key == f"{key}.init")
        scheme = next((rule.scheme for rule in own if rule.scheme is not None), None)
        if scheme is None:
            yield Setting(f"{key}.init.params", params)
        else:
            yield Setting(f"{key}.init", {"scheme": scheme, "params": params})


def _grouped(plan: Plan, places: Mapping[str, tuple[str, str]]) -> Mapping[tuple[str, str], list[ParameterPlan]]:
    """The parameters by the key of a block and the name that they have there."""
    found: dict[tuple[str, str], list[ParameterPlan]] = defaultdict(list)
    for parameter in plan.parameters:
        found[places[parameter.path]].append(parameter)
    return found


def _needed(copies: Sequence[ParameterPlan], asked: Mapping[str, Retuned], indifferent: Collection[str]) -> list[float]:
    """ln of the sizes that copies need, if any of them changes."""
    if not any(one.path in asked for one in copies):
        return []
    needed = [asked[one.path].after if one.path in asked else one for one in copies if one.path not in indifferent]
    return [log(root_mean_square(one) or 1.0) for one in needed]


def _differ(sizes: Sequence[float]) -> bool:
    return bool(sizes) and max(sizes) - min(sizes) > SAME


def _around(plan: Plan, copies: Sequence[ParameterPlan], asked: Mapping[str, Retuned]) -> Mapping[str, tuple[str, str]]:
    """For each parameter the key of the combinator whose block decides, and its name below that."""
    fields = next(asked[one.path].fields for one in copies if one.path in asked)
    found: dict[str, tuple[str, str]] = {}
    for one in copies:
        # A repetition is the first layer of its key; each of its copies has the same.
        around = [layer for layer in plan.layers if layer.children and is_below(one.path, layer.path)]
        for rule in _nearer(one, fields)[:1]:
            layer = next((layer for layer in around if is_below(rule.key, f"{layer.key}.init")), None)
            if layer is not None:
                found[one.path] = layer.key, relative(one.path, layer.path)
    return found if len(found) == len(copies) else {}


def _text(value: Any) -> str:
    """A value as Hydra reads it."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_text(item)}" for name, item in value.items()) + "}"
    return repr(value) if isinstance(value, float) else str(value)
