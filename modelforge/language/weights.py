"""`WeightsSpec`: the `weights` section as declared. A file of values that wins over every init block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, ValidatorFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from modelforge.core.errors import Later, did_you_mean, quoted
from modelforge.core.frozen import Node
from modelforge.inits.schemes.pretrained import Pretrained
from modelforge.language.init import Init


def _as_globs(raw: Any) -> Any:
    globs: Any = (raw,) if isinstance(raw, str) else tuple(raw) if isinstance(raw, list | tuple) else raw
    if not isinstance(globs, tuple) or not all(isinstance(glob, str) for glob in globs):
        hint = "write `skip: [head.*]`"
        raise PydanticCustomError("MF014", "must be a list of globs, but is {raw}", {"raw": quoted(raw), "hint": hint})
    return globs


class WeightsSpec(Node):
    """Values from a file: the fields of the scheme for that, and what of the model is not meant."""

    source: Init
    """The scheme with its fields, flat in YAML."""
    skip: Annotated[tuple[str, ...], BeforeValidator(_as_globs)] = ()
    """Globs for parameters that start as their init blocks say; what the file has for them is left there."""

    @model_validator(mode="wrap")
    @classmethod
    def _from_flat(cls, raw: Any, handler: ValidatorFunctionWrapHandler) -> WeightsSpec:
        if isinstance(raw, WeightsSpec):
            return raw
        if not isinstance(raw, Mapping):
            told = PydanticCustomError(
                "MF014",
                "`weights` must be a mapping, but is {raw}",
                {"raw": quoted(raw), "hint": "write `weights: {path: ...}`"},
            )
            raise ValidationError.from_exception_data("weights", [InitErrorDetails(type=told, loc=(), input=raw)])
        known = {*Pretrained.model_fields, "skip"}
        errors = [_unknown(str(name), known) for name in raw if name not in known]
        fields = {name: value for name, value in raw.items() if name in Pretrained.model_fields}
        given = {"source": {"scheme": Pretrained.scheme, **fields}} | ({"skip": raw["skip"]} if "skip" in raw else {})
        made: WeightsSpec | None = None
        try:
            made = handler(given)
        except ValidationError as error:
            errors += [_flat(detail) for detail in error.errors(include_url=False)]
        if made is None or errors:
            raise ValidationError.from_exception_data("weights", errors)
        return made

    @model_serializer
    def _to_flat(self) -> dict[str, Any]:
        fields = {name: value for name, value in self.source.model_dump().items() if name != "scheme"}
        return fields | ({"skip": list(self.skip)} if self.skip else {})


def _unknown(name: str, known: set[str]) -> InitErrorDetails:
    told = {"name": name, "hint": Later(lambda: did_you_mean(name, known)), "part": "key"}
    return InitErrorDetails(
        type=PydanticCustomError("MF015", "`weights` has no `{name}`", told), loc=(name,), input=name
    )


def _flat(detail: Any) -> InitErrorDetails:
    """An error of the scheme, at its place in the flat section."""
    told = PydanticCustomError(detail["type"], "{message}", {"message": detail["msg"], **(detail.get("ctx") or {})})
    loc = detail["loc"][1:] if detail["loc"][:1] == ("source",) else detail["loc"]
    return InitErrorDetails(type=told, loc=loc, input=detail["input"])
