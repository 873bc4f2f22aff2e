"""A layer on the meta device: its output for any batch, its cost, and one step of a recurrence in place of all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import modelforge as mf
from modelforge.core.tensors import BATCH, BatchSize, TensorValue, Value
from modelforge.language import registry
from modelforge.language.registry import LayerType
from modelforge.planning import study
from modelforge.planning.forward import Misfit, num_held, observe, scaled, tensors_in, values
from modelforge.planning.layer_faults import DEAR

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
def test_planning_does_not_walk_through_the_steps(kind, monkeypatch):
    mf.plan(recurrence(kind, 2))  # the first run of a process has more operations
    counts = []
    for steps in (2, 200):
        monkeypatch.setattr(study, "_BUILTIN", study._Known())  # what earlier plans found
        with CountedOps() as counted:
            mf.plan(recurrence(kind, steps))
        counts.append(counted.count)
    assert counts[0] == counts[1]


def studied(module: type[nn.Module], *inputs: Value) -> Value:
    layer = LayerType(module.__name__, registry.get("Identity").declare, module)
    return study.study(layer, {}, inputs).output


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


def test_a_size_that_grows_with_the_batch_is_told_from_one_that_does_not():
    found = values(
        [torch.empty(11, 4), (torch.empty(22, 5), None)], [torch.empty(4, 4), (torch.empty(8, 5), None)], (11, 4)
    )
    assert found == (TensorValue((BATCH, 4)), (TensorValue((BatchSize(2), 5)), None))


@pytest.mark.parametrize(
    ("many", "few"),
    [(torch.empty(5, 11), torch.empty(5, 4)), (torch.empty(3, 4), torch.empty(3, 4))],
    ids=["moved", "lost"],
)
def test_an_output_whose_first_dimension_is_not_the_batch_is_refused(many: Tensor, few: Tensor):
    with pytest.raises(Misfit):
        values(many, few, (11, 4))


def test_a_large_output_has_the_batch_where_a_smaller_one_had_it():
    alike = (TensorValue((BATCH, 4)), TensorValue((1, BATCH, 4)))
    large = (torch.empty(BATCH, 9, device="meta"), torch.empty(1, BATCH, 9, device="meta"))
    assert scaled(alike, large) == (TensorValue((BATCH, 9)), TensorValue((1, BATCH, 9)))
    assert scaled(alike, large[0]) is None


def test_what_is_no_tensor_is_no_output():
    one = torch.empty(1)
    assert [*tensors_in([one, (None, one)])] == [one, one]
    with pytest.raises(Misfit, match="a layer must give tensors, but gives a dict"):
        list(tensors_in({"a": one}))


def test_what_a_module_holds_is_its_parameters_and_buffers():
    """A batch norm of 5: scale, bias, mean, variance, and one count."""
    assert num_held(nn.BatchNorm1d(5)) == 4 * 5 + 1
    seen = observe(nn.Linear(3, 2, device="meta"), (TensorValue((BATCH, 3)),))
    assert seen.held == 8
    assert seen.cost > seen.held


def test_the_cost_counts_each_position_that_a_kernel_is_used_at():
    """Each weight of a kernel serves 8 · 8 positions of 4 examples, however few channels there are."""
    conv = nn.Conv2d(3, 4, 1000, padding="same", device="meta")
    seen = observe(conv, (TensorValue((BATCH, 3, 8, 8)),))
    assert seen.used >= 8 * 4 * 4
    assert seen.cost > DEAR  # it would take a minute


def test_all_layers_of_a_recurrence_have_states():
    for kind in (nn.LSTM, nn.GRU, nn.RNN):
        rnn = kind(3, 5, num_layers=4, bidirectional=True, device="meta")
        assert shapes(observe(rnn, (TensorValue((BATCH, 7, 3)),)).output) == shapes(
            rnn(torch.empty(BATCH, 7, 3, device="meta"))
        )
