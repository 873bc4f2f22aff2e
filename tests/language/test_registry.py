"""The layer registry: names of classes, layers that mix a batch, and what is said of names from elsewhere."""

from __future__ import annotations

import pytest
from torch import nn

from modelforge.language import registry


def test_a_class_has_the_first_name_that_it_is_registered_under():
    assert registry.name_of(nn.Linear) == "Linear"
    assert registry.name_of(nn.Module) is None

    class Linear(nn.Linear):
        """Another class of the same name."""

    assert registry.name_of(Linear) is None


def test_batch_norms_mix_examples_and_layer_norms_do_not():
    mixing = registry.that_mix()
    assert {nn.BatchNorm1d, nn.BatchNorm2d} <= {*mixing}
    assert nn.LayerNorm not in mixing


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Lineer", "did you mean `Linear`"),
        ("relu", "did you mean `ReLU`"),
        ("torch.nn.Linaer", "did you mean `Linear`"),
        ("torch.nn.Linear", "write `Linear`"),
        ("nn.Flatten", "write `Flatten`"),
        ("LeakyReLU(0.1)", "arguments are keys beside it: write `{type: LeakyReLU, ...}`"),
        ("nn.Dropout(p=0.1)", "arguments are keys beside it: write `{type: Dropout, ...}`"),
        ("Frobnicate", "egister your own layer in code first: `@mf.register_layer`"),
    ],
)
def test_an_unknown_name_leads_to_a_known_one(name: str, says: str):
    assert says in registry.explain_absence(name)


def test_a_class_that_is_left_out_has_its_reason():
    registry.names()
    name, reason = next(iter(registry.LEFT_OUT.items()))
    assert registry.explain_absence(name) == reason


def test_names_of_other_libraries_are_translated():
    registry.names()
    name = next(name for name, meant in registry.ELSEWHERE.items() if meant.startswith("`"))
    assert registry.explain_absence(name) == f"here it is {registry.ELSEWHERE[name]}"


def test_arguments_of_other_libraries_are_translated_where_the_layer_has_them():
    registry.names()
    known = {name: meant.split() for name, meant in registry.ARGUMENTS_ELSEWHERE.items() if meant.isidentifier()}
    name, meant = next(iter(known.items()))
    assert registry.argument_elsewhere(name, frozenset(meant)) == f"here it is `{meant[0]}`"
    assert registry.argument_elsewhere(name, frozenset()) == ""
    assert registry.argument_elsewhere("frobnicate", frozenset(meant)) == ""


def test_names_of_module_attributes_are_reserved():
    assert {"forward", "training", "ledger", "weight"} & registry.reserved_names() == {"forward", "training", "ledger"}
