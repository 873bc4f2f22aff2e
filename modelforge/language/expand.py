"""expand: a model section with `blocks`, sizes, conditions and counted copies → the same model written out.

Plain data in, plain data out. The layers of a block are checked afterwards like all others; a problem with them has its
place in the block. Nothing here knows a layer by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from modelforge.config.templates import fill, is_broken, is_template, names_of
from modelforge.core.complaints import in_words
from modelforge.core.errors import MAX_PROBLEMS, Problem, Refusal
from modelforge.core.limits import MAX_ARGUMENT_VALUES, MAX_DEPTH, MAX_LAYERS, MAX_PARTS
from modelforge.core.paths import join, last
from modelforge.core.quoting import quoted
from modelforge.core.suggestions import did_you_mean
from modelforge.language import registry
from modelforge.language.declarations import MISSING, MODEL_KEYS, alone, beside, misdeclared, unread
from modelforge.language.layer import LayerSpec

_DROPPED = object()


class Use(dict[str, Any]):
    """A use of a block, written out: the chain of its layers, and in `block` where they were declared."""


class Copies(dict[str, Any]):
    """Copies that differ by their number, written out in `copies`."""


class _Failed(Exception):
    """Raised where a part cannot be written out; the problem was noted."""


@dataclass(frozen=True)
class _Place:
    """Where an expansion stands: the override key, the arguments that hold there, and the blocks around it."""

    key: str
    arguments: Mapping[str, Any]
    blocks: tuple[str, ...] = ()
    depth: int = 0
    use: str = ""
    """The key of the use of the innermost block."""

    def at(self, *names: object) -> _Place:
        return replace(self, key=join(self.key, *names))


def expand(model: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Writes out a model section.

    Args:
        model: The section as plain data; `blocks`, `args`, `size` and `sizes` are used up.

    Returns:
        The section without them, and all problems; where there are any, what came out means nothing.

    >>> blocks = {"pair": {"args": {"width": "???"}, "layers": {
    ...     "up": {"type": "Linear", "out_features": '${calc:"2 * width"}'}, "act": "ReLU"}}}
    >>> model, _ = expand({"blocks": blocks, "layers": {"a": {"type": "pair", "width": 8}}})
    >>> model["layers"]["a"]["layers"]
    {'up': {'type': 'Linear', 'out_features': 16}, 'act': 'ReLU'}
    """
    if problems := list(dict.fromkeys(misdeclared(model))):
        return {}, problems
    expander = _Expander(model)
    return expander.model(), list(expander.problems)


