"""Width-aware schemes."""

from __future__ import annotations

from modelforge.inits import Context
from tests.inits.case import Case
from tests.inits.catalogue.depth import at
from tests.inits.matrices import EMPTY, MATRICES

HIDDEN = Context(0, None, reads_input=False, gives_output=False, input_width=False, output_width=False)
HEAD = Context(0, None, reads_input=False, gives_output=True, input_width=False, output_width=True)

CASES = [
    Case(
        {"scheme": "mup", "width": 256, "base_width": 64},
        at(MATRICES, hidden=HIDDEN, head=HEAD),
        at(EMPTY, hidden=HIDDEN, head=HEAD),
    ),
    Case({"scheme": "mup", "width": 256, "base_width": 64, "position": "output", "optimizer": "sgd"}),
    Case({"scheme": "spectral"}),
    Case({"scheme": "spectral", "gain": 2.0, "optimizer": "sgd"}),
]
