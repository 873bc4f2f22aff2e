"""`InitSpec`: an `init:` block as declared. A scheme with its fields, and blocks for roles, types and parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, SkipValidation, ValidationError, model_serializer
from pydantic_core import InitErrorDetails

from modelforge.core.complaints import LazyHint, Location, Part, relocated, wrong
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.limits import MAX_RULES
from modelforge.core.quoting import quoted
from modelforge.core.suggestions import did_you_mean
from modelforge.inits import registry
from modelforge.inits.base import Initializer

Role = Literal["weight", "recurrent", "bias", "embedding", "scale"]
NAMED_ROLES: tuple[str, ...] = tuple(role for role in get_args(Role) if role != "weight")
SECTIONS = (*NAMED_ROLES, "types", "params")
Blocks = Annotated[dict[str, "InitSpec"], AfterValidator(FrozenDict)]


class InitSpec(Node):
    """One `init:` block: with a `scheme` it replaces what it inherits, without one it refines it field by field."""

    scheme: str | None = None
    """Which initializer, by registry name."""
    fields: Annotated[dict[str, Any], AfterValidator(FrozenDict)] = FrozenDict()
    """The scheme's own fields, flat in YAML: `gain`, `mode`, `distribution`, `std`, ..."""
    matrices: int | tuple[int, ...] | None = None
    """Below `params`: of how many equal matrices one below the other the parameter is made, or the rows of each."""
    roles: Blocks = FrozenDict()
    """Blocks for `bias`, `recurrent`, `embedding` and `scale` parameters, flat in YAML."""
    types: Blocks = FrozenDict()
    """Blocks for every layer of a class below here."""
    params: Blocks = FrozenDict()
    """Blocks for parameters below here, by name or glob."""
    initializer: SkipValidation[Initializer | None] = None
    """The scheme with its fields, validated; None for a block that refines."""

    @property
    def is_rule(self) -> bool:
        """Whether the block has a scheme or a field of its own, apart from its sections."""
        return self.scheme is not None or bool(self.fields)

    @model_serializer
    def _to_flat(self) -> dict[str, Any]:
        flat: dict[str, Any] = {} if self.scheme is None else {"scheme": self.scheme}
        flat |= dict(self.fields)
        if self.matrices is not None:
            flat["matrices"] = self.matrices if isinstance(self.matrices, int) else list(self.matrices)
        flat |= {role: block.model_dump() for role, block in self.roles.items()}
        for section in ("types", "params"):
            if blocks := getattr(self, section):
                flat[section] = {name: block.model_dump() for name, block in blocks.items()}
        return flat


def parse_block(raw: Any) -> InitSpec:
    """A flat block, or a scheme's name in its place → `InitSpec`.

    Raises:
        ValidationError: every error at once, each at its place in the block.
    """
    if isinstance(raw, InitSpec):
        return raw
    parser = _Parser()
    block = parser.block(raw, ())
    if block is None:
        raise ValidationError.from_exception_data("init", parser.errors)
    return block


Init = Annotated[InitSpec, BeforeValidator(parse_block)]
"""An init block where YAML has one."""


