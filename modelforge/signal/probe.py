"""probe: a network and a batch → what each module makes of it, what gradients arrive, and how inputs move outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from modelforge.core.complaints import require
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.quoting import sentence
from modelforge.core.rng import Key, check_seed
from modelforge.core.words import a_class
from modelforge.modules.calling import call, replaced, seed_devices, shapes, tensors
from modelforge.modules.untouched import gpus, random_state, untouched
from modelforge.signal.blocks import blocks
from modelforge.signal.jacobian import Jacobian, jacobian_of, mean_of
from modelforge.signal.measured import Mode, Probe
from modelforge.signal.nodes import ProbedNode, node_of
from modelforge.signal.passes import Loss, bare, eager, ends_of
from modelforge.signal.recurrent import Spectrum, spectra
from modelforge.signal.watch import Record, Watch

Builder = Callable[[int], nn.Module]
"""Makes a network from a seed."""


def probe(
    model: nn.Module | Builder,
    batch: Any,
    *,
    loss: Loss | None = None,
    seeds: int | Iterable[int] = 0,
    jacobian: bool = True,
) -> Probe:
    """Measures how a network starts: values forward, gradients backward, its Jacobian, recurrent eigenvalues.

    The network runs on the batch as it is, in its present mode: call `model.eval()` first to leave dropout out. Any
    module will do, also in `DistributedDataParallel`, compiled, or inside `torch.autocast`. It is afterwards what it
    was, also when something fails: hooks, modes, buffers, gradients, `requires_grad`, attributes and random state.

    Recurrent layers of torch run step by step, so that the gradient of each state is the whole one, through all later
    steps.

    Args:
        model: A network with values, or a function that makes one from a seed.
        batch: A tensor, or a tuple or list of arguments, or a mapping of keyword arguments. It is not changed.
        loss: What gradients are of, as a function of the output. Default is a random direction: N(0, 1) for each
            number of the output, so that a gradient's mean square says how much the layers after it amplify.
        seeds: Of what the builder makes, of dropout and of the random direction. Of several the means are given.
        jacobian: Whether to measure the Jacobian of the first output by the input; an integer input is replaced by
            its embedding.

    Raises:
        ForgeError: the network cannot run on the batch, or has no values yet; the batch holds NaN; the loss does not
            depend on the network.
        TypeError: an argument is of another kind; the batch holds no tensor.

    Example:
        >>> import modelforge as mf
        >>> net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64))
        >>> _ = mf.initialize(net, "kaiming")
        >>> found = mf.probe(net, torch.randn(512, 64, generator=torch.Generator().manual_seed(0)))
        >>> [round(node.forward.second_moment) for node in found.nodes]
        [2, 1, 2]
        >>> found.jacobian.shape
        (64, 64)
    """
    if not isinstance(model, nn.Module) and not callable(model):
        raise TypeError(f"probe takes an nn.Module or a function that makes one, but gets {a_class(model)}")
    if loss is not None and not callable(loss):
        raise TypeError(f"probe takes a loss that is a function of the output, but gets {a_class(loss)}")
    numbers = tuple(map(check_seed, seeds)) if isinstance(seeds, Iterable) else (check_seed(seeds),)
    if not numbers:
        raise ValueError("probe takes one seed or more, but gets none")
    check_batch(batch)
    runs: list[_Run] = []
    for seed in numbers:
        with random_state(_devices()):
            network = bare(model if isinstance(model, nn.Module) else _built(model, seed))
            runs.append(_run(network, batch, loss, seed, jacobian=jacobian))
    return Probe(
        inputs=_nodes([run.inputs for run in runs]),
        nodes=_nodes([run.records for run in runs]),
        jacobian=mean_of([found for run in runs for found in run.jacobians]),
        spectra=_spectra([run.spectra for run in runs]),
        mode=runs[0].mode,
        seeds=numbers,
        same=FrozenDict(runs[0].same),
    )


@dataclass(frozen=True, slots=True)
class _Run:
    """What one seed gave."""

    inputs: dict[str, Record]
    records: dict[str, Record]
    jacobians: tuple[Jacobian, ...]
    spectra: tuple[Spectrum, ...]
    mode: Mode
    same: dict[str, str]


def _run(model: nn.Module, batch: Any, loss: Loss | None, seed: int, *, jacobian: bool) -> _Run:
    empty = [path for path, weight in model.named_parameters() if is_lazy(weight) or weight.is_meta]
    if empty:
        raise ForgeError(map(_without_values, empty))
    with untouched(model), eager(model), torch.inference_mode(False), torch.enable_grad():
        for weight in model.parameters():
            weight.requires_grad_(False)  # gradients of weights would take their memory again
        inputs, watch = Watch(), Watch()
        with inputs.on(nn.Module()), watch.on(model):
            given = _given(batch, inputs)
            seed_devices(Key(seed, "probe", "forward"), gpus(model))
            output = call(model, given)
            watch.stop()
            _backward(model, batch, output, [*inputs.leaves, *watch.leaves], loss, seed)
        found = [jacobian_of(block, seed) for block in blocks(model, batch, watch.entry, seed)] if jacobian else []
        jacobians = [one for one in found if one is not None]
        return _Run(
            inputs.records,
            watch.records,
            tuple(replace(one, num_blocks=len(jacobians)) for one in jacobians),
            tuple(spectra(model)),
            _mode(model),
            watch.same,
        )


def _given(batch: Any, watch: Watch) -> Any:
    """A copy of the batch that gradients reach, and that the network may write into."""
    places = iter([place for place, _ in tensors(batch)])

    def copied(value: Tensor) -> Tensor:
        place = next(places)
        if not value.is_floating_point():
            return value.clone()
        return watch.leaf(f"input.{place}" if place else "input", value)

    return replaced(batch, copied)


def _backward(model: nn.Module, batch: Any, output: Any, leaves: list[Tensor], loss: Loss | None, seed: int) -> None:
    """Sends gradients from the output to the leaves, past the hooks on what modules gave."""
    ends, given = ends_of(output, loss, seed)
    try:
        if ends and leaves:
            torch.autograd.grad(ends, leaves, given, allow_unused=True)
    except RuntimeError as error:
        message = f"{type(model).__name__} has no gradients on this batch {shapes(batch)}: {sentence(error)}"
        hint = "a layer overwrites in place what another needs for its gradient: remove its `inplace=True`"
        raise ForgeError([Problem("MF050", "batch", message, hint if "inplace" in message else "")]) from error


def _nodes(runs: list[dict[str, Record]]) -> tuple[ProbedNode, ...]:
    """The nodes of the first seed's network, each from all seeds that have it."""
    return tuple(node_of([run[path] for run in runs if path in run]) for path in runs[0])


