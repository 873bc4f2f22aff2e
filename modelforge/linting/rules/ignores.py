"""Entries of `lint.ignore` that are not needed."""

from __future__ import annotations

from collections.abc import Iterator

from modelforge.core.suggestions import did_you_mean
from modelforge.language.lint import EVERYWHERE
from modelforge.linting.rule import RULES, Found, register_rule
from modelforge.linting.subject import Subject


@register_rule(
    "MW199",
    last=True,
    why="An entry of `lint.ignore` that no finding needs would hide a later finding before it is read.",
    when="No finding has its code and a path that its glob matches. Over several configs: in none of them.",
    bad="""\
model:
  input: {shape: [8]}
  layers:
    hidden: {type: Linear, out_features: 16}
    act: Tanh
    head: {type: Linear, out_features: 2}
  lint: {ignore: {MW101: {hidden.weight: the targets of the units differ}}}
init: xavier
""",
    good="""\
model:
  input: {shape: [8]}
  layers:
    hidden: {type: Linear, out_features: 16}
    act: Tanh
    head: {type: Linear, out_features: 2}
  lint: {ignore: {MW101: {hidden.weight: the symmetry is what this experiment shows}}}
init: {scheme: constant, value: 0.1}
""",
)
def unneeded_ignores(subject: Subject) -> Iterator[Found]:
    for code, glob in subject.ignores.unused():
        if code not in RULES:
            message, hint = f"`{code}` is ignored, but no rule has this code", did_you_mean(code, RULES.names())
            yield Found(
                f"model.lint.ignore.{code}",
                glob,
                message,
                hint or "`modelforge list rules` prints all of them",
                "key",
                subject.ignored_at(code, glob),
            )
            continue
        where = "" if glob == EVERYWHERE else f" at `{glob}`"
        yield Found(
            f"model.lint.ignore.{code}",
            glob,
            f"`{code}`{where} is ignored, but not found",
            "leave the entry out, or correct its code or glob",
            "key",
            subject.ignored_at(code, glob),
        )
