"""What zero padding takes from the signal on small maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod

from modelforge.core.words import plural
from modelforge.linting.rule import Found, register_rule
from modelforge.linting.subject import Subject, key_of
from modelforge.linting.ways import ends, kernel_of, signal_of
from modelforge.planning.assign import ParameterPlan
from modelforge.signal.flow import LeafLayer, Source

DRAINED = 0.1
"""The share of the energy that zero padding should leave."""


@register_rule(
    "MW134",
    why="Zeros around a small picture are part of every sum at its border: each padded convolution loses energy, most "
    "in deep layers, whose maps are small. No gain makes up for it everywhere.",
    when="The energy that is predicted after each convolution, over n·E w²·E x² + E b²; found where the product "
    "on a way from the last norm to a result, or to a part of a concatenation, falls below 1/10. Where ways join, each "
    "counts by its energy.",
    bad="""\
model:
  input: {shape: [3, 2, 2]}
  layers:
    stack:
      type: Repeat
      times: 8
      layers: {conv: {type: Conv2d, out_channels: 16, kernel_size: 3, padding: 1}, act: ReLU}
    flatten: Flatten
    head: {type: Linear, out_features: 10}
init: kaiming
""",
    good="""\
model:
  input: {shape: [3, 32, 32]}
  layers:
    stack:
      type: Repeat
      times: 8
      layers: {conv: {type: Conv2d, out_channels: 16, kernel_size: 3, padding: 1}, act: ReLU}
    flatten: Flatten
    head: {type: Linear, out_features: 10}
init: kaiming
""",
)
def padding_drain(subject: Subject) -> Iterator[Found]:
    if not any(len(parameter.shape) > 2 for parameter in subject.parameters):
        return
    left, drained = dict[str, float](), dict[str, dict[str, ParameterPlan]]()
    for leaf in subject.since_norm:
        path = leaf.layer.path
        left[path] = _joined(subject, leaf.reads, left)
        drained[path] = {name: kernel for read in leaf.reads for name, kernel in drained.get(read.maker, {}).items()}
        kernel = kernel_of(subject, leaf)
        if kernel is None or len(kernel.shape) < 3 or not leaf.reads:
            continue
        share = _share_left(subject, leaf, kernel)
        if share is not None and share < 1:
            left[path] *= max(share, 0.0)
            drained[path][kernel.path] = kernel
    reported = set[str]()
    for path in dict.fromkeys(source.maker for source in ends(subject)):
        if left.get(path, 1.0) >= DRAINED:
            continue
        for kernel in drained[path].values():
            if kernel.path not in reported:
                reported.add(kernel.path)
                yield Found(
                    key_of(kernel),
                    kernel.path,
                    f"zero padding of {plural(len(drained[path]), 'convolution')} on small maps leaves "
                    f"{100 * left[path]:.2g} % of the energy: {{}}",
                    "write `padding_mode: replicate`, pad less, reduce the maps later, or add norms",
                )


def _joined(subject: Subject, reads: Sequence[Source], left: Mapping[str, float]) -> float:
    """The share of its energy that is left of what a layer reads; of several tensors by their energies, unless padding
    took all of one: what it has is a bias's."""
    shares = [left.get(read.maker, 1.0) for read in reads]
    signals = [signal_of(subject, read) for read in reads]
    energies = [signal.second * prod(signal.shape.sizes) for signal in signals if signal is not None]
    if len(energies) < len(shares) or not any(energies) or 0 in shares:
        return max(shares, default=1.0)
    return sum(energies) / sum(energy / share for energy, share in zip(energies, shares, strict=True) if energy)


def _share_left(subject: Subject, leaf: LeafLayer, kernel: ParameterPlan) -> float | None:
    """The share of a convolution's energy that zero padding leaves."""
    before, after = signal_of(subject, leaf.reads[0]), signal_of(subject, Source(leaf.layer.path))
    bias = subject.of_layer(leaf.layer).get("bias")
    if before is None or after is None or kernel.std is None or kernel.mean is None or before.second == 0:
        return None
    whole = kernel.fills[0][0].fan_in * (kernel.std**2 + kernel.mean**2) * before.second
    offset = 0.0 if bias is None or bias.std is None or bias.mean is None else bias.std**2 + bias.mean**2
    return (after.second - offset) / whole if whole else None
