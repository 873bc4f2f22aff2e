"""What a source of one's own may return: arrays, torch Datasets, a LightningDataModule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from lightning import LightningDataModule
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
)

import modelforge as mf
from modelforge.train.data.adapters import DatasetPart, examples_of
from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.data.source import SplitSource
from modelforge.train.tasks.registry import parse_task

X = np.arange(120.0).reshape(60, 2)
Y = np.arange(60) % 3


class Own(SplitSource):
    """Points of one's own."""

    target_kinds: ClassVar = ("class", "number", "labels", "token")

    def read(self) -> Any:
        raise NotImplementedError


def own(**fields: Any) -> Own:
    section = {"type": "own", "task": "classification", "num_outputs": 3, "input": {"shape": (2,)}, **fields}
    return Own.model_validate(section)


class Pairs(Dataset):
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return torch.tensor(X[index], dtype=torch.float32), int(Y[index])


class Module(LightningDataModule):
    """As the tutorials write it: three loaders over parts of one data set, made in `setup`."""

    def __init__(self) -> None:
        super().__init__()
        self.prepared = 0

    def prepare_data(self) -> None:
        self.prepared += 1

    def setup(self, stage: str) -> None:
        whole = TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(Y))
        self.parts = torch.utils.data.random_split(whole, [40, 10, 10], torch.Generator().manual_seed(0))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.parts[0], batch_size=7, shuffle=True)

    def val_dataloader(self) -> DataLoader:
        return DataLoader(self.parts[1], batch_size=7)

    def test_dataloader(self) -> DataLoader:
        return DataLoader(self.parts[2], batch_size=7)


def rows(examples: Examples) -> np.ndarray:
    parts = (examples.train, examples.val, examples.test)
    return np.concatenate([part.batch(np.arange(len(part)))[0] for part in parts])


def test_a_part_of_one_number_is_refused():
    """R² of one example is not a number."""
    parts = [(X, X[:, :1]), (X[:1], X[:1, :1]), (X, X[:, :1])]
    with pytest.raises(mf.ForgeError, match=r"the val part of `own` has 1 example, but `r2` takes 2 at least"):
        examples_of(parts, own(task="regression", num_outputs=1))
    assert examples_of([(X[:1], Y[:1])] * 3, own())


@pytest.mark.parametrize("given", [(X, Y), (X.tolist(), Y.tolist()), (torch.tensor(X), torch.tensor(Y))])
def test_one_pair_is_split_as_the_section_declares(given: Any):
    examples = examples_of(given, own())
    assert (len(examples.train), len(examples.val), len(examples.test)) == (42, 9, 9)
    assert isinstance(examples.train, Arrays)
    assert (examples.train.inputs.dtype, examples.train.targets.dtype) == (np.float32, np.int64)
    assert sorted(map(tuple, rows(examples))) == sorted(map(tuple, X))
    for part in (examples.train, examples.val, examples.test):
        inputs, labels = part.batch(np.arange(len(part)))
        assert (labels == (inputs[:, 0] / 2) % 3).all()


def test_three_pairs_are_the_parts():
    examples = examples_of([(X[:40], Y[:40]), (X[40:50], Y[40:50]), (X[50:], Y[50:])], own())
    assert (examples.val.batch(np.arange(10))[0] == X[40:50]).all()


def test_numbers_get_a_column_each_and_float32():
    examples = examples_of((X, Y * 0.5), own(task="regression", num_outputs=1))
    assert examples.train.batch(np.arange(2))[1].shape == (2, 1)
    assert examples.train.batch(np.arange(2))[1].dtype == np.float32


def test_datasets_give_their_items_batch_by_batch():
    examples = examples_of((Pairs(), Pairs(), Pairs()), own())
    inputs, labels = examples.train.batch(np.array([5, 2]))
    assert (inputs == X[[5, 2]]).all()
    assert labels.tolist() == [2, 2]
    assert isinstance(examples.train, DatasetPart)


def test_a_lightning_data_module_gives_the_data_sets_of_its_loaders():
    module = Module()
    examples = examples_of(module, own())
    assert module.prepared == 1
    assert (len(examples.train), len(examples.val), len(examples.test)) == (40, 10, 10)
    assert sorted(map(tuple, rows(examples))) == sorted(map(tuple, X))


class Drawn(Module):
    """Its parts are drawn again each time it is set up, as in many tutorials."""

    def setup(self, stage: str) -> None:
        whole = TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(Y))
        self.parts = torch.utils.data.random_split(whole, [40, 10, 10])


def test_a_module_that_draws_its_parts_validates_on_none_of_the_training_examples():
    torch.manual_seed(0)
    examples = examples_of(Drawn(), own())
    train, val = (set(map(tuple, part.batch(np.arange(len(part)))[0])) for part in (examples.train, examples.val))
    assert len(train) == 40
    assert not train & val


