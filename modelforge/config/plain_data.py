"""plain_data: what a program of somebody's own has of its Hydra config → plain data."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from omegaconf import Container

from modelforge.config.composition import plain
from modelforge.config.references import Cycle, KeyPath, follow
from modelforge.config.resolve import resolve
from modelforge.core.errors import ForgeError, Problem


def plain_data(value: Any, sections: Collection[str] = ()) -> Any:
    """A node of OmegaConf as plain data; anything else as it is.

    Interpolations are resolved, those too that lead out of the node (`${data.num_outputs}` in `cfg.model`). Any
    resolver may be used: code that holds a node could call it as well. Templates of blocks (`${arg:width}`) stay.

    Args:
        value: The node.
        sections: Of a node with the key `model`, the keys that are read; whatever else it holds may be unfinished.

    Raises:
        ForgeError: with every mandatory value (`???`) that is not given and every interpolation that fails.

    >>> from omegaconf import OmegaConf
    >>> plain_data(OmegaConf.create({"size": 8, "net": {"input": {"shape": ["${size}"]}}}).net)
    {'input': {'shape': [8]}}
    """
    if not isinstance(value, Container):
        return value
    at: KeyPath = ()
    node: Any = value
    while (parent := node._get_parent()) is not None:
        at, node = (str(node._key()), *at), parent
    root = plain(node)
    own = follow(root, at, last=False).value
    if not (sections and isinstance(own, Mapping) and "model" in own):
        return _resolved(root, at)
    found = dict[str, Any]()
    problems: dict[Problem, None] = {}
    for name in [name for name in own if name in sections]:
        try:
            found[name] = _resolved(root, (*at, name))
        except ForgeError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ForgeError(problems)
    return found


def _resolved(root: Mapping[str, Any], at: KeyPath) -> Any:
    """What stands at `at`: of `model: ${net}` the section `net`, whose blocks have arguments then."""
    try:
        trail = follow(root, at)
    except Cycle:
        trail = None  # which `resolve` reports
    return resolve(root, is_given=lambda _: True, at=at if trail is None or trail.rest else trail.end)
