"""examples_of: what a source of one's own returns → `Examples`: arrays, torch Datasets or a LightningDataModule."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch.utils.data import (
    BatchSampler,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    default_collate,
)

from modelforge.core.errors import ForgeError, Problem, Refusal
from modelforge.core.quoting import sentence
from modelforge.core.tensors import mapped
from modelforge.core.words import plural
from modelforge.train.data.declared import as_array, as_input, as_targets
from modelforge.train.data.parts import Array, Arrays, Examples, Inputs, Part, Rows
from modelforge.train.data.refusals import fault, refusal
from modelforge.train.data.source import InputSettings, Source, SplitSource
from modelforge.train.data.split import split

PARTS = ("train", "val", "test")
BY_US = "leave it out; a part of a data set is a `Subset`, and rare classes count more by `class_weights: balanced`"
FORMS = "three pairs of inputs and targets, three torch Datasets, a LightningDataModule, or Examples"


@dataclass(frozen=True)
class DatasetPart:
    """A map-style torch Dataset, whose items are pairs of inputs and a target, as a part."""

    dataset: Any
    source: Source
    collate: Callable[[list[Any]], Any] = default_collate

    def __len__(self) -> int:
        return len(self.dataset)

    def batch(self, rows: Rows) -> tuple[Inputs, Array]:
        examples = [self.dataset[int(row)] for row in rows]
        inputs, targets = self._pair(examples, rows)
        try:
            return _arrays(inputs), as_targets(targets, self.source)
        except Refusal as error:
            raise refusal("type", self._refused(error, rows, examples)) from None

    def _pair(self, examples: list[Any], rows: Rows) -> tuple[Any, Any]:
        """The inputs and the targets of some examples.

        Raises:
            ForgeError: an item is no pair, or they differ in shape.
        """
        try:
            found = self.collate(examples)
        except (RuntimeError, TypeError) as error:
            if self.collate is not default_collate:
                raise
            message = f"examples {rows.min() + 1:,} to {rows.max() + 1:,} of `{self.source.type}` make no batch"
            raise refusal("type", f"{message}: {sentence(error)}", "each must have the shape of the others") from None
        if isinstance(found, tuple | list) and len(found) == 2:
            return found[0], found[1]
        item = examples[0]
        what = f"{len(item)} values" if isinstance(item, tuple | list) else type(item).__name__
        message = (
            f"an item of the data set of `{self.source.type}` must be a pair of inputs and a target, but is {what}"
        )
        hint = "several inputs are one tuple, or one mapping: `return (a, b), target`"
        raise refusal("type", message, hint)

    def _refused(self, error: Refusal, rows: Rows, examples: Sequence[Any]) -> str:
        """The message about a batch, or about the first of its examples that is wrong on its own."""
        for row, example in zip(rows, examples, strict=True):
            try:
                as_targets(self.collate([example])[1], self.source)
            except Refusal as one:
                return f"example {row + 1:,} of `{self.source.type}`: {str(one).removesuffix(' in row 1')}"
        return f"a batch of `{self.source.type}`: {error}"


def examples_of(given: Any, source: Source) -> Examples:
    """The examples in what a source's `read` returned, checked against its declaration.

    Args:
        given: `Examples`; or for each part a pair `(inputs, targets)` or a map-style Dataset; or a LightningDataModule,
            of whose loaders the datasets, subsets and collate functions are used. One pair alone is split as a
            `SplitSource` declares.
        source: What was declared.

    Raises:
        ForgeError: it is none of these, or an example is not as declared.
    """
    try:
        whole = isinstance(given, Examples)
        examples = _as_declared(given, source) if whole else Examples.of(_parts(given, source))
    except Refusal as error:
        raise refusal("type", f"what `read` of `{source.type}` returned: {error}") from None
    wrong = [problem for name in PARTS for problem in _misfits(getattr(examples, name), name, source)]
    if wrong:
        raise ForgeError(wrong)
    return examples


def _as_declared(given: Examples, source: Source) -> Examples:
    """The same with targets as the task takes them, of the parts that lie in memory."""
    parts = dict[str, Part]()
    for name in PARTS:
        part = getattr(given, name)
        if not isinstance(part, Arrays):
            continue
        try:
            targets = as_targets(part.targets, source)
        except Refusal as error:
            raise Refusal(f"the {name} part: {error}") from None
        for one in part.inputs if isinstance(part.inputs, tuple) else (part.inputs,):
            if len(one) != len(targets):
                raise Refusal(f"the {name} part: {len(one)} examples have {len(targets)} targets")
        parts[name] = replace(part, targets=targets)
    return replace(given, **parts)


def _parts(given: Any, source: Source) -> Sequence[Part]:
    if hasattr(given, "train_dataloader"):
        return _loaded(given, source)
    if isinstance(given, tuple | list) and len(given) == 2 and isinstance(source, SplitSource):
        inputs, targets = _pair(given, source)
        labels = targets if source.target_kind == "class" and targets.ndim == 1 else None
        rows = split(source, len(targets), labels)
        return [Arrays(mapped(operator.itemgetter(part), inputs), targets[part]) for part in rows]
    if not (isinstance(given, tuple | list) and len(given) == 3):
        raise _unknown(given, source)
    return [_part(one, source) for one in given]


def _part(given: Any, source: Source) -> Part:
    if isinstance(given, tuple | list) and len(given) == 2:
        return Arrays(*_pair(given, source))
    if isinstance(given, IterableDataset) or not (hasattr(given, "__getitem__") and hasattr(given, "__len__")):
        raise _unknown(given, source)
    return DatasetPart(given, source)


def _loaded(module: Any, source: Source) -> list[DatasetPart]:
    """The parts of a LightningDataModule. It is set up once for both parts of the training: it may draw them."""
    module.prepare_data()
    module.setup("fit")
    parts = [_loader(module, name, source) for name in ("train", "val")]
    module.setup("test")
    return [*parts, _loader(module, "test", source)]


def _loader(module: Any, name: str, source: Source) -> DatasetPart:
    """The data set of a loader, or the part of it that its sampler names, with its collate function."""
    loader, named = getattr(module, f"{name}_dataloader")(), f"{name}_dataloader of {type(module).__name__}"
    if not hasattr(loader, "dataset"):
        raise refusal("type", f"{named} must return one DataLoader, but returned {type(loader).__name__}")
    if isinstance(loader.dataset, IterableDataset):
        raise refusal("type", f"{named} streams an IterableDataset, without a length")
    return DatasetPart(_sampled(loader, named), source, loader.collate_fn)


def _sampled(loader: Any, named: str) -> Any:
    """The examples that a loader deals, each once: its data set, or the subset that its sampler names.

    Raises:
        ForgeError: another sampler draws them; here each epoch has each example once.
    """
    batches = loader.batch_sampler
    if type(batches) is not BatchSampler:
        what = "makes no batches (`batch_size=None`)" if batches is None else f"has a {type(batches).__name__}"
        raise refusal("type", f"{named} {what}, but here `data.batch_size` makes them", BY_US)
    rows = _rows(batches.sampler)
    if rows is None:
        message = f"{named} draws by a {type(batches.sampler).__name__}, but here an epoch has each example once"
        raise refusal("type", message, BY_US)
    return loader.dataset if rows == range(len(loader.dataset)) else Subset(loader.dataset, rows)


def _rows(sampler: Any) -> Sequence[int] | None:
    """The examples of a sampler, each once; None if it repeats examples or draws new ones in each epoch."""
    kind = type(sampler)
    if kind in (list, tuple, range):
        return sampler
    if kind is SubsetRandomSampler:
        return [*sampler.indices]
    if kind not in (SequentialSampler, RandomSampler):
        return None
    rows = range(len(sampler.data_source))
    is_whole = kind is SequentialSampler or (not sampler.replacement and sampler.num_samples == len(rows))
    return rows if is_whole else None


def _pair(given: Sequence[Any], source: Source) -> tuple[Inputs, Array]:
    """Inputs and targets in the dtypes that the source declares."""
    inputs, targets = _arrays(given[0]), as_targets(given[1], source)
    declared = source.inputs
    several = inputs if isinstance(inputs, tuple) else (inputs,)
    if len(several) == len(declared):  # else `_misfits` says so
        pairs = zip(several, declared.items(), strict=True)
        several = tuple(
            as_input(one, settings.dtype, source.token_bound, f"`{name}`") for one, (name, settings) in pairs
        )
    for one in several:
        if one.shape[:1] != targets.shape[:1]:
            raise Refusal(f"{_length(one)} examples have {_length(targets)} targets")
    return several if isinstance(inputs, tuple) else several[0], targets


def _misfits(part: Part, name: str, source: Source) -> list[Problem]:
    """The problems where the first example of a part is not as the source declares."""
    if not len(part):
        return [fault("type", f"the {name} part of `{source.type}` has no examples")]
    if len(part) < (least := source.task.min_examples(source)):
        has = f"the {name} part of `{source.type}` has {plural(len(part), 'example')}"
        return [fault("type", f"{has}, but `{source.task.metric}` takes {least} at least")]
    inputs, targets = part.batch(np.zeros(1, np.int64))
    try:
        due = as_targets(targets, source)
    except Refusal as error:
        return [fault("type", f"the first example of the {name} part of `{source.type}`: {error}")]
    if (due.dtype, due.shape) != (targets.dtype, targets.shape):
        is_what = f"is {targets.dtype} of shape {targets.shape}, but must be {due.dtype} of shape {due.shape}"
        return [fault("type", f"the target of a batch of one of the {name} part of `{source.type}` {is_what}")]
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    declared = source.inputs
    if len(given) != len(declared):
        return [
            fault("input", f"an example of `{source.type}` has {len(given)} inputs, but {len(declared)} are declared")
        ]
    keys = ["input"] if not isinstance(inputs, tuple) else [f"input.{key}" for key in declared]
    return [
        problem
        for key, array, settings in zip(keys, given, declared.values(), strict=True)
        for problem in _misfit(key, array, settings, source)
    ]


def _misfit(key: str, array: Array, settings: InputSettings, source: Source) -> list[Problem]:
    found = []
    shape = tuple(array.shape[1:])
    if shape != settings.shape:
        written = f"data.{key}.shape=[{','.join(map(str, shape))}]"
        message = f"an example of `{source.type}` has shape {shape}, but `shape` is {settings.shape}"
        found.append(fault(f"{key}.shape", message, f"write `{written}`"))
    if str(array.dtype) != settings.dtype:
        message = f"an example of `{source.type}` is {array.dtype}, but `dtype` is {settings.dtype}"
        found.append(fault(f"{key}.dtype", message, "convert it where it is read, or declare the other"))
    return found


def _arrays(inputs: Any) -> Inputs:
    """Tensors, lists and arrays as NumPy's; several inputs, in a list or by name, as a tuple."""
    if isinstance(inputs, dict):
        inputs = tuple(inputs.values())
    if isinstance(inputs, tuple) or (isinstance(inputs, list) and inputs and torch.is_tensor(inputs[0])):
        return tuple(as_array(one, "an input") for one in inputs)
    return as_array(inputs, "the input")


def _length(array: Array) -> int:
    return len(array) if array.ndim else 1


def _unknown(given: Any, source: Source) -> ForgeError:
    kind = "an IterableDataset, which has no length" if isinstance(given, IterableDataset) else type(given).__name__
    return refusal("type", f"`read` of `{source.type}` must return {FORMS}, but returned {kind}")
