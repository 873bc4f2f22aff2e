"""Values from a file of tensors: which of them, and what the names there mean here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_serializer

from modelforge.core.complaints import WrongField, wrong
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.limits import MAX_PLACEHOLDERS
from modelforge.core.paths import matches
from modelforge.inits.base import Source, Undrawn


class Moved(Node):
    """What a tensor of the file is here, where it is more than another name."""

    to: Annotated[tuple[str, ...], Field(min_length=1)]
    """The parameter, or several: the tensor is split among them along its first dimension, in this order."""
    transpose: bool = False
    """Whether a matrix is transposed first; a vector stays."""
    squeeze: bool = False
    """Whether the first dimension, of size 1, is left out first."""

    @model_serializer
    def _as_written(self) -> dict[str, Any]:
        flags = {name: True for name in ("transpose", "squeeze") if getattr(self, name)}
        return {"to": self.to[0] if len(self.to) == 1 else list(self.to), **flags}


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


def _renames(raw: Any) -> Any:
    if not isinstance(raw, Mapping):
        return raw
    return {old: _moved(str(old), new) if isinstance(new, Mapping) else new for old, new in raw.items()}


def _moved(old: str, raw: Mapping[str, Any]) -> Moved:
    try:
        return Moved(**{**raw, "to": _several(raw.get("to"))})
    except (ValidationError, TypeError):
        message = f"must map each name to a name, to null or to `{{to: ...}}`, but maps `{old}` to {dict(raw)}"
        raise wrong("MF022", message, "write `{to: name}`, with `transpose: true` or `squeeze: true`") from None


@dataclass(frozen=True, slots=True)
class Renamed:
    """The names in the model that a name in a file means; none where its tensor is of no use."""

    names: tuple[str, ...]
    by: tuple[str, ...] = ()
    """The keys of `rename` that say so."""
    transpose: bool = False
    squeeze: bool = False
    """Whether a first dimension of size 1 is left out."""


Texts = Annotated[tuple[str, ...], BeforeValidator(_several, json_schema_input_type=str | list[str])]
"""One text, or several."""


class FromFile(Undrawn):
    """A scheme whose values are in a file."""

    values_from: ClassVar[Source] = "file"

    path: Annotated[str, Field(min_length=1, examples=["weights.safetensors"])]
    """The file; a relative path starts at the folder that the program runs in."""
    subset: Texts = ()
    """A glob, or several, for names in the file: the others are left there. Empty: all names."""
    strip: Texts = ()
    """A prefix, ending at a dot, that names in the file may have or not, or several, one inside the other
    (`[state_dict, transformer]`); taken off before `rename`."""
    rename: Annotated[
        dict[str, Moved | str | None],
        BeforeValidator(_renames, json_schema_input_type=dict[str, str | dict[str, Any] | None]),
        AfterValidator(FrozenDict),
    ] = {}  # noqa: RUF012  # it is validated, and frozen by that
    """From names in the file to names in the model: prefixes ending at a dot (`bert: encoder`; an empty one is put in
    front of all names), or whole names with a `*` for what stays (`"*.gamma": "*.weight"`). `{n}` stands for a number,
    and `{n+1}` or `{n-1}` for its neighbours. Each is applied to what those before it have made. Null: the tensor is of
    no use. `{to: name, transpose: true}`: a transposed matrix. `{to: [a, b]}`: a tensor is split along its first
    dimension. `squeeze: true`: a first dimension of size 1 is left out. These are the last word on a name."""

    def conflicts(self) -> Iterable[WrongField]:
        """Placeholders stand for the same on both sides of a rename."""
        for old, new in self.rename.items():
            names = new.to if isinstance(new, Moved) else (old if new is None else new,)
            if message := next(filter(None, (_wrong(old, name) for name in names)), ""):
                yield WrongField("rename", message, "a `*` or `{n}` stands for what stays the same", "MF022")

    def selected(self, name: str) -> bool:
        """Whether `subset` takes a name in the file."""
        return not self.subset or matches(name, self.subset)

    def renamed(self, name: str) -> Renamed:
        """The names in the model that a name in the file means.

        >>> rename = {"h.{n}": "layers.{n+1}", "*.qk": {"to": ["*.q", "*.k"], "transpose": True}, "*.mask": None}
        >>> scheme = FromFile(path="w", strip="bert", rename=rename)
        >>> scheme.renamed("bert.h.0.norm.bias")
        Renamed(names=('layers.1.norm.bias',), by=('h.{n}',), transpose=False, squeeze=False)
        >>> scheme.renamed("h.4.qk").names, scheme.renamed("h.4.mask").names, scheme.renamed("hat.4").names
        (('layers.5.q', 'layers.5.k'), (), ('hat.4',))
        """
        for prefix in self.strip:
            name = name.removeprefix(f"{prefix.removesuffix('.')}.")
        by: list[str] = []
        for old, new in self.rename.items():
            match = _matched(old, name)
            if match is None:
                continue
            by.append(old)
            if new is None:
                return Renamed((), tuple(by))
            if isinstance(new, Moved):
                names = tuple(_filled(to, match) for to in new.to)
                return Renamed(names, tuple(by), new.transpose, new.squeeze)
            name = _filled(new, match)
        return Renamed((name,), tuple(by))


_PLACEHOLDER = re.compile(r"\*|\{([a-z])([+-]\d+)?\}")


def _wrong(old: str, new: str) -> str:
    """What does not go together on the two sides of a rename; empty where all does."""
    olds, news = [*_PLACEHOLDER.finditer(old)], [*_PLACEHOLDER.finditer(new)]
    numbers = [match[1] for match in olds if match[1]]
    if old.count("*") != new.count("*") or len(olds) > MAX_PLACEHOLDERS:
        return f"must have the same number of `*`, {MAX_PLACEHOLDERS} at most, on both sides of `{old}: {new}`"
    if any(match[2] for match in olds) or len({*numbers}) < len(numbers):
        return f"must have each number once, and as it is, on the left of `{old}: {new}`"
    if unknown := [match[1] for match in news if match[1] and match[1] not in numbers]:
        return f"must have the number `{{{unknown[0]}}}` on the left of `{old}: {new}` too"
    return ""


def _matched(old: str, name: str) -> dict[str, str] | None:
    """What the placeholders of a rename stand for in a name; None where it is another name."""
    if "*" not in old:
        match = _prefix(old).fullmatch(name)
        return match.groupdict() if match else None
    match = _backwards(old).fullmatch(name[::-1])
    return {key: value[::-1] for key, value in match.groupdict().items()} if match else None


@cache
def _prefix(old: str) -> re.Pattern[str]:
    """A prefix matches up to a dot, with what follows as the group `rest`; each number is a group."""
    stem = old.removesuffix(".")
    tail = r"(?P<rest>\..*|)" if stem else "(?P<rest>.*)"
    return re.compile("".join(_pieces(stem)) + tail, re.DOTALL)


@cache
def _backwards(old: str) -> re.Pattern[str]:
    """A whole name, read from its end: each `*` takes as much as it can, the first ones first. Read like this, each
    piece between two of them is where it is found first, and no choice is ever taken back."""
    first, *others = (
        "".join(reversed(_pieces(piece, backwards=True, after_star=index > 0)))
        for index, piece in enumerate(old.split("*"))
    )
    inner = [f"(?>(?P<star{index}>.*?){piece})" for index, piece in enumerate(others[:-1], 1)]
    return re.compile("".join((others[-1], *reversed(inner), "(?P<star0>.*?)", first)), re.DOTALL)


def _pieces(text: str, *, backwards: bool = False, after_star: bool = False) -> list[str]:
    """The regular expressions of texts and numbers, in their order."""
    parts, end = list[str](), 0
    for match in _PLACEHOLDER.finditer(text):
        before = text[end : match.start()]
        shortest = "?" if after_star and not parts and not before else ""
        parts += [re.escape(before[::-1] if backwards else before), rf"(?P<{match[1]}>\d+{shortest})"]
        end = match.end()
    last = text[end:]
    return [*parts, re.escape(last[::-1] if backwards else last)]


def _filled(new: str, match: Mapping[str, str]) -> str:
    stars = count()

    def value(placeholder: re.Match[str]) -> str:
        if placeholder[1]:
            return str(int(match[placeholder[1]]) + int(placeholder[2] or 0))
        return match[f"star{next(stars)}"]

    name = _PLACEHOLDER.sub(value, new)
    if "rest" not in match:
        return name
    return ".".join(part for part in (name.removesuffix("."), match["rest"].removeprefix(".")) if part)
