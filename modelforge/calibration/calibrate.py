"""calibrate: an initialised model and a batch → the same model with rescaled weights, and a new ledger.

The second pass of data-dependent initialisation. It draws nothing: weights keep their directions.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from modelforge.building.checksum import checksum_of, digest_of
from modelforge.building.entries import Calibrated, LedgerEntry
from modelforge.building.initialize import initialize
from modelforge.building.ledger import Ledger
from modelforge.building.shards import shard_of
from modelforge.calibration import Calibration, Moments, read
from modelforge.calibration.forward_pass import Watch, run, undisturbed
from modelforge.calibration.sites import Held, Site, find_sites
from modelforge.core.complaints import require
from modelforge.core.errors import ForgeError, Problem
from modelforge.modules.hooks import as_written

Run = Callable[[Sequence[Site], Watch], None]
_TARGETS = ("target_mean", "target_std", "mean_tolerance", "std_tolerance")


def calibrate(
    model: nn.Module, batch: Any, method: str | Mapping[str, Any] = "lsuv", *, ledger: Ledger | None = None
) -> Ledger:
    """Rescales the weights of an initialised model, layer after layer, by what each layer makes of a batch.

    Every module that computes with one kernel (Linear, convolutions, registered layers with one `weight`) is calibrated
    in the order in which modules are first called; several calls of a module are measured together.
    What a parametrisation makes is written through it. Kernels that cannot be rescaled (zeros, packed projections,
    recurrences, shared weights, modules that the batch does not reach) are left, and the ledger says why.

    The exactly-once contract holds: calibration multiplies what was drawn, and never draws. The model runs in
    evaluation mode, so dropout is off and batch norms use their running statistics; a forward that draws all the same
    gets the same numbers in every run. Training flags, buffers, and the global random state are afterwards what they
    were.

    Args:
        model: Initialised, with real memory. It is changed in place. Of a compiled one, the module that was compiled
            runs, as it is written; paths are its own.
        batch: A tensor, or a tuple or list of arguments, or a mapping of keyword arguments.
        method: `lsuv` or `per_channel`, or a mapping with `method` and its fields.
        ledger: How the model started; default what a built model remembers, else a ledger of the values that are there.

    Returns:
        The ledger with a `calibration` for each kernel: factor, passes, variance before and after, and with a verdict
        on the latter. A built model's own `ledger` becomes this one.

    Raises:
        ForgeError: an unknown method or field, a batch that the model cannot run on, a layer whose output does not vary
            or is not finite, nothing to calibrate, parameters without memory. The model is as it was then.
        TypeError: `model`, `method` or `ledger` is of another kind.
        ValueError: the ledger is of another model.

    Example:
        >>> net = nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 64))
        >>> ledger = initialize(net, "orthogonal")
        >>> batch = torch.randn(256, 64, generator=torch.Generator().manual_seed(0))
        >>> ledger = calibrate(net, batch, "lsuv", ledger=ledger)
        >>> done = ledger["2.weight"].calibration
        >>> done.passes, round(done.variance_before, 1), round(done.variance_after, 3)
        (1, 0.4, 1.0)
    """
    require(model, nn.Module, "calibrate takes an nn.Module")
    require(method, str | Mapping, "calibrate takes the name of a method or a mapping")
    require(ledger, Ledger | None, "calibrate takes a Ledger, as `initialize` gives")
    chosen = read(method)
    with as_written(model) as written:
        return _calibrate(written, batch, chosen, ledger)


def _calibrate(model: nn.Module, batch: Any, chosen: Calibration, ledger: Ledger | None) -> Ledger:
    empty = [path for path, weight in model.named_parameters() if is_lazy(weight) or weight.is_meta]
    if empty:
        raise ForgeError(map(_without_memory, empty))
    before = ledger if ledger is not None else getattr(model, "ledger", None)
    if not isinstance(before, Ledger):
        before = initialize(model, {"scheme": "keep"})
    sites, left = find_sites(model, chosen)
    known = {entry.path for entry in before}
    if unknown := [site.path for site in sites if site.path not in known]:
        raise ValueError(f"the ledger is of another model: it has no entry for {', '.join(unknown)}")
    with undisturbed(model):
        once: Run = partial(run, model, batch, before.seed)
        order = _discover(once, sites)
        try:
            _settle(once, order)
        except BaseException:
            for site in order:
                site.restore()
            raise
    left |= {site.path: site.left for site in sites if site.left}
    if not order:
        raise ForgeError([_nothing(chosen.method, left)])
    after = _after(before, [site for site in order if not site.left], chosen.method, left)
    if isinstance(getattr(model, "ledger", None), Ledger):
        model.ledger = after  # pyright: ignore[reportArgumentType]  # torch's annotation: tensors and modules alone
    return after


# --- the passes -------------------------------------------------------------------------------------------------------


def _discover(once: Run, sites: Sequence[Site]) -> list[Site]:
    """The sites in the order in which they are first called; those that the batch does not reach are left."""
    order: dict[str, Site] = {}

    def see(site: Site, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        site.calls += 1
        order[site.path] = site
        site.left = site.left or site.obstacle(output)

    once(sites, see)
    for site in sites:
        # Between runs only the hooks of others are there.
        site.alone = site.calls == 1 and not (site.module._forward_hooks or site.module._forward_pre_hooks)
        if site.calls == 0:
            site.left = f"this {site.kind} is never called: what holds it may compute with it directly"
    return [site for site in order.values() if not site.left]


def _settle(once: Run, sites: Sequence[Site]) -> None:
    """Corrects all sites and measures them; again where a later one has changed what an earlier one reads."""
    while sites:
        before = sum(site.passes for site in sites)
        _sweep(once, [site for site in sites if not site.left])
        done = [site for site in sites if not site.left]
        _measure(once, done)
        progress = sum(site.passes for site in sites) > before
        if not progress or not any(site.passes < site.method.max_passes for site in done if not site.settled):
            return


def _sweep(once: Run, sites: Sequence[Site]) -> None:
    """Corrects every site in its turn. One run settles all that are called once: each is run again where it stands,
    and what comes after it reads the result. A site that is called several times takes a run for each correction."""
    pending = deque(sites)

    def see(site: Site, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
        if not pending or site is not pending[0]:
            return None
        if not site.alone:
            site.gather(output)
            return None
        while site.correct(site.look(output)):
            output = module.forward(*args, **kwargs)
        pending.popleft()
        return output

    while pending:
        for site in pending:
            site.seen = None
        once(tuple(pending), see)
        if not pending:
            return
        site = pending[0]
        if site.seen is None:
            site.leave("its module is not called in every run")
        if site.seen is None or not site.correct(site.seen):
            pending.popleft()


def _measure(once: Run, sites: Sequence[Site]) -> None:
    """What every site makes of the batch now."""

    def see(site: Site, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        site.gather(output)

    for site in sites:
        site.seen = None
    once(sites, see)


# --- the ledger -------------------------------------------------------------------------------------------------------


def _after(before: Ledger, done: Sequence[Site], method: str, left: Mapping[str, str]) -> Ledger:
    """The ledger with what became of each kernel, and of the biases that moved."""
    entries = {entry.path: entry for entry in before}
    for path in left.keys() & entries.keys():
        entries[path] = replace(entries[path], calibration=Calibrated(method, left[path]))
    for site in done:
        entries[site.path] = _calibrated(entries[site.path], site, site.weight)
        if site.bias_path and site.bias:
            entries[site.bias_path] = _calibrated(entries[site.bias_path], site, site.bias)
    return replace(before, entries=tuple(entries.values()))


def _calibrated(entry: LedgerEntry, site: Site, held: Held) -> LedgerEntry:
    """The targets of the first pass go with the factor; where channels part, or move, they are no promise any more."""
    record, by_channel = _record(site), site.method.by_channel
    values = held.values().double()
    centre = None if entry.centre is None or by_channel else entry.centre * record.factor
    std, mean = torch.std_mean(values, correction=0)
    if centre is not None:
        std = (values - centre).square().mean().sqrt()
    targets = {name: None if by_channel else getattr(entry, name) for name in _TARGETS}
    return replace(
        entry,
        **{name: None if target is None else target * record.factor for name, target in targets.items()},
        measured_mean=float(mean),
        measured_std=float(std),
        verdict="pass" if entry.verdict != "fail" and site.settled else "fail",
        calibration=record,
        centre=centre,
        digest=digest_of(checksum_of(shard_of(held.values()).exchanged(entry.transposed))),
    )


def _record(site: Site) -> Calibrated:
    assert site.first is not None, "it had its turn"
    assert site.seen is not None, "the last run measured it"
    (mean_before, variance_before), (mean_after, variance_after) = _farthest(site.first), _farthest(site.seen)
    return Calibrated(
        site.method.method,
        factors=(float(site.factor.min()), float(site.factor.max())),
        passes=site.passes,
        mean_before=mean_before,
        mean_after=mean_after,
        variance_before=variance_before,
        variance_after=variance_after,
        tolerance=site.method.tolerance,
    )


def _farthest(seen: Moments) -> tuple[float, float]:
    """The mean farthest from 0 and the variance farthest from 1, each among all channels."""
    mean, variance = seen.mean.view(-1), seen.variance.view(-1)
    return float(mean[mean.abs().argmax()]), float(variance[(variance - 1).abs().argmax()])


# --- what is wrong ----------------------------------------------------------------------------------------------------


def _without_memory(path: str) -> Problem:
    hint = "build or initialise the model first: calibration rescales values that are there"
    return Problem("MF094", path, f"`{path}` has no values yet: there is nothing to calibrate", hint)


def _nothing(method: str, left: Mapping[str, str]) -> Problem:
    reasons = "\n".join(f"`{path}`: {reason}" for path, reason in left.items())
    message = f"there is nothing that `{method}` can calibrate here"
    return Problem("MF122", "calibrate", message, reasons or "the model has no layer with a kernel", part="key")