def _spectra(runs: list[tuple[Spectrum, ...]]) -> tuple[Spectrum, ...]:
    radii: dict[str, list[float]] = {}
    for run in runs:
        for found in run:
            radii.setdefault(found.path, []).append(found.radius)
    return tuple(replace(found, radius=fmean(radii[found.path])) for found in runs[0])


# --- the network ------------------------------------------------------------------------------------------------------


def _built(builder: Builder, seed: int) -> nn.Module:
    seed_devices(Key(seed, "probe", "build"), _devices())
    made: object = builder(seed)
    require(made, nn.Module, "probe takes a function that makes an nn.Module from a seed")
    assert isinstance(made, nn.Module)
    return made


def _devices() -> range:
    return range(torch.cuda.device_count() if torch.cuda.is_initialized() else 0)


def _mode(model: nn.Module) -> Mode:
    modes = {module.training for module in model.modules()}
    return "mixed" if len(modes) > 1 else "train" if modes == {True} else "eval"


# --- what is wrong ----------------------------------------------------------------------------------------------------


def check_batch(batch: Any) -> None:
    """Refuses a batch that nothing can be measured on, whatever the network.

    Raises:
        ForgeError: it is empty, or holds NaN.
        TypeError: it holds no tensor.
    """
    found = [*tensors(batch)]
    if not found:
        raise TypeError(f"probe takes a batch of tensors, but gets {a_class(batch)} that holds none")
    problems = [_wrong("batch" + (f".{place}" if place else ""), value) for place, value in found]
    if any(problems):
        raise ForgeError([problem for problem in problems if problem is not None])


def _wrong(place: str, value: Tensor) -> Problem | None:
    if not value.numel():
        return Problem("MF053", place, f"`{place}` has the shape {tuple(value.shape)}: it is empty", "give it examples")
    if value.is_floating_point() and (count := int(value.isnan().sum())):
        message = f"{count:,} of {value.numel():,} numbers of `{place}` are NaN, so all measures would be NaN"
        return Problem("MF053", place, message, "fill or leave out missing values first")
    return None


def _without_values(path: str) -> Problem:
    hint = "build or initialise the model first: `mf.probe` measures existing values"
    return Problem("MF094", path, f"`{path}` has no values yet: there is nothing to measure", hint, part="parameter")
