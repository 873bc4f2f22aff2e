"""`DataModule`: a source and its examples, as Lightning takes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lightning import LightningDataModule
from torch.utils.data import DataLoader

from modelforge.core.errors import ForgeError
from modelforge.train.data import distributed_samplers as samplers
from modelforge.train.data.batches import Batch, Batched, Shuffle
from modelforge.train.data.distributed_samplers import WHOLE, DataShard, Share
from modelforge.train.data.parts import Examples, Part
from modelforge.train.data.source import Source


class DataModule(LightningDataModule):
    """One loader for each part; only the one for training shuffles.

    Args:
        source: Gives the batch size and the number of processes that prepare batches.
        examples: The examples of the source.
        seed: Key of the order of the training examples.
        skip: An epoch and the number of its batches that an interrupted run was trained on already.
        shard: The part of each step that this process has.
    """

    def __init__(
        self, source: Source, examples: Examples, seed: int, *, skip: tuple[int, int] = (0, 0), shard: DataShard = WHOLE
    ) -> None:
        super().__init__()
        self.source = source
        self.examples = examples
        self.shard = shard
        epoch, num_batches = skip
        self.order = Shuffle(len(examples.train), seed, (epoch, num_batches * source.batch_size * shard.size))

    def share(self, stage: str, index: int) -> Share:
        """The share of this process in a batch of a part, by its number in the epoch."""
        share = samplers.train_share if stage == "train" else samplers.evaluation_share
        return share(self.shard, self.source.batch_size, len(getattr(self.examples, stage)), index)

    def train_dataloader(self) -> DataLoader[Batch]:
        """The batches to train on."""
        return self._loader(self.examples.train, self.order)

    def val_dataloader(self) -> DataLoader[Batch]:
        """The batches that choose the best checkpoint."""
        return self._loader(self.examples.val)

    def test_dataloader(self) -> DataLoader[Batch]:
        """The batches that are kept for the last line."""
        return self._loader(self.examples.test)

    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Batch:
        """The batch, unless it could not be made.

        Raises:
            ForgeError: it could not, and so a process of the loader gave the error itself: torch would make a text of
                one that is raised there.
        """
        if isinstance(batch, ForgeError):
            raise batch
        return batch

    def _loader(self, part: Part, order: Shuffle | None = None) -> DataLoader[Batch]:
        size, shard = self.source.batch_size, self.shard
        batches: dict[str, Any] = {"batch_size": size, "sampler": order}
        if shard.size > 1:
            evaluation = samplers.EvaluationSampler(len(part), size, shard)
            batches = {"batch_sampler": evaluation if order is None else samplers.TrainSampler(order, size, shard)}
        return DataLoader(
            _Reported(part, self.order.seed),
            **batches,
            num_workers=self.source.num_workers,
            persistent_workers=self.source.num_workers > 0,
            pin_memory=self.trainer is not None and self.trainer.strategy.root_device.type == "cuda",
            collate_fn=_as_is,
        )


class _Reported(Batched):
    """`Batched` that gives the problems of a batch in its place; `DataModule` raises them."""

    def __getitems__(self, indices: Sequence[int]) -> Any:
        try:
            return super().__getitems__(indices)
        except ForgeError as error:
            return error


def _as_is(batch: Any) -> Any:
    """The batch, which `Batched` has put together already."""
    return batch
