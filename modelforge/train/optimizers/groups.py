"""Parameter groups: which parameters share a learning rate and other settings, by role, path and depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from modelforge.core.errors import Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.paths import join, matches
from modelforge.core.quoting import listed, quoted
from modelforge.core.suggestions import did_you_mean
from modelforge.layers.register import ROLES
from modelforge.train.arguments import misuse

MAX_LISTED = 3
"""Parameters that one problem names."""


@dataclass(frozen=True, slots=True)
class Member:
    """A parameter, as far as its group depends on it."""

    path: str
    role: str | None
    names: tuple[str, ...] = ()
    """Its other names, where it is tied."""
    rate: float = 1.0
    """By what its initializer multiplies the learning rate."""

    def is_meant(self, key: str) -> bool:
        """Whether a role or a glob covers it."""
        return self.role == key if key in ROLES else any(matches(name, [key]) for name in (self.path, *self.names))


@dataclass(frozen=True, slots=True)
class Group:
    """What the parameters of one group have of their own."""

    name: str = "default"
    options: Mapping[str, Any] = FrozenDict()


@dataclass(frozen=True, slots=True)
class Grouping:
    """The rules by which parameters are grouped."""

    no_decay: tuple[str, ...] = ()
    """Roles without weight decay."""
    groups: Mapping[str, Mapping[str, Any]] = FrozenDict()
    """Settings by role or glob."""
    layer_decay: float | None = None
    """By what the learning rate is multiplied from each layer to the one before it."""

    def problems(self, members: Sequence[Member], path: str) -> Iterator[Problem]:
        """Groups that no parameter is in, and parameters that are in two.

        Args:
            members: The parameters that are trained.
            path: Override key of the groups.
        """
        seen: dict[str, str] = {}
        for key in self.groups:
            covered = [member.path for member in members if member.is_meant(key)]
            if not covered:
                known = dict.fromkeys(member.role for member in members if member.role)
                if key not in ROLES:
                    known |= dict.fromkeys(f"{unit}.*" for unit in units_of(member.path for member in members).values())
                what = "role" if key in ROLES else "path"
                message = f"no parameter that is trained has the {what} `{key}`"
                yield misuse(join(path, key), message, did_you_mean(key, known), part="key")
            for other in dict.fromkeys(seen[name] for name in covered if name in seen):
                both = [name for name in covered if seen.get(name) == other]
                message = f"`{other}` and `{key}` both cover {listed(both, MAX_LISTED, quote='`')}"
                yield misuse(join(path, key), message, "a parameter is in one group: narrow one of them", part="key")
            seen |= {name: key for name in covered if name not in seen}

    def assign(self, members: Sequence[Member], base: Mapping[str, Any], *, decays_by_rate: bool) -> dict[str, Group]:
        """The group of each parameter.

        Args:
            members: The parameters that are trained, in order.
            base: The optimizer's own `lr` and `weight_decay`.
            decays_by_rate: Whether a step takes lr · decay off each weight. What an initializer multiplies the rate by
                then divides the decay, which stays as asked.
        """
        factors = self._factors([member.path for member in members])
        units = units_of(member.path for member in members)
        groups: dict[tuple[Any, ...], Group] = {}
        found: dict[str, Group] = {}
        for member in members:
            key = next((key for key in self.groups if member.is_meant(key)), None)
            own = self.groups[key] if key is not None else {}
            bare = member.role in self.no_decay and "weight_decay" not in own
            unit = units[member.path] if self.layer_decay is not None else None
            kind = (key, unit, bare, member.rate)
            if kind not in groups:
                options = dict(own)
                if "weight_decay" in base and bare:
                    options["weight_decay"] = 0.0
                if (factor := member.rate * factors.get(member.path, 1.0)) != 1:
                    options["lr"] = own.get("lr", base["lr"]) * factor
                decay = options.get("weight_decay", base.get("weight_decay"))
                if decays_by_rate and member.rate != 1 and decay is not None:
                    options["weight_decay"] = decay / member.rate
                name = _name(key, unit, bare, member.rate)
                while any(group.name == name for group in groups.values()):  # a parameter may be called `default`
                    name += "'"
                groups[kind] = Group(name, FrozenDict(options))
            found[member.path] = groups[kind]
        return found

    def _factors(self, paths: Sequence[str]) -> dict[str, float]:
        """By what the learning rate of each parameter is multiplied for its depth."""
        if self.layer_decay is None:
            return {}
        units = units_of(paths)
        order = {unit: depth for depth, unit in enumerate(dict.fromkeys(units.values()))}
        return {path: self.layer_decay ** (len(order) - 1 - order[unit]) for path, unit in units.items()}


def units_of(paths: Iterable[str]) -> dict[str, str]:
    """The layer that each parameter belongs to where layers are counted: one of the model's own, or one copy of a
    `Repeat` or item of a list of modules, or one of the layers beside those.

    >>> [*units_of(["token.weight", "body.blocks.0.up.weight", "body.blocks.1.up.weight", "body.norm.bias"]).values()]
    ['token', 'body.blocks.0', 'body.blocks.1', 'body.norm']
    """
    modules = {path: path.split(".")[:-1] for path in paths}
    split: set[str] = set()
    for names in modules.values():
        number = next((index for index, name in enumerate(names) if name.isdigit()), 0)
        split |= {".".join(names[:length]) for length in range(number + 1)}
    return {path: _unit(names, split) for path, names in modules.items()}


def unknown_roles(keys: Iterable[tuple[str, Any]]) -> Iterator[Problem]:
    """The problems of a list of roles: each override key with what stands there, if that is not a role."""
    for key, role in keys:
        if role not in ROLES:
            hint = did_you_mean(str(role), ROLES) or f"there are {', '.join(ROLES)}"
            yield misuse(key, f"`no_decay` takes roles, but {quoted(role)} is not a role", hint)


def _unit(names: Sequence[str], split: set[str]) -> str:
    """The outermost module around a parameter that is not taken apart."""
    around = (".".join(names[:length]) for length in range(len(names) + 1))
    return next((module for module in around if module not in split), ".".join(names))


def _name(key: str | None, unit: str | None, bare: bool, rate: float) -> str:
    parts = (key, unit, "no_decay" if bare else None, f"lr x {rate}" if rate != 1 else None)
    return "/".join(part or "." for part in parts if part is not None) or "default"
