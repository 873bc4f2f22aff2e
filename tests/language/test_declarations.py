"""Declarations of a model section: blocks, arguments and sizes, and what is wrong with them."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.language.test_expand import DENSE, model, told


def test_nothing_unused_needs_its_arguments():
    assert mf.parse(model({"act": "ReLU"}, blocks={"dense": DENSE})).layers["act"].type == "ReLU"


@pytest.mark.parametrize("name", ["lambda", "class", "type", "1x"])
def test_an_argument_that_no_arithmetic_can_name_is_refused(name):
    layers = {"fc": {"type": "Linear", "out_features": f"${{arg:{name}}}"}}
    assert (f"model.args.{name}", f"`{name}` cannot name an argument") in told(model(layers, args={name: 1}))


def test_every_size_is_checked():
    layers = {"fc": {"type": "Linear", "out_features": "${arg:width}"}}
    given = {"args": {"width": "???"}, "sizes": {"s": {"width": 2}, "l": {"widht": 3}}}
    assert told(model(layers, **given, size="s")) == [("model.sizes.l.widht", "the model has no argument `widht`")]
    given["sizes"]["l"] = {"width": 3}
    assert told(model(layers, **given)) == [("model.sizes", "the model has `sizes`, and no `size` that chooses")]
