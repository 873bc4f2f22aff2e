"""The scheme that takes values from a file, and the names that parameters have there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from modelforge.inits.base import Undrawn
from modelforge.inits.fills import NoFill
from modelforge.inits.messages import WrongField
from modelforge.inits.registry import register_initializer
from modelforge.node import FrozenDict

MAX_STARS = 4
"""How many `*` a rename may have: the time to match grows with a power of their number."""


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else value


@register_initializer("pretrained")
class Pretrained(Undrawn):
    """Values from a file of tensors: safetensors, or a checkpoint of `torch.save`, of which nothing is run.

    A tensor of the file belongs to the parameter of its name. Whatever does not fit is an error before anything is
    allocated: a covered parameter that the file lacks, a tensor that the model has no place for, another shape. Buffers
    that the file names, such as running statistics, are loaded too. Values are rounded to the parameter's type.

    Formula: w = the tensor of the same name, after `subset` and `rename`
    Source: for fine-tuning
    """

    values_from: ClassVar[Literal["draw", "module", "existing", "file"]] = "file"

    path: Annotated[str, Field(min_length=1)]
    """The file; a relative path starts at the folder that the program runs in."""
    subset: Annotated[tuple[str, ...], BeforeValidator(_several)] = ()
    """A glob, or several, for names in the file: the others are left there. Empty: all names."""
    rename: Annotated[dict[str, str], AfterValidator(FrozenDict)] = {}  # noqa: RUF012  # it is validated, and frozen by that
    """From names in the file to names in the model: prefixes ending at a dot (`bert: encoder`; an empty one is put in
    front of all names), or whole names with a `*` for what stays (`"*.gamma": "*.weight"`). The first that matches
    counts."""

    def conflicts(self) -> Iterable[WrongField]:
        """A `*` stands for the same on both sides of a rename."""
        for old, new in self.rename.items():
            if old.count("*") != new.count("*") or old.count("*") > MAX_STARS:
                message = f"must have the same number of `*`, {MAX_STARS} at most, on both sides of `{old}: {new}`"
                yield WrongField("rename", message, "a `*` stands for what stays the same", "MF022")

    def selected(self, name: str) -> bool:
        """Whether `subset` takes a name in the file."""
        return not self.subset or any(fnmatchcase(name, glob) for glob in self.subset)

    def renamed(self, name: str) -> tuple[str, str | None]:
        """The name in the model that a name in the file means, and which of `rename` says so.

        >>> scheme = Pretrained(path="w", rename={"bert": "encoder", "*.gamma": "*.weight"})
        >>> scheme.renamed("bert.norm.gamma")
        ('encoder.norm.gamma', 'bert')
        >>> scheme.renamed("norm.gamma"), scheme.renamed("bertha.gain")
        (('norm.weight', '*.gamma'), ('bertha.gain', None))
        """
        for old, new in self.rename.items():
            if (match := _pattern(old).fullmatch(name)) is not None:
                return _filled(old, new, match.groups()), old
        return name, None


@dataclass(frozen=True, slots=True)
class FileFill(NoFill):
    """Values of one tensor in a file."""

    file: str
    tensor: str
    dtype: str
    """The type that it has there."""

    @property
    def numbers(self) -> FrozenDict[str, Any]:
        return FrozenDict({"file": self.file, "tensor": self.tensor, "file_dtype": self.dtype})


def _pattern(old: str) -> re.Pattern[str]:
    """A prefix matches up to a dot, with what follows as its group."""
    if "*" in old:
        return re.compile("(.*)".join(map(re.escape, old.split("*"))), re.DOTALL)
    stem = old.removesuffix(".")
    return re.compile(rf"{re.escape(stem)}(\..*|)" if stem else "(.*)", re.DOTALL)


def _filled(old: str, new: str, groups: tuple[str, ...]) -> str:
    if "*" in old:
        first, *rest = new.split("*")
        return first + "".join(kept + part for kept, part in zip(groups, rest, strict=True))
    return ".".join(part for part in (new.removesuffix("."), groups[0].removeprefix(".")) if part)
