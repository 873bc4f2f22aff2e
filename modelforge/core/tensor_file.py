"""weights: a file of tensors → their names, shapes and types without reading them, and then one tensor at a time.

safetensors, or what `torch.save` writes, read with `weights_only`: nothing in a file can run. Large models lie in
several files, and an index names them: `model.safetensors.index.json`. Nested mappings of a checkpoint count as one,
with their keys joined by dots; what is not a tensor, or one without values, is left out.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from modelforge.core.errors import Refusal
from modelforge.core.limits import MAX_CHECKPOINT_DEPTH, MAX_ENTRIES, MAX_INDEX_BYTES, MAX_TENSOR_NAME
from modelforge.core.quoting import sentence
from modelforge.core.regular_files import NotRegular, TooLarge, check_regular, open_regular, read_text

BEST = "checkpoints/best.ckpt"
"""Where the folder of a run has its best checkpoint."""
INDEX = ".index.json"
"""How the name of a file ends that says which files a large model is in."""
_RELATIVE = "a path is relative to the folder that the program runs in"


STATE_DICTS = ("state_dict", "model_state_dict", "model")
"""Where checkpoints of trainings keep the values of the model, beside those of the optimizer."""
WRAPPERS = frozenset({*STATE_DICTS, "module", "_orig_mod"})
"""What Lightning, DistributedDataParallel, torch.compile and trainings put before every name."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of one tensor."""

    shape: tuple[int, ...]
    dtype: torch.dtype


class Weights(Protocol):
    """An open file of tensors."""

    @property
    def headers(self) -> Mapping[str, Header]: ...
    def read(self, name: str) -> Tensor:
        """The tensor of that name, on the CPU; KeyError if there is none."""
        ...


def is_safetensors(path: str) -> bool:
    """Whether a file begins as safetensors do: the length of the header, and the header as JSON."""
    with open_regular(path) as file:
        start = file.read(9)
    return len(start) == 9 and start[8:] == b"{"


@contextmanager
def opened(path: str) -> Generator[Weights]:
    """A file of tensors, for its body to read; of the folder of a run, its best checkpoint.

    Raises:
        Refusal: there is no such file, it is of another kind, it is damaged, or it holds more than data.
    """
    if os.path.isfile(best := os.path.join(path, BEST)):  # a path may be no path at all
        path = best
    if path.endswith(INDEX):
        with ExitStack() as stack:
            yield _Several({name: stack.enter_context(opened(file)) for file, name in _listed(path)})
        return
    _check_file(path)
    try:
        if is_safetensors(path):
            try:
                with safe_open(path, framework="pt", device="cpu") as file:
                    yield _Safetensors(file)
            except SafetensorError as error:
                raise Refusal(f"it is damaged: {error}") from error
        else:
            yield _Checkpoint(dict(_flat(_load(path))))
    except OSError as error:
        raise Refusal(f"it cannot be read: {error.strerror or error}") from error


