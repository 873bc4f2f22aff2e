"""`${mf.folder_name:...}`: the name of a folder for one job of a sweep."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from omegaconf import OmegaConf

FOLDER_NAME = "mf.folder_name"
MAX_NAME = 255
"""Bytes in a name that common file systems take."""
_LENGTH = 200
"""Bytes that are kept: files beside the folder have longer names."""


def folder_name(*parts: Any) -> str:
    """The parts, joined by commas, as one name: what would be a path or too long is replaced, and stays unique.

    Example:
        >>> folder_name(3, "init.gain=0.5,model=mlp")
        '3,init.gain=0.5,model=mlp'
        >>> folder_name(3, "data.path=../iris.csv")
        '3,data.path=.._iris.csv,9b097b3c'
    """
    name = ",".join(str(part) for part in parts if str(part))
    short = "".join("_" if character in "/\\" or not character.isprintable() else character for character in name)
    encoded = short.encode("utf-8", "replace")
    if short == name and len(encoded) <= _LENGTH:
        return name
    digest = sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{encoded[:_LENGTH].decode('utf-8', 'ignore')},{digest}"


OmegaConf.register_new_resolver(FOLDER_NAME, folder_name, replace=True)
