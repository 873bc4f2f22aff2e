"""Sites: the modules of a model that can be calibrated, and why its other kernels cannot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from modelforge.building.aliasing import unwritable
from modelforge.building.fill import aliases_of
from modelforge.building.shards import shard_of
from modelforge.calibration.base import Calibration, Correction, Moments
from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.paths import join
from modelforge.modules.parameters import ParameterLayout, layout
from modelforge.modules.parametrised import Parametrised, plain

KERNELS = ("weight", "recurrent")
"""Roles of what layers compute with; where a module holds one alone, its output is proportional to it."""


@dataclass(slots=True)
class Site:
    """A module with one kernel: where it is, what it held, and what a method has done to it."""

    method: Calibration
    path: str
    """Of the kernel."""
    module: nn.Module
    layout: ParameterLayout
    weight: Held
    bias_path: str | None = None
    """Of the bias that is moved; None where none is."""
    bias: Held | None = None
    left: str = ""
    """Why it is left as it was; empty where it is calibrated."""
    calls: int = 0
    """How often a batch comes by."""
    alone: bool = False
    """Whether the module can be run again where it stands: it is called once, and has no other hooks."""
    passes: int = 0
    factor: Tensor = field(default_factory=lambda: torch.ones((), dtype=torch.float64))
    shift: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    first: Moments | None = None
    """What it made of the batch when its turn came."""
    seen: Moments | None = None
    """What it made of the batch in the run at hand, over all calls."""

    @property
    def kind(self) -> str:
        """Name of the module's class."""
        return type(self.module).__name__

    @property
    def num_channels(self) -> int:
        matrix = self.layout.matrices[0]
        if matrix.input_first:
            return len(self.layout.matrices) * matrix.shape[1]
        return self.layout.outputs_first(self.weight.old).shape[0]

    @property
    def channel_dim(self) -> int | None:
        """The dimension of the output that counts channels, from the end; None where they are measured together."""
        if not self.method.by_channel:
            return None
        return 1 - self.weight.old.ndim if isinstance(self.module, nn.modules.conv._ConvNd) else -1

    @property
    def settled(self) -> bool:
        """Whether what it made of the batch in the run at hand is as the method wants it."""
        return self.seen is not None and self.method.satisfied(self.seen)

    def obstacle(self, output: object) -> str:
        """Why an output cannot be measured; empty if it can."""
        dim = self.channel_dim
        if not (isinstance(output, Tensor) and output.is_floating_point()):
            return f"{self.kind} gives no single tensor of real numbers"
        if dim is not None and (output.ndim < -dim or output.shape[dim] != self.num_channels):
            return f"{self.kind} has {self.num_channels} channels, but gives {tuple(output.shape)}"
        return ""

    def look(self, output: Tensor) -> Moments:
        """The moments of one output."""
        return Moments.of(output, self.channel_dim)

    def gather(self, output: Tensor) -> None:
        """Adds one call's output to what was seen."""
        moments = self.look(output)
        self.seen = moments if self.seen is None else self.seen.merged(moments)

    def correct(self, seen: Moments) -> bool:
        """Corrects it if that is needed and still allowed; says whether its output is another one now.

        Raises:
            ForgeError: what it makes is not finite, or does not vary.
        """
        self.first = self.first or seen
        if not seen.is_finite:
            raise ForgeError([_not_finite(self, seen)])
        if self.left or self.method.satisfied(seen):
            return False
        if bool((seen.variance <= 0).any()):
            raise ForgeError([_constant(self, seen)])
        if self.passes == self.method.max_passes:
            return False
        try:
            self.apply(self.method.correct(seen))
        except Refusal as refusal:
            self.leave(f"it is parametrised: {refusal}")
        return True

    def apply(self, correction: Correction) -> None:
        """Corrects from the values at first, so that rounding does not add up over passes.

        Raises:
            Refusal: a parametrisation makes something else of what it is given.
        """
        self.passes += 1
        self.factor = self.factor * correction.factor
        self.weight.write(_along_outputs(self.factor, self.layout, self.weight.old))
        if correction.shift is not None and self.bias is not None:
            self.shift = self.shift * correction.factor + correction.shift
            self.bias.write(self.factor, self.shift)

    def leave(self, reason: str) -> None:
        """Puts the values at first back, for good."""
        self.restore()
        self.left = reason

    def restore(self) -> None:
        """Puts the values at first back."""
        for held in (self.weight, self.bias):
            if held is not None:
                held.restore()


class Held:
    """What a module computes with: a parameter, or what a parametrisation makes; and its values at first."""

    def __init__(self, weight: Tensor, parametrised: Parametrised | None) -> None:
        self._target = weight.detach()
        self._parametrised = parametrised
        self._state = None if parametrised is None else parametrised.state()
        self.old = self._target.clone()

    def write(self, factor: Tensor, shift: Tensor | None = None) -> None:
        """Sets it to `factor · old + shift`, computed in float32 or wider and rounded once.

        Raises:
            Refusal: a parametrisation makes something else of that.
        """
        dtype = torch.promote_types(self.old.dtype, torch.float32)
        values = self.old.to(dtype) * factor.to(self.old.device, dtype)
        if shift is not None:
            values = values + shift.to(self.old.device, dtype)
        if self._parametrised is None:
            self._target.copy_(values)
        else:
            self._parametrised.assign(values.to(self.old.dtype))

    def values(self) -> Tensor:
        """What it is now."""
        return self._target if self._parametrised is None else self._parametrised.value()

    def restore(self) -> None:
        """Puts the values at first back."""
        if self._parametrised is None or self._state is None:
            self._target.copy_(self.old)
        else:
            self._parametrised.restore(self._state)


