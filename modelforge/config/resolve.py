"""From the composed config to plain values: every interpolation resolved, or every problem with them at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

from omegaconf import Container, DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from omegaconf.grammar_parser import parse
from omegaconf.grammar_visitor import GrammarVisitor

from modelforge.config.references import (
    REFERENCE,
    Cycle,
    KeyPath,
    LongTrail,
    Trail,
    absolute,
    follow,
    is_interpolation,
    keys_named,
    reference,
    references,
    split,
)
from modelforge.config.templates import is_template
from modelforge.config.trust import RESOLVERS
from modelforge.core.errors import MAX_PROBLEMS, ForgeError, Problem
from modelforge.core.limits import MAX_JUMPS, MAX_RESOLVED
from modelforge.core.suggestions import did_you_mean

_MISSING = "???"
_FAILED = object()


class _Open(Exception):
    """The value depends on what only a run knows (`${hydra:runtime.output_dir}`)."""


class _Broken(Exception):
    """A part of the text cannot be resolved; what is wrong with it is noted."""


def resolve(
    config: Mapping[str, Any],
    runtime: Mapping[str, Any] | None = None,
    is_given: Callable[[KeyPath], bool] = lambda _: False,
    outside: dict[str, str] | None = None,
    moment: datetime | None = None,
    at: KeyPath = (),
) -> Any:
    """The config with all interpolations resolved, as plain data.

    What depends on a running job, `${hydra:...}`, stays as it is written where it is not known.

    Args:
        config: the composed config, as plain data with its interpolations as text.
        runtime: Hydra's own part of the composed config; None inside a run, where `${hydra:...}` knows itself.
        is_given: whether the value at a path was given by an override, which may use any resolver.
        outside: takes in what came from outside the config, such as from the environment → how it was asked for.
        moment: what `${now:...}` gives; None for the time.
        at: the part to resolve, which is then a model or an init block; by default all, with the model under `model`.

    Raises:
        ForgeError: with every mandatory value (`???`) that is not given and every interpolation that fails. Their
            places are not filled in.

    >>> resolve({"width": 8, "layer": {"in": "${width}", "name": "w${..width}"}})
    {'width': 8, 'layer': {'in': 8, 'name': 'w8'}}
    """
    resolver = _Resolver(config, runtime, is_given, moment, at or ("model",))
    if outside is not None:
        resolver.outside = outside
    try:
        values = resolver.value(at, follow(config, at, last=False).value)
    except RecursionError:
        raise ForgeError([Problem("MF003", "", "interpolations are nested too deeply")]) from None
    if resolver.problems:
        raise ForgeError(resolver.problems.values())
    return values


class _Resolver:
    def __init__(
        self,
        config: Mapping[str, Any],
        runtime: Mapping[str, Any] | None,
        is_given: Callable[[KeyPath], bool],
        moment: datetime | None,
        model: KeyPath,
    ) -> None:
        self.model = model
        self.config = config
        self.runtime = runtime
        self.whole = config if runtime is None else {**config, "hydra": runtime}
        self.is_given = is_given
        self.moment = moment
        self.outside: dict[str, str] = {}
        self.problems: dict[KeyPath, Problem] = {}
        self.texts: dict[KeyPath, Any] = {}
        self.trees: dict[str, Any] = {}
        self.ends: dict[KeyPath, KeyPath] = {}
        self.open: list[KeyPath] = []
        self.expanded = 0

    @cached_property
    def nodes(self) -> DictConfig:
        """OmegaConf's view, for resolvers that others registered."""
        return OmegaConf.create(dict(self.whole), flags={"allow_objects": True})

    def value(self, at: KeyPath, written: Any) -> Any:
        """The resolved value that stands at `at`; what is wrong with it is noted."""
        if self.open:
            self._count(1)
        if isinstance(written, Mapping):
            return {name: self.value((*at, name), item) for name, item in written.items()}
        if isinstance(written, list):
            return [self.value((*at, str(index)), item) for index, item in enumerate(written)]
        if not is_interpolation(written):
            if written == _MISSING and at[0] == "hydra":
                raise _Open
            if written == _MISSING and not self._is_argument(at):
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
            return self._copy(self.texts[at])
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
        self.texts[at] = value
        return value

    def _copy(self, value: Any) -> Any:
        """A value that was made before: what refers to the same does not share it."""
        if isinstance(value, dict):
            self._count(len(value))
            return {name: self._copy(item) for name, item in value.items()}
        if isinstance(value, list):
            self._count(len(value))
            return [self._copy(item) for item in value]
        return value

    def _template(self, at: KeyPath, written: str) -> Any:
        """A text with arguments of a block or model is kept for later; only its references are filled in."""
        if at[: len(self.model)] != self.model:
            message = f"`{written}` stands for an argument, and only blocks of the model have arguments"
            self._note(at, "MF003", message)
            return _FAILED
        text = written
        for target, found in zip(references(written, at), REFERENCE.finditer(written), strict=True):
            try:
                value = self._found(at, written, target)
            except _Broken:
                return _FAILED
            text = text.replace(found[0], str(value))
        return text

    def _refer(self, at: KeyPath, written: str, target: KeyPath) -> Any:
        """A value that is nothing but a reference: whatever stands there, of any type."""
        trail = self._follow(target)
        if trail.rest:
            if target[0] == "hydra" and self.runtime is not None:
                raise _Open
            self._note_dead_end(at, written, trail)
            return _FAILED
        if at[: len(trail.end)] == trail.end:
            message = f"`{written}` refers to `{'.'.join(trail.end)}`, which it is part of"
            self._note(at, "MF003", message if trail.end else f"`{written}` refers to the whole config")
            return _FAILED
        if is_interpolation(trail.value):
            value = self._interpolation(trail.end, trail.value, trail.jumps)
        else:
            value = self.value(trail.end, trail.value)
        # Only now: a cycle behind it names every reference on the way.
        self.ends |= dict.fromkeys(trail.whole, trail.end)
        return value

    def _follow(self, target: KeyPath) -> Trail:
        return follow(self.whole, target, ends=self.ends)

    def _text(self, at: KeyPath, written: str) -> Any:
        """A text around references, or one of OmegaConf's resolvers, read by OmegaConf's grammar."""
        try:
            if written not in self.trees:
                self.trees[written] = parse(written)
            return self._read(at, self.trees[written])
        except _Broken:
            return _FAILED
        except OmegaConfBaseException as error:
            self._note(at, "MF003", f"`{written}` cannot be resolved: {str(error).splitlines()[0]}")
        return _FAILED

    def _read(self, at: KeyPath, tree: Any) -> Any:
        def refer(key: str, memo: object) -> Any:
            return self._found(at, f"${{{key}}}", absolute(key, at))

        def call(name: str, args: tuple[Any, ...], args_str: tuple[str, ...]) -> Any:
            return self._call(at, name, args, args_str)

        value: Any = GrammarVisitor(refer, call, None).visit(tree)
        if isinstance(value, str):
            self._count(len(value))
        return value

    def _found(self, at: KeyPath, written: str, target: KeyPath) -> Any:
        """The value at `target`, for a text that needs it."""
        trail = self._follow(target)
        if trail.rest:
            if target[:1] == ("hydra",) and self.runtime is not None:
                raise _Open
            self._note_dead_end(at, written, trail)
            raise _Broken
        if is_interpolation(trail.value):
            value = self._interpolation(trail.end, trail.value, trail.jumps)
        else:
            value = self._refer(at, written, target)
        if value is _FAILED:
            raise _Broken
        return value

    def _call(self, at: KeyPath, name: str, args: tuple[Any, ...], args_str: tuple[str, ...]) -> Any:
        """What a resolver gives: ours of plain values, which are counted, others only where a person wrote them."""
        written = f"${{{name}:{','.join(args_str)}}}"
        key = args[0] if args and isinstance(args[0], str) else ""
        if name == "hydra" and self.runtime is not None:
            return self._found(at, written, ("hydra", *split(key)))
        if name == "oc.select" and key and len(args) <= 2:
            target = follow(self.whole, absolute(key, at))
            if target.rest or target.value in (None, _MISSING):
                return args[1] if len(args) == 2 else None
            return self._found(at, written, absolute(key, at))
        if name in ("oc.dict.keys", "oc.dict.values") and key and len(args) == 1:
            found = self._found(at, written, absolute(key, at))
            if isinstance(found, dict):
                return list(found) if name == "oc.dict.keys" else list(found.values())
            self._note(at, "MF003", f"`{written}` takes a mapping, but `{key}` is none")
            raise _Broken
        if name == "oc.create" and len(args) == 1 and isinstance(args[0], dict | list):
            return args[0]
        if name == "oc.decode" and key and len(args) == 1:
            return self._read(at, parse(key, parser_rule="singleElement", lexer_mode="VALUE_MODE"))
        return self._registered(at, name, written, args, args_str)

    def _registered(
        self, at: KeyPath, name: str, written: str, args: tuple[Any, ...], args_str: tuple[str, ...]
    ) -> Any:
        resolver = OmegaConf._get_resolver(name)
        if resolver is None:
            self._note(at, "MF003", f"`{written}` cannot be resolved: there is no resolver `{name}`")
            raise _Broken
        outward = name not in RESOLVERS
        if outward and not self.is_given(at):
            self._note(at, "MF005", f"the resolver `{name}` may reach outside, and a config file is data")
            raise _Broken
        parent, own = self._node(at)
        try:
            if name == "now" and self.moment is not None:
                value = self.moment.strftime(*args)
            else:
                value = resolver(self.nodes, parent, parent._get_node(own), args, args_str)
        except Exception as error:  # a resolver is anybody's code
            said = str(error).strip("\"'") if name == "oc.env" or not outward else f"it raised {type(error).__name__}"
            self._note(at, "MF003", f"`{written}` cannot be resolved: {said.splitlines()[0] if said else name}")
            raise _Broken from None
        value = OmegaConf.to_container(value, resolve=True) if isinstance(value, Container) else value
        if outward and isinstance(value, str):
            self.outside[value] = written
        return value

    def _node(self, at: KeyPath) -> tuple[Any, Any]:
        """OmegaConf's container that holds the value at `at`, and its name there."""
        node: Any = self.nodes
        for name in at[:-1]:
            node = node._get_node(name if OmegaConf.is_dict(node) else int(name))
        return node, at[-1] if OmegaConf.is_dict(node) else int(at[-1])

    def _is_argument(self, at: KeyPath) -> bool:
        """Whether this declares an argument of a block, or of the model: what uses it gives the value."""
        return at[: len(self.model)] == self.model and at[-2:-1] == ("args",)

    def _count(self, size: int) -> None:
        self.expanded += size
        if self.expanded > MAX_RESOLVED:
            message = f"interpolations make more than {MAX_RESOLVED:,} values"
            raise ForgeError([Problem("MF060", ".".join(self.open[0]), message)])

    def _note(self, at: KeyPath, code: str, message: str, hint: str = "") -> None:
        self.problems.setdefault(at, Problem(code, ".".join(at), message, hint))

    def _note_cycle(self, cycle: Cycle) -> None:
        if isinstance(cycle, LongTrail):
            message = f"more than {MAX_JUMPS} interpolations lead into values that are interpolations themselves"
            self._note(cycle.paths[0], "MF060", message, "refer to where the value itself stands")
            return
        self.texts |= dict.fromkeys(cycle.paths, _FAILED)
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
            # Whatever comes after the problems that are shown needs no hint: each takes a search.
            hint = did_you_mean(name, trail.value) if len(self.problems) < MAX_PROBLEMS else ""
            if len(self.problems) < MAX_PROBLEMS and not hint.endswith("?"):
                hint = _elsewhere(trail.rest[-1], self.config) or hint
        elif isinstance(trail.value, list):
            fact = f"`{end}` is a list of {len(trail.value)} and has no item `{name}`"
        elif trail.value == _MISSING:
            self.value(trail.end, trail.value)
            return
        else:
            fact = f"`{end}` is `{trail.value}` and has no keys"
        self._note(at, "MF003", f"`{written}` leads nowhere: {fact}", hint)


def _elsewhere(name: str, config: Any) -> str:
    """A hint at keys of this name in other places."""
    found = keys_named(name, config)
    return f"did you mean {' or '.join(f'`{key}`' for key in found)}?" if 0 < len(found) <= 3 else ""
