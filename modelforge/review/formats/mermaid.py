"""The changed part of a network as a Mermaid diagram, which GitHub and GitLab draw."""

from __future__ import annotations

from collections.abc import Iterator

from modelforge.report.escapes import entity, prose
from modelforge.review.document import Picture

_STYLES = (
    "classDef added fill:#dafbe1,stroke:#1a7f37,color:#1f2328",
    "classDef removed fill:#ffebe9,stroke:#cf222e,color:#1f2328,stroke-dasharray: 4",
    "classDef changed fill:#fff8c5,stroke:#9a6700,color:#1f2328",
)
_CLASSES = {"+": "added", "-": "removed", "~": "changed", ">": "changed", "!": "removed"}


def mermaid(picture: Picture) -> Iterator[str]:
    """The diagram in a fold, with the compositions that it is of."""
    label = f" of {prose(picture.entry)}" if picture.entry else ""
    dotted = " (dotted: as it was)" if picture.old_edges else ""
    yield f"<details><summary>The changed part of the network</summary>\n\nThe network{label}{dotted}:\n"
    yield from ("```mermaid", "flowchart TD")
    for index, node in enumerate(picture.nodes):
        parts = [f"{node.mark} {node.name}".strip() if node.mark != "~" else node.name, node.type, node.words]
        label = "<br/>".join(entity(part) for part in parts if part)
        suffix = f":::{_CLASSES[node.mark]}" if node.mark else ""
        yield f'  n{index}["{label}"]{suffix}'
    for source, target in picture.edges:
        yield f"  n{source} --> n{target}"
    for source, target in picture.old_edges:
        yield f"  n{source} -.-> n{target}"
    yield from (f"  {style}" for style in _STYLES)
    yield "```"
    if more := picture.num_nodes - len(picture.nodes):
        yield f"\n… and {more:,} more."
    yield "\n</details>"