class Sampled(Module):
    """Three loaders over one data set, each with what chooses its examples."""

    def __init__(self, **loader: Any) -> None:
        super().__init__()
        self.loader = loader

    def setup(self, stage: str) -> None:
        whole = TensorDataset(torch.tensor(X, dtype=torch.float32), torch.tensor(Y))
        self.parts = (whole, Subset(whole, range(40, 50)), Subset(whole, range(50, 60)))

    def train_dataloader(self) -> DataLoader:
        return DataLoader(self.parts[0], **self.loader)


@pytest.mark.parametrize(
    "loader",
    [
        {"sampler": SubsetRandomSampler(range(40))},
        {"sampler": [*range(40)]},
        {"sampler": RandomSampler(range(40))},
        {"batch_sampler": BatchSampler(SubsetRandomSampler(range(40)), 8, drop_last=False)},
    ],
)
def test_a_loader_gives_the_part_of_its_data_set_that_its_sampler_names(loader: Any):
    """The rest may be in the other parts: the model would be tested on what it was trained on."""
    examples = examples_of(Sampled(**loader), own())
    assert len(examples.train) == 40
    assert sorted(map(tuple, rows(examples))) == sorted(map(tuple, X))


@pytest.mark.parametrize("loader", [{}, {"shuffle": True}, {"batch_size": 7, "drop_last": True}])
def test_a_loader_that_only_orders_its_data_set_gives_all_of_it(loader: Any):
    assert len(examples_of(Sampled(**loader), own()).train) == 60


class ByTwos(BatchSampler):
    pass


@pytest.mark.parametrize(
    ("loader", "message"),
    [
        ({"sampler": WeightedRandomSampler([1.0] * 60, 60)}, "draws by a WeightedRandomSampler"),
        ({"sampler": RandomSampler(range(60), replacement=True)}, "draws by a RandomSampler"),
        ({"sampler": RandomSampler(range(60), num_samples=9)}, "draws by a RandomSampler"),
        ({"batch_sampler": BatchSampler(WeightedRandomSampler([1.0] * 60, 9), 3, drop_last=False)}, "draws by a Weigh"),
        ({"batch_sampler": ByTwos(range(60), 2, drop_last=False)}, "has a ByTwos, but here `data.batch_size`"),
        ({"batch_size": None}, "makes no batches (`batch_size=None`)"),
    ],
)
def test_a_loader_that_draws_otherwise_is_refused(loader: Any, message: str):
    with pytest.raises(mf.ForgeError) as caught:
        examples_of(Sampled(**loader), own())
    assert f"train_dataloader of Sampled {message}" in caught.value.problems[0].message


def test_the_targets_of_data_sets_get_the_shape_and_dtype_of_the_task():
    """Without a column of their own, they would be subtracted from the outputs of the whole batch."""
    parts = [TensorDataset(torch.zeros(9, 2), torch.arange(9, dtype=torch.float64))] * 3
    _, targets = examples_of(parts, own(task="regression", num_outputs=1)).train.batch(np.arange(4))
    assert (targets.dtype, targets.tolist()) == (np.float32, [[0], [1], [2], [3]])
    parts = [TensorDataset(torch.zeros(9, 2), torch.zeros(9, dtype=torch.int32))] * 3
    assert examples_of(parts, own()).train.batch(np.arange(4))[1].dtype == np.int64


class Items(Dataset):
    """Examples that are made by a function of their number."""

    def __init__(self, make: Callable[[int], Any]) -> None:
        self.make = make

    def __len__(self) -> int:
        return 9

    def __getitem__(self, index: int) -> Any:
        return self.make(index)


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda row: {"x": torch.zeros(2), "y": row % 3}, "dict"),
        (lambda row: (torch.zeros(2), torch.zeros(2), row % 3), "3 values"),
        (lambda row: torch.zeros(2), "Tensor"),
    ],
)
def test_items_that_are_no_pairs(make: Callable[[int], Any], what: str):
    with pytest.raises(mf.ForgeError) as caught:
        examples_of([Items(make)] * 3, own())
    (problem,) = caught.value.problems
    message = "an item of the data set of `own` must be a pair of inputs and a target, but is"
    assert (problem.key, problem.message) == ("data.type", f"{message} {what}")


def test_items_that_differ_in_shape():
    examples = examples_of([Items(lambda row: (torch.zeros(2 + (row > 4)), row % 3))] * 3, own())
    assert len(examples.train.batch(np.arange(3))[1]) == 3
    with pytest.raises(mf.ForgeError, match="examples 4 to 7 of `own` make no batch: stack expects each tensor to be"):
        examples.train.batch(np.array([5, 3, 6]))