class _Parser:
    """Splits a flat block into its parts; collects every error instead of stopping at the first."""

    def __init__(self) -> None:
        self.errors: list[InitErrorDetails] = []

    def block(self, raw: Any, at: Location, *, named: bool = False) -> InitSpec | None:
        """A block and those in it, or None where one is wrong; `named` where it is for parameters by name."""
        if isinstance(raw, InitSpec):
            return raw
        if isinstance(raw, str):
            raw = {"scheme": raw}
        before = len(self.errors)
        if not isinstance(raw, Mapping):
            message = f"an init block must be a mapping or the name of a scheme, but is {quoted(raw)}"
            number = isinstance(raw, int | float) and not isinstance(raw, bool)
            block = f"{{scheme: constant, value: {quoted(raw)}}}" if number else "{scheme: ...}"
            self._add("MF022", message, at, f"write `{at[-1] if at else 'init'}: {block}`")
            return None
        if "matrices" in raw and not named:
            hint = "name the parameter: `params: {qkv.weight: {matrices: 3}}`"
            self._add("MF021", "`matrices` has no meaning here", (*at, "matrices"), hint, part="key")
        scheme, own = raw.get("scheme"), ("scheme", "matrices", *SECTIONS)
        fields = {str(name): value for name, value in raw.items() if name not in own}
        initializer = None
        if scheme is not None:
            initializer = self._initializer(scheme, fields, at)
        else:
            self._check_field_names(fields, at)
        matrices = self._matrices(raw["matrices"], at) if "matrices" in raw else None
        roles = self._blocks({role: raw[role] for role in NAMED_ROLES if role in raw}, at, leaf=True)
        types = self._blocks(raw.get("types", {}), (*at, "types"), leaf=False)
        params = self._blocks(raw.get("params", {}), (*at, "params"), leaf=True, named=True)
        if len(self.errors) > before:
            return None
        return InitSpec(
            scheme=scheme,
            fields={name: _freeze(value) for name, value in fields.items()},
            initializer=initializer,
            matrices=matrices,
            roles=roles,
            types=types,
            params=params,
        )

    def _initializer(self, scheme: Any, fields: Mapping[str, Any], at: Location) -> Initializer | None:
        if not isinstance(scheme, str) or scheme not in registry.SCHEMES:
            hint = LazyHint(partial(registry.explain_absence, scheme))
            self._add("MF020", f"unknown initializer `{scheme}`", (*at, "scheme"), hint)
            return None
        try:
            return registry.get(scheme).model_validate(fields)
        except ValidationError as error:
            self.errors += [relocated(item, (*at, *item["loc"])) for item in error.errors(include_url=False)]
            return None

    def _matrices(self, given: Any, at: Location) -> int | tuple[int, ...] | None:
        rows = given if isinstance(given, list | tuple) else (given,)
        if all(type(size) is int and size > 0 for size in rows) and sum(rows) > 1:
            return tuple(rows) if isinstance(given, list | tuple) else given
        message = f"`matrices` must be a number of equal parts above 1, or the rows of each, but is {given!r}"
        self._add("MF022", message, (*at, "matrices"), "`matrices: 3`, or `matrices: [64, 16, 16]`")
        return None

    def _check_field_names(self, fields: Iterable[str], at: Location) -> None:
        known = registry.field_names()
        for name in fields:
            if name not in known:
                hint: str | LazyHint = LazyHint(partial(did_you_mean, name, {*known, *SECTIONS, "scheme"}))
                if name.rstrip("s") in ("weight", "kernel"):
                    hint = f"the block itself is for weights; others: {', '.join(SECTIONS)}"
                self._add("MF021", f"no scheme has a field `{name}`", (*at, name), hint, part="key")

    def _blocks(self, raw: Any, at: Location, *, leaf: bool, named: bool = False) -> dict[str, InitSpec]:
        """Blocks by name; a `leaf` has no sections of its own."""
        if not isinstance(raw, Mapping):
            self._add("MF022", f"`{at[-1]}` must be a mapping from name to init block, but is {quoted(raw)}", at)
            return {}
        if len(raw) > MAX_RULES:
            self._add("MF060", f"`{at[-1]}` may have {MAX_RULES:,} entries at most, but has {len(raw):,}", at)
            return {}
        blocks: dict[str, InitSpec] = {}
        for name, value in raw.items():
            here = (*at, str(name))
            block = self.block(value, here, named=named)
            if block is None:
                continue
            for section in SECTIONS if leaf else ():
                if section in block.roles or getattr(block, section, None):
                    self._add(
                        "MF021",
                        f"`{section}` has no meaning here",
                        (*here, section),
                        "move it one level up",
                        part="key",
                    )
            if not (block.is_rule or block.matrices is not None if leaf else block != InitSpec()):
                self._add("MF022", "this init block is empty", here, "give it a `scheme` or a field")
            blocks[str(name)] = block
        return blocks

    def _add(self, code: str, message: str, at: Location, hint: str | LazyHint = "", part: Part = "value") -> None:
        self.errors.append(InitErrorDetails(type=wrong(code, message, hint, part=part), loc=at, input=None))


def _freeze(value: Any) -> Any:
    if isinstance(value, Mapping):
        return FrozenDict({str(key): _freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_freeze(item) for item in value)
    return value
