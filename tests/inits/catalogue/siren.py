"""Networks of sines."""

from __future__ import annotations

from modelforge.inits import Context
from tests.inits.case import Case
from tests.inits.catalogue.depth import at
from tests.inits.matrices import EMPTY, MATRICES

FIRST, LATER = Context(0, None, reads_input=True), Context(0, None, reads_input=False)

CASES = [
    Case({"scheme": "siren"}, at(MATRICES, first=FIRST, later=LATER), at(EMPTY, later=LATER)),
    Case({"scheme": "siren", "omega_0": 1.0, "first": False}),
    Case({"scheme": "siren", "first": True}),
]
