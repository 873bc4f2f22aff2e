"""measured_of: a plan → networks of a few seeds, and what they do with a batch, of random numbers by default."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import Tensor

from modelforge.building.build import Model, build
from modelforge.building.ledger import Ledger
from modelforge.core.errors import ForgeError
from modelforge.core.rng import Key
from modelforge.core.tensors import leaves
from modelforge.core.words import magnitude
from modelforge.diagnosis.document import RANDOM, Histogram
from modelforge.diagnosis.histograms import histograms
from modelforge.planning.flops import num_flops
from modelforge.planning.plan import Plan
from modelforge.signal.flow import flow
from modelforge.signal.measured import Probe
from modelforge.signal.probe import probe
from modelforge.signal.stuck import Stuck, find_stuck

BATCH = 32
"""Examples of a batch, where they are cheap."""
LEAST = 4
"""Examples of a batch, where they are not."""
SEEDS = 3
MAX_PARAMETERS = 400_000_000
"""Of a network that is built."""
MAX_COST = 2e10
"""Floating-point operations of one pass forward of a whole batch."""
MAX_JACOBIAN_COST = 5e10
CHEAP = 2e9
"""Of one pass up to which several seeds are measured."""
NUM_PROBES = 56
"""Passes of a stochastic Jacobian."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What a network is measured on."""

    inputs: tuple[Tensor, ...]
    """In the order of the plan's inputs."""
    words: str
    """Which data it is: `random inputs`, unless it is given."""

    @property
    def num_examples(self) -> int:
        return self.inputs[0].shape[0]


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured of one plan."""

    probe: Probe
    batch: Batch
    ledger: Ledger
    """Of the first seed."""
    histograms: tuple[Histogram, ...]
    spoiled: Mapping[str, int]
    """How many values of a parameter of the first seed are not finite, by the path of those that have some."""
    stuck: Stuck | None
    """Of the first seed; None where that costs too much."""


@dataclass(frozen=True, slots=True)
class Size:
    """How much of a network is measured."""

    batch: int
    seeds: tuple[int, ...]
    jacobian: bool
    stuck: bool
    """Whether units that stay equal, and parameters without gradients, are looked for."""


def size_of(plan: Plan, batch: int | None = None) -> Size:
    """The examples and seeds that cost little; a network that is cheap gets several seeds.

    Args:
        plan: The network.
        batch: Examples, where the caller decides.
    """
    flops = sum(num_flops(plan).values())
    examples = batch if batch is not None else max(LEAST, min(BATCH, int(MAX_COST / max(flops, 1))))
    cost = flops * examples
    seeds = SEEDS if cost <= CHEAP and plan.num_parameters <= MAX_PARAMETERS // 40 else 1
    outputs = sum(prod(value.of(1)) for value in list(leaves(plan.output))[:1])
    return Size(
        examples,
        tuple(range(plan.seed, plan.seed + seeds)),
        3 * cost * min(outputs * LEAST, NUM_PROBES) * seeds <= MAX_JACOBIAN_COST,
        cost <= CHEAP and plan.num_parameters <= MAX_PARAMETERS // 40,
    )


def why_not(plan: Plan) -> str:
    """Why a network is not built to be measured; empty where it can be."""
    if plan.num_parameters > MAX_PARAMETERS:
        return f"{magnitude(plan.num_parameters)} parameters are too many to build for a measurement"
    return ""


def measured_of(plan: Plan, size: Size, *, model: Model | None = None, batch: Batch | None = None) -> Measured | str:
    """Builds and measures a network; or why that cannot be done.

    Args:
        plan: The network.
        size: How much of it is measured.
        model: The network itself, where it is built already: it alone is measured.
        batch: What it runs on; random numbers where that is None.
    """
    if model is None and (reason := why_not(plan)):
        return reason
    given = _as_trained(plan, batch or random_batch(plan, size.batch))
    seeds = size.seeds if model is None else (model.ledger.seed,)
    try:
        first = build(plan, seed=seeds[0]) if model is None else model
        found = probe(
            lambda seed: first if seed == seeds[0] else build(plan, seed=seed),
            given.inputs,
            seeds=seeds,
            jacobian=size.jacobian,
        )
        pictures = histograms(plan, first, given.inputs)
        stuck = _stuck(first, given, seeds[0]) if size.stuck else None
        return Measured(found, given, first.ledger, pictures, _spoiled(first), stuck)
    except ForgeError as error:
        return error.problems[0].message


def _stuck(model: Model, batch: Batch, seed: int) -> Stuck | None:
    with suppress(ForgeError):  # gradients of weights need what those of signals do not
        return find_stuck(model, batch.inputs, seed=seed)
    return None


def _spoiled(model: Model) -> Mapping[str, int]:
    counts = {path: weight.numel() - int(weight.isfinite().sum()) for path, weight in model.named_parameters()}
    return {path: count for path, count in counts.items() if count}


def _as_trained(plan: Plan, batch: Batch) -> Batch:
    """The batch in the dtype that the model states, as training gives it."""
    if plan.dtype is None:
        return batch
    dtype = getattr(torch, plan.dtype)
    inputs = (value.to(dtype) if value.dtype.is_floating_point else value for value in batch.inputs)
    return replace(batch, inputs=tuple(inputs))


def random_batch(plan: Plan, examples: int) -> Batch:
    """Independent N(0, 1) for real numbers; uniform whole numbers, below the size of the table that reads them."""
    generator = Key(plan.seed, "diagnosis", "batch").generator()
    sizes = _table_sizes(plan)
    inputs: list[Tensor] = []
    for name, value in plan.inputs.items():
        dtype, shape = getattr(torch, value.dtype), value.of(examples)
        if dtype.is_floating_point:
            inputs.append(torch.randn(shape, generator=generator).to(dtype))
        elif dtype == torch.bool:
            inputs.append(torch.ones(shape, dtype=dtype))
        else:
            inputs.append(torch.randint(sizes.get(name, 2), shape, generator=generator).to(dtype))
    return Batch(tuple(inputs), RANDOM)


def _table_sizes(plan: Plan) -> Mapping[str, int]:
    """For each input of whole numbers how many there are: by the table that reads it, else by the smallest one."""
    found: dict[str, int] = {}
    every: list[int] = []
    for leaf in flow(plan).leaves:
        number: Any = leaf.layer.arguments.get("num_embeddings")
        if isinstance(number, int):
            every.append(number)
            found |= {read.maker[1:]: number for read in leaf.reads if read.maker.startswith("@")}
    least = min(every, default=2)
    return {name: found.get(name, least) for name in plan.inputs}
