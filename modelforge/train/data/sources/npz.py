"""`Npz`: arrays that NumPy saved by name."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile

import numpy as np
from numpy.lib import format as npy

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.suggestions import did_you_mean
from modelforge.core.words import plural
from modelforge.train.data.files import check_size, existing, opened
from modelforge.train.data.parts import Array, Arrays, Examples
from modelforge.train.data.refusals import fault, refusal, setting, settings
from modelforge.train.data.registry import register_data
from modelforge.train.data.scale import Numbers
from modelforge.train.data.source import Bounded
from modelforge.train.data.table import Table, encoded_arrays, examples

UNREADABLE = (ValueError, BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error)


@register_data("npz")
class Npz(Bounded, Table):
    """One array of inputs, one example a row, of any shape; and one of targets."""

    reads: ClassVar = "path"

    path: str | None = None
    """The file, relative to the folder in which the run starts."""
    features: str = "x"
    """Name of the array of inputs."""
    target: str | None = "y"
    """Name of the array of targets; null for an autoencoder."""

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        named = f"`{self.path}`"
        try:
            inputs, targets = self._arrays(named)
        except OSError as error:
            if error.filename is not None:
                raise
            raise refusal("path", f"{named} cannot be read: it is damaged", "save it again") from None
        except UNREADABLE as error:
            ragged = "examples of several lengths are an array of objects, which are code: pad them to one shape"
            hint = ragged if "allow_pickle" in str(error) else ""
            raise refusal("path", f"{named} cannot be read: {error}", hint) from None
        problems = list(_wrong(self, inputs, targets, named))
        if any(problem.key != "data.input.shape" for problem in problems):
            raise ForgeError(problems)
        answers = targets
        if targets is not None and self.target_kind in ("number", "labels"):
            answers = Numbers(targets.reshape(len(targets), -1), str(self.target), "target")
        return examples(self, Numbers(inputs, self.features), answers, named, problems)

    def encode(self, raw: Any, fitted: Mapping[str, Any], *, labelled: bool = False) -> Arrays:
        """New arrays as the model takes them: see `Source.encode`.

        Args:
            raw: The array of inputs, or a mapping that names it as training did; with labels, the mapping names both.
            fitted: What training kept.
            labelled: Whether there are targets as well.

        Raises:
            ForgeError: an array is missing, or its examples have another shape.
        """
        return encoded_arrays(self, raw, fitted, (self.features, (self.target or "y") if labelled else None))

    def _arrays(self, named: str) -> tuple[Array, Array | None]:
        path = existing(self.path)
        target = None if self.target_kind == "input" else self.target
        asked = {"features": self.features} | ({"target": target} if target is not None else {})
        with opened(path, "path") as file:
            if file.read(len(npy.MAGIC_PREFIX)) == npy.MAGIC_PREFIX:
                raise refusal("path", f"{named} holds one array without a name", "save it with `numpy.savez`")
            with ZipFile(file) as archive:
                known = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
                if missing := {key: name for key, name in asked.items() if name not in known}:
                    guess = self._guess(archive, known) if target is not None and len(known) == 2 else ""
                    hints = {key: did_you_mean(name, known) + guess for key, name in missing.items()}
                    raise ForgeError(
                        fault(key, f"{named} has no array `{name}`", hints[key]) for key, name in missing.items()
                    )
                size = sum(_num_bytes(archive, name) for name in asked.values())
                check_size(size, self.max_bytes, f"unpacked, {named}")
                arrays = list[Array]()
                for name in asked.values():
                    with archive.open(f"{name}.npy") as unpacked:
                        arrays.append(npy.read_array(unpacked, allow_pickle=False))
        return arrays[0], arrays[1] if target is not None else None

    def _guess(self, archive: ZipFile, known: list[str]) -> str:
        """The hint that the larger of two arrays may hold the inputs."""
        features, target = sorted(known, key=lambda name: -_num_bytes(archive, name))  # of equal ones the first
        lines = [setting("features", features), setting("target", target)]
        try:
            self.model_copy(update={"features": features, "target": target}).read()
        except ForgeError as error:
            lines += settings(error.problems)
        return f"; if `{features}` holds the inputs: `{' '.join(lines)}`"


def _num_bytes(archive: ZipFile, name: str) -> int:
    """The size in memory of an array, from its header; nothing else is read.

    Raises:
        ValueError: the file holds another number of bytes.
    """
    facts = archive.getinfo(f"{name}.npy")
    if facts.compress_type not in (ZIP_STORED, ZIP_DEFLATED):
        raise ValueError(f"array `{name}` is compressed in a way that `numpy.savez` does not know")
    with archive.open(facts) as file:
        version = npy.read_magic(file)
        read_header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read_header(file)
        size = prod(shape) * max(dtype.itemsize, 1)
        stored = facts.file_size - file.tell()
    if not dtype.hasobject and (min(shape, default=0) < 0 or prod(shape) * dtype.itemsize != stored):
        raise ValueError(f"array `{name}` says that it has shape {shape}, but {stored:,} bytes of {dtype} follow")
    return size


def _wrong(source: Npz, inputs: Array, targets: Array | None, named: str) -> list[Problem]:
    problems: list[Problem] = []
    numeric = [("features", source.features, inputs)]
    if targets is not None and source.target_kind in ("number", "labels"):
        numeric.append(("target", str(source.target), targets))
    for key, name, array in numeric:
        if array.dtype.kind not in "biuf":
            kind = "holds complex numbers" if array.dtype.kind == "c" else f"holds {array.dtype}"
            hint = "save real and imaginary parts as numbers of their own" if array.dtype.kind == "c" else ""
            problems.append(fault(key, f"array `{name}` of {named} must hold numbers, but {kind}", hint))
            continue
        with np.errstate(over="ignore"):  # wider numbers may become infinite
            infinite = np.argwhere(~np.isfinite(array.astype(np.float64)))
        if array.ndim and len(infinite):
            row = int(infinite[0][0]) + 1
            message = f"array `{name}` of {named} has a value that is not finite in row {row}"
            problems.append(fault(key, message, "fill it in, or leave the row out"))
    if inputs.ndim == 0:
        problems.append(fault("features", f"array `{source.features}` of {named} is one value, not an example a row"))
    elif not len(inputs):
        problems.append(fault("features", f"array `{source.features}` of {named} has no rows"))
    elif inputs.shape[1:] != source.input.shape:
        message = f"an example of {named} has shape {inputs.shape[1:]}, but `shape` is {source.input.shape}"
        problems.append(fault("input.shape", message, f"write `{setting('input.shape', inputs.shape[1:])}`"))
    if inputs.ndim and targets is not None and targets.shape[:1] != inputs.shape[:1]:
        number = plural(len(targets) if targets.ndim else 1, "target")
        problems.append(fault("target", f"{named} has {plural(len(inputs), 'example')}, but {number}"))
    return problems