class Stream(IterableDataset):
    def __iter__(self):
        yield X[0], 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "`read` of `own` must return three pairs"),
        ((X, Y, X, Y), "but returned tuple"),
        ((Stream(), Stream(), Stream()), "but returned an IterableDataset, which has no length"),
        ((X[:, :1], Y), "an example of `own` has shape (1,), but `shape` is (2,)"),
        ((X, Y * 0.5), "the target must hold whole numbers, but has 0.5 in row 2"),
        ((X, Y[:30]), "60 examples have 30 targets"),
        ((X * np.nan, Y), "`input` must hold finite numbers of float32, but has nan in row 1"),
        (
            [TensorDataset(torch.zeros(9, 2), torch.full((9,), 7))] * 3,
            "example 1 of `own`: the target must hold classes from 0 to 2, but has 7",
        ),
        (([(X[:40], Y[:40]), (X[:0], Y[:0]), (X[:9], Y[:9])]), "the val part of `own` has no examples"),
        ([({"a": X, "b": X}, Y)] * 3, "an example of `own` has 2 inputs, but 1 are declared"),
    ],
)
def test_what_is_not_as_declared_is_said(given: Any, message: str):
    with pytest.raises(mf.ForgeError) as caught:
        examples_of(given, own())
    assert message in caught.value.problems[0].message


def whole(targets: Any, inputs: Any = X) -> Examples:
    """`Examples` with a middle part that has these targets."""
    good = Arrays(X.astype(np.float32), Y)
    return Examples(good, Arrays(inputs.astype(np.float32), np.asarray(targets)), good)


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ([0, 1, 7], "the val part: the target must hold classes from 0 to 2, but has 7 in row 3"),
        ([0.0, np.nan, 1], "the val part: the target must hold whole numbers, but has nan in row 2"),
        ([[0], [1], [2]], "the val part: the target must have shape (examples), but has (3, 1)"),
        ([0, 1], "the val part: 3 examples have 2 targets"),
    ],
)
def test_the_targets_of_examples_are_checked(targets: Any, message: str):
    with pytest.raises(mf.ForgeError) as caught:
        examples_of(whole(targets, X[:3]), own())
    assert caught.value.problems[0].message == f"what `read` of `own` returned: {message}"


def test_the_targets_of_examples_get_shape_and_dtype():
    assert examples_of(whole(Y.astype(np.int32)), own()).val.batch(np.arange(2))[1].dtype == np.int64
    numbers = Examples(*[Arrays(X.astype(np.float32), Y * 0.5)] * 3)
    _, targets = examples_of(numbers, own(task="regression", num_outputs=1)).train.batch(np.arange(3))
    assert (targets.dtype, targets.tolist()) == (np.float32, [[0], [0.5], [1]])


class Small:
    """A part of one's own, whose targets are small numbers."""

    def __len__(self) -> int:
        return 5

    def batch(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return X[rows].astype(np.float32), Y[rows].astype(np.int8)


def test_the_targets_of_a_part_of_ones_own_are_as_the_task_takes_them():
    with pytest.raises(mf.ForgeError, match=r"train part of `own` is int8 of shape \(1,\), but must be int64 of shape"):
        examples_of(Examples(Small(), Small(), Small()), own())


def test_the_example_of_a_data_set_that_is_wrong_is_named():
    """Its place in the data set, not in the batch."""
    labels = torch.zeros(30, dtype=torch.int64)
    labels[[20, 27]] = 9
    examples = examples_of([TensorDataset(torch.zeros(30, 2), labels)] * 3, own())
    with pytest.raises(mf.ForgeError, match=r"example 28 of `own`: the target must hold .* but has 9\n"):
        examples.train.batch(np.array([3, 27, 20]))


def test_the_way_out_of_another_shape_is_an_override():
    with pytest.raises(mf.ForgeError) as caught:
        examples_of((np.zeros((60, 3, 4)), Y), own())
    (problem,) = {problem.hint for problem in caught.value.problems}
    assert problem == "write `data.input.shape=[3,4]`"


def test_a_data_set_of_another_dtype_is_said():
    parts = [TensorDataset(torch.zeros(9, 2, dtype=torch.float64), torch.zeros(9, dtype=torch.int64))] * 3
    with pytest.raises(mf.ForgeError, match="is float64, but `dtype` is float32"):
        examples_of(parts, own())


def test_new_data_is_checked_against_the_section():
    source = own()
    part = source.encode(X, {})
    assert (len(part), part.batch(np.arange(1))[0].dtype) == (60, np.float32)
    assert source.encode((X, Y), {}, labelled=True).batch(np.arange(3))[1].tolist() == [0, 1, 2]
    with pytest.raises(mf.ForgeError, match=r"has shape \(60, 3\), but must have \(examples, 2\)"):
        source.encode(np.zeros((60, 3)), {})
    assert parse_task("classification").type == "classification"
