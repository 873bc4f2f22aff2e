"""From the composed config to plain values: every interpolation resolved, or every problem with them at once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException, UnsupportedInterpolationType

from modelforge.config.references import (
    REFERENCE,
    Cycle,
    KeyPath,
    Trail,
    follow,
    is_interpolation,
    keys_named,
    reference,
    references,
)
from modelforge.config.templates import is_template
from modelforge.errors import ForgeError, Problem, did_you_mean

MAX_EXPANDED = 100_000
"""How many values, or characters of one text, interpolations may make: `${a}${a}` twenty times over is a million."""

_MISSING = "???"
_HYDRA = re.compile(r"\$\{hydra:([\w.]+)\}")
_FAILED = object()


class _Open(Exception):
    """The value depends on what only a run knows (`${hydra:runtime.output_dir}`)."""


def resolve(config: Mapping[str, Any], runtime: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The config with all interpolations resolved, as plain data.

    What depends on a running job, `${hydra:...}`, stays as it is written where it is not known.

    Args:
        config: the composed config, as plain data with its interpolations as text.
        runtime: Hydra's own part of the composed config; None inside a run, where `${hydra:...}` knows itself.

    Raises:
        ForgeError: with every mandatory value (`???`) that is not given and every interpolation that fails. Their
            places are not filled in.

    >>> resolve({"width": 8, "layer": {"in": "${width}", "name": "w${..width}"}})
    {'width': 8, 'layer': {'in': 8, 'name': 'w8'}}
    """
    resolver = _Resolver(config, runtime)
    try:
        values = resolver.value((), config)
    except RecursionError:
        raise ForgeError([Problem("MF003", "", "interpolations are nested too deeply")]) from None
    if resolver.problems:
        raise ForgeError(resolver.problems.values())
    return values


