"""Every layer type that a config can name has a signal rule, or a reason why not."""

from __future__ import annotations

from modelforge.language import registry
from modelforge.signal.rule import RULES

WITHOUT = {
    "CrossMapLRN2d": "torch adds the first channel to each sum; LocalResponseNorm does what both are meant to do",
}


def test_every_layer_type_has_a_rule_or_a_reason():
    types = {name: registry.get(name) for name in registry.names()}
    without = {name for name, it in types.items() if it.kind not in ("activation", "combinator") and name not in RULES}
    assert without == set(WITHOUT)
