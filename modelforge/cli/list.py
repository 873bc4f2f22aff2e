"""catalogue: what layers, initializers, callbacks and so on there are, all of a kind or one in full."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from fnmatch import fnmatchcase
from functools import partial
from math import isfinite
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from modelforge import inits
from modelforge.cli.answer import Answer
from modelforge.cli.details import INDENT, details, notes_table, plain_table
from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.registry import Registry
from modelforge.core.suggestions import did_you_mean
from modelforge.core.words import number, value
from modelforge.inits.describe import fields
from modelforge.inits.gains import gain as gains
from modelforge.language import registry
from modelforge.layers.describe import describe as describe_layer
from modelforge.linting.rule import RULES
from modelforge.report.aligned import Wrapped
from modelforge.report.docs import argument_docs, summary
from modelforge.report.table import new_table
from modelforge.review.kinds import KINDS as CHECKS
from modelforge.review.kinds import SECTIONS
from modelforge.train.callbacks.registry import CALLBACKS
from modelforge.train.data.registry import SOURCES
from modelforge.train.loggers.registry import LOGGERS
from modelforge.train.tasks.registry import TASKS

KINDS: Mapping[str, str] = {
    "combinator": "combinators: layers made of layers",
    "layer": "layers",
    "activation": "activations: elementwise, each with a gain",
    "passthrough": "passing on: what follows them counts as what follows the layer before",
    "unknown": "others: `gain: auto` in front of them is refused",
}


def catalogue(kind: str, name: str | None) -> Answer:
    """What there is of a kind.

    Args:
        kind: `layers`, `inits`, `activations`, `callbacks`, `loggers`, `tasks`, `data`, `checks` or `rules`.
        name: One of them, or a glob over their names; None for all.

    Raises:
        ForgeError: there is nothing of that name.
    """
    every, one, many = _SHELVES[kind]
    names = every()
    if name is None:
        return many(names, True)
    if re.search(r"[*?\[]", name):
        matching = [item for item in names if fnmatchcase(item, name)]
        if not matching:
            raise ForgeError([Problem("MF080", name, f"`{name}` matches none of the {kind}", f"see `list {kind}`")])
        return many(matching, False)
    return one(name)


# --- layers -----------------------------------------------------------------------------------------------------------


def _layer(name: str) -> Answer:
    if name in registry.LEFT_OUT:
        reason = registry.LEFT_OUT[name]
        return Answer(
            {"name": name, "left_out": reason}, Text.assemble((name, "bold"), f" is not a layer here: {reason}")
        )
    if name not in registry.names():
        raise ForgeError([Problem("MF010", name, f"unknown layer type `{name}`", registry.explain_absence(name))])
    facts = _layer_facts(name)
    left_out = [Text(), Text("not set in a config", "bold"), *notes_table(facts["without"].items())[1:]]
    return Answer(facts, Group(*details(facts, _layer_notes(facts)), *(left_out if facts["without"] else ())))


def _layer_facts(name: str) -> dict[str, Any]:
    """The schema's own account, completed by what the class's docstring says."""
    facts = describe_layer(name)
    make = registry.get(name).make
    if make is None:
        return facts
    docs = argument_docs(make)
    fields = [{**field, "doc": field["doc"] or docs.get(field["name"], "")} for field in facts["fields"]]
    return {**facts, "summary": summary(make) or facts["summary"], "fields": fields}


def _layer_notes(facts: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    # `(...)` says nothing: any number of axes of any meaning.
    yield "reads", " or ".join(option for option in facts["reads"] if option not in ("(...)", "()"))
    inferred = [field["name"] for field in facts["fields"] if field["inferred"]]
    yield "from the input", ", ".join(inferred)
    yield "always", ", ".join(f"{name}: {value(fixed)}" for name, fixed in facts["fixed"].items())


def _layers(names: Sequence[str], every: bool) -> Answer:
    facts = [_layer_facts(name) for name in names]
    parts: list[RenderableType] = []
    for kind, title in KINDS.items():
        of_kind = [item for item in facts if item["kind"] == kind]
        if of_kind:
            table = plain_table()
            for item in of_kind:
                table.add_row(Text(item["name"], "cyan"), item["summary"])
            parts += [Text(title, "bold"), Padding(table, INDENT), Text()]
    data: dict[str, Any] = {"layers": facts}
    if every:
        data["left_out"] = dict(registry.LEFT_OUT)
        parts += [Text("classes of torch.nn that are not layers here", "bold"), Padding(_left_out(), INDENT), Text()]
    return Answer(data, Group(*parts[:-1]))


def _left_out() -> Table:
    reasons: dict[str, list[str]] = {}
    for name, reason in registry.LEFT_OUT.items():
        reasons.setdefault(reason, []).append(name)
    table = plain_table()
    for reason, names in reasons.items():
        table.add_row(Text(", ".join(names), "dim"), reason)
    return table


# --- initializers -----------------------------------------------------------------------------------------------------


def _init(name: str) -> Answer:
    known = [*inits.names(), *inits.aliases()]
    if name not in known:
        raise ForgeError([Problem("MF020", name, f"unknown initializer `{name}`", inits.explain_absence(name))])
    facts = inits.describe(name)
    aliases = ", ".join(facts["aliases"])
    notes = [("also called", aliases), ("formula", facts["formula"]), ("source", facts["source"])]
    return Answer(facts, Group(*details(facts, notes)))


def _inits(names: Sequence[str], every: bool) -> Answer:
    del every
    facts = [inits.describe(name) for name in names]
    parts: list[RenderableType] = []
    for item in facts:
        label = Text(item["name"], "cyan")
        label.append("".join(f", {alias}" for alias in item["aliases"]), "dim")
        parts += [Wrapped(label), Wrapped(Text(item["formula"] or item["summary"]), indent=4)]
        parts += [Wrapped(Text(item["source"], "dim"), indent=4)]
    return Answer({"inits": facts}, Group(*parts))


# --- activations ------------------------------------------------------------------------------------------------------


def _activation(text: str) -> Answer:
    try:
        facts = _activation_facts(text)
    except inits.UnknownActivation as error:
        message, hint = f"no activation named `{text}` has a gain", did_you_mean(text, gains.names())
        raise ForgeError([Problem("MF080", text, message, hint)]) from error
    except Refusal as refusal:
        raise ForgeError([Problem("MF080", text, refusal.reason, refusal.hint)]) from refusal
    source = "1/√E φ(z)², z ~ N(0, 1), by quadrature"
    if "statistics" not in facts:
        source = "torch.nn.init.calculate_gain"
    notes = [("gain", f"{facts['gain']:.10g}"), ("source", source)]
    figures = facts.get("statistics", {})
    notes += [(_COLUMNS[name], "-" if figure is None else f"{figure:.10g}") for name, figure in figures.items()]
    shown = f'"{text}"' if "," in text else text  # a comma would end a value in braces
    notes.append(("used as", f"init: {{gain: {shown}}}"))
    return Answer({**facts, "source": source}, Group(Text(text, "bold"), *notes_table(notes)))


_COLUMNS: Mapping[str, str] = {
    "backward_gain": "backward",
    "centred_gain": "centred",
    "mean": "E φ",
    "second_moment": "E φ²",
    "derivative": "E φ′²",
    "chi": "χ1",
    "variance_slope": "V′(1)",
}


def _activation_facts(text: str) -> dict[str, Any]:
    """The gain, and the statistics if it is an activation and not one of torch's constants."""
    facts: dict[str, Any] = {"name": text, "gain": gains.named_gain(text)}
    if text.startswith("torch."):
        return facts
    found = inits.statistics(text)
    figures = {name: getattr(found, name) for name in _COLUMNS}
    # JSON has no infinity, and the mean of an odd function is zero but for rounding.
    rounded = {name: round(figure, 12) + 0.0 if isfinite(figure) else None for name, figure in figures.items()}
    return {**facts, "statistics": rounded}


