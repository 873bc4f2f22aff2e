"""`LintSpec`: the `lint` section of a model: findings of `mf.lint` that are meant, each with a reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator

from modelforge.core.complaints import wrong
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.limits import MAX_ENDS
from modelforge.core.quoting import quoted

EVERYWHERE = "*"
CODE = "[A-Z]{2,8}[0-9]{3}"
"""The form of the codes of findings."""
_CODE = re.compile(CODE)
_EXAMPLE = "write `ignore: {MW101: why it is meant}`, or `{MW101: {head.*: why it is meant}}`"


def _parse_ignored(raw: Any) -> Any:
    if not isinstance(raw, Mapping):
        raise wrong("MF014", f"`ignore` must be a mapping from codes to reasons, but is {quoted(raw)}", _EXAMPLE)
    if len(raw) > MAX_ENDS:
        raise wrong("MF060", f"`ignore` may name {MAX_ENDS:,} codes at most, but names {len(raw):,}")
    return {_code(code): _by_glob(code, given) for code, given in raw.items()}


def _code(raw: Any) -> str:
    if not isinstance(raw, str) or not _CODE.fullmatch(raw):
        raise wrong("MF014", f"`ignore` names findings by code, such as `MW101`, but has {quoted(raw)}", _EXAMPLE)
    return raw


def _by_glob(code: object, raw: Any) -> FrozenDict[str, str]:
    given: Mapping[Any, Any] = raw if isinstance(raw, Mapping) and raw else {EVERYWHERE: raw}
    for reason in given.values():
        if not isinstance(reason, str) or not reason.strip():
            raise wrong("MF014", f"`{code}` needs a reason, a text, but has {quoted(reason)}", _EXAMPLE)
    return FrozenDict({str(glob): reason for glob, reason in given.items()})


Ignored = Annotated[dict[str, FrozenDict[str, str]], BeforeValidator(_parse_ignored), AfterValidator(FrozenDict)]


class LintSpec(Node):
    """Which findings are meant."""

    ignore: Ignored = FrozenDict()
    """Reasons by code, or by code and by a glob over the paths of layers and parameters: `{MW101: {head.*: why}}`."""