def find_sites(model: nn.Module, method: Calibration) -> tuple[list[Site], dict[str, str]]:
    """The modules that can be calibrated, and for each kernel that cannot the reason, by path."""
    uses = Counter(id(weight) for module in model.modules() for weight in module._parameters.values())
    sites: list[Site] = []
    left: dict[str, str] = {}
    with plain(model) as parametrised:
        weights = dict(model.named_parameters())
        names = {id(weights[first]): (first, *others) for first, others in aliases_of(model).items()}
        for prefix, module in model.named_modules():
            layouts = layout(module)
            paths = {name: join(prefix, name) for name in layouts}
            held = {name: weight for name, weight in module._parameters.items() if weight is not None}
            kernels = [name for name, item in layouts.items() if item.role in KERNELS]
            biases = [name for name, item in layouts.items() if item.role == "bias"]
            bias = biases[0] if method.shifts and len(biases) == 1 else None
            for name in [name for name, item in layouts.items() if item.role is None]:
                left[paths[name]] = f"it is not known what {type(module).__name__} does with it"
            for name in kernels:
                reason = _obstacle(module, held[name], bias, kernels, method)
                changed = [name] if bias is None else [name, bias]
                for local in changed:
                    item = parametrised.get(paths[local])
                    reason = reason or _unwritable(held[local], names[id(held[local])], item, uses)
                if not reason and not held[name].detach().count_nonzero():
                    reason = "it starts at zeros, which stay zeros whatever they are multiplied by"
                if reason:
                    left[names[id(held[name])][0]] = reason
                    continue
                weight, *moved = (Held(held[local], parametrised.get(paths[local])) for local in changed)
                site = Site(method, paths[name], module, layouts[name], weight)
                if bias is not None:
                    site.bias_path, site.bias = paths[bias], moved[0]
                sites.append(site)
    return sites, left


def _obstacle(module: nn.Module, weight: Tensor, bias: str | None, kernels: list[str], method: Calibration) -> str:
    """Why a method has no meaning for a module; empty if it has one."""
    cls = type(module).__name__
    if len(kernels) > 1:
        return f"{cls} computes with several kernels: {', '.join(kernels)}"
    if any(True for child in module.children() for _ in child.parameters()):
        return f"{cls} has layers inside that work on what this makes"
    if not weight.is_floating_point():
        return f"it is {str(weight.dtype).removeprefix('torch.')}"
    if method.shifts and bias is None:
        return f"`{method.method}` moves means, and this {cls} has no bias"
    return ""


def _unwritable(weight: Tensor, names: tuple[str, ...], item: Parametrised | None, uses: Mapping[int, int]) -> str:
    """Why a tensor cannot be given other values for one module's sake; empty if it can."""
    behind = (weight,) if item is None else item.originals
    if not all(original.requires_grad for original in behind):
        return "it is frozen (`requires_grad=False`)"
    if len(names) > 1:
        return f"several modules share it: {', '.join(names)}"
    if item is not None and (reason := unwritable(item, uses)):
        return f"it {reason}"
    if shard_of(weight.detach()).distributed:
        return "it is sharded: no process holds it whole"
    return ""


def _along_outputs(factor: Tensor, layout: ParameterLayout, weight: Tensor) -> Tensor:
    """A factor per output, broadcast against the weight; the groups of a transposed convolution stand on its inputs."""
    if factor.ndim == 0:
        return factor
    tail = [1] * (weight.ndim - 2)
    if not layout.matrices[0].input_first:
        return layout.outputs_first(factor.view(-1, 1, *tail))
    groups = zip(layout.matrices, factor.chunk(len(layout.matrices)), strict=True)
    rows = [group.expand(matrix.shape[0], -1) for matrix, group in groups]
    return torch.cat(rows).view(weight.shape[0], weight.shape[1], *tail)


def _not_finite(site: Site, seen: Moments) -> Problem:
    if seen.count == 0:
        return Problem("MF050", "batch", f"the batch is empty: `{site.path}` makes nothing of it", "give it examples")
    hint = "look for values in the batch that are not finite, and at the values of the layers in front"
    return Problem("MF123", site.path, f"what {site.kind} makes of the batch with `{site.path}` is not finite", hint)


def _constant(site: Site, seen: Moments) -> Problem:
    what = f"the output of {site.kind} does not vary"
    if seen.variance.ndim:
        of = f"{int((seen.variance <= 0).sum())} of {seen.variance.numel()} channels"
        what = f"{of} of the output of {site.kind} do not vary"
    hint = "give a larger batch of different examples; or see what the layers before it make of them"
    message = f"`{site.method.method}` cannot calibrate `{site.path}`: {what} over the batch"
    return Problem("MF123", site.path, message, hint)