class _Resolver:
    def __init__(self, config: Mapping[str, Any], runtime: Mapping[str, Any] | None) -> None:
        self.config = config
        self.runtime = runtime
        self.problems: dict[KeyPath, Problem] = {}
        self.texts: dict[KeyPath, Any] = {}
        self.open: list[KeyPath] = []
        self.expanded = 0

    @cached_property
    def nodes(self) -> DictConfig:
        """OmegaConf's view, for texts around references and for its resolvers."""
        content = dict(self.config) if self.runtime is None else {**self.config, "hydra": self.runtime}
        return OmegaConf.create(content, flags={"allow_objects": True})

    def value(self, at: KeyPath, written: Any) -> Any:
        """The resolved value that stands at `at`; what is wrong with it is noted."""
        if self.open:
            self._count(1)
        if isinstance(written, Mapping):
            return {name: self.value((*at, name), item) for name, item in written.items()}
        if isinstance(written, list):
            return [self.value((*at, str(index)), item) for index, item in enumerate(written)]
        if not is_interpolation(written):
            if isinstance(written, str) and written == _MISSING and not _is_argument(at):
                self._note(at, "MF011", f"`{'.'.join(at)}` must be given", f"as an override: `{'.'.join(at)}=...`")
                return _FAILED
            return written
        try:
            return self._interpolation(at, written)
        except _Open:
            return written

    def _interpolation(self, at: KeyPath, written: str, jumps: Sequence[KeyPath] = ()) -> Any:
        if at in self.open:
            raise Cycle([*self.open[self.open.index(at) :], *jumps])
        if at in self.texts:
            return self.texts[at]
        num_open = len(self.open)
        self.open += [*jumps, at]
        try:
            if is_template(written):
                return self._template(at, written)
            target = reference(written, at)
            value = self._refer(at, written, target) if target is not None else self._text(at, written)
        except Cycle as cycle:
            self._note_cycle(cycle)
            value = _FAILED
        finally:
            del self.open[num_open:]
        if not isinstance(value, dict | list):
            self.texts[at] = value
        return value

    def _template(self, at: KeyPath, written: str) -> Any:
        """A text that stands for arguments stays, for whoever knows them; references in it are filled in."""
        if at[0] != "model":
            message = f"`{written}` stands for an argument, and only blocks of the model have arguments"
            self._note(at, "MF003", message)
            return _FAILED
        text = written
        for target, found in zip(references(written, at), REFERENCE.finditer(written), strict=True):
            trail = follow(self.config, target)
            if trail.rest:
                self._note_dead_end(at, written, trail)
                return _FAILED
            value = self._needed(trail)
            if value is _FAILED:
                return _FAILED
            text = text.replace(found[0], str(value))
        return text

    def _refer(self, at: KeyPath, written: str, target: KeyPath) -> Any:
        """A value that is nothing but a reference: whatever stands there, of any type."""
        trail = follow(self.config, target)
        if trail.rest:
            if target[0] == "hydra" and self.runtime is not None:
                return self._text(at, written)
            self._note_dead_end(at, written, trail)
            return _FAILED
        if at[: len(trail.end)] == trail.end:
            message = f"`{written}` refers to `{'.'.join(trail.end)}`, which it is part of"
            self._note(at, "MF003", message if trail.end else f"`{written}` refers to the whole config")
            return _FAILED
        if is_interpolation(trail.value):
            return self._interpolation(trail.end, trail.value, trail.jumps)
        return self.value(trail.end, trail.value)

    def _text(self, at: KeyPath, written: str) -> Any:
        """A text around references, or one of OmegaConf's resolvers: what it needs first, then OmegaConf."""
        for target in references(written, at):
            trail = follow(self.config, target)
            if trail.rest and not (target[0] == "hydra" and self.runtime is not None):
                self._note_dead_end(at, written, trail)
                return _FAILED
            if not trail.rest and self._needed(trail) is _FAILED:
                return _FAILED
        text = written if self.runtime is None else _HYDRA.sub(r"${hydra.\1}", written)
        parent, name = self._node(at)
        try:
            if text != written:
                parent[name] = text
            value = parent[name]
        except OmegaConfBaseException as error:
            if "${hydra" in text:
                raise _Open from None
            self._note(at, "MF003", f"`{written}` cannot be resolved: {_reason(error)}")
            return _FAILED
        if isinstance(value, Container):
            return self._container(at, written, value)
        if isinstance(value, str):
            self._count(len(value))
        if isinstance(value, str | int | float | bool) and not is_interpolation(value) and value != _MISSING:
            # So that a chain of texts is made once, not once for every way that leads to it.
            parent[name] = value
        return value

    def _needed(self, trail: Trail) -> Any:
        """The value of what a text refers to, where it is a single one."""
        if isinstance(trail.value, Mapping | list):
            return None
        if is_interpolation(trail.value):
            return self._interpolation(trail.end, trail.value, trail.jumps)
        return self.value(trail.end, trail.value)

    def _container(self, at: KeyPath, written: str, value: Container) -> Any:
        try:
            return OmegaConf.to_container(value, resolve=True, throw_on_missing=True)
        except OmegaConfBaseException as error:
            self._note(at, "MF003", f"`{written}` cannot be resolved: {_reason(error)}")
            return _FAILED

    def _node(self, at: KeyPath) -> tuple[Any, Any]:
        """OmegaConf's container that holds the value at `at`, and its name there."""
        node: Any = self.nodes
        for name in at[:-1]:
            node = node._get_node(name if OmegaConf.is_dict(node) else int(name))
        return node, at[-1] if OmegaConf.is_dict(node) else int(at[-1])

    def _count(self, size: int) -> None:
        self.expanded += size
        if self.expanded > MAX_EXPANDED:
            message = f"interpolations make more than {MAX_EXPANDED:,} values"
            raise ForgeError([Problem("MF060", ".".join(self.open[0]), message)])

    def _note(self, at: KeyPath, code: str, message: str, hint: str = "") -> None:
        self.problems.setdefault(at, Problem(code, ".".join(at), message, hint))

    def _note_cycle(self, cycle: Cycle) -> None:
        first = cycle.paths.index(min(cycle.paths))
        names = [".".join(path) for path in cycle.paths[first:] + cycle.paths[:first]]
        chain = " → ".join(f"`{name}`" for name in [*names, names[0]])
        self._note(min(cycle.paths), "MF003", f"interpolations that lead back to themselves: {chain}")

    def _note_dead_end(self, at: KeyPath, written: str, trail: Trail) -> None:
        if any(follow(self.config, jump).rest for jump in trail.jumps):
            # A reference on the way is broken, and noted where it stands.
            return
        name, end = trail.rest[0], ".".join(trail.end)
        hint = ""
        if isinstance(trail.value, Mapping):
            fact = f"`{end}` has no key `{name}`" if end else f"there is no key `{name}`"
            hint = did_you_mean(name, trail.value)
            if not hint.endswith("?"):
                hint = _elsewhere(trail.rest[-1], self.config) or hint
        elif isinstance(trail.value, list):
            fact = f"`{end}` is a list of {len(trail.value)} and has no item `{name}`"
        elif trail.value == _MISSING:
            self.value(trail.end, trail.value)
            return
        else:
            fact = f"`{end}` is `{trail.value}` and has no keys"
        self._note(at, "MF003", f"`{written}` leads nowhere: {fact}", hint)


def _is_argument(at: KeyPath) -> bool:
    """Whether this declares an argument of a block, or of the model: what uses it gives the value."""
    return at[:1] == ("model",) and at[-2:-1] == ("args",)


def _elsewhere(name: str, config: Any) -> str:
    """A hint at keys of this name in other places."""
    found = keys_named(name, config)
    return f"did you mean {' or '.join(f'`{key}`' for key in found)}?" if 0 < len(found) <= 3 else ""


def _reason(error: OmegaConfBaseException) -> str:
    """What went wrong, without OmegaConf's account of where."""
    if isinstance(error, UnsupportedInterpolationType):
        return f"there is no resolver `{str(error).splitlines()[0].rsplit(maxsplit=1)[-1]}`"
    text = str(error).splitlines()[0]
    return text.partition(" raised while resolving interpolation: ")[2].strip('"') or text
