"""mf.probe: what is measured of a network, and that the network is afterwards what it was."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.nn.utils import parametrizations
from torch.utils.checkpoint import checkpoint

import modelforge as mf
from modelforge.train.parallel.rendezvous import leave


@pytest.fixture(autouse=True)
def known_defaults() -> Iterator[None]:
    """What modules draw for themselves is the same in every run."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        yield


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def linear(*rows: list[float]) -> nn.Linear:
    """A layer with these rows of weights and no bias."""
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return layer


# --- forward ----------------------------------------------------------------------------------------------------------


def test_moments_are_those_of_all_elements():
    found = mf.probe(linear([2.0, 0.0], [0.0, -1.0]), torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    # The output is (2, -2), (6, -4).
    node = found[""]
    assert (node.kind, node.shape, node.num_units) == ("Linear", (2, 2), 2)
    assert node.forward.mean == 0.5
    assert node.forward.second_moment == (4 + 4 + 36 + 16) / 4
    assert node.forward.std == pytest.approx(math.sqrt(15 - 0.25), abs=1e-12)
    assert node.forward.log_second_moment == pytest.approx(math.log(15), abs=1e-12)
    assert node.forward.spread is None
    (given,) = found.inputs
    assert (given.path, given.forward.mean, given.forward.second_moment) == ("input", 2.5, 7.5)


def test_a_known_sigmoid_is_saturated_where_its_slope_is_small():
    # s(1 - s) < 0.05 / 4 holds where |x| > 4.357.
    batch = torch.tensor([[-9.0, -4.4, -4.3, 0.0, 1.0, 4.3, 4.4, 5.0]])
    assert mf.probe(nn.Sequential(nn.Sigmoid()), batch)["0"].saturated == 0.5
    # 1 - tanh² < 0.05 holds where |x| > 2.178.
    assert mf.probe(nn.Sequential(nn.Tanh()), torch.tensor([[2.17, -2.17, 2.19, -2.19]]))["0"].saturated == 0.5


@pytest.mark.parametrize("inplace", [False, True])
def test_a_dead_relu_is_counted(inplace):
    net = nn.Sequential(linear([1.0, 1.0], [-1.0, -1.0], [1.0, -1.0]), nn.ReLU(inplace=inplace))
    batch = torch.tensor([[1.0, 2.0], [3.0, 1.0], [2.0, 2.0]])
    found = mf.probe(net, batch)
    assert found["0"].num_dead == 0
    assert (found["1"].num_dead, found["1"].num_units) == (1, 3)
    assert found["1"].saturated == pytest.approx((3 + 2) / 9)  # the dead one, and 0 and -1 of the third
    assert found["0"].forward.mean == pytest.approx((3 + 4 + 4 - 3 - 4 - 4 - 1 + 2 + 0) / 9)


def test_a_batch_of_one_value_has_no_dead_units():
    assert mf.probe(nn.ReLU(), torch.ones(1, 4))[""].num_dead is None


def test_units_are_channels_of_images_and_features_of_sequences():
    images = nn.Sequential(nn.Conv1d(3, 5, 1), nn.ReLU(), nn.Flatten(), nn.Linear(20, 2))
    found = mf.probe(images, normal(6, 3, 4))
    assert [found[path].num_units for path in "0123"] == [5, 5, 20, 2]
    sequences = nn.Sequential(nn.Linear(3, 7), nn.GELU(), nn.LayerNorm(7))
    assert [node.num_units for node in mf.probe(sequences, normal(6, 4, 3)).nodes] == [7, 7, 7]


def test_the_effective_rank_of_a_rank_one_batch_is_one():
    batch = normal(16, 1) * normal(1, 8, seed=1)
    found = mf.probe(nn.Sequential(nn.Linear(8, 32, bias=False), nn.Linear(32, 32)), batch)
    assert found["0"].effective_rank == pytest.approx(1, abs=1e-4)
    assert mf.probe(nn.Identity(), torch.eye(8))[""].effective_rank == pytest.approx(8)
    assert mf.probe(nn.Identity(), torch.zeros(4, 8))[""].effective_rank is None


def test_a_container_is_shown_where_it_makes_something_of_its_own():
    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.ReLU(), nn.Linear(4, 4))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.body(x)

    class InPlace(Residual):
        def forward(self, x: Tensor) -> Tensor:
            out = self.body(x)
            out += x
            return out

    net = nn.Sequential(Residual(), InPlace())
    paths = [node.path for node in mf.probe(net, normal(3, 4)).nodes]
    assert paths == ["0.body.0", "0.body.1", "0", "1.body.0", "1.body.1", "1"]


