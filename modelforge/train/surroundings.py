"""What a training runs in: torch's threads, Lightning's hints, a model's mode. All are put back afterwards."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager

import torch
from torch import nn

# What Lightning says of small data, of data in memory, of a resumed run, and of one cycle over whole epochs.
QUIET = (
    ".*does not have many workers.*",
    ".*number of training batches.*is smaller than the logging interval.*",
    ".*The dirpath has changed from .*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*isinstance.treespec, LeafSpec.. is deprecated.*",
    ".*You are using `overfit_batches`.*|.*overfit_batches.*sequential.*",
    ".*callbacks used to create the checkpoint need to be provided.*",  # `best.ckpt` by another metric
    ".*resuming from a checkpoint that ended before the epoch ended.*",
    ".*GPU available but not used.*",
    ".*OneCycleLR.* scheduler is using 'interval': 'epoch'.*",
)


@contextmanager
def threads(number: int | None) -> Generator[None]:
    """So many threads of torch's on the CPU; None for as many as there were."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def evaluating(model: nn.Module) -> Generator[None]:
    """The model as it is when it is used: without dropout, for example."""
    before = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training


@contextmanager
def quiet() -> Generator[None]:
    """Lightning without its hints; what it warns of beyond them still comes through."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric", "lightning")]
    before = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        for message in QUIET:
            warnings.filterwarnings("ignore", message=message)
        try:
            yield
        finally:
            for logger, level in zip(loggers, before, strict=True):
                logger.setLevel(level)
