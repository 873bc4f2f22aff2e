"""`FORMATS`: the forms of findings that other tools read: each a function of annotations and of what codes mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from modelforge.report.annotations import Annotation, github, gitlab
from modelforge.report.junit import junit
from modelforge.report.sarif import sarif

Rules = Mapping[str, str]
"""What each code means, in one sentence."""

FORMATS: Mapping[str, Callable[[Sequence[Annotation], Rules, str], str]] = MappingProxyType(
    {
        "github": lambda found, rules, title: github(found),
        "gitlab": lambda found, rules, title: gitlab(found),
        "sarif": lambda found, rules, title: sarif(found, rules),
        "junit": lambda found, rules, title: junit(found, title),
    }
)
"""The title says what was looked at."""
