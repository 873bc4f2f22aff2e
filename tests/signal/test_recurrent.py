"""Recurrent layers step by step, and the eigenvalues of their weights."""

from __future__ import annotations

import cmath

import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.signal.recurrent import spectra, unroll

LAYERS = [
    nn.RNN(3, 4),
    nn.RNN(3, 4, nonlinearity="relu", bias=False, batch_first=True),
    nn.GRU(3, 4, num_layers=2, bidirectional=True, batch_first=True),
    nn.LSTM(3, 4, num_layers=2),
    nn.LSTM(3, 4, proj_size=2, bidirectional=True, num_layers=2),
    nn.LSTM(3, 4, num_layers=3, dropout=0.5).eval(),
]


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def ignore(name: str, time: int, value: Tensor) -> None:
    pass


def flat(state: Tensor | tuple[Tensor, Tensor]) -> list[Tensor]:
    return [*state] if isinstance(state, tuple) else [state]


@pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN:UserWarning")
@pytest.mark.parametrize("layer", LAYERS, ids=str)
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("given", [True, False])
def test_step_by_step_it_gives_the_same(layer, batched, given):
    sequence = normal(5, 6, 3) if batched else normal(5, 3)
    state = None
    if given:
        with torch.no_grad():
            state = layer(normal(5, 6, 3, seed=1) if batched else normal(5, 3, seed=1))[1]
    output, final = layer(sequence, state)
    unrolled, last = unroll(layer, sequence, state, ignore)
    torch.testing.assert_close(unrolled, output)
    assert type(last) is type(final)
    for one, other in zip(flat(last), flat(final), strict=True):
        torch.testing.assert_close(one, other)


def test_states_are_seen_in_the_order_in_which_they_are_made():
    seen: list[tuple[str, int]] = []
    layer = nn.LSTM(2, 3, bidirectional=True)
    unroll(layer, normal(2, 1, 2), None, lambda name, time, value: seen.append((name, time)))
    assert seen == [
        *(("h_l0", 0), ("c_l0", 0), ("h_l0", 1), ("c_l0", 1)),
        *(("h_l0_reverse", 1), ("c_l0_reverse", 1), ("h_l0_reverse", 0), ("c_l0_reverse", 0)),
    ]


def test_dropout_between_layers_is_that_of_training():
    layer = nn.GRU(3, 64, num_layers=2, dropout=0.5)
    values: dict[str, Tensor] = {}
    unroll(layer, normal(1, 1, 3), None, lambda name, time, value: values.update({name: value}))
    found = mf.probe(layer, normal(1, 8, 3))
    assert {"h_l0", "h_l1", ""} == {node.path for node in found.nodes}


def test_eigenvalues_are_those_of_each_gate():
    layer = nn.LSTM(2, 3)
    weight = torch.cat([factor * torch.eye(3) for factor in (1.0, 2.0, -3.0, 0.5)])
    layer.weight_hh_l0.data = weight
    found = {spectrum.path: spectrum for spectrum in spectra(nn.ModuleDict({"rnn": layer}))}
    assert [*found] == [f"rnn.weight_hh_l0[{gate}]" for gate in "ifgo"]
    assert [spectrum.radius for spectrum in found.values()] == [1, 2, 3, 0.5]
    assert found["rnn.weight_hh_l0[g]"].eigenvalues == (-3, -3, -3)


def test_a_rotation_has_its_eigenvalues_on_the_unit_circle():
    layer = nn.RNN(2, 2)
    layer.weight_hh_l0.data = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    (found,) = spectra(layer)
    assert {*found.eigenvalues} == {1j, -1j}
    data = found.to_dict()
    assert (data["radius"], sorted(data["eigenvalues"])) == (1, [[0, -1], [0, 1]])


def test_a_gaussian_matrix_fills_the_unit_disc():
    layer = nn.RNN(1, 400)
    layer.weight_hh_l0.data = normal(400, 400) / 20
    (found,) = spectra(layer)
    # The circular law: a share of r² within the radius r.
    inside = sum(abs(value) < 0.5**0.5 for value in found.eigenvalues) / 400
    assert inside == pytest.approx(0.5, abs=0.05)
    assert found.radius == pytest.approx(1, abs=0.1)
    assert [abs(value) for value in found.eigenvalues] == sorted(map(abs, found.eigenvalues), reverse=True)
    assert all(cmath.isfinite(value) for value in found.eigenvalues)


def test_over_seeds_the_radius_is_a_mean():
    found = mf.probe(lambda seed: _scaled(seed + 1.0), normal(3, 2, 2), seeds=(0, 1, 2))
    assert found.spectra[0].radius == 2
    assert found.spectra[0].eigenvalues == (1, 1, 1)


def _scaled(factor: float) -> nn.RNN:
    layer = nn.RNN(2, 3)
    layer.weight_hh_l0.data = factor * torch.eye(3)
    return layer


def test_cells_and_broken_weights_have_spectra_too():
    cell = nn.GRUCell(2, 3)
    assert len([*spectra(cell)]) == 3
    layer = nn.RNN(2, 3)
    layer.weight_hh_l0.data.fill_(float("nan"))
    (found,) = spectra(layer)
    assert found.eigenvalues == ()
    assert mf.probe(nn.Linear(2, 2), normal(3, 2)).spectra == ()
