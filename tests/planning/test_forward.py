"""While planning, one step of a recurrence stands for all of them; nothing else may show it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import modelforge as mf
from modelforge.core.tensors import BATCH, TensorValue, Value
from modelforge.language import registry
from modelforge.language.registry import LayerType
from modelforge.planning.forward import observe
from modelforge.planning.study import study

KINDS = ["LSTM", "GRU", "RNN"]
OPTIONS: list[dict[str, Any]] = [{}, {"num_layers": 2, "bidirectional": True}, {"bidirectional": True}]


def shapes(value: Any) -> Any:
    if isinstance(value, Tensor | TensorValue):
        return tuple(value.shape)
    return tuple(map(shapes, value))


def recurrence(kind: str, steps: int, **options: Any) -> mf.ModelSpec:
    layers = {"rnn": {"type": kind, "hidden_size": 5, **options}}
    return mf.parse({"input": {"shape": [steps, 3]}, "layers": layers}, init="xavier")


class CountedOps(TorchDispatchMode):
    """Counts what torch computes."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("kind", KINDS)
def test_shapes_are_those_of_all_steps(kind, options):
    real = getattr(nn, kind)(3, 5, batch_first=True, **options)(torch.zeros(BATCH, 7, 3))
    planned = mf.plan(recurrence(kind, 7, **options)).root.children[0].output
    assert shapes(planned) == shapes(real)


@pytest.mark.parametrize("kind", KINDS)
def test_planning_does_not_walk_through_the_steps(kind):
    counts = []
    for steps in (2, 200):
        with CountedOps() as counted:
            mf.plan(recurrence(kind, steps))
        counts.append(counted.count)
    assert counts[0] == counts[1]


def studied(module: type[nn.Module], *inputs: Value) -> Value:
    layer = LayerType(module.__name__, registry.get("Identity").declare, module)
    return study(layer, {}, inputs).output


class HandedOn(nn.Module):
    """Reads a state, and has its time first."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.LSTM(3, 5)

    def forward(self, data: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        output, state = self.rnn(data.transpose(0, 1), state)
        return output.transpose(0, 1), state


class Packed(nn.Module):
    """Reads sequences of different lengths."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 5, batch_first=True)

    def forward(self, data: Tensor) -> Tensor:
        return self.rnn(nn.utils.rnn.PackedSequence(data, torch.tensor([BATCH - 1, 1])))[0].data


def test_a_state_that_is_handed_on():
    state = TensorValue((1, BATCH, 5))
    planned = studied(HandedOn, TensorValue((BATCH, 7, 3)), (state, state))
    zero = torch.zeros(1, BATCH, 5)
    assert shapes(planned) == shapes(HandedOn()(torch.zeros(BATCH, 7, 3), (zero, zero)))


def test_packed_sequences_are_left_alone():
    seen = observe(Packed().to("meta"), (TensorValue((BATCH, 3)),))
    assert seen.output.shape == Packed()(torch.zeros(BATCH, 3)).shape


def test_no_steps_at_all_is_a_problem():
    with pytest.raises(mf.ForgeError, match=r"MF043\]: LSTM cannot run on \(0, 3\) from model\.input"):
        mf.plan(recurrence("LSTM", 0))
