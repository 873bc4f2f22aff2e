"""The network itself, and what gradients are of."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import modelforge as mf
from modelforge.signal.passes import bare, ends_of


def test_wrappers_are_taken_off():
    net = nn.Linear(2, 2)
    assert bare(net) is net
    assert bare(nn.DataParallel(net)) is net
    assert bare(torch.compile(nn.DataParallel(torch.compile(net)))) is net


def test_gradients_begin_at_all_outputs_or_at_the_loss():
    one, two = torch.ones(2, requires_grad=True), torch.ones(3, requires_grad=True)
    ends, given = ends_of({"a": one, "b": [two, torch.ones(1), "text"]}, None, seed=0)
    assert ends[0] is one
    assert ends[1] is two
    assert [value.shape for value in given] == [(2,), (3,)]
    assert torch.equal(given[0], ends_of([one], None, seed=0)[1][0])
    assert not torch.equal(given[0], ends_of([one], None, seed=1)[1][0])
    ((loss,), (value,)) = ends_of(one, lambda output: output.sum(), seed=0)
    assert (loss.item(), value.item()) == (2, 1)


def test_a_loss_must_depend_on_the_output():
    with pytest.raises(mf.ForgeError, match="does not depend"):
        ends_of(torch.ones(2), lambda output: output.sum(), seed=0)
    with pytest.raises(TypeError, match=r"the shape \(2,\)"):
        ends_of(torch.ones(2), lambda output: output, seed=0)
