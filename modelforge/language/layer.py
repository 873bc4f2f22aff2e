"""`LayerSpec`: one layer as declared. Each registered layer type has its own subclass with its arguments as fields."""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator

from modelforge.core.complaints import wrong
from modelforge.core.frozen import FrozenDict, Node
from modelforge.core.quoting import quoted, shortened
from modelforge.language.init import Init

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*|[0-9]+")
REFERENCE = re.compile(rf"({NAME.pattern})((?:\.[0-9]+)*)")


def check_reference(name: Any) -> None:
    """Raises the error of what does not name a layer, or an output of one."""
    if not isinstance(name, str) or not REFERENCE.fullmatch(name):
        hint = "write `name`, or `name.1` for the second output of `name`"
        hint += '; a name that is a number in quotes: `"3"`' if isinstance(name, int | float) else ""
        raise wrong("MF030", f"`{shortened(str(name))}` is not a reference to a layer", hint)


def _parse_inputs(raw: Any) -> Any:
    if raw is None:
        return None
    names = [raw] if isinstance(raw, str) else raw
    if not isinstance(names, list | tuple) or not names or not all(isinstance(name, str) for name in names):
        message = f"`inputs` must be a name or a list of names, but is {quoted(raw)}"
        raise wrong("MF014", message, 'write `name`, or `[name, other]`; a name that is a number in quotes: `["3"]`')
    for name in names:
        check_reference(name)
    return tuple(names)


class LayerSpec(Node):
    """What every layer may say; subclasses add the arguments of their type."""

    type: str
    """Name of a registered layer: a torch.nn class, a combinator, or one of your own."""
    inputs: Annotated[tuple[str, ...] | None, BeforeValidator(_parse_inputs)] = None
    """What it reads: sibling layers by name, `name.1` for a second output. Default: the layer before."""
    init: Init | None = None
    """How its parameters start."""

    own_fields: ClassVar[frozenset[str]] = frozenset({"type", "inputs", "init"})
    holds_layers: ClassVar[tuple[str, ...]] = ()
    """Fields that are layers by name."""
    holds_layer: ClassVar[tuple[str, ...]] = ()
    """Fields that are one layer."""
    made_fields: ClassVar[frozenset[str]] = frozenset()
    """Fields that are written by `blocks:` and counts, and never by hand."""
    counts: ClassVar[str | None] = None
    """The field with the number of copies, for a layer whose layers may use `${arg:index}`."""

    @property
    def arguments(self) -> FrozenDict[str, Any]:
        """The constructor arguments, defaults included."""
        return FrozenDict(
            {name: getattr(self, name) for name in type(self).model_fields if name not in self.own_fields}
        )
