"""Writes docs/layers.md from the layer registry: `python docs/make.py`."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path
from typing import Any

from modelforge.layers import registry
from modelforge.layers.describe import describe

HEAD = """# Layers

Made by `python docs/make.py` from the registry: what a config can name as `type`, and the classes of `torch.nn` that it
cannot. An argument in italics may be left out, because what arrives determines it; `=` gives a default; the others are
required. Every layer also takes `inputs` and `init`.
"""
TITLES = {
    "combinator": "Combinators",
    "layer": "Layers with arithmetic of their own",
    "activation": "Activations",
    "passthrough": "Layers that an activation counts through",
}


def layers() -> str:
    """The page as Markdown."""
    known = [describe(name) for name in registry.names()]
    parts = [HEAD]
    for kind, title in TITLES.items():
        rows = [_row(layer) for layer in known if layer["kind"] == kind]
        parts.append("\n".join([f"## {title}\n", "| type | reads | arguments |", "| --- | --- | --- |", *rows, ""]))
    left_out = sorted((reason, name) for name, reason in registry.LEFT_OUT.items())
    rows = [
        f"| {', '.join(f'`{name}`' for _, name in group)} | {reason} |"
        for reason, group in groupby(left_out, key=lambda pair: pair[0])
    ]
    parts.append("\n".join(["## Left out of torch.nn\n", "| class | why |", "| --- | --- |", *rows, ""]))
    return "\n".join(parts)


def _row(layer: dict[str, Any]) -> str:
    reads = " or ".join(f"`{axes}`" for axes in layer["reads"])
    return f"| `{layer['name']}` | {reads} | {', '.join(map(_argument, layer['fields'])) or 'none'} |"


def _argument(field: dict[str, Any]) -> str:
    words = field["type"].replace("|", "\\|")
    if field["inferred"]:
        return f"*{field['name']}*: {words}"
    if field["required"]:
        return f"**{field['name']}**: {words}"
    default = json.dumps(field["default"]) if not isinstance(field["default"], str) else field["default"]
    return f"{field['name']}: {words} = {default}"


if __name__ == "__main__":
    Path(__file__).with_name("layers.md").write_text(layers(), encoding="utf-8")