def test_a_container_that_is_left_out_has_the_node_of_what_made_its_output():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.act(self.act(x) - 1)

    found = mf.probe(nn.Sequential(nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU())), Twice()), normal(3, 4))
    assert found.same == {"0.1": "0.1.0", "0": "0.1.0"}
    assert found["0"] is found["0.1.0"]
    assert found.to_dict()["same"] == found.same
    with pytest.raises(KeyError):  # its output is that of the second call alone, the node is that of both
        found["1"]


def test_a_nan_that_the_network_makes_is_shown_and_not_refused():
    class Root(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sqrt()

    found = mf.probe(nn.Sequential(nn.Identity(), Root(), nn.Linear(2, 2)), torch.tensor([[1.0, -1.0]] * 3))
    assert math.isfinite(found["0"].forward.std)
    assert math.isnan(found["1"].forward.std)
    assert found.to_dict()["nodes"][1]["forward"]["std"] is None
    assert "nan" in str(found)


# --- backward ---------------------------------------------------------------------------------------------------------


def test_gradients_are_those_of_a_loss():
    net = nn.Sequential(linear([1.0, 2.0], [0.0, 3.0]), nn.ReLU(), linear([5.0, -1.0]))
    found = mf.probe(net, torch.tensor([[1.0, 1.0], [-4.0, 1.0]]), loss=lambda output: output.sum())
    # dL/dh is (5, -1) after the ReLU for both examples; before it the first unit of the second example is off.
    assert found["2"].gradient.second_moment == 1
    assert found["1"].gradient.second_moment == (25 + 1 + 25 + 1) / 4
    assert found["0"].gradient.second_moment == (25 + 1 + 0 + 1) / 4
    assert found["0"].gradient.mean == (5 - 1 + 0 - 1) / 4
    # dL/dx = Wᵀ dL/dh: (5, 7) and (0, -3).
    assert found.inputs[0].gradient.second_moment == (25 + 49 + 0 + 9) / 4


@pytest.mark.parametrize("loss", [None, lambda output: output.square().sum()])
def test_gradients_are_those_of_autograd(loss):
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(inplace=True), nn.Linear(8, 3))
    batch = normal(5, 6)
    found = mf.probe(net, batch, loss=loss, seeds=3)
    values = [batch.clone().requires_grad_()]
    for index, module in enumerate(net):
        values.append(nn.functional.relu(values[-1]) if index == 2 else module(values[-1]))
    if loss is None:
        scale = found["3"].gradient.second_moment  # of the random direction
        assert 0.3 < scale < 3  # 15 squares of N(0, 1)
        return
    gradients = torch.autograd.grad(loss(values[-1]), values[:-1])
    expected = [float(gradient.double().square().mean()) for gradient in gradients]
    assert [found.inputs[0].gradient.second_moment] == pytest.approx(expected[:1])
    assert [found[str(index)].gradient.second_moment for index in range(3)] == pytest.approx(expected[1:])


def test_in_a_deep_relu_net_the_gradient_is_what_theory_says():
    def build(seed: int) -> nn.Module:
        net = nn.Sequential(*(part for _ in range(12) for part in (nn.Linear(128, 128, bias=False), nn.ReLU())))
        mf.initialize(net, {"scheme": "xavier"}, seed=seed)
        return net

    seeds = 6
    found = mf.probe(build, normal(16, 128), seeds=range(seeds), jacobian=False)
    ratio = found["0"].gradient.log_second_moment - found["22"].gradient.log_second_moment
    # Each of 11 layers halves it; ln varies with β = 5 · 11 / 128 (Hanin & Nica 2018), and has the mean -β/2.
    beta = 5 * 11 / 128
    assert ratio == pytest.approx(-11 * math.log(2) - beta / 2, abs=3 * math.sqrt(beta / seeds))
    spread = found["0"].gradient.spread
    assert spread is not None
    assert 0 < spread < 3 * math.sqrt(2 * beta)
    assert found.seeds == tuple(range(seeds))


