"""page: a lint rule → its page in Markdown; and the index of all rules."""

from __future__ import annotations

from collections.abc import Iterable

from modelforge.linting.rule import LintRule

INDEX = """# Lint rules

Written by `python docs/make.py` from the registry of rules. `mf.lint(plan)` and `modelforge lint` apply them; the
warnings among them are also printed by `check`, `show`, `diff` and a training. `modelforge list rules CODE` prints a
page.

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
`modelforge lint model=mlp '+model.lint.ignore.MW101=on purpose'`. `--fail-on note|warning|error` chooses the status,
`--format` the form, `--rule CODE` one rule, `--changed-only --base-ref main` the configs that a branch changes.
"""


def page(rule: LintRule, printed: str) -> str:
    """The page of a rule.

    Args:
        rule: The rule.
        printed: What linting its bad config prints.
    """
    retired = [f"**Retired:** {rule.retired}", ""] if rule.retired else []
    return "\n".join(
        [
            f"# {rule.code}: {rule.title}",
            "",
            *retired,
            f"A {rule.severity}. {rule.why}",
            "",
            f"**When:** {rule.numbers}",
            "",
            "## Found here",
            "",
            f"```yaml\n{rule.bad}```",
            "",
            f"```text\n{printed.strip()}\n```",
            "",
            "## Not here",
            "",
            f"```yaml\n{rule.good}```",
            "",
            "[All rules](README.md)",
            "",
        ]
    )


def index(rules: Iterable[LintRule]) -> str:
    """The index of the rules."""
    rows = [
        f"| [{rule.code}]({rule.code}.md) | {'retired' if rule.retired else rule.severity} | {rule.title} |"
        for rule in sorted(rules, key=lambda rule: rule.code)
    ]
    return "\n".join([INDEX, "| code | severity | found |", "| --- | --- | --- |", *rows, ""])
