"""mf.initialize on modules that modelforge did not build, and the schemes that leave the values to others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf

NORMAL = {"scheme": "normal", "std": 0.1}


def refused(module: nn.Module, init: Any) -> list[tuple[str, str, str]]:
    """What is wrong, after checking that nothing was written."""
    before = {path: weight.detach().clone() for path, weight in module.named_parameters() if not weight.is_meta}
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(module, init)
    for path, weight in module.named_parameters():
        assert weight.is_meta or torch.equal(weight, before[path]), path
    return [(problem.code, problem.key, problem.message) for problem in caught.value.problems]


def test_a_plain_module():
    net = nn.Sequential(nn.Linear(100, 200), nn.ReLU(), nn.Linear(200, 2))
    ledger = mf.initialize(
        net, {"scheme": "orthogonal", "gain": 2.0, "types": {"Linear": {"bias": {"scheme": "ones"}}}}
    )
    assert torch.allclose(net[0].weight.T @ net[0].weight, 4 * torch.eye(100), atol=1e-5)
    assert net[2].bias.eq(1).all()
    assert [(entry.path, entry.scheme, entry.rule) for entry in ledger] == [
        ("0.weight", "orthogonal", "init"),
        ("0.bias", "ones", "init.types.Linear.bias"),
        ("2.weight", "orthogonal", "init"),
        ("2.bias", "ones", "init.types.Linear.bias"),
    ]


def test_gradients_flags_and_identity_stay():
    net = nn.Linear(3, 2)
    net.bias.requires_grad_(False)
    weight, bias = net.weight, net.bias
    mf.initialize(net, NORMAL)
    assert net.weight is weight
    assert net.bias is bias
    assert (weight.requires_grad, bias.requires_grad) == (True, False)
    assert weight.grad_fn is None
    net(torch.ones(1, 3)).sum().backward()


def test_tied_parameters_have_one_rule():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    ledger = mf.initialize(net, NORMAL)
    assert [entry.path for entry in ledger] == ["0.weight", "0.bias", "1.bias"]
    assert net[1].weight is net[0].weight


def test_a_module_that_is_a_single_layer():
    first, second = nn.Linear(3, 2), nn.Linear(3, 2)
    mf.initialize(first, NORMAL)
    mf.initialize(second, NORMAL)
    assert torch.equal(first.weight, second.weight)


def test_names_of_unknown_modules():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(4, 3))
            self.lin = nn.Linear(3, 2)

    found = refused(Own(), NORMAL)
    assert found == [("MF025", "table", "no rule covers table (4, 3), and its role is not known")]
    own = Own()
    ledger = mf.initialize(own, NORMAL | {"types": {"Own": {"params": {"table": "ones"}}}})
    assert own.table.eq(1).all()
    assert ledger["table"].rule == "init.types.Own.params.table"


def test_a_rule_that_matches_nothing():
    assert refused(nn.Linear(3, 2), NORMAL | {"types": {"Conv2d": "zeros"}}) == [
        ("MF023", "init.types.Conv2d", "no layer here is a `Conv2d`")
    ]


# --- keep and torch ---------------------------------------------------------------------------------------------------


def test_keep_keeps():
    net = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    old = {path: weight.detach().clone() for path, weight in net.named_parameters()}
    ledger = mf.initialize(net, {"scheme": "keep", "bias": "keep", "params": {"1.weight": "ones"}})
    new = dict(net.named_parameters())
    assert [path for path in old if not torch.equal(old[path], new[path])] == ["1.weight"]
    assert [entry.verdict for entry in ledger] == ["unpromised", "unpromised", "pass", "unpromised"]
    assert ledger["0.weight"].measured_mean == pytest.approx(old["0.weight"].mean().item(), abs=1e-6)
    assert ledger.ok


def test_a_new_model_has_nothing_to_keep():
    layers = {"flat": {"type": "Linear", "out_features": 2, "init": "keep"}}
    spec = mf.parse({"input": {"shape": [3]}, "layers": layers})
    with pytest.raises(
        mf.ForgeError, match=r"`keep` cannot fill flat\.weight \(2, 3\): it keeps values, but the parameter is new"
    ):
        mf.build(spec)


# --- what cannot be written -------------------------------------------------------------------------------------------


def test_the_meta_device_is_refused():
    assert refused(nn.Linear(3, 2, device="meta"), NORMAL) == [
        ("MF094", "weight", "`weight` is on the meta device: there is no memory to fill"),
        ("MF094", "bias", "`bias` is on the meta device: there is no memory to fill"),
    ]


def test_parameters_without_a_shape_are_refused():
    assert refused_lazily(nn.Sequential(nn.Linear(2, 2), nn.LazyLinear(3))) == [
        ("MF094", "1.weight", "`1.weight` has no shape yet: its lazy layer has not run"),
        ("MF094", "1.bias", "`1.bias` has no shape yet: its lazy layer has not run"),
    ]


def refused_lazily(module: nn.Module) -> list[tuple[str, str, str]]:
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(module, NORMAL)
    assert all("run the module once" in problem.hint for problem in caught.value.problems)
    return [(problem.code, problem.key, problem.message) for problem in caught.value.problems]


def test_expanded_parameters_are_refused():
    net = nn.Linear(3, 4)
    net.weight = nn.Parameter(torch.zeros(1, 3).expand(4, 3))
    assert refused(net, NORMAL) == [
        ("MF094", "weight", "`weight` overlaps itself: several elements share one place in memory")
    ]
    assert mf.initialize(net, {"scheme": "keep"}).ok


def test_complex_parameters_are_refused():
    found = refused(nn.Linear(3, 2, bias=False, dtype=torch.complex64), NORMAL)
    assert found == [
        ("MF026", "init", "`normal` cannot fill weight (2, 3): values are drawn as real numbers, but it is complex64")
    ]


def test_all_problems_at_once():
    class Own(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Parameter(torch.zeros(4, 3))

        def forward(self, x: Tensor) -> Tensor:
            return x

    net = nn.Sequential(Own(), nn.Linear(3, 2, device="meta"), nn.utils.spectral_norm(nn.Linear(4, 4)))
    codes = [code for code, _, _ in refused(net, NORMAL | {"types": {"Conv2d": "zeros"}})]
    assert sorted(codes) == ["MF023", "MF025", "MF094", "MF094", "MF094"]


def test_a_module_without_parameters():
    assert len(mf.initialize(nn.ReLU(), {})) == 0


def test_a_compiled_module_has_the_names_of_what_was_compiled():
    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
    ledger = mf.initialize(torch.compile(net, backend="eager"), "orthogonal")
    assert [entry.path for entry in ledger] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert mf.digest(net) == mf.digest(_initialised(nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))))
    assert mf.verify(torch.compile(net, backend="eager"), ledger).ok


def test_parts_that_are_compiled_have_the_names_of_what_was_compiled():
    def network() -> nn.Sequential:
        return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Sequential(nn.Linear(8, 2)))

    init = {"scheme": "orthogonal", "params": {"2.0.weight": "xavier"}}
    plain, net = network(), network()
    expected = mf.initialize(plain, init, seed=3)
    net[2][0] = torch.compile(net[2][0], backend="eager")
    net[0], net[2] = torch.compile(net[0], backend="eager"), torch.compile(net[2], backend="eager")
    before = [type(module) for module in net.modules()]
    ledger = mf.initialize(net, init, seed=3)
    assert [(entry.path, entry.digest) for entry in ledger] == [(entry.path, entry.digest) for entry in expected]
    assert mf.digest(net) == mf.digest(plain)
    assert mf.verify(net, ledger).ok
    assert mf.verify(plain, ledger).ok
    assert [type(module) for module in net.modules()] == before
    with torch.no_grad():
        assert torch.equal(net(torch.ones(3, 4)), plain(torch.ones(3, 4)))
    with pytest.raises(mf.ForgeError):
        mf.initialize(net, {"scheme": "orthogonal", "params": {"9.weight": "xavier"}})
    assert [type(module) for module in net.modules()] == before


def test_a_module_without_parameters_is_refused():
    """So that a loop over `modules()`, in which equal layers would start equal, does not go unnoticed."""
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(nn.ReLU(), "xavier")
    (problem,) = caught.value.problems
    assert problem.message == "ReLU has no parameters: there is nothing to fill"
    assert problem.hint.startswith("give it the whole network, once")
    assert [*mf.initialize(nn.ReLU(), "keep")] == []


@pytest.mark.parametrize(
    ("function", "here"),
    [
        (nn.init.kaiming_normal_, ", here `torch.kaiming_normal`"),
        (nn.init.sparse_, ", here `sparse`"),
        (nn.init.calculate_gain, ""),
        (len, ""),
    ],
)
def test_a_function_of_torch_is_answered_with_the_scheme(function: Any, here: str):
    with pytest.raises(TypeError, match=f"takes an init block or the name of a scheme{here}, but gets"):
        mf.initialize(nn.Linear(2, 2), function)


def _initialised(net):
    mf.initialize(net, "orthogonal")
    return net


@pytest.mark.parametrize(
    ("module", "init", "message"),
    [
        (
            nn.BatchNorm1d(3),
            "xavier",
            "`xavier` fills nothing: no parameter here has the role `weight`, only `scale` and `bias`",
        ),
        (
            nn.Embedding(3, 2),
            "zeros",
            "`zeros` fills nothing: no parameter here has the role `weight`, only `embedding`",
        ),
        (
            nn.LayerNorm(3),
            {"gain": 2.0},
            "this block fills nothing: no parameter here has the role `weight`, only `scale` and `bias`",
        ),
    ],
)
def test_a_scheme_that_fills_nothing_is_refused(module: nn.Module, init: Any, message: str):
    before = {name: weight.clone() for name, weight in module.named_parameters()}
    with pytest.raises(mf.ForgeError) as caught:
        mf.initialize(module, init)
    (problem,) = caught.value.problems
    assert (problem.code, problem.key, problem.message) == ("MF029", "init", message)
    assert all(torch.equal(before[name], weight) for name, weight in module.named_parameters())


@pytest.mark.parametrize(
    "init", ["keep", "torch", {"scheme": "xavier", "bias": {"scheme": "ones"}}, {"params": {"*": "ones"}}]
)
def test_a_block_that_fills_something_in_a_norm_is_taken(init: Any):
    assert mf.initialize(nn.BatchNorm1d(3), init).ok


def test_a_norm_beside_a_layer_that_takes_the_scheme_keeps_its_default():
    ledger = mf.initialize(nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)), "xavier")
    assert [entry.scheme for entry in ledger] == ["xavier", "constant", "constant", "constant"]
