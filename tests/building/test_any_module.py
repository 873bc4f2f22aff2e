"""mf.initialize on whatever modules there are: tied, shared, parametrised, bare, quantised, of classes unknown."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf

NORMAL = {"scheme": "normal", "std": 0.1}


def refused(module: nn.Module, init: Any) -> list[mf.Problem]:
    """What is wrong, after checking that nothing was written."""
    before = {name: value.detach().clone() for name, value in module.state_dict().items()}
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(module, init)
    assert list(before) == list(module.state_dict())
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    return list(caught.value.problems)


# --- several names, several uses --------------------------------------------------------------------------------------


class Tied(nn.Module):
    """An embedding whose weight is also the head's."""

    def __init__(self, *, head_first: bool = False) -> None:
        super().__init__()
        embed, head = nn.Embedding(50, 20, padding_idx=3), nn.Linear(20, 50, bias=False)
        head.weight = embed.weight
        for name in ("head", "embed") if head_first else ("embed", "head"):
            setattr(self, name, {"embed": embed, "head": head}[name])

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.embed(x))


def test_the_first_name_of_a_tied_parameter_says_what_it_is():
    ledger = mf.initialize(embed := Tied(), "xavier")
    assert [(entry.path, entry.role, entry.target_std) for entry in ledger] == [("embed.weight", "embedding", 0.02)]
    assert embed.embed.weight[3].eq(0).all()
    assert embed.head.weight is embed.embed.weight
    ledger = mf.initialize(head := Tied(head_first=True), "xavier")
    assert [(entry.path, entry.role) for entry in ledger] == [("head.weight", "weight")]
    assert head.embed.weight[3].ne(0).all()
    assert head(torch.tensor([1, 2])).isfinite().all()


@pytest.mark.parametrize("name", ["embed.weight", "head.weight", "head.*", "*.weight", "e*.weight"])
def test_each_name_of_a_tied_parameter_will_do(name):
    ledger = mf.initialize(tied := Tied(), NORMAL | {"params": {name: "ones"}})
    assert ledger["embed.weight"].rule == f"init.params.{name}"
    # The padding row stays zero whatever the rule.
    assert tied.head.weight.sum() == 49 * 20


def test_names_below_a_class():
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Tied()
            self.outer = nn.Linear(20, 50, bias=False)
            self.outer.weight = self.inner.embed.weight

    ledger = mf.initialize(Net(), NORMAL | {"types": {"Tied": {"params": {"head.weight": "zeros"}}}})
    assert ledger["inner.embed.weight"].rule == "init.types.Tied.params.head.weight"
    found = refused(Net(), NORMAL | {"types": {"Tied": {"params": {"outer.weight": "zeros"}}}})
    assert [(problem.code, problem.key) for problem in found] == [("MF023", "init.types.Tied.params.outer.weight")]


def test_two_rules_for_two_names_of_one_parameter():
    (problem,) = refused(Tied(), {"params": {"embed.weight": "ones", "head.weight": "zeros"}})
    assert problem.code == "MF024"
    assert problem.key == "init.params.head.weight"
    assert problem.message == "`embed.weight` and `head.weight` both match `embed.weight`, and neither is nearer"
    assert problem.hint == "it is one parameter with several names: keep one of the rules"


def test_shared_modules_are_filled_once():
    shared = nn.Linear(4, 4)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    ledger = mf.initialize(net, NORMAL | {"params": {"2.bias": "ones"}})
    assert [(entry.path, entry.scheme) for entry in ledger] == [("0.weight", "normal"), ("0.bias", "ones")]


def test_lists_and_dicts_of_parameters():
    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scales = nn.ParameterList([torch.zeros(3), torch.zeros(3)])
            self.tables = nn.ParameterDict({"a": torch.zeros(2, 3)})

    found = refused(Bag(), NORMAL)
    assert [(problem.code, problem.key) for problem in found] == [
        ("MF025", path) for path in ("scales.0", "scales.1", "tables.a")
    ]
    assert found[2].message == "no rule covers tables.a (2, 3), and its role is not known"
    assert "params: {tables.a: ...}" in found[2].hint
    ledger = mf.initialize(bag := Bag(), {"params": {"scales.*": "ones", "tables.a": NORMAL}})
    assert ledger.ok
    assert bag.scales[1].eq(1).all()


def test_what_is_left_of_quantisation_is_named():
    net = nn.Sequential(nn.Linear(4, 4))
    net[0].weight = nn.Parameter(torch.ones(4, 4, dtype=torch.int8), requires_grad=False)
    (problem,) = refused(net, NORMAL)
    assert problem.code == "MF026"
    assert problem.message == "`normal` cannot fill 0.weight (4, 4): values are drawn as real numbers, but it is int8"
    ledger = mf.initialize(net, NORMAL | {"params": {"0.weight": "keep"}})
    assert ledger.ok
    assert net[0].weight.eq(1).all()
