"""Edits of a YAML text at random: such that change what it says, and such that do not."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from random import Random

import yaml

from modelforge.config.document import Document
from modelforge.config.nodes import BOOL, FLOAT, INT, NULL, STRING, items

Mutation = Callable[[str, Random], str | None]
"""A text → another one; None where it has no place for such an edit."""


def _scalars(text: str) -> list[yaml.ScalarNode]:
    """The scalars that are values or items, on one line each."""
    found: list[yaml.ScalarNode] = []

    def visit(node: yaml.Node | None) -> None:
        if isinstance(node, yaml.MappingNode):
            for _, value in node.value:
                visit(value)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                visit(item)
        elif isinstance(node, yaml.ScalarNode) and node.start_mark.line == node.end_mark.line:
            found.append(node)

    visit(Document("a.yaml", text).root)
    return found


def _mappings(text: str) -> Iterator[tuple[yaml.MappingNode, str]]:
    """All mappings, each with the key that it stands at."""

    def visit(node: yaml.Node | None, name: str) -> Iterator[tuple[yaml.MappingNode, str]]:
        if isinstance(node, yaml.MappingNode):
            yield node, name
            for key, (_, value) in items(node).items():
                yield from visit(value, key)
        elif isinstance(node, yaml.SequenceNode):
            for item in node.value:
                yield from visit(item, name)

    yield from visit(Document("a.yaml", text).root, "")


def _source(text: str, node: yaml.Node) -> str:
    return text[node.start_mark.index : node.end_mark.index]


def _replaced(text: str, node: yaml.Node, new: str) -> str:
    return text[: node.start_mark.index] + new + text[node.end_mark.index :]


def _one(random: Random, text: str, tag: str) -> yaml.ScalarNode | None:
    found = [node for node in _scalars(text) if node.tag == tag and _source(text, node)]
    return random.choice(found) if found else None


# --- edits that change what a file says ------------------------------------------------------------------------------


def number(text: str, random: Random) -> str | None:
    """Another number."""
    node = _one(random, text, random.choice((INT, FLOAT))) or _one(random, text, INT) or _one(random, text, FLOAT)
    if node is None:
        return None
    new = str(int(node.value.replace("_", "")) + random.randint(1, 9)) if node.tag == INT else f"{node.value}1"
    return _replaced(text, node, new if node.tag == INT or "e" not in node.value else f"1{node.value}")


def flag(text: str, random: Random) -> str | None:
    """True for false."""
    node = _one(random, text, BOOL)
    return None if node is None else _replaced(text, node, "false" if node.value.lower() == "true" else "true")


def word(text: str, random: Random) -> str | None:
    """Another text."""
    node = _one(random, text, STRING)
    if node is None or node.style in ("|", ">"):
        return None
    source = _source(text, node)
    return _replaced(text, node, f"{source[:-1]}x{source[-1]}" if node.style else f"{source}x")


def nothing(text: str, random: Random) -> str | None:
    """A value for null, or null for a value."""
    node = random.choice(_scalars(text) or [None])
    if node is None or not _source(text, node):
        return None
    return _replaced(text, node, "7" if node.tag == NULL else "null")


def key(text: str, random: Random) -> str | None:
    """A key of another name."""
    pairs = [pair[0] for node, _ in _mappings(text) for pair in node.value]
    keys = [one for one in pairs if isinstance(one, yaml.ScalarNode) and not one.style and one.value != "defaults"]
    node = random.choice(keys) if keys else None
    return None if node is None else _replaced(text, node, f"{node.value}_x")


def gone(text: str, random: Random) -> str | None:
    """A key less."""
    lines = text.split("\n")
    found = [i for i, line in enumerate(lines) if re.fullmatch(r"\s*[\w.]+: +[\w.$][^\[{]*", line)]
    index = random.choice(found) if found else None
    return None if index is None else "\n".join([*lines[:index], *lines[index + 1 :]])


def further(text: str, random: Random) -> str | None:
    """A key more."""
    flows = [node for node, _ in _mappings(text) if node.flow_style and node.value]
    if not flows:
        return f"{text.rstrip()}\nfurther_x: 1\n"
    end = random.choice(flows).end_mark.index
    return f"{text[: end - 1]}, further_x: 1{text[end - 1 :]}"


def item(text: str, random: Random) -> str | None:
    """Another item of a list, or one more."""
    lists: list[yaml.SequenceNode] = []
    for node, name in _mappings(text):
        if name != "defaults":
            lists += [value for _, value in node.value if isinstance(value, yaml.SequenceNode) and value.flow_style]
    if not lists:
        return None
    end = random.choice(lists).end_mark.index
    comma = "" if text[: end - 1].rstrip().endswith("[") else ", "
    return f"{text[: end - 1]}{comma}77{text[end - 1 :]}"


SEMANTIC: tuple[Mutation, ...] = (number, flag, word, nothing, key, gone, further, item)


# --- edits that do not ------------------------------------------------------------------------------------------------


def _outside(text: str) -> list[int]:
    """The lines before which a line may be put: none inside of a text or a flow collection."""
    inside: set[int] = set()
    for node in yaml.compose_all(text):
        stack = [node]
        while stack:
            one = stack.pop()
            if isinstance(one, yaml.ScalarNode) or one.flow_style:
                inside.update(range(one.start_mark.line + 1, one.end_mark.line + 1))
            if isinstance(one, yaml.CollectionNode):
                stack += [part for pair in one.value for part in (pair if isinstance(pair, tuple) else (pair,))]
    head = next((i for i, line in enumerate(text.split("\n")) if line and not line.startswith("#")), 0)
    return [index for index in range(head, text.count("\n") + 1) if index not in inside]


def _with_line(text: str, random: Random, line: str) -> str:
    lines = text.split("\n")
    lines.insert(random.choice(_outside(text)), line)
    return "\n".join(lines)


def comment(text: str, random: Random) -> str | None:
    """A comment on a line of its own."""
    return _with_line(text, random, " " * random.randint(0, 5) + "# gain: 2.0")


def blank(text: str, random: Random) -> str | None:
    """An empty line."""
    return _with_line(text, random, " " * random.choice((0, 0, 3)))


def remark(text: str, random: Random) -> str | None:
    """A comment behind a value."""
    ends = [node.end_mark for node in _scalars(text) if not node.style and node.value]
    lines = text.split("\n")
    last = [mark.line for mark in ends if mark.column == len(lines[mark.line].rstrip())]
    if not last:
        return None
    index = random.choice(last)
    lines[index] = f"{lines[index].rstrip()}   # lr: 3"
    return "\n".join(lines)


def bare(text: str, random: Random) -> str | None:
    """No comments."""
    lines = text.split("\n")
    found = [i for i, line in enumerate(lines) if re.match(r"\s*#(?!\s*@package)", line)]
    index = random.choice(found) if found else None
    return None if index is None else "\n".join([*lines[:index], *lines[index + 1 :]])


def quotes(text: str, random: Random) -> str | None:
    """A text in quotes, or in others."""
    found = [node for node in _scalars(text) if node.tag == STRING and node.style in (None, "", "'", '"')]
    node = random.choice(found) if found else None
    if node is None or "'" in node.value or '"' in node.value or "\\" in node.value:
        return None
    mark = random.choice([mark for mark in "'\"" if mark != node.style])
    return _replaced(text, node, f"{mark}{node.value}{mark}")


def notation(text: str, random: Random) -> str | None:
    """A number written in another way."""
    node = _one(random, text, FLOAT)
    if node is None or not re.fullmatch(r"[-+]?[\d.]+(e[-+]?\d+)?", node.value):
        return None
    value = float(node.value)
    new = random.choice(
        (f"{value:.17e}", f"{node.value}0" if "." in node.value and "e" not in node.value else node.value)
    )
    return _replaced(text, node, new) if float(new) == value else None


def spaces(text: str, random: Random) -> str | None:
    """More space behind a colon, or at the end of a line."""
    pairs = [pair for node, _ in _mappings(text) for pair in node.value if _source(text, pair[1])]
    found = [value for name, value in pairs if name.end_mark.line == value.start_mark.line]
    if not found:
        return None
    index = random.choice(found).start_mark.index
    return f"{text[:index]}{' ' * random.randint(1, 4)}{text[index:]}"


def indentation(text: str, random: Random) -> str | None:
    """Twice the indentation."""
    if any(node.start_mark.line != node.end_mark.line for node in _all_scalars(text)):
        return None
    lines = text.split("\n")
    return "\n".join(f"{' ' * (len(line) - len(line.lstrip(' ')))}{line}" for line in lines)


def _all_scalars(text: str) -> Iterator[yaml.ScalarNode]:
    return (node for node in _walk(Document("a.yaml", text).root) if isinstance(node, yaml.ScalarNode))


def _walk(node: yaml.Node | None) -> Iterator[yaml.Node]:
    if node is not None:
        yield node
        for part in node.value if isinstance(node, yaml.CollectionNode) else ():
            for one in part if isinstance(part, tuple) else (part,):
                yield from _walk(one)


def block(text: str, random: Random) -> str | None:
    """A mapping in braces as lines."""
    lines = text.split("\n")
    found = [
        (name, value)
        for node, _ in _mappings(text)
        if not node.flow_style
        for name, value in node.value
        if isinstance(value, yaml.MappingNode) and value.flow_style and value.value
        if value.start_mark.line == value.end_mark.line == name.start_mark.line
        if not lines[value.end_mark.line][value.end_mark.column :].strip()
    ]
    if not found:
        return None
    name, value = random.choice(found)
    indent = " " * (name.start_mark.column + 2)
    inner = [f"{indent}{_source(text, one)}: {_source(text, other)}".rstrip() for one, other in value.value]
    return _replaced(text, value, "\n" + "\n".join(inner))


def order(text: str, random: Random) -> str | None:
    """Two keys that change places, where their order says nothing."""
    found = [
        (one, other)
        for node, name in _mappings(text)
        if node.flow_style and name not in ORDERED
        for one, other in zip(node.value, node.value[1:], strict=False)
        if "layers" not in (one[0].value, other[0].value)
    ]
    if not found:
        return None
    one, other = random.choice(found)
    first = text[one[0].start_mark.index : one[1].end_mark.index]
    second = text[other[0].start_mark.index : other[1].end_mark.index]
    between = text[one[1].end_mark.index : other[0].start_mark.index]
    return f"{text[: one[0].start_mark.index]}{second}{between}{first}{text[other[1].end_mark.index :]}"


def returns(text: str, random: Random) -> str | None:
    """The ends of lines as on Windows."""
    return text.replace("\n", "\r\n") if "\r" not in text else None


ORDERED = ("layers", "inputs", "outputs", "params", "types", "rename")
"""Mappings whose order means something."""
FORMATTING: tuple[Mutation, ...] = (
    *(comment, blank, remark, bare, quotes, notation, spaces, indentation, block, returns),
    order,
)