@dataclass
class _Expander:
    section: Mapping[str, Any]
    problems: dict[Problem, None] = field(default_factory=dict)
    num_layers: int = 0
    _used: set[str] = field(default_factory=set[str])
    _dropped: set[str] = field(default_factory=set[str])

    def model(self) -> dict[str, Any]:
        self._blocks = {str(name): block for name, block in self.section.get("blocks", {}).items()}
        rest = {
            key: value for key, value in self.section.items() if key in MODEL_KEYS - {"blocks", "args", "size", "sizes"}
        }
        try:
            place = _Place("model", self._model_arguments())
            found = {
                key: self._layers(value, place.at(key)) if key == "layers" else self._filled(value, place.at(key))
                for key, value in rest.items()
            }
        except _Failed:
            return {}
        unused = *unread(self.section.get("args") or {}, rest), *alone(self._blocks, self._used)
        self.problems |= dict.fromkeys(unused)
        return found | ({"dropped": frozenset(self._dropped)} if self._dropped else {})

    def _model_arguments(self) -> dict[str, Any]:
        """The model's own arguments: `args`, of which a key beside it, or `sizes[size]`, gives those that are `???`."""
        declared, sizes = self.section.get("args") or {}, self.section.get("sizes") or {}
        # YAML reads 18 as a number where it is a key, and where it is chosen.
        chosen = {str(name): values for name, values in sizes.items()}.get(str(self.section.get("size")), {})
        given = {name: value for name, value in chosen.items() if declared[name] == MISSING}
        given |= beside(self.section, declared)
        return self._bound(declared, given, _Place("model", {}), "model.args", "the model")

    def _bound(
        self, declared: Mapping[str, Any], given: Mapping[str, Any], use: _Place, key: str, owner: str
    ) -> dict[str, Any]:
        """Values for all declared arguments; a default may read those before it."""
        bound: dict[str, Any] = {}
        failed: set[str] = set()
        for name, default in declared.items():
            missing = given.get(name, default) == MISSING
            value, at = default, _Place(f"{key}.{name}", bound, use=use.key)
            if name in given:
                value, at = given[name], use.at(name)
            if missing:
                self._note("MF018", use.key, f"{owner} needs the argument `{name}`", f"add `{name}: ...`", part="key")
            if missing or not failed.isdisjoint(names_of(value)):
                failed.add(name)
                continue
            try:
                bound[name] = self._filled(value, at)
            except _Failed:
                failed.add(name)
                continue
            if not _num_values(bound[name], MAX_ARGUMENT_VALUES):
                message = f"`{name}` of {owner} holds more than {MAX_ARGUMENT_VALUES:,} values"
                self._note("MF060", at.key, message)
                failed.add(name)
                continue
            free = is_template(default) or default == MISSING
            if name in given and not free and (kind := _other_kind(bound[name], default)):
                must = f"must be {kind}, like its default {quoted(default)}"
                message = f"`{name}` of {owner} {must}, but is {quoted(bound[name])}"
                self._note("MF018", at.key, message)
                failed.add(name)
        if failed:
            raise _Failed
        return bound

    # --- uses ---------------------------------------------------------------------------------------------------------

    def _layers(self, raw: Any, place: _Place) -> Any:
        if not isinstance(raw, Mapping):
            return self._filled(raw, place)
        found: dict[Any, Any] = {}
        failed = False
        for name, layer in raw.items():
            try:
                expanded = self._layer(layer, place.at(name))
            except _Failed:
                failed = True
                continue
            if expanded is not _DROPPED:
                found[name] = expanded
        if raw and not found and not failed:
            hint = "give what holds them the same `when`"
            self._note(
                "MF017", place.key, "all layers here are left out of the model, and one must stay", hint, part="key"
            )
            failed = True
        if failed:
            raise _Failed
        return found

    def _layer(self, raw: Any, place: _Place) -> Any:
        self.num_layers += 1
        if self.num_layers > MAX_LAYERS + 1:
            raise _Failed  # noted before
        if self.num_layers > MAX_LAYERS or place.depth > MAX_DEPTH:
            message = f"the model has more than {MAX_LAYERS:,} layers"
            if self.num_layers <= MAX_LAYERS:
                message = f"layers are nested more than {MAX_DEPTH} deep"
            self._note("MF060", place.key, message)
            raise _Failed
        if not isinstance(raw, Mapping):
            kind = self._filled(raw, place)
            return self._use({}, kind, place) if isinstance(kind, str) and kind in self._blocks else kind
        if "when" in raw and not self._holds(raw["when"], place.at("when")):
            self._dropped.add(last(place.key))
            return _DROPPED
        fields = {key: value for key, value in raw.items() if key != "when"}
        kind = self._filled(fields.get("type"), place.at("type"))
        if isinstance(kind, str) and kind in self._blocks:
            return self._use(fields, kind, place)
        spec = registry.get(kind).spec if isinstance(kind, str) and kind in registry.names() else LayerSpec
        if spec.counts and is_template(raw.get(spec.counts)) and not self._counted(raw, spec.counts, place):
            return _DROPPED
        if spec.counts and "index" in names_of([fields.get(name) for name in spec.holds_layers]):
            return self._copies(fields, spec, place)
        return self._fields(fields, spec, replace(place, depth=place.depth + 1))

    def _counted(self, raw: Mapping[str, Any], name: str, place: _Place) -> bool:
        """Whether a number of copies that was calculated leaves any."""
        count = self._filled(raw[name], place.at(name))
        if isinstance(count, int) and count < 0:
            used = [f"`{one}` is {place.arguments[one]}" for one in sorted(names_of(raw[name]))]
            hint = f"{' and '.join(used)}: choose another value"
            self._note("MF014", place.at(name).key, f"`{raw[name]}` is {count}, but must be 0 or more", hint)
            raise _Failed
        return count != 0

    def _fields(self, fields: Mapping[str, Any], spec: type[LayerSpec], place: _Place) -> dict[str, Any]:
        found: dict[str, Any] = {}
        failed = False
        for name, value in fields.items():
            try:
                if name in spec.holds_layers:
                    found[name] = self._layers(value, place.at(name))
                elif name in spec.holds_layer and value is not None:
                    layer = self._layer(value, place.at(name))
                    if layer is not _DROPPED:
                        found[name] = layer
                    elif spec.model_fields[name].default is not None:
                        self._note("MF017", place.at(name, "when").key, f"`{name}` cannot be dropped")
                        failed = True
                else:
                    found[name] = self._filled(value, place.at(name))
            except _Failed:
                failed = True
        if failed:
            raise _Failed
        return found

    def _use(self, fields: Mapping[str, Any], name: str, place: _Place) -> Use:
        if name in place.blocks:
            cycle = " → ".join(f"`{block}`" for block in (*place.blocks[place.blocks.index(name) :], name))
            self._note("MF017", place.key, f"a block cannot contain itself: {cycle}")
            raise _Failed
        self._used.add(name)
        block, key = self._blocks[name], f"model.blocks.{name}"
        declared = block.get("args", {})
        given = {key: value for key, value in fields.items() if key not in ("type", "inputs", "init")}
        unknown = [argument for argument in given if argument not in declared]
        for argument in unknown:
            message, hint = f"the block `{name}` has no argument `{argument}`", self._near(argument, declared)
            self._note("MF018", place.at(argument).key, message, hint or "it takes none", part="key")
        known = {argument: value for argument, value in given.items() if argument in declared}
        arguments = self._bound(declared, known, place, f"{key}.args", f"the block `{name}`")
        if unknown:
            raise _Failed
        inside = _Place(key, arguments, (*place.blocks, name), place.depth + 1, place.key)
        own = {"name": name, "arguments": arguments}
        if "init" in block:
            own["init"] = self._filled(block["init"], inside.at("init"))
        around = {key: self._filled(fields[key], place.at(key)) for key in ("inputs", "init") if key in fields}
        return Use(type="Sequential", **around, block=own, layers=self._layers(block["layers"], inside.at("layers")))

    def _copies(self, fields: Mapping[str, Any], spec: type[LayerSpec], place: _Place) -> Copies:
        assert spec.counts is not None
        times = self._filled(fields.get(spec.counts), place.at(spec.counts))
        others = {key: value for key, value in fields.items() if key not in spec.holds_layers}
        found = Copies(self._fields(others, spec, place))
        held = next(iter(spec.holds_layers))
        if not isinstance(times, int) or isinstance(times, bool) or times < 1:
            return Copies(found | {held: {}})  # the parser refuses it
        if times > MAX_PARTS["times"]:
            self._note("MF060", place.at(spec.counts).key, f"`{spec.counts}` may be {MAX_PARTS['times']:,} at most")
            raise _Failed
        inside = replace(place.at(held), depth=place.depth + 1)
        copies = {
            str(index): self._layers(fields[held], replace(inside, arguments={**place.arguments, "index": index}))
            for index in range(times)
        }
        return Copies(found | {held: copies["0"], "copies": copies})

    # --- values -------------------------------------------------------------------------------------------------------

    def _holds(self, raw: Any, place: _Place) -> bool:
        value = self._filled(raw, place)
        if not isinstance(value, bool):
            self._note("MF017", place.key, f"`when` must be true or false, but is {quoted(value)}")
            raise _Failed
        return value

    def _filled(self, raw: Any, place: _Place) -> Any:
        if isinstance(raw, Mapping):
            return {key: self._filled(value, place.at(key)) for key, value in raw.items()}
        if isinstance(raw, list | tuple):
            return [self._filled(value, place.at(index)) for index, value in enumerate(raw)]
        if is_broken(raw):
            hint = 'write `${arg:name}`, or `${calc:"2 * name"}` with the arithmetic in quotes'
            self._note("MF019", place.key, f"`{raw}` is not a complete template", hint)
            raise _Failed
        if not is_template(raw):
            return raw
        try:
            return fill(raw, place.arguments)
        except Refusal as failure:
            where = f" (where {place.use} uses it)" if place.key.startswith("model.blocks.") else ""
            self._note("MF019", place.key, f"{failure.reason}{where}", failure.hint)
            raise _Failed from None

    def _note(self, code: str, key: str, message: str, hint: str = "", part: Any = "value") -> None:
        self.problems[Problem(code, key, message, hint, part=part)] = None

    def _near(self, name: object, known: Iterable[object]) -> str:
        """A hint, unless there are more problems already than will be shown."""
        return did_you_mean(name, known) if len(self.problems) < MAX_PROBLEMS else ""