def test_means_over_seeds_are_of_the_single_ones():
    def build(seed: int) -> nn.Module:
        return nn.Sequential(nn.Linear(4, 4), nn.Tanh())

    batch = normal(8, 4)
    single = [mf.probe(build, batch, seeds=seed) for seed in (3, 4)]
    both = mf.probe(build, batch, seeds=(3, 4))
    one, other = (found["0"].forward for found in single)
    assert one.second_moment != other.second_moment
    assert both["0"].forward.second_moment == pytest.approx((one.second_moment + other.second_moment) / 2)
    assert both["0"].forward.spread == pytest.approx(
        abs(one.log_second_moment - other.log_second_moment) / math.sqrt(2)
    )
    assert both.jacobian.largest == pytest.approx(sum(found.jacobian.largest for found in single) / 2)


def test_the_random_direction_and_dropout_depend_on_the_seed_alone():
    net = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5), nn.Linear(8, 8))
    batch = normal(8, 8)
    one, again, other = (mf.probe(net, batch, seeds=seed) for seed in (1, 1, 2))
    assert one == again
    assert one["1"].forward.std != other["1"].forward.std


# --- steps ------------------------------------------------------------------------------------------------------------


class Last(nn.Module):
    """A recurrent layer whose last output is the network's."""

    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.rnn = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.rnn(x)[0][:, -1]


def test_the_gradient_of_each_step_is_the_whole_one():
    net = Last(nn.RNN(3, 4, batch_first=True))
    batch = normal(2, 5, 3)
    found = mf.probe(net, batch, loss=lambda output: output.square().sum())
    rnn = net.rnn
    states = [torch.zeros(2, 4)]
    for time in range(5):
        before = batch[:, time] @ rnn.weight_ih_l0.T + rnn.bias_ih_l0 + states[-1] @ rnn.weight_hh_l0.T + rnn.bias_hh_l0
        states.append(before.tanh())
    gradients = torch.autograd.grad(states[-1].square().sum(), states[1:])
    steps = found["rnn.h_l0"].steps
    assert len(steps) == 5
    for step, state, gradient in zip(steps, states[1:], gradients, strict=True):
        assert step.forward.second_moment == pytest.approx(float(state.detach().square().mean()), rel=1e-5)
        assert step.gradient.second_moment == pytest.approx(float(gradient.square().mean()), rel=1e-4)
    assert found["rnn.h_l0"].kind == "RNN state"


def test_cells_in_a_loop_are_seen_step_by_step():
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.GRUCell(3, 4)

        def forward(self, x: Tensor) -> Tensor:
            state = x.new_zeros(x.shape[1], 4)
            for one in x:
                state = self.cell(one, state)
            return state

    net, batch = Loop(), normal(6, 2, 3)
    found = mf.probe(net, batch, loss=lambda output: output.sum())
    states = [torch.zeros(2, 4)]
    for one in batch:
        states.append(net.cell(one, states[-1]))
    gradients = torch.autograd.grad(states[-1].sum(), states[1:])
    measured = [step.gradient.second_moment for step in found["cell"].steps]
    assert measured == pytest.approx([float(gradient.square().mean()) for gradient in gradients], rel=1e-4)
    assert found["cell"].forward.second_moment == pytest.approx(
        float(torch.stack(states[1:]).detach().double().square().mean()), rel=1e-5
    )


def test_an_identity_recurrence_keeps_its_gradient_and_a_half_one_loses_it():
    for factor in (1.0, 0.5):
        layer = nn.RNN(1, 2, nonlinearity="relu", bias=False, batch_first=True)
        layer.weight_ih_l0.data.fill_(1.0)
        layer.weight_hh_l0.data = factor * torch.eye(2)
        found = mf.probe(Last(layer), torch.ones(3, 6, 1), loss=lambda output: output.sum())
        energies = [step.gradient.second_moment for step in found["rnn.h_l0"].steps]
        assert energies == pytest.approx([factor ** (2 * (5 - time)) for time in range(6)])
        assert [found.spectra[0].path, found.spectra[0].radius] == ["rnn.weight_hh_l0", factor]


# --- any module, any input --------------------------------------------------------------------------------------------


class Several(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embed, self.inner, self.head = nn.Embedding(10, 4), nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, ids: Tensor, extra: dict[str, Any], scale: float = 1.0) -> dict[str, Any]:
        x = self.embed(ids).mean(1) + self.inner(extra["x"][0])
        return {"logits": self.head(x) * scale, "ids": ids, "none": None}


