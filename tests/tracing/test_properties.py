"""Any chain of layers, nested as it may be, comes back as it was."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

import modelforge as mf
from tests.planning.test_properties import models, parsed, planned
from tests.tracing.roundtrip import roundtrip

WIDTH = 6
NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9_]{0,5}", fullmatch=True)
LEAVES = st.one_of(
    st.builds(lambda bias: nn.Linear(WIDTH, WIDTH, bias=bias), st.booleans()),
    st.builds(lambda p: nn.Dropout(p), st.sampled_from([0.0, 0.25, 0.5])),
    st.builds(lambda eps, affine: nn.LayerNorm(WIDTH, eps, affine), st.sampled_from([1e-5, 1e-3]), st.booleans()),
    st.builds(lambda groups: nn.GroupNorm(groups, WIDTH), st.sampled_from([1, 2, 3])),
    st.builds(lambda affine: nn.BatchNorm1d(WIDTH, affine=affine), st.booleans()),
    st.builds(lambda alpha: nn.ELU(alpha), st.sampled_from([1.0, 0.5])),
    st.sampled_from([nn.ReLU, nn.Tanh, nn.Identity, nn.PReLU]).map(lambda cls: cls()),
    st.sampled_from(["none", "tanh"]).map(lambda kind: nn.GELU(kind)),
)


def free(name: str) -> bool:
    return (
        name not in {"input", "shortcut", "merge", "ledger"}
        and not hasattr(nn.Module(), name)
        and not hasattr(nn.Sequential, name)
    )


def chains(items: st.SearchStrategy[nn.Module]) -> st.SearchStrategy[nn.Sequential]:
    several = st.lists(items, min_size=1, max_size=4)
    named = st.dictionaries(NAMES.filter(free), items, min_size=1, max_size=4)
    return st.one_of(
        several.map(lambda layers: nn.Sequential(*layers)),
        named.map(lambda layers: nn.Sequential(OrderedDict(layers))),
    )


NETS = chains(st.recursive(LEAVES, chains, max_leaves=8))


def types(layers: dict[str, Any], prefix: str = "") -> dict[str, str]:
    """Path → type of all that is no container."""
    found: dict[str, str] = {}
    for name, layer in layers.items():
        kind = layer if isinstance(layer, str) else layer["type"]
        if kind == "Repeat":
            for copy in range(layer["times"]):
                found |= types(layer["layers"], f"{prefix}{name}.{copy}.")
        elif kind == "Sequential":
            found |= types(layer["layers"], f"{prefix}{name}.")
        else:
            found[prefix + name] = kind
    return found


@settings(max_examples=40, deadline=None)
@given(net=NETS)
def test_chains_come_back(net):
    config = roundtrip(net, torch.randn(3, WIDTH))
    leaves = {path: type(inner).__name__ for path, inner in net.named_modules() if not isinstance(inner, nn.Sequential)}
    assert types(config["layers"]) == leaves
    assert list(mf.parse(config).layers) == [name for name, _ in net.named_children()]


def test_models_come_back():
    checked = []

    @settings(max_examples=30, deadline=None, derandomize=True)
    @given(model=models)
    def check(model: Any) -> None:
        shape, layers = model
        plan = planned(parsed(shape, layers))
        assume(0 not in tuple(plan.output.shape))
        config = roundtrip(mf.build(plan), torch.randn(2, *shape), twice=False)
        found = mf.plan(mf.parse(config, init={"params": {"*": "zeros"}} if plan.parameters else None))
        assert leaves(found) == leaves(plan)
        checked.append(plan)

    check()
    assert len(checked) >= 30


def leaves(plan: mf.Plan) -> list[tuple[str, str, dict[str, Any]]]:
    """Path, type and arguments of the layers that hold no others."""
    return [(layer.path, layer.type, spelt_out(layer.arguments)) for layer in plan.layers if not layer.children]


def spelt_out(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments, with the width of a head where it is left to its default."""
    found = dict(arguments)
    if "head_dim" in found and found["head_dim"] is None:
        found["head_dim"] = found["embed_dim"] // found["num_heads"]
    return found