def _num_values(value: Any, most: int) -> int:
    """How many more than those in a value there may be; 0 where there are too many."""
    most -= 1
    inside = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for item in inside:
        if most <= 0:
            return 0
        most = _num_values(item, most)
    return max(most, 0)


def _other_kind(value: Any, default: Any) -> str:
    """What a value should be, if it is of another kind than the default."""
    for kind in (bool, int, float, str, list, Mapping):
        if isinstance(default, kind):
            right = isinstance(value, int | float if kind is float else kind)
            return "" if right and (kind is bool or not isinstance(value, bool)) else in_words(kind)
    return ""


def source_key(raw: Any, location: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of what stands at `location` in a section that was written out: its override key, from the section on, and where
    that lies in a block, the key of the use of the block."""
    key: tuple[str, ...] = ()
    use: tuple[str, ...] = ()
    rest = list(location)
    while rest:
        name = rest.pop(0)
        if isinstance(raw, Use) and (name == "layers" or (name == "block" and rest)):
            key, use = ("blocks", raw["block"]["name"], *(("layers",) if name == "layers" else ())), key
        elif isinstance(raw, Copies) and name == "copies" and rest:
            raw, name = raw[name], rest.pop(0)
            key = (*key, "layers")
        else:
            key = (*key, name)
        raw = raw.get(name) if isinstance(raw, Mapping) else None
    return key, use
