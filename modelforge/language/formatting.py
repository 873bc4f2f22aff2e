"""formatted: the text of a config file → the same config in canonical order and spacing, comments kept.

`defaults`, `type` and `scheme` come first, a layer's `init` last, and fields between them as their class declares them.
Where order has a meaning (layers, inputs, outputs, `types`, `params`), and among names of one's own, it stays.
"""

from __future__ import annotations

import io
import json
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.serializer import Serializer

from modelforge.config.composition import plain
from modelforge.config.document import Document
from modelforge.config.nodes import nodes
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.inits.registry import SCHEMES
from modelforge.language.init import NAMED_ROLES
from modelforge.language.registry import LAYERS

ARGUMENTS = ("defaults", "input", "args")
"""Keys of a model in front of values of its arguments."""
MODEL = ("size", "sizes", "blocks", "layers", "outputs", "tie", "init", "lint")
_HASH = re.compile(r"(?<!\S)#")
MAX_WIDTH = 10**6
"""No line is broken: a line break in a config is its author's."""


@dataclass(frozen=True)
class Kind:
    """What a mapping of a config is: the order of its keys, and the kinds of its values."""

    first: tuple[str, ...] = ()
    last: tuple[str, ...] = ()
    below: Mapping[str, str] | str = ""
    """The kind of the value of each key, or of every key."""

    def rank(self, key: str) -> tuple[int, int]:
        """Where a key belongs; keys of equal rank stay in their order."""
        if key in self.first:
            return 0, self.first.index(key)
        return (2, self.last.index(key)) if key in self.last else (1, 0)

    def of(self, key: str) -> str:
        """The kind of a value."""
        return self.below if isinstance(self.below, str) else self.below.get(key, "")


def formatted(document: Document, group: str) -> str:
    """The text of a config file in canonical form; formatting it again changes nothing.

    Args:
        document: The file.
        group: The folder it lies in, such as `model` or `init`; `""` for a primary config.

    Raises:
        ForgeError: it cannot be read as a config.

    Example:
        >>> print(formatted(Document("a.yaml", "gain:   2 # of ReLU\\nscheme: xavier\\n"), "init"), end="")
        scheme: xavier
        gain: 2 # of ReLU
    """
    before = _exact(document)
    root, lines = compose(document), _lines(document)
    if root is None:
        return "\n".join(lines).strip("\n") + "\n"
    kind = kind_of(document, group)
    if not any(node.anchor for node in _nodes(root)):  # an alias must stay behind its anchor
        mappings = [*_mappings(root, kind)]
        for node, order in reversed(mappings):  # the inner ones first: their lines move with those of the outer ones
            _order_block(node, order, lines, head=node is root)
        root = _yaml().compose("\n".join(lines) + "\n")
        for node, order in _mappings(root, kind):
            if node.flow_style and not any(below.comment for below in _nodes(node)):
                node.value.sort(key=lambda entry: order.rank(entry[0].value))
    text = serialize(root)
    if _exact(Document(document.file, text)) != before:
        message = "the file cannot be formatted without changing what it says"
        hint = "if a text of several lines has spaces at the end of a line, remove them, or quote the text"
        raise ForgeError([Problem("MF160", "", message, hint, Place(file=document.file, line=1))])
    kept = Counter(comment for comment, _ in comments(Document(document.file, text)))
    kept.subtract(comment for comment, _ in comments(document))
    if lost := next(((comment, line) for comment, line in comments(document) if kept[comment] < 0), None):
        message = f"the file cannot be formatted without losing the comment `{lost[0]}`"
        hint = "write the `{...}` or `[...]` around it in block style, or put the comment above it"
        raise ForgeError([Problem("MF160", "", message, hint, Place(file=document.file, line=lost[1]))])
    return text


def comments(document: Document) -> Iterator[tuple[str, int]]:
    """The comments of a file, each with its line.

    >>> [*comments(Document("a.yaml", "a: 'x # y'  # z\\n# end\\n"))]
    [('# z', 1), ('# end', 2)]
    """
    text, root = document.text, document.root
    scalars = (node for node in (nodes(root) if root is not None else ()) if isinstance(node, yaml.ScalarNode))
    spans = sorted((node.start_mark.index, node.end_mark.index) for node in scalars)
    starts = [start for start, _ in spans]
    end = 0
    for start in (found.start() for found in _HASH.finditer(text)):
        before = bisect_right(starts, start) - 1
        if start >= end and (before < 0 or spans[before][1] <= start):
            comment = text[start:].partition("\n")[0]
            end = start + len(comment)
            yield comment.rstrip(), text.count("\n", 0, start) + 1


def kind_of(document: Document, group: str) -> str:
    """The kind of a file's mapping: by the package in its header, or by its group."""
    package = document.package or group.partition("/")[0]
    return "root" if package in ("", "_global_") else package


def compose(document: Document) -> MappingNode | None:
    """A file's mapping with its comments and positions; None for an empty file.

    Raises:
        ForgeError: it cannot be read as a config.
    """
    document.load()
    try:
        root = _yaml().compose("\n".join(_lines(document)) + "\n")
    except MarkedYAMLError as error:  # it is stricter than what reads configs: a tab in front of a comment
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        message = f"the file cannot be formatted: {error.problem}"
        place = Place(file=document.file, line=line)
        raise ForgeError([Problem("MF160", "", message, "write blanks in place of tabs", place)]) from None
    return root if isinstance(root, MappingNode) else None


def serialize(root: MappingNode) -> str:
    """The text of a mapping, with its comments."""
    stream = io.StringIO()
    _yaml().serialize(root, stream)
    return stream.getvalue().strip("\n") + "\n"


