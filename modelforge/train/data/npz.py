"""`Npz`: arrays that NumPy saved by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal
from zipfile import BadZipFile

import numpy as np

from modelforge.errors import ForgeError, Problem, did_you_mean
from modelforge.train.data.files import existing
from modelforge.train.data.parts import Array, Examples
from modelforge.train.data.refusals import fault, refusal
from modelforge.train.data.table import Table, examples


class Npz(Table):
    """One array of inputs, one example a row, of any shape; and one of targets."""

    reads: ClassVar = "path"

    type: Literal["npz"]
    path: str | None = None
    """The file, from the folder that the run starts in."""
    features: str = "x"
    """Name of the array of inputs."""
    target: str | None = "y"
    """Name of the array of targets; null for an autoencoder."""

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        path = existing(self.path)
        named = f"`{self.path}`"
        try:
            with np.load(path, allow_pickle=False) as file:
                if not isinstance(file, Mapping):
                    raise refusal("path", f"{named} holds one array without a name", "save it with `numpy.savez`")
                inputs, targets = self._arrays(file, named)
        except (ValueError, BadZipFile, EOFError) as error:
            raise refusal(
                "path", f"{named} cannot be read: {error}", "pickled objects are code, and not read"
            ) from None
        if problems := list(_wrong(self, inputs, targets, named)):
            raise ForgeError(problems)
        return examples(self, inputs, targets, named)

    def _arrays(self, file: Mapping[str, Array], named: str) -> tuple[Array, Array | None]:
        target = None if self.task == "autoencoding" else self.target
        asked = {"features": self.features} | ({"target": target} if target is not None else {})
        if missing := {key: name for key, name in asked.items() if name not in file}:
            raise ForgeError(
                fault(key, f"{named} has no array `{name}`", did_you_mean(name, file)) for key, name in missing.items()
            )
        return file[self.features], None if target is None else file[target]


def _wrong(source: Npz, inputs: Array, targets: Array | None, named: str) -> list[Problem]:
    problems: list[Problem] = []
    numeric = [("features", source.features, inputs)]
    if targets is not None and source.task == "regression":
        numeric.append(("target", str(source.target), targets))
    for key, name, array in numeric:
        if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool):
            problems.append(fault(key, f"array `{name}` of {named} must hold numbers, but holds {array.dtype}"))
        elif not np.isfinite(array).all():
            row = int(np.argwhere(~np.isfinite(array))[0][0])
            problems.append(fault(key, f"array `{name}` of {named} has a value that is not finite in row {row}"))
    if inputs.ndim == 0 or inputs.shape[1:] != source.input.shape:
        sizes = ",".join(map(str, inputs.shape[1:]))
        message = f"an example of {named} has shape {inputs.shape[1:]}, but `shape` is {source.input.shape}"
        problems.append(fault("input.shape", message, f"write `data.input.shape=[{sizes}]`"))
    if targets is not None and targets.shape[:1] != inputs.shape[:1]:
        message = f"{named} has {len(inputs)} examples, but {len(targets) if targets.ndim else 1} targets"
        problems.append(fault("target", message))
    return problems
