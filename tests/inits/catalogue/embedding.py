"""Tables that vectors are looked up in, tied to the output head and not."""

from __future__ import annotations

from dataclasses import replace

from modelforge.inits import Matrix
from tests.inits.case import Case

TABLE = Matrix(shape=(300, 64), fan_in=1, fan_out=64, role="embedding", tied=False)
TABLES = {
    "looked up": TABLE,
    "tied": replace(TABLE, tied=True),
    "tied, the head first": replace(TABLE, role="weight", tied=True),
    "of positions": Matrix(shape=(1, 50, 64), fan_in=1, fan_out=64, role="embedding", tied=False),
}
EMPTY = {
    "no vectors": replace(TABLE, shape=(0, 64)),
    "no coordinates": replace(TABLE, shape=(300, 0), tied=True),
}

CASES = [
    Case({"scheme": "embedding"}, TABLES, EMPTY),
    Case({"scheme": "embedding", "gain": 0.02, "tied": True}, TABLES, EMPTY),
    Case({"scheme": "embedding", "gain": 3.0, "tied": False}, TABLES, EMPTY),
]