def _exact(document: Document) -> str:
    """The values of a file; NaN equals NaN, and the order of keys does not count."""
    return json.dumps(plain(document.load()), sort_keys=True)


def _lines(document: Document) -> list[str]:
    return [line.rstrip() for line in document.text.removeprefix("\ufeff").splitlines()]


class _Serializer(Serializer):
    """Keeps the names of anchors."""

    def generate_anchor(self, node: Node) -> str:
        return node.anchor or super().generate_anchor(node)


def _yaml() -> YAML:
    made = YAML()
    made.Serializer = _Serializer
    made.width = MAX_WIDTH
    made.indent(mapping=2, sequence=4, offset=2)
    return made


def _mappings(node: Node, kind: str) -> Iterator[tuple[MappingNode, Kind]]:
    """Each mapping with its kind, outer ones first."""
    if isinstance(node, MappingNode):
        order = _kind(kind, node)
        yield node, order
        for key, value in node.value:
            yield from _mappings(value, order.of(key.value))
    elif not isinstance(node, ScalarNode):
        for item in node.value:
            yield from _mappings(item, "")


def _kind(name: str, node: MappingNode) -> Kind:
    if name == "layer":
        return _layer(_text(node, "type"))
    if name == "init":
        return _init(_text(node, "scheme"))
    return KINDS.get(name, SECTION)


def _layer(type_: str) -> Kind:
    if type_ not in LAYERS:
        return Kind(FIRST, ("layers", "init"), {"init": "init", "layers": "layers"})
    spec = LAYERS.get(type_).spec
    below = dict.fromkeys(spec.holds_layers, "layers") | dict.fromkeys(spec.holds_layer, "layer") | {"init": "init"}
    fields = [field for field in spec.model_fields if field not in {*FIRST, *below}]
    held = [field for field in spec.model_fields if field in below and field not in ("layers", "init")]
    return Kind((*FIRST, *fields), ("layers", *held, "init"), below)


def _init(scheme: str) -> Kind:
    fields = SCHEMES.get(scheme).model_fields if scheme in SCHEMES else ()
    below = dict.fromkeys(NAMED_ROLES, "init") | dict.fromkeys(("types", "params"), "inits")
    return Kind((*dict.fromkeys(("scheme", "distribution", *fields)),), ("matrices", *below), below)


def _text(node: MappingNode, name: str) -> str:
    found = [value.value for key, value in node.value if key.value == name and isinstance(value, ScalarNode)]
    return found[0] if found else ""


def _order_block(node: MappingNode, order: Kind, lines: list[str], *, head: bool) -> None:
    """Puts the lines of a block mapping's entries in order; comments above a key move with it.

    Args:
        node: The mapping, with its positions in `lines`.
        order: Its kind.
        lines: The file; changed in place.
        head: Whether it is the file's own mapping: what is above its first key belongs to the file.
    """
    entries = node.value
    columns = {key.start_mark.column for key, _ in entries}
    if node.flow_style or len(columns) != 1 or any(_before(key, lines).strip() for key, _ in entries):
        return
    (column,) = columns
    begin = entries[0][0].start_mark.line
    while not head and begin and lines[begin - 1].lstrip().startswith("#"):
        begin -= 1
    chunks: list[tuple[tuple[int, int], list[str], list[str]]] = []
    start = begin
    for index, (key, value) in enumerate(entries):
        end = last_line(key, value) + 1
        following = entries[index + 1][0].start_mark.line if index + 1 < len(entries) else len(lines)
        while end < following and _indentation(lines[end]) > column:
            end += 1  # a comment that belongs to what is inside
        chunk = lines[start:end]
        blank = [line for line in chunk[: _num_blank(chunk)]]
        chunks.append((order.rank(key.value), blank, chunk[len(blank) :]))
        start = end
    ordered = sorted(chunks, key=lambda chunk: chunk[0])
    lines[begin:start] = [
        line
        for (_, blank, _), (_, _, content) in zip(chunks, ordered, strict=True)  # blank lines stay where they are
        for line in (*blank, *content)
    ]


def _before(key: Node, lines: list[str]) -> str:
    return lines[key.start_mark.line][: key.start_mark.column]


def _num_blank(chunk: list[str]) -> int:
    return next((index for index, line in enumerate(chunk) if line), len(chunk))


def _indentation(line: str) -> int:
    return len(line) - len(line.lstrip()) if line else -1


def last_line(key: Node, value: Node) -> int:
    """The last line with a part of an entry."""
    if not isinstance(value, MappingNode | SequenceNode) or value.flow_style:
        end = value.end_mark
        within = end.line > key.start_mark.line and end.column == 0  # a block scalar ends where the next line begins
        return max(end.line - within, key.start_mark.line)
    if isinstance(value, MappingNode):
        return last_line(*value.value[-1])
    return last_line(value.value[-1], value.value[-1])


def _nodes(node: Node) -> Iterator[Node]:
    yield node
    if not isinstance(node, ScalarNode):
        for item in node.value:
            for below in item if isinstance(item, tuple) else (item,):
                yield from _nodes(below)


FIRST = ("type", "inputs", "when")
SECTION = Kind(("modelforge", "defaults", "type"))
KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "root": Kind(("modelforge", "defaults"), (), {"model": "model", "init": "init"}),
        "model": Kind(ARGUMENTS, MODEL, {"layers": "layers", "blocks": "blocks", "init": "init"}),
        "layers": Kind(below="layer"),
        "blocks": Kind(below="block"),
        "block": Kind(("args", "layers", "init"), (), {"layers": "layers", "init": "init"}),
        "inits": Kind(below="init"),
    }
)
