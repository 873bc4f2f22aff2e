"""Parametrised tensors: what a module computes from other parameters, as weight norm does.

`plain` shows a module as if it had the tensors themselves; `Parametrised` writes values for one of them into the
parameters behind it, and says what the module makes of those.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import isnan
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from modelforge.core.errors import Refusal
from modelforge.core.paths import join
from modelforge.core.quoting import sentence


@dataclass(frozen=True)
class Parametrised:
    """A tensor that a module computes from others."""

    owner: nn.Module
    name: str
    holder: nn.Module
    """The module that holds what it is computed from."""
    behind: tuple[str, ...]
    """The names there of the parameters that it is computed from."""
    by: str
    """What computes it, in words."""
    steps: tuple[nn.Module, ...]
    """The modules that do, if modules do."""
    originals: tuple[Tensor, ...]
    compute: Callable[[], Tensor]
    invert: Callable[[Tensor], Any] | None
    """From values to originals, a tensor or several; None where there is no way back."""

    @property
    def refusal(self) -> str:
        """Why nothing can be written, whatever the values; empty where it can."""
        if self.invert is None:
            return f"{self.by} has no `right_inverse`: no way leads from values back to its parameters"
        extra = [name for step in self.steps for name, _ in step.named_parameters()]
        if extra:
            return f"{self.by} has parameters of its own ({', '.join(extra)}), so that what it makes is not fixed"
        return ""

    def value(self) -> Tensor:
        """What the module makes of its parameters; computing it changes nothing."""
        state = self.state()
        try:
            return self._compute()
        finally:
            self._restore_buffers(state)

    def assign(self, values: Tensor) -> Tensor:
        """Writes values into the parameters behind.

        Returns:
            What the module makes of them, which is `values` up to rounding.

        Raises:
            Refusal: the module makes other values of them. The parameters may be written to; see `restore`.
        """
        assert self.invert is not None, "refused before"
        try:
            with torch.no_grad():
                inverse = self.invert(values.clone())
                parts: Sequence[Tensor] = (inverse,) if isinstance(inverse, Tensor) else inverse
                for original, part in zip(self.originals, parts, strict=True):
                    if original.shape != part.shape:
                        raise Refusal(f"{self.by} gives parameters of another shape")
                    original.copy_(part)
            got = self._compute()
        except (RuntimeError, ValueError, NotImplementedError) as error:
            raise Refusal(f"{self.by} does not take them: {sentence(error)}") from error
        if got.shape != values.shape or got.dtype != values.dtype:
            raise Refusal(f"{self.by} gives a tensor of another shape or type")
        if not values.numel():
            return got
        off = float((got.double() - values.double()).abs().max())
        largest = float(values.abs().max())
        # A few roundings of the dtype.
        if isnan(off):
            raise Refusal(f"{self.by} computes NaN from these values")
        if off > 64 * torch.finfo(values.dtype).eps * largest:
            raise Refusal(f"{self.by} computes other values from these, off by up to {off:.2g}")
        return got

    def state(self) -> _State:
        """All that writing or computing may change."""
        modules = [module for step in self.steps for module in step.modules()]
        return _State(
            tuple(original.detach().clone() for original in self.originals),
            tuple((module, name, value, _copy(value)) for module in modules for name, value in module._buffers.items()),
        )

    def restore(self, state: _State) -> None:
        """Undoes `assign`."""
        with torch.no_grad():
            for original, before in zip(self.originals, state.originals, strict=True):
                original.copy_(before)
        self._restore_buffers(state)

    def _compute(self) -> Tensor:
        """Without what training does at each step (power iterations)."""
        modules = [module for step in self.steps for module in step.modules()]
        training = [module.training for module in modules]
        try:
            for module in modules:
                module.training = False
            with torch.no_grad():
                return self.compute().detach().clone(memory_format=torch.contiguous_format)
        finally:
            for module, flag in zip(modules, training, strict=True):
                module.training = flag

    def _restore_buffers(self, state: _State) -> None:
        with torch.no_grad():
            for module, name, buffer, values in state.buffers:
                module._buffers[name] = buffer
                if buffer is not None:
                    buffer.copy_(values)


@dataclass(frozen=True)
class _State:
    originals: tuple[Tensor, ...]
    buffers: tuple[tuple[nn.Module, str, Tensor | None, Any], ...]
    """Module, name, the buffer itself, and a copy of its values."""


def _copy(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.detach().clone()


@contextmanager
def plain(module: nn.Module) -> Generator[Mapping[str, Parametrised]]:
    """Lets its body see parameters in place of parametrised tensors, and classes as they were before.

    Gives the parametrised tensors by their full names. The parameters that stand for them hold copies of their values;
    what the body writes there is lost, unless it is `assign`ed. Those on the meta device stay as they are, and so
    do those that cannot be computed.
    """
    found, values = dict[str, Parametrised](), dict[str, Tensor]()
    for path, item in _find(module):
        with suppress(Exception):  # what cannot even be computed is shown as it is
            values[path] = item.value()
            found[path] = item
    owners = {id(item.owner): item.owner for item in found.values()}
    holders = {id(item.holder): item.holder for item in found.values()}
    tables = [(inner, dict(inner._parameters)) for inner in {**owners, **holders}.values()]
    shown = {path: item.owner.__dict__.pop(item.name) for path, item in found.items() if _is_shown(item)}
    classes = [(owner, type(owner)) for owner in owners.values()]
    try:
        for owner in owners.values():
            owner.__class__ = parametrize.type_before_parametrizations(owner)
        for path, item in found.items():
            for name in item.behind:
                del item.holder._parameters[name]
            item.owner._parameters[item.name] = nn.Parameter(values[path], requires_grad=False)
        yield found
    finally:
        for owner, cls in classes:
            owner.__class__ = cls
        for inner, table in tables:
            inner._parameters.clear()
            inner._parameters.update(table)
        for path, tensor in shown.items():
            item = found[path]
            with suppress(RuntimeError):
                tensor = item.compute()
            item.owner.__dict__[item.name] = tensor


def _is_shown(item: Parametrised) -> bool:
    """Whether what was computed last lies in the module's own dict, as with hooks."""
    return item.name in item.owner.__dict__


