"""Parameters that are stored inputs first: as those stored outputs first, but for where their values lie."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import modelforge as mf
from modelforge.building import draw
from modelforge.layers import ParameterLayout, forget_class, register_layout, rows, transposed
from modelforge.layers.register import unregister_layer

NORMAL = {"scheme": "normal", "std": 0.1}
INITS: list[Any] = [NORMAL, "xavier", "orthogonal", {"scheme": "sparse", "sparsity": 0.5}, "identity"]
NAMES = ("q", "k", "v")


class Stored(nn.Module):
    """Three matrices side by side: y = x @ weight."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((20, 36), torch.nan))

    def reset_parameters(self) -> None:
        nn.init.constant_(self.weight[0], 1.0)
        nn.init.constant_(self.weight[1:], 2.0)

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.weight


class Plain(nn.Linear):
    """The same, outputs first."""

    def __init__(self) -> None:
        super().__init__(20, 36, bias=False)


class Experts(nn.Module):
    """A stack of matrices, each (inputs, outputs) or (outputs, inputs)."""

    def __init__(self, *, inputs_first: bool) -> None:
        super().__init__()
        self.dims = (1, 2) if inputs_first else None
        self.weight = nn.Parameter(torch.full((4, 5, 6) if inputs_first else (4, 6, 5), torch.nan))


@pytest.fixture(autouse=True)
def layouts():
    register_layout(Stored)(lambda module: {"weight": transposed("weight", module.weight, *NAMES)})
    register_layout(Plain)(lambda module: {"weight": ParameterLayout("weight", rows(module.weight, NAMES))})

    @register_layout(Experts)
    def experts(module: Experts) -> dict[str, ParameterLayout]:
        weight = module.weight if module.dims is None else module.weight.transpose(*module.dims)
        return {"weight": ParameterLayout("weight", rows(weight.flatten(0, 1), "0123"), transposed=module.dims)}

    yield
    for cls in (Stored, Plain, Experts):
        forget_class(cls)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("chunk", [50, 1 << 20])
@pytest.mark.parametrize("init", INITS)
def test_values_are_those_of_a_linear_layer(init, chunk, dtype, monkeypatch):
    monkeypatch.setattr(draw, "CHUNK", chunk)
    stored, plain = Stored().to(dtype), Plain().to(dtype)
    one, other = mf.initialize(stored, init, seed=5)["weight"], mf.initialize(plain, init, seed=5)["weight"]
    assert torch.equal(stored.weight, plain.weight.T)
    assert stored.weight.is_contiguous()
    assert (one.shape, one.transposed) == ((20, 36), (0, 1))
    assert (other.shape, other.transposed) == ((36, 20), None)
    assert (one.verdict, one.numbers, one.matrices, one.target_std) == ("pass", other.numbers, NAMES, other.target_std)
    assert one.measured_std == pytest.approx(other.measured_std, rel=1e-5)


def test_each_block_is_orthogonal():
    mf.initialize(net := Stored(), "orthogonal")
    for block in net.weight.split(12, dim=1):
        assert torch.allclose(block.T @ block, torch.eye(12), atol=1e-5)


@pytest.mark.parametrize("chunk", [7, 1 << 20])
@pytest.mark.parametrize("init", INITS)
def test_stacks_of_matrices(init, chunk, monkeypatch):
    monkeypatch.setattr(draw, "CHUNK", chunk)
    stored, plain = Experts(inputs_first=True), Experts(inputs_first=False)
    one, other = mf.initialize(stored, init)["weight"], mf.initialize(plain, init)["weight"]
    assert torch.equal(stored.weight, plain.weight.transpose(1, 2))
    assert one.verdict == other.verdict == "pass"
    assert one.matrices == tuple("0123")
    if init == "xavier":
        assert (one.numbers["fan_in"], one.numbers["fan_out"]) == (5, 6)
    if init == "orthogonal":
        assert torch.allclose(plain.weight.transpose(1, 2) @ plain.weight, torch.eye(5).expand(4, 5, 5), atol=1e-5)


def test_through_a_parametrisation():
    net, bare = nn.Sequential(parametrizations.weight_norm(Stored())), nn.Sequential(Stored())
    assert mf.initialize(net, "orthogonal").ok
    mf.initialize(bare, "orthogonal")
    assert torch.allclose(net[0].weight, bare[0].weight, atol=1e-6)


def test_what_is_not_drawn_stays_as_it_is_stored(tmp_path):
    mf.initialize(net := Stored(), "torch")
    assert net.weight[0].eq(1).all()
    assert net.weight[1:].eq(2).all()
    assert mf.initialize(net, "keep")["weight"].measured_mean == pytest.approx(1.95)
    assert net.weight[0].eq(1).all()
    save_file({"weight": net.weight.detach() + 1}, path := tmp_path / "net.safetensors")
    entry = mf.initialize(net, {"scheme": "pretrained", "path": str(path)})["weight"]
    assert (entry.verdict, entry.transposed) == ("pass", (0, 1))
    assert net.weight[0].eq(2).all()


def test_calibrations_correct_outputs():
    class Biased(Stored):
        def __init__(self, weight: Tensor) -> None:
            super().__init__()
            self.weight.data.copy_(weight)
            self.bias = nn.Parameter(torch.zeros(36))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.weight + self.bias

    register_layout(Biased)(
        lambda module: {
            "weight": transposed("weight", module.weight),
            "bias": ParameterLayout("bias", rows(module.bias, ("",))),
        }
    )
    plain = nn.Linear(20, 36)
    ledger = mf.initialize(plain, NORMAL)
    net = Biased(plain.weight.T)
    other = mf.initialize(net, {"params": {"*": "keep"}})
    batch = torch.randn(256, 20, generator=torch.Generator().manual_seed(0))
    try:
        mf.calibrate(plain, batch, "per_channel", ledger=ledger)
        mf.calibrate(net, batch, "per_channel", ledger=other)
    finally:
        forget_class(Biased)
    assert torch.allclose(net.weight, plain.weight.T, atol=1e-6)
    assert torch.allclose(net(batch).std(0), torch.ones(36), atol=0.05)


def test_ledgers_and_digests_say_so():
    ledger = mf.initialize(net := Stored(), "xavier")
    assert "20×36 (transposed)" in str(ledger)
    assert json.loads(json.dumps(ledger.to_dict()))["parameters"][0]["transposed"] == [0, 1]
    assert mf.initialize(Plain(), "xavier").to_dict()["parameters"][0]["transposed"] is None
    digest = mf.digest(net)
    mf.initialize(net, "xavier")
    assert mf.digest(net) == digest


def test_in_a_config():
    @mf.register_layer(axes="... features", infer={"inputs": -1})
    class InputsFirst(nn.Module):
        """y = x @ kernel."""

        def __init__(self, inputs: int, outputs: int) -> None:
            super().__init__()
            self.kernel = nn.Parameter(torch.empty(inputs, outputs))

        def forward(self, x: Tensor) -> Tensor:
            return x @ self.kernel

    register_layout(InputsFirst)(lambda module: {"kernel": transposed("weight", module.kernel)})
    try:
        layers = {"first": {"type": "InputsFirst", "outputs": 7}}
        plan = mf.plan(mf.parse({"input": {"shape": [5]}, "layers": layers}, init="xavier"))
        assert mf.build(plan).ledger["first.kernel"].transposed == (0, 1)
    finally:
        unregister_layer("InputsFirst")
        forget_class(InputsFirst)
    parameter = plan.parameter("first.kernel")
    assert (parameter.shape, parameter.numbers["fan_in"], parameter.to_dict()["transposed"]) == ((5, 7), 5.0, [0, 1])
