"""upgraded: the text of a config file of an earlier version of the language → the same config in the present version.

One `Migration` is one change of the language; `modelforge upgrade` carries out those that are later than a config.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from modelforge.config.document import Document
from modelforge.language.formatting import compose, last_line, serialize
from modelforge.language.version import KEY, VERSION


@dataclass(frozen=True)
class Migration:
    """One change of the language: what was, what is, and the step from the one to the other."""

    version: int
    """The version that the change belongs to: files of earlier ones are changed."""
    title: str
    apply: Callable[[Document, str], str | None]
    """A file and its group → its new text; None where there is nothing to change."""


def upgraded(document: Document, group: str, version: int) -> tuple[str, list[Migration]]:
    """A file in the present version, and the changes that it needed.

    Args:
        document: The file.
        group: The folder it lies in, below the config folder; `""` for a primary config.
        version: The version that it is written for.
    """
    done: list[Migration] = []
    for step in MIGRATIONS:
        text = step.apply(document, group) if step.version > version else None
        if text is not None:
            document = Document(document.file, text)
            done.append(step)
    return document.text, done


def with_version(document: Document) -> str:
    """A primary config that says the present version."""
    root = compose(document)
    if root is None:
        return f"{document.text.rstrip()}\n\n{KEY}: {VERSION}\n".lstrip()
    number = ScalarNode("tag:yaml.org,2002:int", str(VERSION))
    for index, (key, value) in enumerate(root.value):
        if key.value == KEY:
            number.comment = value.comment
            root.value[index] = (key, number)
            return serialize(root)
    root.value.insert(0, (ScalarNode("tag:yaml.org,2002:str", KEY), number))
    return serialize(root)


def _register_callback(document: Document, group: str) -> str | None:
    """`callbacks: {sweep: {_target_: ...SweepReport}}` in a `hydra` section became an option of `hydra/callbacks`."""
    root = compose(document)
    section = root if group == "hydra" else _value(root, "hydra")
    callbacks = _value(section, "callbacks")
    entries = callbacks.value if isinstance(callbacks, MappingNode) else []
    targets = [_value(settings, "_target_") for _, settings in entries]
    if not targets or not all(isinstance(one, ScalarNode) and one.value in OLD_CALLBACKS for one in targets):
        return None  # others cannot be replaced, and are MF006
    assert root is not None
    assert isinstance(section, MappingNode)
    section.value = [(key, value) for key, value in section.value if value is not callbacks]
    override = "override callbacks" if group == "hydra" else "override /hydra/callbacks"
    return _with_default(Document(document.file, serialize(root)), f"{override}: sweep_report")


def _with_default(document: Document, entry: str) -> str:
    """A file with one more entry of its defaults list, on a line of its own."""
    root = compose(document)
    assert root is not None
    lines = document.text.split("\n")
    defaults = _value(root, "defaults")
    if isinstance(defaults, SequenceNode) and defaults.value and not defaults.flow_style:
        indent = lines[defaults.value[0].start_mark.line].partition("-")[0]
        lines.insert(last_line(defaults, defaults) + 1, f"{indent}- {entry}")
    elif isinstance(defaults, SequenceNode):
        key, _, option = entry.partition(": ")
        pair = ScalarNode("tag:yaml.org,2002:str", key), ScalarNode("tag:yaml.org,2002:str", option)
        defaults.value.append(MappingNode("tag:yaml.org,2002:map", [pair], flow_style=True))
        return serialize(root)
    else:
        first = root.value[0][0].start_mark.line
        lines[first:first] = ["defaults:", f"  - {entry}"]
    return "\n".join(lines)


def _value(node: Node | None, name: str) -> Node | None:
    entries = node.value if isinstance(node, MappingNode) else []
    return next((value for key, value in entries if key.value == name), None)


OLD_CALLBACKS = tuple(f"modelforge.{room}.callback.SweepReport" for room in ("sweep", "runs", "results"))
MIGRATIONS = (
    Migration(1, "`callbacks` with a `_target_` became `override callbacks: sweep_report`", _register_callback),
)
"""All changes of the language, oldest first."""
