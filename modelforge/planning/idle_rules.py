"""idle_rules: decided parameters → warnings about init rules without effect."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modelforge.config.origins import Origins
from modelforge.core.errors import Problem
from modelforge.core.quoting import listed
from modelforge.planning.assign import ParameterPlan
from modelforge.planning.precedence import Rule


def idle_rules(parameters: Sequence[ParameterPlan], origins: Origins) -> list[Problem]:
    """Rules for ends of residual branches where none is known, and rules or fields that are always overridden."""
    found = *_no_branch_ends(parameters), *_unknown_inside(parameters), *_overridden(parameters, origins)
    return list(dict.fromkeys(found))


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


def _overridden(parameters: Sequence[ParameterPlan], origins: Origins) -> Iterable[Problem]:
    """Rules that are overridden wherever they match, and fields that nearer rules set everywhere; not by a file. The
    `init` group is a default: of it those fields count that an override sets."""

    def is_meant(rule: Rule, part: str) -> bool:
        if rule.default or rule.key.partition(".")[0] != "init":
            return not rule.default
        place = origins.place(f"{rule.key}.{part}")
        return place is not None and place.override is not None

    idle: dict[str, dict[str, str]] = {}
    acting: dict[str, set[str]] = {}
    alike: dict[int, ParameterPlan] = {}
    for parameter in parameters:
        alike.setdefault(id(parameter.chain), parameter)
    for parameter in alike.values():
        from_file = parameter.initializer.values_from == "file"
        nearest: dict[str, str] = {}
        for rule in parameter.chain:
            for part in _parts(rule):
                # Matrices are declared, whichever scheme wins.
                over = rule.verdict == "overridden" and part != "matrices"
                other = parameter.rule.key if over else nearest.setdefault(part, rule.key)
                if from_file or other == rule.key:
                    acting.setdefault(rule.key, set()).add(part)
                elif is_meant(rule, part) and (over or not _is_needed(rule, part)):
                    such = f"such as `{other}` for `{parameter.path}`"
                    idle.setdefault(rule.key, {}).setdefault(part, such)
    for key, parts in idle.items():
        if key not in acting and key.partition(".")[0] != "init":
            such = next(iter(parts.values()))
            message = f"this init rule has no effect: others override it everywhere, {such}"
            yield Problem("MW109", key, message, "remove it, or what overrides it", part="key")
            continue
        for part in [part for part in parts if part not in acting.get(key, ())]:
            message = f"`{part}` of this init rule has no effect: nearer ones set it everywhere, {parts[part]}"
            yield Problem("MW109", f"{key}.{part}", message, "remove it, or what overrides it")


def _parts(rule: Rule) -> tuple[str, ...]:
    """What a rule says: its scheme, its fields, the matrices."""
    own = (rule.scheme, "scheme"), (rule.matrices, "matrices")
    return (*(name for value, name in own if value is not None), *rule.fields)


def _is_needed(rule: Rule, part: str) -> bool:
    """Whether it is a field that the rule's scheme cannot do without."""
    fields = {} if rule.initializer is None else type(rule.initializer).model_fields
    return part in fields and fields[part].is_required()
