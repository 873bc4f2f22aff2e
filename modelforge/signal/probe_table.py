"""A probe as a table: a line for each module, below it the Jacobian and the recurrent matrices."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from modelforge.core.words import number, plural, shape
from modelforge.report.aligned import Wrapped
from modelforge.report.table import PATH, Fitted
from modelforge.signal.jacobian import Jacobian
from modelforge.signal.nodes import ProbedNode
from modelforge.signal.recurrent import Spectrum

MAX_VALUES = 5
"""Singular values that are shown."""


def probe_table(
    inputs: Sequence[ProbedNode], nodes: Sequence[ProbedNode], jacobian: Jacobian | None, spectra: Sequence[Spectrum]
) -> RenderableType:
    """What each module makes of the batch. Where the terminal is narrow, shapes and classes are left out first."""
    header = ("module", "class", "output", "mean", "std", "gradient\nrms", "saturated", "dead", "rank")
    body = [_line(node, style) for group, style in ((inputs, "dim"), (nodes, "")) for node in group]
    steps = ((2, 0), (0, 28), (1, 0), (0, 12))
    parts: list[RenderableType] = [Fitted(header, body, right=range(3, 9), folds={0: PATH}, steps=steps)]
    if stepped := [node for node in nodes if node.steps]:
        parts += [Text(), _steps_table(stepped)]
    if jacobian is not None:
        parts += [Text(), Wrapped(Text(_jacobian(jacobian)))]
    if spectra:
        parts += [Text(), _spectra_table(spectra)]
    return Group(*parts)


def _line(node: ProbedNode, style: str) -> tuple[Text, ...]:
    gradient = None if node.gradient is None else node.gradient.second_moment**0.5
    dead = "" if not node.num_dead else f"{number(node.num_dead)}/{node.num_units}"
    cells = (
        node.path or "(output)",
        node.kind,
        shape(node.shape),
        number(node.forward.mean),
        number(node.forward.std),
        number(gradient),
        "" if node.saturated is None else f"{node.saturated:.1%}",
        dead,
        "" if node.effective_rank is None else f"{node.effective_rank:.1f}",
    )
    return tuple(Text(cell, "cyan" if index == 1 and not style else style) for index, cell in enumerate(cells))


def _steps_table(nodes: Sequence[ProbedNode]) -> RenderableType:
    """What is called, or carried on, several times: the root mean squares at the first and the last step."""
    header = ("over time", "steps", "rms\nfirst", "\nlast", "gradient\nfirst", "\nlast")
    body = [
        tuple(map(Text, (node.path, str(len(node.steps)), *map(number, (*_ends(node), *_gradients(node))))))
        for node in nodes
    ]
    return Fitted(header, body, right=range(1, 6), folds={0: PATH}, steps=((0, 12),))


def _ends(node: ProbedNode) -> list[float]:
    return [step.forward.second_moment**0.5 for step in (node.steps[0], node.steps[-1])]


def _gradients(node: ProbedNode) -> list[float | None]:
    ends = [step.gradient for step in (node.steps[0], node.steps[-1])]
    return [None if moments is None else moments.second_moment**0.5 for moments in ends]


def _jacobian(jacobian: Jacobian) -> str:
    outputs, inputs = jacobian.shape
    kind = "" if jacobian.method == "exact" else ", estimated"
    values = jacobian.singular_values
    shown = [number(value) for value in values[:MAX_VALUES]]
    if jacobian.method == "exact" and len(values) > MAX_VALUES:
        shown += ["…", number(values[-1])]
    listed = f"singular values {', '.join(shown)}; " if shown else ""
    blocks = f", {plural(jacobian.num_blocks, 'example')}" if jacobian.num_blocks > 1 else ""
    rms = number(jacobian.mean_square**0.5)
    return f"Jacobian of the output by the input ({outputs}×{inputs}{blocks}{kind}): {listed}root mean square {rms}"


def _spectra_table(spectra: Sequence[Spectrum]) -> RenderableType:
    header = ("recurrent matrix", "size", "largest\neigenvalue")
    body = [tuple(map(Text, (found.path, str(len(found.eigenvalues)), number(found.radius)))) for found in spectra]
    return Fitted(header, body, right=(1, 2), folds={0: PATH}, steps=((0, 12),))
