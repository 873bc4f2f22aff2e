"""What `mf.predict` predicts, beside what is measured: of a deep network whose examples drift apart, and of networks
that AnyInit 0.4 predicts with the same weights.

pip install anyinit==0.4.0
python benchmarks/predict.py [seeds] [draws of the deep network]
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections import OrderedDict
from math import log, sqrt
from statistics import fmean, stdev
from typing import Any

import torch

import modelforge as mf

BATCH = 64
DENSE, CONV = {"type": "Linear", "out_features": 128}, {"type": "Conv2d", "out_channels": 32, "kernel_size": 3}
PADDED = {**CONV, "padding": 1}
NETWORKS: dict[str, tuple[list[int], list[Any]]] = {
    "MLP, ReLU": ([128], [DENSE, "ReLU"] * 8 + [DENSE]),
    "MLP, tanh": ([128], [DENSE, "Tanh"] * 8 + [DENSE]),
    "MLP, GELU": ([128], [DENSE, "GELU"] * 8 + [DENSE]),
    "MLP, dropout": ([128], [DENSE, "ReLU", {"type": "Dropout", "p": 0.2}] * 4 + [DENSE]),
    "MLP, layer norm": ([128], [DENSE, "LayerNorm", "GELU"] * 4 + [DENSE]),
    "CNN": ([3, 20, 20], [CONV, "ReLU"] * 6),
    "CNN, zero padding": ([3, 8, 8], [PADDED, "ReLU"] * 6),
    "CNN, batch norm": ([3, 12, 12], [PADDED, "BatchNorm2d", "ReLU"] * 4 + [PADDED]),
    "CNN, max pool": ([3, 24, 24], [PADDED, "ReLU", {"type": "MaxPool2d", "kernel_size": 2}] * 3 + [PADDED]),
    "CNN, mean pool": ([3, 24, 24], [PADDED, "ReLU", {"type": "AvgPool2d", "kernel_size": 2}] * 3 + [PADDED]),
    "transposed": ([8, 6, 6], [{"type": "ConvTranspose2d", "out_channels": 16, "kernel_size": 4, "stride": 2}, "ReLU"]),
}
SEQUENCE = [16, 32]
KINDS: dict[str, tuple[list[int], Any]] = {
    **{name: ([32], name) for name in ("ReLU", "GELU", "SiLU", "Tanh", "Sigmoid", "Softplus", "LayerNorm", "RMSNorm")},
    **{name: ([8, 8, 8], name) for name in ("BatchNorm2d", "InstanceNorm2d")},
    "Conv2d, no padding": ([8, 8, 8], {"type": "Conv2d", "out_channels": 8, "kernel_size": 3}),
    "Conv2d, zero padding": ([8, 8, 8], {"type": "Conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1}),
    "ConvTranspose2d": ([8, 8, 8], {"type": "ConvTranspose2d", "out_channels": 8, "kernel_size": 2}),
    "GroupNorm": ([8, 8, 8], {"type": "GroupNorm", "num_groups": 2}),
    "MaxPool2d": ([8, 8, 8], {"type": "MaxPool2d", "kernel_size": 2}),
    "AvgPool2d": ([8, 8, 8], {"type": "AvgPool2d", "kernel_size": 2}),
    "Upsample": ([8, 8, 8], {"type": "Upsample", "scale_factor": 2}),
    "Dropout": ([32], {"type": "Dropout", "p": 0.1}),
    "Softmax": ([32], {"type": "Softmax", "dim": -1}),
    **{name: (SEQUENCE, {"type": name, "hidden_size": 32}) for name in ("RNN", "LSTM", "GRU")},
}


def main() -> None:
    """Prints the tables."""
    _print_drift(int(sys.argv[2]) if len(sys.argv) > 2 else 400)
    if importlib.util.find_spec("anyinit") is None:
        print("AnyInit is not installed, and there is nothing to compare with: pip install anyinit==0.4.0")
        return
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    print("\n| network | AnyInit | modelforge | one draw (±) |\n| --- | ---: | ---: | ---: |")
    for name, (shape, layers) in NETWORKS.items():
        print("| {} | {:.3f} | {:.3f} | {:.3f} |".format(name, *_compared(shape, layers, seeds)), flush=True)
    print("\n| layer | AnyInit | modelforge, forward | backward |\n| --- | --- | --- | --- |")
    for name, (shape, layer) in KINDS.items():
        print("| " + " | ".join([name, *("yes" if known else "no" for known in _covered(shape, layer))]) + " |")


def _print_drift(draws: int) -> None:
    """30 layers of GELU with gains that keep E x², and how ln of energies scatters over models and batches."""
    layers = {"hidden": {"type": "Linear", "out_features": 256}, "act": "GELU"}
    model = {"input": {"shape": [256]}, "layers": {"deep": {"type": "Repeat", "times": 30, "layers": layers}}}
    init = {"scheme": "lecun", "distribution": "normal"}
    (setting,) = mf.solve(mf.plan(mf.parse(model, init=init)), "forward", batch_size=16).settings
    spec = mf.parse({**model, "init": {"params": setting.value}}, init=init)
    prediction = mf.predict(mf.plan(spec), batch_size=16)
    found = [_energies(spec, draw) for draw in range(draws)]
    print(f"| 30 layers of width 256, batches of 16 | predicted | measured, {draws} draws |\n| --- | ---: | ---: |")
    for kind, energies, numbers in (("x", 0, (10, 20, 30)), ("g", 1, (20, 10, 1))):
        for number in numbers:
            node = prediction.node(f"deep.{number - 1}.hidden")
            item = node.gradient if energies else node.signal
            assert item is not None, "all of it is known"
            logs = [log(draw[energies][number - 1]) for draw in found]
            expected, drawn = f"{item.log_mean:.2f} ± {item.spread:.2f}", f"{fmean(logs):.2f} ± {stdev(logs):.2f}"
            print(f"| ln E {kind}² of layer {number} | {expected} | {drawn} |", flush=True)


def _energies(spec: mf.ModelSpec, seed: int) -> tuple[list[float], list[float]]:
    """E x² and E g² at each linear layer of one model, for one batch and random gradients of the output."""
    model, kept = mf.build(spec, seed=seed), list[torch.Tensor]()

    def keep(_: torch.nn.Module, __: Any, output: torch.Tensor) -> None:
        kept.append(output)

    for module in model.modules():
        if isinstance(module, torch.nn.Linear):
            module.register_forward_hook(keep)
    torch.manual_seed(seed)
    outputs = model(torch.randn(16, 256))
    gradients = torch.autograd.grad((outputs * torch.randn_like(outputs)).sum(), kept)
    forward, backward = ([float(item.detach().square().mean()) for item in items] for items in (kept, gradients))
    return forward, backward


def _compared(shape: list[int], layers: list[Any], seeds: int) -> tuple[float, float, float]:
    """The largest |ln predicted - ln measured| of AnyInit and of ours, and the largest spread of the measured mean."""
    anyinit = importlib.import_module("anyinit")
    torch.manual_seed(0)
    torch_model = _torch_model(_spec(shape, layers, {}))
    draws = [anyinit.initialize(torch_model, "analytic", (BATCH, *shape), seed=seed).layers for seed in range(seeds)]
    stds = {record.name.removesuffix(".weight"): record.scale for record in draws[0]}
    prediction = mf.predict(mf.plan(_spec(shape, layers, stds)), batch_size=BATCH)
    worst = [0.0, 0.0, 0.0]
    for place, record in enumerate(draws[0]):
        if record.predicted is None or record.measured is None:
            continue
        signal = prediction.node(_read_at(record, list(prediction.by_path))).signal
        assert signal is not None, "the networks here are known"
        measured = log(fmean(draw[place].measured for draw in draws))
        off = (abs(log(record.predicted) - measured), abs(log(signal.second) - measured), signal.spread / sqrt(seeds))
        worst = [max(pair) for pair in zip(worst, off, strict=True)]
    return worst[0], worst[1], worst[2]


def _read_at(record: Any, paths: list[str]) -> str:
    """Where AnyInit predicts: after the layers without weights that follow, which it lists."""
    after = [] if record.activation in (None, "none") else record.activation.split("→")
    return paths[paths.index(record.name) + len(after)]


def _spec(shape: list[int], layers: list[Any], stds: dict[str, float]) -> mf.ModelSpec:
    """Layers that follow one another, with weights of these stds."""
    named: dict[str, Any] = {}
    for number, layer in enumerate(layers):
        fields: dict[str, Any] = {"type": layer} if isinstance(layer, str) else dict(layer)
        name = f"{fields['type'].lower()}{number}"
        if name in stds:
            std, norm = stds[name], "norm" in name
            fields["init"] = (
                {"scale": {"scheme": "constant", "value": std}} if norm else {"scheme": "normal", "std": std}
            )
        named[name] = fields
    return mf.parse({"input": {"shape": shape}, "layers": named}, init={"scheme": "kaiming"})


def _torch_model(spec: mf.ModelSpec) -> torch.nn.Sequential:
    """The same layers as torch's own container."""
    model = mf.build(spec)
    paths = [layer.path for layer in mf.plan(spec).layers if layer.path and not layer.children]
    return torch.nn.Sequential(OrderedDict((path, model.get_submodule(path)) for path in paths))


def _covered(shape: list[int], layer: Any) -> tuple[bool, bool, bool]:
    """Whether AnyInit, ours forward and ours backward predict a layer after a linear one."""
    anyinit = importlib.import_module("anyinit")
    weights = {**CONV, "out_channels": 8, "kernel_size": 1} if len(shape) == 3 else {**DENSE, "out_features": 32}
    spec = _spec(shape, [weights, layer], {})
    prediction = mf.predict(mf.plan(spec))
    gradient = prediction.node("input").gradient
    report = anyinit.initialize(_torch_model(spec), "analytic", (4, *shape), seed=0)
    against = [*report.unscaled, *(text for text in report.warnings if "no moment profile" in text)]
    return not against, not prediction.unknown, gradient is not None


if __name__ == "__main__":
    main()