def test_inputs_and_outputs_have_any_structure():
    batch = {"ids": torch.arange(6).view(3, 2), "extra": {"x": [normal(3, 3), "text"]}, "scale": 2.0}
    found = mf.probe(Several(), batch)
    assert [node.path for node in found.inputs] == ["input.extra.x.0"]
    assert [node.path for node in found.nodes] == ["embed", "inner", "head", ""]
    assert all(node.gradient is not None for node in found.nodes)
    assert found.jacobian.shape == (2, 3)
    as_tuple = mf.probe(Several(), (batch["ids"], batch["extra"]))
    assert as_tuple["embed"].shape == (3, 2, 4)


def test_integers_are_entered_after_their_embedding():
    net = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), linear([1.0, 2.0, 2.0, 0.0, 0.0, 0.0]))
    found = mf.probe(net, torch.tensor([[0, 1], [2, 3]]))
    assert found.inputs == ()
    assert found.jacobian.shape == (1, 6)
    assert found.jacobian.singular_values == pytest.approx([3.0])


def test_packed_sequences_go_through():
    packed = nn.utils.rnn.pack_sequence([normal(4, 3), normal(2, 3)])

    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.GRU(3, 5)

        def forward(self, x: Any) -> Tensor:
            return self.rnn(x)[1]

    assert mf.probe(Packed(), packed, jacobian=False)["rnn"].shape == (6, 5)


def test_a_network_of_transformers():
    transformers = pytest.importorskip("transformers", reason="transformers is in the dev extra")
    config = transformers.GPT2Config(n_layer=2, n_embd=16, n_head=2, vocab_size=40, n_positions=8)
    net = transformers.GPT2LMHeadModel(config).eval()
    ids = torch.arange(12).view(2, 6)
    before = state_of(net)
    found = mf.probe(net, {"input_ids": ids, "labels": ids}, loss=lambda output: output.loss)
    assert_same(net, before)
    assert found.mode == "eval"
    assert found["transformer.h.1.mlp.act"].saturated is not None
    assert found["transformer.h.0"].gradient.second_moment > 0
    # A tied head: logits have the variance d · 0.02² of what a layer norm gives.
    assert found["lm_head"].forward.std == pytest.approx(math.sqrt(16) * 0.02, rel=0.2)
    assert found["transformer.wte"].gradient is not None
    assert mf.probe(net, {"input_ids": ids}).jacobian.shape == (6 * 40, 6 * 16)
    bert = transformers.BertModel(
        transformers.BertConfig(
            num_hidden_layers=2, hidden_size=16, num_attention_heads=2, intermediate_size=32, vocab_size=40
        )
    )
    found = mf.probe(bert, {"input_ids": ids, "attention_mask": torch.ones_like(ids)})
    assert found.mode == "train"
    assert all(node.gradient is not None for node in found.nodes)


def test_torchs_own_transformers_take_no_fast_path():
    encoder = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    found = mf.probe(encoder, normal(3, 4, 8))
    assert {"linear1", "linear2", "norm1", "norm2"} <= {node.path for node in found.nodes}
    assert all(node.gradient is not None for node in found.nodes)


def test_autocast_measures_what_it_computes():
    net = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64))
    batch = normal(128, 64)
    seen: list[torch.dtype] = []
    net[0].register_forward_hook(lambda module, args, output: seen.append(output.dtype))
    full = mf.probe(net, batch)
    with torch.autocast("cpu", torch.bfloat16):
        half = mf.probe(net, batch)
    assert {*seen} == {torch.float32, torch.bfloat16}
    for path in "012":
        assert half[path].forward.std == pytest.approx(full[path].forward.std, rel=1e-2)
        assert half[path].forward.std != full[path].forward.std
        assert half[path].effective_rank == pytest.approx(full[path].effective_rank, rel=1e-2)
        assert half[path].gradient.second_moment == pytest.approx(full[path].gradient.second_moment, rel=2e-2)
    assert half.jacobian.largest == pytest.approx(full.jacobian.largest, rel=2e-2)


def test_an_lstm_in_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        found = mf.probe(Last(nn.LSTM(3, 4, batch_first=True)), normal(2, 5, 3))
    assert len(found["rnn.c_l0"].steps) == 5


