"""`WeightsSpec`: the `weights` section as declared. A file of values that wins over every init block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, ValidationError, ValidatorFunctionWrapHandler, model_serializer, model_validator
from pydantic_core import InitErrorDetails

from modelforge.core.complaints import relocated, wrong
from modelforge.core.frozen import Node
from modelforge.core.quoting import quoted
from modelforge.inits.schemes.undrawn import Pretrained
from modelforge.language.init import Init


def _as_globs(raw: Any) -> Any:
    globs: Any = (raw,) if isinstance(raw, str) else tuple(raw) if isinstance(raw, list | tuple) else raw
    if not isinstance(globs, tuple) or not all(isinstance(glob, str) for glob in globs):
        raise wrong("MF014", f"must be a list of globs, but is {quoted(raw)}", "write `skip: [head.*]`")
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
            hint = "write `weights: {path: ...}`"
            raise wrong("MF014", f"`weights` must be a mapping, but is {quoted(raw)}", hint)
        fields = {name: value for name, value in raw.items() if name in Pretrained.model_fields}
        others = [str(name) for name in raw if name not in fields and name != "skip"]
        errors = [InitErrorDetails(type="extra_forbidden", loc=(name,), input=None) for name in others]
        given = {"source": {"scheme": Pretrained.scheme, **fields}} | ({"skip": raw["skip"]} if "skip" in raw else {})
        made: WeightsSpec | None = None
        try:
            made = handler(given)
        except ValidationError as error:
            for detail in error.errors(include_url=False):
                # The scheme's fields stand beside `skip`.
                location = detail["loc"][1:] if detail["loc"][:1] == ("source",) else detail["loc"]
                errors.append(relocated(detail, location))
        if made is None or errors:
            raise ValidationError.from_exception_data("weights", errors)
        return made

    @model_serializer
    def _to_flat(self) -> dict[str, Any]:
        fields = {name: value for name, value in self.source.model_dump().items() if name != "scheme"}
        return fields | ({"skip": list(self.skip)} if self.skip else {})
