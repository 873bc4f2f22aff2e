"""Which values of two mappings differ."""

from __future__ import annotations

import pytest

from modelforge.review.values import Path, value_changes


def nested(path: Path, value: object) -> dict[str, object]:
    for key in reversed(path):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def changed(path: Path, old: object, new: object) -> list[str]:
    found = value_changes(nested(path, old), nested(path, new), lambda key: None, lambda key: None)
    return [change.name for change in found]


@pytest.mark.parametrize(
    "path",
    [
        ("init", "gain"),
        ("model", "init", "params", "*.bias", "value"),
        ("model", "layers", "up", "init", "weight", "gain"),
        ("model", "layers", "init", "init", "gain"),
        ("model", "blocks", "unit", "layers", "up", "init", "gain"),
        ("layers", "up", "init", "gain"),
    ],
)
def test_a_decimal_point_is_no_change_in_an_init_block(path: Path):
    assert changed(path, 1, 1.0) == []
    assert changed(path, 1, 1.5) == changed(path, 1, True) == [".".join(path)]


@pytest.mark.parametrize(
    "path",
    [
        ("model", "layers", "init", "p"),
        ("model", "blocks", "init", "layers", "up", "bias"),
        ("model", "blocks", "unit", "args", "init"),
        ("data", "init", "size"),
        ("seed",),
    ],
)
def test_elsewhere_it_is_one(path: Path):
    assert changed(path, 1, 1.0) == [".".join(path)]


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        (("data", "augment"), True),
        (("data", "augment", "choice"), True),
        (("callbacks",), True),
        (("data", "dates"), False),
        (("model", "layers"), False),
    ],
)
def test_the_order_of_steps_counts_and_that_of_a_lookup_does_not(path: Path, counts: bool):
    steps = {"flip": "RandomHorizontalFlip", "crop": {"type": "RandomCrop"}}
    assert changed(path, steps, dict(reversed(steps.items()))) == [".".join(path)] * counts


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        (("weights", "rename"), True),
        (("init", "params", "*.weight", "rename"), True),
        (("model", "blocks", "unit", "layers", "up", "init", "rename"), True),
        (("data", "rename"), False),
        (("weights", "other"), False),
    ],
)
def test_the_order_of_renames_counts_since_each_sees_what_the_one_before_made(path: Path, counts: bool):
    renames = {"h": "x", "x": "head", "mask": None}
    assert changed(path, renames, dict(reversed(renames.items()))) == [".".join(path)] * counts
