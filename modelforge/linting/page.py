"""page: a lint rule → its page in Markdown; and the index of all rules."""

from __future__ import annotations

from collections.abc import Iterable

from modelforge.linting.rule import LintRule

INDEX = """# Lint rules

Written by `python docs/make.py` from the registry of rules. `mf.lint(plan)` and `modelforge lint` apply them; the
warnings among them are also printed by `check`, `show`, `diff` and a training. `modelforge list rules CODE` prints a
page. Planning finds those below MW120 that are no rule's: `plan.warnings` holds them.

Notes may need what `mf.predict` computes, so only `modelforge lint` and `mf.lint` apply their rules: on the models that
ship, a warning takes milliseconds, a prediction up to half a second.

A code keeps its meaning: it is never used for another rule. New rules are notes, which fail no old config; a rule that
proves itself becomes a warning. Pages of retired rules stay.

A model declares a finding to be meant, with a reason, everywhere or for some paths:

```yaml
lint:
  ignore:
    MW101: the symmetry is what this experiment shows
    MW122: {"head.*": small logits at first}
```

An entry that no finding needs is a finding itself (MW199). On the command line:
`modelforge lint model=mlp init=constant '+model.lint.ignore.MW101=on purpose'`. `--fail-on note|warning|error` chooses
the status, `--format` the form, `--rule CODE` one rule, `--changed-only --base-ref main` the configs that a branch
changes.

## The models that ship

With their own inits, on the data that they choose, three models have findings; all three are as they should be:

| model | code | reason |
| --- | --- | --- |
| `lenet` | MW138 | max pooling raises the energy that Kaiming keeps; ten classes on small pictures train all the same |
| `unet` | MW134 | the deepest maps of pictures of 8 × 8 pixels are smaller than a kernel; larger pictures lose less |
| `vgg` | MW134 | the same |

## Your own rule

```python
import modelforge as mf
from modelforge.linting.rule import Found


@mf.register_rule(
    "ACME101",
    title="a wide layer",
    why="A layer wider than 4,096 does not fit our device.",
    when="More than 4,096 outputs.",
)
def wide(subject):
    for parameter in subject.parameters:
        if parameter.role == "weight" and parameter.shape[0] > 4096:
            yield Found(parameter.key, parameter.path, "{} is too wide", "make it narrower")
```

A rule gets a `Subject`: the plan, its prediction, and what reads what. Findings that differ only in the path, for which
`{}` stands, become one. An installed package registers rules by the entry point group `modelforge.rules`.

## All rules
"""


def page(rule: LintRule, printed: str) -> str:
    """The page of a rule.

    Args:
        rule: The rule.
        printed: What linting its bad config prints.
    """
    parts = [f"# {rule.code}: {rule.title}"]
    parts += [f"**Retired:** {rule.retired}"] if rule.retired else []
    parts += [f"A {rule.severity}{' of planning' if rule.planned else ''}. {rule.why}", f"**When:** {rule.when}"]
    if rule.bad:
        parts += ["## Found here", f"```yaml\n{rule.bad}```", f"```text\n{printed.strip()}\n```"]
        parts += ["## Not here", f"```yaml\n{rule.good}```"]
    return "\n\n".join([*parts, "[All rules](README.md)"]) + "\n"


def index(rules: Iterable[LintRule]) -> str:
    """The index of the rules."""
    rows = [
        f"| [{rule.code}]({rule.code}.md) | {'retired' if rule.retired else rule.severity} | {rule.title} |"
        for rule in sorted(rules, key=lambda rule: rule.code)
    ]
    return "\n".join([INDEX, "| code | severity | found |", "| --- | --- | --- |", *rows, ""])
