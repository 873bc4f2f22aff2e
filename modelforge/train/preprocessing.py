"""What was fitted to the training data, in a run folder: JSON, and safetensors beside it for larger arrays."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.files import write_atomically
from modelforge.core.limits import MAX_CONFIG_BYTES
from modelforge.core.quoting import sentence
from modelforge.core.regular_files import read_bytes, read_text
from modelforge.train.data.source import Source

FILE = "preprocessing.json"
ARRAYS = "preprocessing.safetensors"
ARRAY_KEY = "$array"
"""The key of what stands in the JSON for an array: its name in the other file."""
CHECKSUM = "checksum"
"""The key of the SHA-256 of everything else in both files."""
MAX_BYTES = 64 * MAX_CONFIG_BYTES
MAX_ARRAY_BYTES = 16 * 2**30
"""Of the arrays: rows of the parts take 4 bytes each."""


def write_preprocessing(folder: Path, source: Source, fitted: Mapping[str, Any]) -> None:
    """Keeps the `data` section and what was fitted; arrays go to `preprocessing.safetensors`.

    Raises:
        ForgeError: the folder cannot be written.
        TypeError: something in `fitted` is neither plain data nor an array.
    """
    arrays: dict[str, np.ndarray] = {}
    plain = _without_arrays({"data": source.model_dump(mode="json"), **fitted}, arrays)
    packed = save(arrays) if arrays else b""
    if packed:
        write_atomically(folder / ARRAYS, packed)
    plain = json.loads(json.dumps(plain))
    write_atomically(folder / FILE, json.dumps(plain | {CHECKSUM: _checksum(plain, packed)}, indent=2) + "\n")


def read_preprocessing(folder: Path) -> dict[str, Any]:
    """The `data` section under `data`, and everything that was fitted.

    Raises:
        ForgeError: the files are not there, or damaged.
    """
    try:
        plain = json.loads(read_text(folder / FILE, MAX_BYTES))
        packed = read_bytes(folder / ARRAYS, MAX_ARRAY_BYTES) if (folder / ARRAYS).exists() else b""
        if not isinstance(plain, dict) or not isinstance(plain.get("data"), dict):
            raise ValueError("it has no `data` section")
        checksum = plain.pop(CHECKSUM, None)  # runs of older versions have none
        if checksum is not None and checksum != _checksum(plain, packed):
            raise ValueError("it was changed after the run wrote it")
        found = _with_arrays(plain, load(packed) if packed else {})
    except (OSError, ValueError, LookupError, RecursionError, SafetensorError) as error:
        message = f"`{folder}` has no preprocessing that can be read: {sentence(error)}"
        hint = "a run keeps it in preprocessing.json before it trains"
        raise ForgeError([Problem("MF151", str(folder / FILE), message, hint)]) from error
    return found


def _checksum(plain: Mapping[str, Any], packed: bytes) -> str:
    found = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    found.update(packed)
    return found.hexdigest()


def _without_arrays(value: Any, arrays: dict[str, np.ndarray], key: str = "") -> Any:
    if isinstance(value, np.ndarray):
        small = value.dtype == np.int64 and value.size and value.min() >= 0 and value.max() < 2**32
        arrays[key] = np.ascontiguousarray(value, np.uint32 if small else None)
        return {ARRAY_KEY: key}
    if isinstance(value, Mapping):
        return {str(name): _without_arrays(one, arrays, f"{key}.{name}".lstrip(".")) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_without_arrays(one, arrays, f"{key}.{index}") for index, one in enumerate(value)]
    return value.item() if isinstance(value, np.generic) else value


def _with_arrays(value: Any, arrays: Mapping[str, np.ndarray]) -> Any:
    if isinstance(value, dict):
        if set(value) == {ARRAY_KEY}:
            array = arrays[value[ARRAY_KEY]]
            return array.astype(np.int64) if array.dtype == np.uint32 else array
        return {name: _with_arrays(one, arrays) for name, one in value.items()}
    return [_with_arrays(one, arrays) for one in value] if isinstance(value, list) else value
