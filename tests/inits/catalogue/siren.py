"""Networks of sines."""

from __future__ import annotations

from tests.inits.case import Case

CASES = [
    Case({"scheme": "siren"}),
    Case({"scheme": "siren", "omega_0": 1.0}),
    Case({"scheme": "siren", "first": True}),
]