def test_distributed_data_parallel_is_seen_through(tmp_path: Path):
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    batch = normal(8, 4)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    try:
        wrapped = DistributedDataParallel(net)
        wrapped(batch).sum().backward()
        gradients = [weight.grad.clone() for weight in net.parameters()]
        before = state_of(wrapped)
        found = mf.probe(wrapped, batch)
        assert_same(wrapped, before)
        assert found == mf.probe(net, batch)
        net.zero_grad()
        net[1].reset_running_stats()
        wrapped(batch).sum().backward()  # the reducer has seen nothing
        for weight, gradient in zip(net.parameters(), gradients, strict=True):
            torch.testing.assert_close(weight.grad, gradient)
    finally:
        leave()


def test_a_compiled_network_is_seen_through():
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    batch = normal(8, 4)
    assert mf.probe(torch.compile(net), batch) == mf.probe(net, batch)
    inner = nn.Sequential(torch.compile(net[0]), net[1])
    assert mf.probe(inner, batch)["0._orig_mod"].forward == mf.probe(net, batch)["0"].forward


def test_checkpointed_layers_are_seen_once():
    class Saving(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.rnn = nn.Sequential(nn.Linear(4, 4), nn.ReLU()), nn.GRU(4, 4, batch_first=True)

        def forward(self, x: Tensor) -> Any:
            return self.plain(x) if self.training else checkpoint(self.plain, x, use_reentrant=False)

        def plain(self, x: Tensor) -> Tensor:
            return self.rnn(self.inner(x))[0]

    net, batch = Saving(), normal(3, 5, 4)
    assert mf.probe(net.eval(), batch, jacobian=False).nodes == mf.probe(net.train(), batch, jacobian=False).nodes


@pytest.mark.parametrize("context", [nullcontext, torch.no_grad, torch.inference_mode])
def test_it_measures_gradients_whatever_is_around(context):
    net, batch = nn.Linear(4, 4), normal(3, 4)
    with context():
        assert mf.probe(net, batch) == mf.probe(net, batch.clone())
        assert mf.probe(net, batch)[""].gradient is not None


def test_frozen_and_parametrised_weights_make_no_difference():
    net, batch = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), normal(3, 4)
    expected = mf.probe(net, batch)
    assert mf.probe(copy.deepcopy(net).requires_grad_(False), batch) == expected
    with_norm = copy.deepcopy(net)
    parametrizations.weight_norm(with_norm[0])
    assert [node.path for node in mf.probe(with_norm, batch).nodes] == ["0", "1", "2"]


# --- no trace ---------------------------------------------------------------------------------------------------------


