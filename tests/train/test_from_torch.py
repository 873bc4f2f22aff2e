"""A section that names a class of torch: which one, its arguments, and what its constructor refuses."""

from __future__ import annotations

import pytest
import torch

from modelforge.core.errors import ForgeError
from modelforge.train.from_torch import classes, construct, example, parse_class, split
from tests.train.problems import said

KNOWN = classes(torch.optim, torch.optim.Optimizer)


def test_public_classes_that_a_config_may_name():
    assert {"SGD", "AdamW"} <= set(KNOWN)
    assert not {"Optimizer", "SparseAdam"} & set(KNOWN)


def test_own_keys_are_taken_apart():
    assert split({"type": "SGD", "mup": True, "lr": 1}, "mup") == ({"mup": True}, {"type": "SGD", "lr": 1})
    assert split(3, "mup") == ({}, 3)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (3, ("part", "`part` must be a mapping with a `type`, but is 3", "")),
        ({}, ("part", "this thing has no `type`", "add `type: ...`")),
        ({"type": ["SGD"]}, ("part.type", "unknown thing `['SGD']`", "did you mean `SGD`?")),
        ({"type": "Mine"}, ("part.type", "unknown thing `Mine`", "did you mean `mine`?")),
    ],
)
def test_wrong_sections(section: object, expected: tuple[str, str, str]):
    kind, _, problems = parse_class(section, "part", "thing", KNOWN, {}, others=["mine"])
    assert kind is None
    assert said(problems) == [expected]


def test_the_argument_to_blame_is_named():
    given = {"lr": -1.0, "momentum": 0.9}
    with pytest.raises(ForgeError) as caught:
        construct(torch.optim.SGD, "part", given, lambda these: torch.optim.SGD([example()], **these))
    assert said(caught.value.problems) == [("part.lr", "SGD refuses its arguments: Invalid learning rate: -1.0", "")]
