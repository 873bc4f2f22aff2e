"""`InitSpec`: an `init:` block as declared. A scheme with its fields, and blocks for roles, types and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, ValidationError, model_serializer
from pydantic_core import InitErrorDetails, PydanticCustomError

from modelforge.core.complaints import code
from modelforge.core.errors import Later, did_you_mean, quoted
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.limits import MAX_RULES
from modelforge.inits import registry

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

    @property
    def speaks(self) -> bool:
        """Whether the block itself, apart from its sections, says anything."""
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


def parse_block(raw: Any, *, named: bool = False) -> InitSpec:
    """A flat block, or a scheme's name in its place → `InitSpec`; `named` where it is for parameters by name.

    Raises:
        ValidationError: every error at once, each at its place in the block.
    """
    if isinstance(raw, InitSpec):
        return raw
    if isinstance(raw, str):
        raw = {"scheme": raw}
    if not isinstance(raw, Mapping):
        error = PydanticCustomError(
            "MF022",
            "an init block must be a mapping or the name of a scheme, but is {raw}",
            {"raw": quoted(raw), "hint": "write `init: {scheme: ...}`"},
        )
        raise ValidationError.from_exception_data("init", [InitErrorDetails(type=error, loc=(), input=raw)])
    parser = _Parser()
    fields = parser.parse(raw, named=named)
    if parser.errors:
        raise ValidationError.from_exception_data("init", parser.errors)
    return InitSpec(**fields)


Init = Annotated[InitSpec, BeforeValidator(parse_block)]
"""An init block where YAML has one."""


class _Parser:
    """Splits a flat block into its parts; collects every error instead of stopping at the first."""

    def __init__(self) -> None:
        self.errors: list[InitErrorDetails] = []

    def parse(self, raw: Mapping[Any, Any], *, named: bool) -> dict[str, Any]:
        scheme = raw.get("scheme")
        if "matrices" in raw and not named:
            hint = "name the parameter: `params: {qkv.weight: {matrices: 3}}`"
            self._add("MF021", "`matrices` has no meaning here", ("matrices",), hint, part="key")
        own = ("scheme", "matrices", *SECTIONS)
        fields = {str(name): value for name, value in raw.items() if name not in own}
        if scheme is not None:
            self._check_scheme(scheme, fields)
        else:
            self._check_field_names(fields)
        roles = {role: raw[role] for role in NAMED_ROLES if role in raw}
        return {
            "scheme": scheme,
            "matrices": self._matrices(raw["matrices"]) if "matrices" in raw else None,
            "fields": {name: _freeze(value) for name, value in fields.items()},
            "roles": self._blocks(roles, (), leaf=True),
            "types": self._blocks(raw.get("types", {}), ("types",), leaf=False),
            "params": self._blocks(raw.get("params", {}), ("params",), leaf=True),
        }

    def _check_scheme(self, scheme: Any, fields: dict[str, Any]) -> None:
        known = {*registry.names(), *registry.aliases()}
        if not isinstance(scheme, str) or scheme not in known:
            self._add(
                "MF020", f"unknown initializer `{scheme}`", ("scheme",), Later(lambda: registry.explain_absence(scheme))
            )
            return
        initializer = registry.get(scheme)
        for name in [name for name in fields if name not in initializer.model_fields]:
            hint = Later(partial(registry.explain_absent_field, scheme, name, SECTIONS))
            self._add("MF021", f"scheme `{scheme}` has no field `{name}`", (name,), hint, part="key")
        known_fields = {name: value for name, value in fields.items() if name in initializer.model_fields}
        try:
            initializer.model_validate(known_fields)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                location = detail["loc"]
                hint = str((detail.get("ctx") or {}).get("hint", ""))
                if detail["type"] == "missing":
                    hint = f"add `{location[0]}: ...`\n{hint}"
                    self._add("MF090", f"scheme `{scheme}` needs `{location[0]}`", (), hint.rstrip())
                else:
                    self._add(code(detail), describe(detail["msg"]), location, hint)

    def _matrices(self, given: Any) -> int | tuple[int, ...] | None:
        rows = given if isinstance(given, list | tuple) else (given,)
        if all(type(size) is int and size > 0 for size in rows) and sum(rows) > 1:
            return tuple(rows) if isinstance(given, list | tuple) else given
        message = f"`matrices` must be a number of equal parts above 1, or the rows of each, but is {given!r}"
        self._add("MF022", message, ("matrices",), "`matrices: 3`, or `matrices: [64, 16, 16]`")
        return None

    def _check_field_names(self, fields: dict[str, Any]) -> None:
        known = registry.field_names()
        for name in fields:
            if name not in known:
                hint: str | Later = Later(partial(did_you_mean, name, {*known, *SECTIONS, "scheme"}))
                if name.rstrip("s") in ("weight", "kernel"):
                    hint = f"the block itself speaks of weights; others: {', '.join(SECTIONS)}"
                self._add("MF021", f"no scheme has a field `{name}`", (name,), hint, part="key")

    def _blocks(self, raw: Any, at: tuple[str, ...], *, leaf: bool) -> dict[str, InitSpec]:
        if not isinstance(raw, Mapping):
            self._add("MF022", f"`{at[-1]}` must be a mapping from name to init block, but is {quoted(raw)}", at, "")
            return {}
        if len(raw) > MAX_RULES:
            message = f"`{at[-1]}` may have {MAX_RULES:,} entries at most, but has {len(raw):,}"
            self._add("MF060", message, at, "")
            return {}
        blocks: dict[str, InitSpec] = {}
        for name, value in raw.items():
            try:
                block = parse_block(value, named=at == ("params",))
            except ValidationError as error:
                for detail in error.errors(include_url=False):
                    self.errors.append(_reraise(detail, (*at, str(name), *detail["loc"])))
                continue
            for section in SECTIONS if leaf else ():
                if section in block.roles or getattr(block, section, None):
                    self._add(
                        "MF021", f"`{section}` has no meaning here", (*at, str(name), section), "move it up", part="key"
                    )
            if not leaf and block == InitSpec():
                self._add("MF022", "this block says nothing", (*at, str(name)), "give it a `scheme` or a field")
            if leaf and not (block.speaks or block.matrices is not None):
                self._add("MF022", "this block says nothing", (*at, str(name)), "give it a `scheme` or a field")
            blocks[str(name)] = block
        return blocks

    def _add(self, code: str, message: str, loc: tuple[int | str, ...], hint: str | Later, part: str = "value") -> None:
        error = PydanticCustomError(code, "{message}", {"message": message, "hint": hint, "part": part})  # pyright: ignore[reportArgumentType]  # codes are not literals
        self.errors.append(InitErrorDetails(type=error, loc=loc, input=None))


def describe(message: str) -> str:
    """A Pydantic message as the second half of one of ours."""
    return message.removeprefix("Value error, ")


def _reraise(detail: Any, loc: tuple[int | str, ...]) -> InitErrorDetails:
    context = detail.get("ctx") or {}
    error = PydanticCustomError(detail["type"], "{message}", {"message": detail["msg"], **context})
    return InitErrorDetails(type=error, loc=loc, input=None)


def _freeze(value: Any) -> Any:
    if isinstance(value, Mapping):
        return FrozenDict({str(key): _freeze(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(_freeze(item) for item in value)
    return value