class Leaving(nn.Module):
    """A network whose forward leaves what traces it can, and may fail in the end."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv1d(3, 4, 3), nn.BatchNorm1d(4)
        self.spectral = parametrizations.spectral_norm(nn.Linear(4, 4))
        self.rnn = nn.GRU(4, 4, batch_first=True)
        self.register_buffer("seen", torch.zeros(3))
        self.register_buffer("absent", None)
        self.fails, self.count, self.cache = fails, 0, {"a": 1}
        self.conv.weight.requires_grad_(False)
        self.norm.eval()
        self.conv.register_forward_hook(lambda module, args, output: None)
        self.rnn.weight_hh_l0.register_hook(lambda gradient: gradient)

    def forward(self, x: Tensor) -> Tensor:
        self.count += 1
        self.last, self.cache["b"] = x, 2
        self.seen += x.mean()
        self.seen = self.seen.clone()
        self.absent = torch.ones(1)
        self.drawn = (random.random(), np.random.rand(), torch.rand(1))
        x = nn.functional.dropout(self.norm(self.conv(x)).relu_(), 0.5, self.training)
        x = self.rnn(self.spectral(x.transpose(1, 2)))[0]
        if self.fails:
            raise ValueError("this network fails")
        return x


def state_of(model: nn.Module) -> dict[str, Any]:
    """All that a probe must leave as it is."""
    tables = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_forward_hooks_with_kwargs")
    return {
        "values": {name: value.clone() for name, value in model.state_dict().items()},
        "objects": {name: id(value) for name, value in (*model.named_parameters(), *model.named_buffers())},
        "versions": {name: value._version for name, value in model.named_parameters()},
        "gradients": {
            name: None if value.grad is None else value.grad.clone() for name, value in model.named_parameters()
        },
        "flags": {name: value.requires_grad for name, value in model.named_parameters()},
        "tensor hooks": {name: len(value._backward_hooks or {}) for name, value in model.named_parameters()},
        "modes": [module.training for module in model.modules()],
        "hooks": [[len(getattr(module, table)) for table in tables] for module in model.modules()],
        "attributes": [{name: id(value) for name, value in vars(module).items()} for module in model.modules()],
        "order": [list(vars(module)) for module in model.modules()],
        "random": {
            "python": torch.tensor(random.getstate()[1]),
            "numpy": torch.from_numpy(np.asarray(np.random.get_state()[1], dtype=np.int64)),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        },
        "grad": torch.is_grad_enabled(),
        "deterministic": (torch.backends.cudnn.enabled, torch.backends.mkldnn.enabled),
    }


def assert_same(model: nn.Module, before: dict[str, Any]) -> None:
    for name, value in state_of(model).items():
        if name in ("values", "gradients", "random"):
            torch.testing.assert_close(value, before[name], rtol=0, atol=0, msg=name)
        else:
            assert value == before[name], name


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("fails", [False, True])
def test_the_network_is_afterwards_what_it_was(train, fails):
    net = Leaving().train(train)
    net.norm.eval()
    batch = normal(6, 3, 9)
    net(batch).sum().backward()
    net.fails = fails
    given = batch.clone()
    before = state_of(net)
    if fails:
        with pytest.raises(mf.ForgeError, match="this network fails"):
            mf.probe(net, batch)
    else:
        found = mf.probe(net, batch, seeds=(0, 1))
        assert found.mode == ("mixed" if train else "eval")
    assert_same(net, before)
    assert torch.equal(batch, given)
    assert batch.grad is None
    assert not batch.requires_grad
    assert not batch._backward_hooks


def test_a_loss_that_raises_leaves_no_trace():
    net, batch = Leaving(), normal(6, 3, 9)
    before = state_of(net)
    with pytest.raises(ZeroDivisionError):
        mf.probe(net, batch, loss=lambda output: 1 / 0)
    assert_same(net, before)


def test_a_builder_leaves_the_random_state():
    torch_state, python = torch.get_rng_state(), random.getstate()
    mf.probe(lambda seed: nn.Linear(4, 4), normal(3, 4), seeds=range(3))
    assert torch.equal(torch.get_rng_state(), torch_state)
    assert random.getstate() == python


def test_a_batch_that_the_network_writes_into_stays():
    batch = normal(3, 4)
    given = batch.clone()
    mf.probe(nn.Sequential(nn.ReLU(inplace=True), nn.Linear(4, 2)), batch)
    assert torch.equal(batch, given)


# --- CUDA -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("train", [True, False])
def test_on_cuda_it_measures_the_same_and_leaves_no_trace(train):
    net, batch = Leaving().train(train), normal(6, 3, 9)
    expected = mf.probe(net, batch)
    net.cuda()
    before = state_of(net)
    found = mf.probe(net, batch.cuda())
    assert_same(net, before)
    assert [node.path for node in found.nodes] == [node.path for node in expected.nodes]
    if not train:  # dropout draws other masks
        for one, other in zip(found.nodes, expected.nodes, strict=True):
            assert one.forward.second_moment == pytest.approx(other.forward.second_moment, rel=1e-2)
            assert one.gradient.second_moment == pytest.approx(other.gradient.second_moment, rel=1e-2)
        assert found.jacobian.singular_values == pytest.approx(expected.jacobian.singular_values, rel=2e-2, abs=1e-4)
    with torch.autocast("cuda", torch.float16):
        mf.probe(net, batch.cuda(), jacobian=False)
    assert_same(net, before)
    with pytest.raises(mf.ForgeError, match="cannot run on this batch"):
        mf.probe(net, batch)
    assert_same(net, before)


# --- wrong input ------------------------------------------------------------------------------------------------------


def problem(call: Any) -> tuple[str, str, str]:
    with pytest.raises(mf.ForgeError) as caught:
        call()
    (found,) = caught.value.problems
    return found.code, found.key, found.message


def test_a_batch_that_the_network_cannot_take():
    code, path, message = problem(lambda: mf.probe(nn.Linear(3, 2), normal(4, 5)))
    assert (code, path) == ("MF050", "batch")
    assert message.startswith("Linear cannot run on this batch (4, 5) of float32: ")
    code, _, message = problem(lambda: mf.probe(nn.Linear(3, 2), {"x": normal(4, 3)}))
    assert (code, "unexpected keyword argument" in message) == ("MF050", True)


def test_a_batch_with_nan():
    batch = {"x": normal(4, 3), "y": [normal(2), torch.tensor([1.0, math.nan])]}
    code, path, message = problem(lambda: mf.probe(nn.Linear(3, 2), batch))
    assert (code, path) == ("MF053", "batch.y.1")
    assert message == "1 of 2 numbers of `batch.y.1` are NaN, so all measures would be NaN"
    # A mask may hold infinities.
    mf.probe(nn.Softmax(-1), torch.tensor([[0.0, -math.inf], [0.0, 1.0]]), jacobian=False)


def test_an_empty_batch():
    assert problem(lambda: mf.probe(nn.Linear(3, 2), torch.zeros(0, 3)))[:2] == ("MF053", "batch")


def test_a_network_without_values():
    for net in (nn.LazyLinear(2), nn.Linear(3, 2, device="meta")):
        with pytest.raises(mf.ForgeError, match="`weight` has no values yet") as caught:
            mf.probe(net, normal(4, 3))
        assert [found.code for found in caught.value.problems] == ["MF094", "MF094"]


def test_a_network_whose_gradients_cannot_be_computed():
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.ReLU(inplace=True))
    before = state_of(net)
    code, path, message = problem(lambda: mf.probe(net, normal(4, 3)))
    assert (code, path) == ("MF050", "batch")
    assert message.startswith("Sequential has no gradients on this batch (4, 3) of float32: ")
    assert_same(net, before)


def test_a_loss_without_gradients():
    code, path, message = problem(lambda: mf.probe(nn.Linear(3, 2), normal(4, 3), loss=lambda output: torch.ones(())))
    assert (code, path, message) == ("MF050", "loss", "the loss does not depend on the output of the network")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, torch.ones(2, 2)), "probe takes an nn.Module or a function that makes one, but gets an int"),
        ((nn.Linear(2, 2), "text"), "probe takes a batch of tensors, but gets a str that holds none"),
        ((nn.Linear(2, 2), np.ones((2, 2))), "probe takes a batch of tensors, but gets a ndarray that holds none"),
        ((nn.Linear(2, 2), {}), "probe takes a batch of tensors, but gets a dict that holds none"),
        (
            (lambda seed: 3, torch.ones(2, 2)),
            "probe takes a function that makes an nn.Module from a seed, but gets an int",
        ),
    ],
)
def test_what_is_of_another_kind(arguments, message):
    with pytest.raises(TypeError, match=f"^{message}"):
        mf.probe(*arguments)


def test_a_loss_of_another_kind():
    with pytest.raises(TypeError, match=r"one number, but gives the shape \(4, 2\)"):
        mf.probe(nn.Linear(3, 2), normal(4, 3), loss=lambda output: output)
    with pytest.raises(TypeError, match="but gives a float"):
        mf.probe(nn.Linear(3, 2), normal(4, 3), loss=lambda output: 1.0)
    with pytest.raises(TypeError, match="a function of the output, but gets a str"):
        mf.probe(nn.Linear(3, 2), normal(4, 3), loss="cross_entropy")


def test_seeds_of_another_kind():
    with pytest.raises(TypeError, match="a seed must be an integer"):
        mf.probe(nn.Linear(3, 2), normal(4, 3), seeds=[0.5])
    with pytest.raises(ValueError, match="one seed or more"):
        mf.probe(nn.Linear(3, 2), normal(4, 3), seeds=[])


# --- what it prints ---------------------------------------------------------------------------------------------------


def test_it_is_plain_data():
    found = mf.probe(Last(nn.LSTM(3, 4, batch_first=True)), normal(2, 5, 3))
    data = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert data["nodes"][0]["path"] == "rnn.h_l0"
    assert len(data["nodes"][0]["steps"]) == 5
    assert len(data["spectra"][0]["eigenvalues"]) == 4
    assert data["jacobian"]["shape"] == [4, 15]


def test_an_unknown_path_is_a_key_error():
    probe = mf.probe(nn.Sequential(nn.Linear(3, 2)), normal(4, 3))
    with pytest.raises(KeyError, match=r"nothing was measured at '0\.weight': known: ``, `0`"):
        probe["0.weight"]
    assert [node.path for node in probe if node.path in probe] == ["0"]
    assert "0.weight" not in probe
