"""Recurrent layers of torch, run step by step so that gradients of each step are seen; and eigenvalues of weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from modelforge.core.paths import join
from modelforge.modules.parameters import layout

MAX_EIGEN = 2048
"""The largest matrix of which eigenvalues are computed."""
_LAYERS: Mapping[str, Callable[..., Any]] = MappingProxyType(
    {"RNN_TANH": torch.rnn_tanh, "RNN_RELU": torch.rnn_relu, "LSTM": torch.lstm, "GRU": torch.gru}
)
State: TypeAlias = "Tensor | tuple[Tensor, Tensor]"


See: TypeAlias = Callable[[str, int, Tensor], None]
"""Gets the name (`h_l0`, `c_l0`, `h_l0_reverse`), the time and the tensor of a state before anything reads it."""


def unroll(module: nn.RNNBase, sequence: Tensor, state: State | None, see: See) -> tuple[Tensor, State]:
    """Runs a recurrent layer step by step: the same values as in one call, but for rounding and other dropout masks."""
    batched = sequence.ndim == 3
    values = sequence if batched else sequence.unsqueeze(1)
    if batched and module.batch_first:
        values = values.transpose(0, 1)
    states = _initial(module, values, state, batched)
    finals: list[tuple[Tensor, ...]] = []
    for index in range(module.num_layers):
        if index and module.dropout and module.training:
            values = functional.dropout(values, module.dropout)
        outputs: list[Tensor] = []
        for suffix in (f"l{index}", f"l{index}_reverse")[: 2 if module.bidirectional else 1]:
            hidden: dict[int, Tensor] = {}
            weights = module.all_weights[len(finals)]
            start = last = states[len(finals)]
            for time, last in _steps(module, weights, values, start, backwards=suffix.endswith("_reverse")):
                for letter, value in zip("hc", last, strict=False):
                    see(f"{letter}_{suffix}", time, value)
                hidden[time] = last[0]
            finals.append(last)
            outputs.append(torch.cat([hidden[time] for time in sorted(hidden)]))
        values = torch.cat(outputs, dim=-1)
    output = values.transpose(0, 1) if batched and module.batch_first else values
    final = [torch.cat(parts) for parts in zip(*finals, strict=True)]
    if not batched:
        output, final = output.squeeze(1), [part.squeeze(1) for part in final]
    return output, (final[0], final[1]) if module.mode == "LSTM" else final[0]


def _initial(module: nn.RNNBase, sequence: Tensor, state: State | None, batched: bool) -> list[tuple[Tensor, ...]]:
    """The states to start from, for each layer and direction."""
    number = module.num_layers * (2 if module.bidirectional else 1)
    if state is None:
        sizes = [module.proj_size or module.hidden_size, module.hidden_size][: 2 if module.mode == "LSTM" else 1]
        parts = [sequence.new_zeros(number, sequence.shape[1], size) for size in sizes]
    else:
        parts = [*state] if isinstance(state, tuple) else [state]
        parts = parts if batched else [part.unsqueeze(1) for part in parts]
    return [tuple(part[index : index + 1] for part in parts) for index in range(number)]


def _steps(
    module: nn.RNNBase, weights: Sequence[Tensor], sequence: Tensor, state: tuple[Tensor, ...], *, backwards: bool
) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    """Each time of one direction of one layer, with the state after it."""
    times = range(sequence.shape[0])
    for time in reversed(times) if backwards else times:
        given = state if len(state) == 2 else state[0]
        # cuDNN gives gradients in training mode only; within one layer there is no dropout.
        _, *after = _LAYERS[module.mode](
            sequence[time : time + 1], given, weights, module.bias, 1, 0.0, True, False, False
        )
        state = tuple(after)
        yield time, state


@dataclass(frozen=True, slots=True)
class Spectrum:
    """The eigenvalues of a recurrent matrix at the start, largest first."""

    path: str
    """Of the parameter, with the gate's name in brackets where it holds several: `rnn.weight_hh_l0[f]`."""
    eigenvalues: tuple[complex, ...]
    """Over seeds those of the first."""
    radius: float
    """The largest modulus; over seeds the mean."""

    def to_dict(self) -> dict[str, Any]:
        """The spectrum as plain data; an eigenvalue is a pair of real and imaginary part."""
        eigenvalues = [[value.real, value.imag] for value in self.eigenvalues]
        return {"path": self.path, "radius": self.radius, "eigenvalues": eigenvalues}


def spectra(model: nn.Module) -> Iterator[Spectrum]:
    """The spectrum of each square recurrent matrix, gate by gate; of very large ones there is none."""
    for prefix, module in model.named_modules():
        for name, item in layout(module).items():
            if item.role != "recurrent":
                continue
            values = item.outputs_first(getattr(module, name).detach())
            for matrix in item.matrices:
                rows = values[matrix.start : matrix.stop]
                if rows.ndim == 2 and rows.shape[0] == rows.shape[1] <= MAX_EIGEN:
                    path = join(prefix, name) + (f"[{matrix.name}]" if matrix.name else "")
                    yield _spectrum(path, rows)


def _spectrum(path: str, matrix: Tensor) -> Spectrum:
    values = torch.linalg.eigvals(matrix.double().cpu()) if bool(matrix.isfinite().all()) else torch.zeros(0)
    ordered = sorted((complex(value) for value in values.tolist()), key=abs, reverse=True)
    return Spectrum(path, tuple(ordered), abs(ordered[0]) if ordered else float("nan"))