def _activations(names: Sequence[str], every: bool) -> Answer:
    del every
    facts = [_activation_facts(name) for name in names]
    rows: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for item in facts:
        # `LeakyReLU` and `leaky_relu` are one.
        rows.setdefault((item["name"].lower().replace("_", ""), item["gain"]), []).append(item)
    shown = ("backward_gain", "chi", "variance_slope")
    table = new_table()
    table.add_column("activation")
    for header in ("gain", *(_COLUMNS[name] for name in shown)):
        table.add_column(header, justify="right")
    for (_, gain), spellings in rows.items():
        others = "".join(f", {other['name']}" for other in spellings[1:])
        label = Text(spellings[0]["name"], "cyan").append(others, "dim")
        figures = spellings[0].get("statistics", {})
        table.add_row(label, number(gain), *(number(figures.get(name)) for name in shown))
    return Answer({"activations": facts}, Group(table, Text(), Text(_ABOUT_GAINS, "dim")))


_ABOUT_GAINS = (
    "a gain keeps the second moment of what flows through: 1/√E φ(z)², z ~ N(0, 1), or 1/√E φ′(z)² backward; "
    "`gain: auto` and `gain: auto_backward` take them from what follows in the graph. At the gain, a layer multiplies "
    "gradients by χ1 and errors of the variance by V′(1): above 1, they grow with depth. `torch.` names are the "
    "constants of torch.nn.init.calculate_gain; names take arguments, as in `LeakyReLU(0.2)`"
)