def _check_file(path: str) -> None:
    try:
        check_regular(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        several = Path(path + INDEX).exists()
        hint = f"it is in several files: `{path}{INDEX}`" if several else _RELATIVE
        raise Refusal("there is no such file", hint) from error
    except NotRegular as error:
        hint = f"this run has no `{BEST}`" if Path(path, "status.json").is_file() else ""
        raise Refusal(f"it is {error.kind}, not a file", hint) from error
    except (OSError, ValueError) as error:
        raise Refusal(f"it cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _listed(path: str) -> list[tuple[str, str]]:
    """The files that an index names, as paths and as it calls them."""
    _check_file(path)
    try:
        index = json.loads(read_text(path, MAX_INDEX_BYTES))
        names = sorted({str(name) for name in index["weight_map"].values()})
    except TooLarge as error:
        raise Refusal(f"{error.strerror}: no list of files is that long") from error
    except OSError as error:
        raise Refusal(f"it cannot be read: {error.strerror or error}", _RELATIVE) from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Refusal("it is not an index: a JSON with a `weight_map` from names to files") from error
    if strange := [name for name in names if Path(name).name != name or name.endswith(".json")]:
        raise Refusal(f"it names `{strange[0]}`: no file of tensors beside it")
    return [(str(Path(path).parent / name), name) for name in names]


@dataclass(frozen=True)
class _Several:
    """Open files that hold one model together."""

    files: Mapping[str, Weights]

    @cached_property
    def _places(self) -> dict[str, Weights]:
        return {name: file for file in self.files.values() for name in file.headers}

    @property
    def headers(self) -> Mapping[str, Header]:
        return {name: file.headers[name] for name, file in self._places.items()}

    def read(self, name: str) -> Tensor:
        return self._places[name].read(name)


class _Safetensors:
    def __init__(self, file: Any) -> None:
        self._file = file
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  # no mapping
        self.headers = {name: Header(tuple(part.get_shape()), _dtype(part)) for name, part in slices.items()}

    def read(self, name: str) -> Tensor:
        return self._file.get_tensor(name)


def _dtype(part: Any) -> torch.dtype:
    """torch's type of a tensor; the file has names of its own for it."""
    try:
        return (part[:0] if part.get_shape() else part[...]).dtype
    except RuntimeError as error:  # of numbers that are packed several to a byte
        raise Refusal(f"it holds numbers that are not read here: {part.get_dtype()}") from error


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """The tensors lie in the file still, mapped into memory: the system reads what is touched."""

    tensors: Mapping[str, Tensor]

    @property
    def headers(self) -> Mapping[str, Header]:
        return {name: Header(tuple(tensor.shape), tensor.dtype) for name, tensor in self.tensors.items()}

    def read(self, name: str) -> Tensor:
        return self.tensors[name]


def _load(path: str) -> Any:
    with open_regular(path) as file:
        start = file.read(4)
    if not start:
        raise Refusal("it is empty")
    if start == b"PK\x03\x04" and not zipfile.is_zipfile(path):
        raise Refusal("it is damaged: it begins as a checkpoint, and its end is missing")
    if zipfile.is_zipfile(path):
        _check_zip(path)
    else:
        kind = "it is neither safetensors nor a checkpoint of torch 1.6 or later"
        raise Refusal(kind, "save it again: `safetensors.torch.save_file(tensors, path)`")
    try:
        return _of_model(torch.load(path, map_location="cpu", weights_only=True, mmap=True))
    except pickle.UnpicklingError as error:
        named = re.search(r"GLOBAL (\S+)", str(error))
        what = f": `{named[1]}`" if named else ""
        hint = "if you trust it, load it yourself and save its tensors: `safetensors.torch.save_file(tensors, path)`"
        reason = f"it holds a pickle that would run code{what}, and that is never loaded"
        raise Refusal(reason, hint, "MF111") from error
    except Exception as error:
        raise Refusal(f"it is not a checkpoint of tensors: {sentence(error)}") from error


def _of_model(checkpoint: Any) -> Any:
    """A checkpoint of a training without what belongs to the optimizer, to callbacks and to metrics."""
    if not isinstance(checkpoint, Mapping):
        return checkpoint
    # Beside `model` there may be other parts of a network; beside the others, tensors are a training's own.
    parts = any(isinstance(value, Tensor) and value.dim() for value in checkpoint.values())
    known = [name for name in STATE_DICTS if not (name == "model" and parts)]
    wrapped = next((name for name in known if isinstance(checkpoint.get(name), Mapping)), None)
    return checkpoint if wrapped is None else {wrapped: checkpoint[wrapped]}


def _check_zip(path: str) -> None:
    """Refuses what would unpack to more than the file holds; torch stores tensors as they are."""
    try:
        with zipfile.ZipFile(path) as file:
            unpacked = sum(part.file_size for part in file.infolist())
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise Refusal(f"it is damaged: {sentence(error)}") from error
    if unpacked > Path(path).stat().st_size:
        raise Refusal(f"it is packed, and would be {unpacked:,} bytes", "save it again with `torch.save`")


def _flat(checkpoint: Any) -> Iterator[tuple[str, Tensor]]:
    """The tensors by name. One mapping may be in many others, and so have more names than memory: they are counted."""
    waiting: list[tuple[str, Any, int]] = [("", checkpoint, 0)]
    num_entries = 0
    while waiting:
        name, value, depth = waiting.pop()
        num_entries += 1
        if num_entries > MAX_ENTRIES or depth > MAX_CHECKPOINT_DEPTH:
            reason = f"it holds more than {MAX_ENTRIES:,} values, or mappings more than {MAX_CHECKPOINT_DEPTH} deep"
            raise Refusal(reason, code="MF060")
        if isinstance(value, Mapping):
            below = [(f"{name}.{key}" if name else str(key), item, depth + 1) for key, item in value.items()]
            waiting += reversed(below)
        elif isinstance(value, Tensor) and value.layout is torch.strided and not value.is_meta and name:
            if len(name) > MAX_TENSOR_NAME:
                raise Refusal(
                    f"a name in it has {len(name):,} characters, and {MAX_TENSOR_NAME} is the most", code="MF060"
                )
            yield name, value.detach()
