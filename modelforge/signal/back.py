"""backward: gradients from the results of a network back to its inputs, by what each layer said of its way back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import TypeAlias

from modelforge.core.tensors import TensorValue, at
from modelforge.language import registry
from modelforge.signal.flow import LeafLayer, Source
from modelforge.signal.rule import RULES, Passed
from modelforge.signal.sums import summed
from modelforge.signal.value import Gradient, Signal

Done: TypeAlias = "tuple[LeafLayer, Passed | None, str]"
"""A layer, what it makes of what it reads, and why that is not known or what was assumed."""
Signals: TypeAlias = "Mapping[Source, Signal | None]"


def backward(
    done: Sequence[Done], results: Iterable[Source], signals: Signals, batch: int
) -> tuple[dict[Source, Gradient | None], dict[Source, str]]:
    """The gradient of each tensor, from those of the results back; None where it is not known, and why."""
    made = {leaf.layer.path: leaf.layer for leaf, _, _ in done}
    given: list[tuple[Source, Gradient]] = []
    for source in results:
        value = at(made[source.maker].output, source.index) if source.maker in made else None
        sizes = value.of(batch) if isinstance(value, TensorValue) else ()
        given.append((source, Gradient(1.0, noise=2 / max(1, prod(sizes)))))  # independent normal numbers
    return _sent_back(done, given, signals)


def backward_from(
    done: Sequence[Done], given: Mapping[Source, Gradient], signals: Signals
) -> dict[Source, Gradient | None]:
    """The gradient of each tensor, from given ones back."""
    return _sent_back(done, list(given.items()), signals)[0]


def _sent_back(
    done: Sequence[Done], given: Sequence[tuple[Source, Gradient]], signals: Signals
) -> tuple[dict[Source, Gradient | None], dict[Source, str]]:
    arriving: dict[Source, list[Gradient | None]] = {}
    for source, gradient in given:
        arriving.setdefault(source, []).append(gradient)
    gradients: dict[Source, Gradient | None] = {}
    reasons: dict[Source, str] = {}
    for leaf, result, _ in reversed(done):
        outputs = ((),) if result is None else tuple(result.outputs)
        found: dict[tuple[int, ...], Gradient] = {}
        reason = f"gradient unknown before `{leaf.layer.path}`" if result is None else ""
        for index in outputs:
            source = Source(leaf.layer.path, index)
            gradient = gradients[source] = _gathered(arriving.get(source, []), signals.get(source))
            if gradient is None and source in arriving:
                reason = reasons.get(source, reason)
            if gradient is not None:
                found[index] = gradient
        if not found and not reason:
            continue
        sent = None if reason or result is None else _back(leaf, result, found, signals)
        backs = sent or (None,) * len(leaf.reads)
        for read, back in zip(leaf.reads, backs, strict=True):
            if sent is None or back is not None:
                arriving.setdefault(read, []).append(back)
            if sent is None:
                reasons.setdefault(read, reason or f"gradient unknown before `{leaf.layer.path}`")
    for source in signals:
        if source.maker.startswith("@"):
            gradients[source] = _gathered(arriving.get(source, []), signals[source])
    return gradients, reasons


def _back(
    leaf: LeafLayer, result: Passed, found: Mapping[tuple[int, ...], Gradient], signals: Signals
) -> tuple[Gradient | None, ...] | None:
    """The gradients of what a layer reads; None where its rule fails.

    Where it does the same to all examples, they differ as much as before.
    """
    if any(gradient.aligned is not None for gradient in found.values()) and not _keeps_shared(leaf.layer.type):
        return None
    backs = result.sent(found)
    arriving = [gradient.scatter for gradient in found.values()]
    reads = [signals.get(read) for read in leaf.reads]
    if backs is None or len(arriving) != 1 or arriving[0] is None:
        return backs
    if any(signal is not None and signal.scatter is not None for signal in (*result.outputs.values(), *reads)):
        return backs
    return tuple(back and replace(back, scatter=back.scatter or arriving[0]) for back in backs)


def _keeps_shared(kind: str) -> bool:
    """Whether a layer passes on a gradient that all units share."""
    return registry.get(kind).kind == "activation" or (kind in RULES and RULES.get(kind).keeps_shared)


def _gathered(parts: list[Gradient | None], signal: Signal | None) -> Gradient | None:
    known = [part for part in parts if part is not None]
    if not known or len(known) < len(parts):
        return None
    return replace(summed(known, signal), taken=None)
