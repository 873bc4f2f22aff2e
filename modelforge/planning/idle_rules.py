"""idle_rules: decided parameters → warnings about init rules without effect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.planning.assign import ParameterPlan


def idle_rules(parameters: Sequence[ParameterPlan]) -> list[Problem]:
    """Rules for ends of residual branches where none is known, and rules that are always overridden."""
    return list(dict.fromkeys(problem for rule in RULES for problem in rule(parameters)))


def _no_branch_ends(parameters: Sequence[ParameterPlan]) -> Iterable[Problem]:
    """A rule for the ends of residual branches that fills none."""
    rules: dict[tuple[str, str], list[ParameterPlan]] = {}
    for parameter in parameters:
        if getattr(parameter.initializer, "ends", None) == "auto" and not parameter.rule.default:
            rules.setdefault((parameter.rule.key, parameter.scheme), []).append(parameter)
    for (key, scheme), filled in rules.items():
        contexts = [matrix.context for parameter in filled for matrix, _ in parameter.fills]
        if all(context is None or context.known for context in contexts) and not any(
            context is not None and context.branch is not None and context.branch.ends for context in contexts
        ):
            shown = listed([parameter.path for parameter in filled], 1, quote="`")
            yield Problem(
                "MW108",
                key,
                f"`{scheme}` starts the ends of residual branches differently, but fills none of them, only {shown}",
                "a branch ends with its last layer that has parameters, which may be a norm: put the rule there, write "
                "`ends: true`, or choose a scheme that does not count branches",
            )


def _unknown_inside(parameters: Sequence[ParameterPlan]) -> Iterable[Problem]:
    """A scheme that counts branches, in a layer whose inside is not known."""
    for parameter in parameters:
        context = parameter.fills[0][0].context
        counted = [name for name in ("branches", "layer") if getattr(parameter.initializer, name, None) == "auto"]
        if counted and context is not None and not context.known and not parameter.rule.default:
            yield Problem(
                "MW107",
                parameter.key,
                f"`{parameter.scheme}` cannot see into this layer: its inner residual branches are not known, so none "
                "is counted, and none of its parameters is treated as the end of one",
                "register its class with `register_inside` and `register_branches` of `modelforge.layers`, or name the "
                f"parameters in `params`, with `{counted[0]}` and `ends`",
                part="key",
            )


def _overridden(parameters: Sequence[ParameterPlan]) -> Iterable[Problem]:
    """Rules that are overridden wherever they match; not of the `init` group, which is a default, nor by a file."""
    before: dict[str, tuple[str, str]] = {}
    acting: set[str] = set()
    for parameter in parameters:
        from_file = parameter.initializer.values_from == "file"
        for rule in parameter.chain:
            if from_file or rule.verdict != "overridden":
                acting.add(rule.key)
            elif not rule.default and rule.key.partition(".")[0] != "init":
                before.setdefault(rule.key, (parameter.path, parameter.rule.key))
    for key, (path, other) in before.items():
        if key not in acting:
            message = f"this init rule has no effect: others override it everywhere, such as `{other}` for `{path}`"
            yield Problem("MW109", key, message, "remove it, or what overrides it", part="key")


RULES = (_no_branch_ends, _unknown_inside, _overridden)
"""Decided parameters → warnings about rules for them."""
