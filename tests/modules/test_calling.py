"""Batches of any structure."""

from __future__ import annotations

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_sequence

import modelforge as mf
from modelforge.modules.calling import call, replaced, shapes, tensors


class Net(nn.Module):
    def forward(self, *args, **kwargs):
        return args, kwargs


def test_how_a_batch_becomes_arguments():
    one, two = torch.ones(1), torch.zeros(2)
    assert call(Net(), one) == ((one,), {})
    assert call(Net(), (one, two)) == ((one, two), {})
    assert call(Net(), [one]) == ((one,), {})
    assert call(Net(), OrderedDict(x=one)) == ((), {"x": one})
    packed = pack_sequence([torch.ones(2, 1)])
    assert call(Net(), packed)[0][0] is packed


def test_a_model_that_fails_is_a_problem_and_a_problem_stays():
    with pytest.raises(mf.ForgeError, match=r"Linear cannot run on this batch \[\(2, 3\) of float32, \(str\)\]"):
        call(nn.Linear(3, 2), (torch.ones(2, 3), "text"))

    class Refusing(nn.Module):
        def forward(self, x):
            raise mf.ForgeError([mf.Problem("MF014", "x", "its own")])

    with pytest.raises(mf.ForgeError, match=r"MF014.*its own"):
        call(Refusing(), torch.ones(1))


def test_replacing_keeps_the_structure():
    packed = pack_sequence([torch.ones(2, 1), torch.ones(1, 1)])
    value = {"a": [torch.ones(2), ("text", None, torch.zeros(1))], "b": packed}
    found = replaced(value, lambda tensor: tensor + 1)
    assert found["a"][0].tolist() == [2, 2]
    assert found["a"][1][:2] == ("text", None)
    assert isinstance(found["b"], PackedSequence)
    assert [place for place, _ in tensors(value)] == ["a.0", "a.1.2", "b.0", "b.1"]
    assert shapes(value["a"]) == "[(2,) of float32, [(str), (NoneType), (1,) of float32]]"
