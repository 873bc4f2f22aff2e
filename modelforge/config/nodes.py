"""YAML nodes: from the text of a file to nodes that know their positions, and what lies below a node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import yaml

from modelforge.core.limits import MAX_FILE_DEPTH, MAX_INTERPOLATED

STRING, MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
FLOAT, TIMESTAMP = "tag:yaml.org,2002:float", "tag:yaml.org,2002:timestamp"
BOOL, INT, NULL = "tag:yaml.org,2002:bool", "tag:yaml.org,2002:int", "tag:yaml.org,2002:null"
_BRACKET = re.compile(r"[][(){}]")
_EXPONENT = re.compile(r"^[-+]?[0-9]+(?:_[0-9]+)*(?:\.[0-9_]*)?[eE][-+]?[0-9]+$")
"""What YAML 1.1 takes for a string and everybody else for a number: `1e-3`."""


class TooDeep(Exception):
    """A file is nested more than `MAX_FILE_DEPTH` levels deep."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


def compose(text: str) -> yaml.Node | None:
    """The root node of a file, its keys as the text they are; None for an empty file.

    Raises:
        TooDeep: it is nested too deeply.
        yaml.YAMLError: it is not YAML.
    """
    try:
        root = _single_node(loader_class(), text)
    except yaml.MarkedYAMLError:
        # The pure parser says more clearly what is wrong, and the same with every libyaml.
        root = _single_node(loader_class(pure=True), text)
    if root is not None:
        _keep_keys_as_text(root, set())
    return root


def children(node: yaml.Node) -> Iterator[yaml.Node]:
    """The nodes directly below a node, keys included."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key
            yield value
    elif isinstance(node, yaml.SequenceNode):
        yield from node.value


def items(node: yaml.MappingNode) -> dict[str, tuple[yaml.Node, yaml.Node]]:
    """The entries of a mapping, name → (key, value), with merge keys (`<<`) carried out."""
    own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
    for key, value in node.value:
        if key.tag != MERGE:
            own[key.value] = (key, value)
            continue
        for source in [value] if isinstance(value, yaml.MappingNode) else value.value:
            merged = items(source) | merged
    return merged | own


def scalars(root: yaml.Node | None) -> Iterator[tuple[yaml.ScalarNode, bool]]:
    """The names and values of a file in its order, each with whether it is a key."""
    every = list(nodes(root)) if root is not None else []
    keys = {id(key) for node in every if isinstance(node, yaml.MappingNode) for key, _ in node.value}
    return ((node, id(node) in keys) for node in every if isinstance(node, yaml.ScalarNode))


def is_too_interpolated(text: str) -> bool:
    """Whether OmegaConf's parser would not come to the end of a text, or not in time."""
    depth = deepest = 0
    for bracket in _BRACKET.findall(text):
        depth += 1 if bracket in "([{" else -1
        deepest = max(deepest, depth)
    return deepest > MAX_INTERPOLATED or text.count("${") > MAX_INTERPOLATED


def not_merged(key: yaml.Node, value: yaml.Node) -> Any:
    """What a merge key (`<<`) cannot merge; None where all is well, or it is another key."""
    sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
    return next((one for one in sources if not isinstance(one, yaml.MappingNode)), None) if key.tag == MERGE else None


def has_merges(root: yaml.Node) -> bool:
    """Whether a node or one below it has a merge key (`<<`)."""
    return any(key.tag == MERGE for node in nodes(root) if isinstance(node, yaml.MappingNode) for key, _ in node.value)


def nodes(root: yaml.Node) -> Iterator[yaml.Node]:
    """A node and all below it, in the order of the file, each once."""
    seen: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting += reversed([*children(node)])


def values(root: yaml.Node) -> Iterator[yaml.Node]:
    """All nodes but keys, which are texts."""
    keys = {id(key) for node in nodes(root) if isinstance(node, yaml.MappingNode) for key, _ in node.value}
    return (node for node in nodes(root) if id(node) not in keys)


def num_nodes(root: yaml.Node | None) -> int:
    """How many keys, values, mappings and lists a file makes; what aliases repeat counts each time."""
    sizes: dict[int, int] = {}

    def expanded(node: yaml.Node) -> int:
        if id(node) not in sizes:
            sizes[id(node)] = 0  # an alias within itself is refused elsewhere
            sizes[id(node)] = 1 + sum(map(expanded, children(node)))
        return sizes[id(node)]

    return 0 if root is None else expanded(root)


def _single_node(loader_class: Any, text: str) -> yaml.Node | None:
    loader = loader_class(text)
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _keep_keys_as_text(node: yaml.Node, seen: set[int]) -> None:
    """A layer named `0` or `on` is addressed as `model.layers.on`, not as `True`."""
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
                key.tag = STRING
    for child in children(node):
        _keep_keys_as_text(child, seen)


@cache
def loader_class(*, pure: bool = False) -> Any:
    """A safe loader that reads scalars as OmegaConf does, on libyaml where it is there (12 times as fast)."""
    base: Any = yaml.CSafeLoader if yaml.__with_libyaml__ and not pure else yaml.SafeLoader

    class Loader(base):
        yaml_implicit_resolvers = {  # noqa: RUF012  # PyYAML's own class attribute
            first: [(tag, pattern) for tag, pattern in resolvers if tag != TIMESTAMP]
            for first, resolvers in base.yaml_implicit_resolvers.items()
        }
        depth = 0

        def descend_resolver(self, current_node: yaml.Node | None, current_index: Any) -> None:
            self.depth += 1
            if self.depth > MAX_FILE_DEPTH:
                raise TooDeep(current_node.start_mark.line + 1 if current_node is not None else 1)

        def ascend_resolver(self) -> None:
            self.depth -= 1

    Loader.add_implicit_resolver(FLOAT, _EXPONENT, list("-+0123456789"))
    return Loader


def texts(*roots: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """The names and values of a file, in its order."""
    every = (node for root in roots if root is not None for node in nodes(root))
    return (node for node in every if isinstance(node, yaml.ScalarNode))


def in_defaults(root: yaml.Node | None, group: str, option: str) -> yaml.Node | None:
    """Where the defaults list of a file names an option of a group."""
    defaults = items(root).get("defaults") if isinstance(root, yaml.MappingNode) else None
    for item in defaults[1].value if defaults and isinstance(defaults[1], yaml.SequenceNode) else ():
        pairs = item.value if isinstance(item, yaml.MappingNode) else [(None, item)]
        for key, value in pairs:
            named = key.value.split()[-1].partition("@")[0].strip("/") if key is not None else ""
            path = f"{named}/{value.value}".strip("/") if isinstance(value, yaml.ScalarNode) else ""
            if path and f"{group}/{option}".endswith(path):
                return value
    return None