def _find(module: nn.Module) -> Iterator[tuple[str, Parametrised]]:
    for prefix, owner in module.named_modules():
        for item in (*_by_modules(owner), *_by_hooks(owner)):
            if not any(original.is_meta for original in item.originals):
                yield join(prefix, item.name), item


def _by_modules(owner: nn.Module) -> Iterator[Parametrised]:
    """`torch.nn.utils.parametrize`."""
    if not parametrize.is_parametrized(owner):
        return
    lists: Any = owner.parametrizations
    for name, steps in lists.items():
        names = tuple(key for key, weight in steps._parameters.items() if weight is not None)
        if not names:  # a buffer is parametrised
            continue
        invertible = all(hasattr(step, "right_inverse") for step in steps)
        by = " and ".join(f"`{type(step).__name__.lstrip('_')}`" for step in steps)
        originals = tuple(steps._parameters[key] for key in names)
        invert = _inverter(tuple(steps)) if invertible else None
        yield Parametrised(
            owner=owner,
            name=name,
            holder=steps,
            behind=names,
            by=by,
            steps=tuple(steps),
            originals=originals,
            compute=_computer(steps, names, originals),
            invert=invert,
        )


def _by_hooks(owner: nn.Module) -> Iterator[Parametrised]:
    """The older `torch.nn.utils.weight_norm` and `spectral_norm`."""
    for hook in owner._forward_pre_hooks.values():
        if isinstance(hook, WeightNorm):
            names = (f"{hook.name}_g", f"{hook.name}_v")
            g, v = (owner._parameters[name] for name in names)
            assert g is not None, "it made both"
            assert v is not None, "it made both"
            yield Parametrised(
                owner=owner,
                name=hook.name,
                holder=owner,
                behind=names,
                by="`WeightNorm`",
                steps=(),
                originals=(g, v),
                compute=lambda g=g, v=v, dim=hook.dim: torch._weight_norm(v, g, dim),  # pyright: ignore[reportPrivateImportUsage]  # its steps, as the hook takes them
                invert=lambda values, dim=hook.dim: (torch.norm_except_dim(values, 2, dim), values),
            )
        elif isinstance(hook, SpectralNorm):
            names = (f"{hook.name}_orig",)
            original = owner._parameters[names[0]]
            assert original is not None, "it made it"
            value = owner.__dict__[hook.name]
            yield Parametrised(
                owner=owner,
                name=hook.name,
                holder=owner,
                behind=names,
                by="`SpectralNorm`",
                steps=(),
                originals=(original,),
                compute=lambda value=value: value,
                invert=None,
            )


def _computer(steps: nn.Module, names: tuple[str, ...], originals: tuple[Tensor, ...]) -> Callable[[], Tensor]:
    """Runs the steps on the originals, also while those are hidden."""

    def compute() -> Tensor:
        hidden = dict(steps._parameters)
        try:
            steps._parameters.update(dict(zip(names, originals, strict=True)))  # pyright: ignore[reportArgumentType, reportCallIssue]  # each its own
            return steps()
        finally:
            steps._parameters.clear()
            steps._parameters.update(hidden)

    return compute


def _inverter(steps: tuple[nn.Module, ...]) -> Callable[[Tensor], Any]:
    def invert(values: Any) -> Any:
        for step in reversed(steps):
            values = step.right_inverse(values)  # pyright: ignore[reportCallIssue]  # looked for above
        return values

    return invert
