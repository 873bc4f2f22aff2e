"""Every scheme against torch.nn.init and against one fill of fresh memory; whole models against `transformers`.

    python benchmarks/init.py

Ratios of one run on one machine. `transformers` is compared where it is installed.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from models import GPT2_MEDIUM, bare_fill, gpt2_spec, vit_large_spec
from timing import ratio, report, times
from torch import nn
from torch.nn import init

import modelforge as mf
from modelforge.building import draw
from modelforge.building.tally import Rows, Tally
from modelforge.inits.laws import drawing

_DRAW = drawing.draw_
SIDE = 4096
KERNEL = (512, 512, 3, 3)

DENSE: Mapping[str, tuple[Mapping[str, Any], Callable[[torch.Tensor], Any]]] = {
    "constant": ({"value": 0.5}, partial(init.constant_, val=0.5)),
    "uniform": ({"low": -1.0, "high": 1.0}, partial(init.uniform_, a=-1.0, b=1.0)),
    "normal": ({"std": 0.02}, partial(init.normal_, std=0.02)),
    "truncated_normal": ({"std": 1.0}, init.trunc_normal_),
    "torch.trunc_normal": ({}, init.trunc_normal_),
    "xavier": ({}, init.xavier_uniform_),
    "kaiming": ({}, init.kaiming_normal_),
    "eye": ({}, init.eye_),
}
MATRICES: Mapping[str, tuple[Mapping[str, Any], Callable[[torch.Tensor], Any]]] = {
    "sparse": ({"sparsity": 0.9}, partial(init.sparse_, sparsity=0.9)),
    "orthogonal": ({}, init.orthogonal_),
}


def main() -> None:
    """Prints all tables."""
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    # First, so that what compiled loops there are (see `modelforge.inits.laws.drawing`) are loaded for what follows.
    _models()
    _proof()
    _schemes(f"{SIDE} x {SIDE}, {SIDE**2 / 1e6:.0f} M values", [nn.Linear(SIDE, SIDE, bias=False)], DENSE)
    large = [nn.Linear(SIDE, SIDE, bias=False) for _ in range(8)]
    _schemes(f"8 matrices, {SIDE} x {SIDE}, {8 * SIDE**2 / 1e6:.0f} M values", large, {"constant": DENSE["constant"]})
    del large
    _schemes("8 matrices, 1024 x 1024", [nn.Linear(1024, 1024, bias=False) for _ in range(8)], MATRICES)
    out, channels, *sides = KERNEL
    kernel = nn.Conv2d(channels, out, (sides[0], sides[1]), bias=False)
    _schemes(f"convolution {KERNEL}", [kernel], {"dirac": ({}, init.dirac_)})


def _schemes(title: str, layers: Sequence[nn.Module], schemes: Mapping[str, Any]) -> None:
    module = nn.ModuleList(layers)
    count = sum(weight.numel() for weight in module.parameters())
    print(f"\n{title}")
    for scheme, (fields, theirs) in schemes.items():
        block = {"scheme": scheme, **fields}
        taken = times(
            {
                "theirs": partial(_each, theirs, module),
                "ours": partial(mf.initialize, module, block),
                "fill": partial(bare_fill, count),
            }
        )
        speed, floor = ratio(taken, "theirs", "ours"), ratio(taken, "ours", "fill")
        print(f"  {scheme:<20} {speed:6.2f}x as fast as torch.nn.init   {floor:6.2f}x the time of one fill")


def _proof() -> None:
    """What the proof costs: the same draws with and without all that is measured of them."""
    tensor = nn.Linear(SIDE, SIDE, bias=False)
    spec = gpt2_spec(**GPT2_MEDIUM)
    decided = mf.plan(spec)
    contenders: dict[str, Callable[[], Any]] = {
        f"{scheme}, {SIDE} x {SIDE}": partial(mf.initialize, tensor, {"scheme": scheme, **DENSE[scheme][0]})
        for scheme in ("normal", "uniform", "truncated_normal")
    }
    contenders["GPT-2 medium"] = partial(mf.build, decided)
    print("\nthe proof: time with it against the same draws without it")
    for name, run in contenders.items():
        size = 4 * (decided.num_parameters if name.startswith("GPT") else SIDE**2)
        taken = times({"proven": run, "drawn": partial(_unproven, run)}, rounds=9, num_bytes=size)
        print(f"  {name:<32} {ratio(taken, 'proven', 'drawn'):6.3f}x")


def _unproven(run: Callable[[], Any]) -> Any:
    """The same without the sums, rows and checksums."""
    nothing = {"measure": _unmeasured, "rows_of_chunk": _no_rows, "rows_of_matrix": _no_rows, "checksum": _no_checksum}
    with ExitStack() as stack:
        stack.enter_context(patch.object(drawing, "draw_", _unseen))
        for name, function in nothing.items():
            stack.enter_context(patch.object(draw, name, function))
        return run()


def _unseen(out: Any, key: Any, transform: Any, numbers: Any, bounds: Any, moments: Any) -> None:
    _DRAW(out, key, transform, numbers, bounds)


def _unmeasured(parts: Any, fill: Any, **rest: Any) -> Tally:
    return Tally(fill)


def _no_rows(*args: Any, **rest: Any) -> Rows:
    return Rows()


def _no_checksum(*args: Any) -> int:
    return 0


def _transposed() -> None:
    """The packed attention of GPT-2 small, stored inputs first as `transformers` has it, and as `nn.Linear` has it."""
    from transformers.pytorch_utils import Conv1D

    stored, linear = (
        nn.ModuleList(Conv1D(2304, 768) for _ in range(12)),
        nn.ModuleList(nn.Linear(768, 2304) for _ in range(12)),
    )
    print("\n12 matrices, 768 x 2304, stored inputs first")
    for scheme in ({"scheme": "normal", "std": 0.02}, {"scheme": "truncated_normal", "std": 0.02}):
        taken = times(
            {"stored": partial(mf.initialize, stored, scheme), "linear": partial(mf.initialize, linear, scheme)}
        )
        print(f"  {scheme['scheme']:<20} {ratio(taken, 'stored', 'linear'):6.2f}x the time of nn.Linear")


def _each(fill: Callable[[torch.Tensor], Any], module: nn.Module) -> None:
    for weight in module.parameters():
        fill(weight)


def _models() -> None:
    mf.build(gpt2_spec(**GPT2_MEDIUM))
    if importlib.util.find_spec("transformers") is None:
        return
    _transposed()
    from transformers import GPT2Config, GPT2Model, ViTConfig, ViTModel

    medium = GPT2Config(n_embd=1024, n_layer=24, n_head=16)
    large = ViTConfig(hidden_size=1024, num_hidden_layers=24, num_attention_heads=16, intermediate_size=4096)
    size = sum(weight.numel() for weight in GPT2Model(medium).parameters())
    taken = times(
        {
            "transformers": lambda: GPT2Model(medium),
            "modelforge": lambda: mf.build(gpt2_spec(**GPT2_MEDIUM)),
            "one fill of fresh memory": lambda: bare_fill(size),
        },
        rounds=5,
        num_bytes=4 * size,
    )
    report("GPT-2 medium", taken, "transformers")
    taken = times(
        {"transformers": lambda: ViTModel(large), "modelforge": lambda: mf.build(vit_large_spec())}, num_bytes=4 * size
    )
    report("ViT-L", taken, "transformers")


if __name__ == "__main__":
    main()
