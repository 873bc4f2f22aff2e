"""`Watch`: hooks on every module of a network, and what they saw of one pass forward and one backward."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import ParametrizationList
from torch.utils.weak import WeakTensorKeyDictionary

from modelforge.core.paths import join
from modelforge.modules.calling import tensors
from modelforge.signal.measures import (
    Moments,
    as_rows,
    channel_dim,
    effective_rank,
    is_activation,
    num_dead,
    share_saturated,
)
from modelforge.signal.recurrent import State, unroll


@dataclass(slots=True)
class Seen:
    """One call of a module, or one time step of a recurrent layer."""

    shape: tuple[int, ...]
    forward: Moments
    gradient: Moments | None = None
    num_units: int = 0
    num_dead: int | None = None
    effective_rank: float | None = None
    saturated: float | None = None


@dataclass(slots=True)
class Record:
    """All that was seen of one module, state or input."""

    path: str
    kind: str
    seen: list[Seen] = field(default_factory=list)


class Watch:
    """Watches the modules of a network while it runs, and the gradients that reach what they make.

    Hooks on tensors, not the tensors themselves, are kept: a later layer may work in place.
    """

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.leaves: list[Tensor] = []
        """From where gradients flow back no further: the inputs, and what is made of integers alone."""
        self.entry: str | None = None
        """The first module whose output no gradient reaches: of a network that reads integers, its embedding."""
        self._dims = WeakTensorKeyDictionary()
        self._versions = WeakTensorKeyDictionary()
        self._makers = WeakTensorKeyDictionary()
        self._same: dict[str, list[str]] = {}
        """Containers without a record, each with the module that made what they gave, call by call."""
        self._handles = ExitStack()
        self._saturated: dict[str, float | None] = {}
        self._is_on = False

    @contextmanager
    def on(self, model: nn.Module) -> Generator[None]:
        """Watches the model for its body; afterwards no hook is left."""
        lists = [module for module in model.modules() if isinstance(module, ParametrizationList)]
        hidden = {id(part) for found in lists for part in found.modules()}
        with ExitStack() as hooks, self._handles:
            for path, module in model.named_modules():
                if id(module) in hidden:
                    continue
                if is_activation(module):
                    before = module.register_forward_pre_hook(partial(self._before, path), with_kwargs=True)
                    hooks.callback(before.remove)
                hook = module.register_forward_hook(partial(self._after, path), with_kwargs=True)
                hooks.callback(hook.remove)
            self._is_on = True
            yield

    def stop(self) -> None:
        """Records no more calls: a checkpointed layer runs again on the way back, and must do the same there."""
        self._is_on = False

    @property
    def same(self) -> dict[str, str]:
        """The modules without a record, each with the one that has the same: it made all that the other gave."""
        return {
            path: makers[0]
            for path, makers in self._same.items()
            if path not in self.records and makers == [makers[0]] * len(self.records[makers[0]].seen)
        }

    def leaf(self, path: str, value: Tensor) -> Tensor:
        """An input as the network gets it: a copy that gradients reach."""
        leaf = value.detach().clone().requires_grad_()
        self.leaves.append(leaf)
        # The network may work in place on what it gets, which a leaf does not allow.
        given = leaf.clone()
        self._add(path, "input", given, None)
        return given

    def _before(self, path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._is_on and (found := _first((args, kwargs))) is not None:
            self._saturated[path] = share_saturated(module, found)

    def _after(self, path: str, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        if (value := _first(output)) is None:
            return None
        given = dict(zip(("input", "hx"), args, strict=False)) | kwargs if isinstance(module, nn.RNNBase) else {}
        # A packed sequence is left as it is.
        if isinstance(module, nn.RNNBase) and isinstance(given.get("input"), Tensor) and torch.is_grad_enabled():
            output = self._unrolled(path, module, given)
            value = output[0]
        if not self._is_on:
            return output
        if not value.requires_grad and torch.is_grad_enabled() and value is output:
            output = value = self._cut(path, value)
        read = _first((args, kwargs))
        if self._versions.get(value) == value._version and any(True for _ in module.children()):
            self._same.setdefault(path, []).append(self._makers[value])
            return output  # a container that gives what its last child gave
        dim = channel_dim(module, value, None if read is None else self._dims.get(read))
        self._dims[value], self._versions[value], self._makers[value] = dim, value._version, path
        seen = self._add(path, type(module).__name__, value, dim)
        seen.saturated = self._saturated.pop(path, None)
        return output

    def _cut(self, path: str, value: Tensor) -> Tensor:
        """A copy of what no gradient reaches, which gradients reach."""
        leaf = value.detach().clone().requires_grad_()
        self.leaves.append(leaf)
        if self.entry is None:
            self.entry = path
        return leaf.clone()

    def _unrolled(self, path: str, module: nn.RNNBase, given: dict[str, Any]) -> tuple[Tensor, State]:
        """What a recurrent layer gives, step by step; its states become records of their own."""
        steps: dict[str, dict[int, Seen]] = {}

        def see(name: str, time: int, value: Tensor) -> None:
            if self._is_on:
                steps.setdefault(name, {})[time] = self._see(value, None)

        result = unroll(module, given["input"], given.get("hx"), see)
        for name, seen in steps.items():
            place = join(path, name)
            record = self.records.setdefault(place, Record(place, f"{type(module).__name__} state"))
            record.seen += [seen[time] for time in sorted(seen)]
        return result

    def _add(self, path: str, kind: str, value: Tensor, dim: int | None) -> Seen:
        record = self.records.setdefault(path, Record(path, kind))
        record.seen.append(self._see(value, dim))
        return record.seen[-1]

    def _see(self, value: Tensor, dim: int | None) -> Seen:
        with torch.no_grad(), torch.autocast(value.device.type, enabled=False):
            seen = Seen(tuple(value.shape), Moments.of(value))
            if value.ndim:
                rows = as_rows(value, value.ndim - 1 if dim is None else dim)
                seen.num_units, seen.num_dead, seen.effective_rank = rows.shape[1], num_dead(rows), effective_rank(rows)
        if value.requires_grad:
            self._handles.callback(value.register_hook(partial(_catch, seen)).remove)
        return seen


def _catch(seen: Seen, gradient: Tensor) -> None:
    with torch.autocast(gradient.device.type, enabled=False):
        seen.gradient = Moments.of(gradient)


def _first(value: Any) -> Tensor | None:
    return next((tensor for _, tensor in tensors(value) if tensor.is_floating_point()), None)