# --- callbacks, loggers, tasks and data -------------------------------------------------------------------------------


def _entry_facts(registry: Registry[Any], name: str) -> dict[str, Any]:
    cls = registry.get(name)
    return {"name": name, "summary": summary(cls) or "", "fields": fields(cls)}


def _entry(registry: Registry[Any], name: str) -> Answer:
    if name not in registry:
        message = f"unknown {registry.kind.removeprefix('a ')} `{name}`"
        raise ForgeError([Problem("MF080", name, message, registry.suggest(name))])
    facts = _entry_facts(registry, name)
    return Answer(facts, Group(*details(facts)))


def _entries(kind: str, registry: Registry[Any], names: Sequence[str]) -> Answer:
    facts = [_entry_facts(registry, name) for name in names]
    table = plain_table()
    for item in facts:
        table.add_row(Text(item["name"], "cyan"), item["summary"])
    return Answer({kind: facts}, table)


def _check(name: str) -> Answer:
    if name not in CHECKS:
        message, hint = f"there is no check `{name}`", did_you_mean(name, list(CHECKS))
        raise ForgeError([Problem("MF080", name, message, hint)])
    facts = _check_facts(name)
    notes = [("section", facts["section"]), ("severity", facts["severity"]), ("why", facts["why"])]
    return Answer(facts, Group(Text(name, "bold"), *notes_table(notes)))


def _check_facts(name: str) -> dict[str, Any]:
    return {"name": name, **asdict(CHECKS[name])}


def _checks(names: Sequence[str], every: bool) -> Answer:
    del every
    facts = [_check_facts(name) for name in names]
    table = new_table()
    for header in ("check", "section", "severity", ""):
        table.add_column(header, overflow="fold")
    for item in facts:
        table.add_row(Text(item["name"], "cyan"), SECTIONS[item["section"]], item["severity"], item["why"])
    return Answer({"checks": facts}, table)


def _rule_facts(code: str) -> dict[str, Any]:
    rule = RULES.get(code)
    texts = ("title", "severity", "why", "when", "bad", "good", "retired")
    return {"name": code, **{name: getattr(rule, name) for name in texts}}


def _rule(code: str) -> Answer:
    facts = _rule_facts(code)
    notes = [(label, facts[label]) for label in ("severity", "why", "when", "retired")]
    head = Text.assemble((code, "bold"), f"  {facts['title']}")
    examples = [
        part
        for label, name in (("found here", "bad"), ("not here", "good"))
        if facts[name]
        for part in (Text(), Text(label, "dim"), Padding(Text(facts[name].rstrip()), INDENT))
    ]
    return Answer(facts, Group(head, *notes_table(notes), *examples))


def _rules(codes: Sequence[str], every: bool) -> Answer:
    del every
    facts = [_rule_facts(code) for code in sorted(codes)]
    table = plain_table()
    for item in facts:
        severity = "retired" if item["retired"] else item["severity"]
        table.add_row(Text(item["name"], "cyan"), Text(severity, "dim"), item["title"])
    return Answer({"rules": facts}, table)


def _shelf(kind: str, registry: Registry[Any]) -> _Shelf:
    return registry.names, partial(_entry, registry), lambda names, every: _entries(kind, registry, names)


_Shelf = tuple[Callable[[], Sequence[str]], Callable[[str], Answer], Callable[[Sequence[str], bool], Answer]]
_SHELVES: Mapping[str, _Shelf] = {
    "layers": (registry.names, _layer, _layers),
    "inits": (inits.names, _init, _inits),
    "activations": (gains.names, _activation, _activations),
    "callbacks": _shelf("callbacks", CALLBACKS),
    "loggers": _shelf("loggers", LOGGERS),
    "tasks": _shelf("tasks", TASKS),
    "data": _shelf("data", SOURCES),
    "checks": (lambda: tuple(CHECKS), _check, _checks),
    "rules": (RULES.names, _rule, _rules),
}
