"""dead: a network in which no weight can learn, because its signal or its gradient is 0 everywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from modelforge.diagnosis.document import Cause, Level, Spot
from modelforge.diagnosis.levels import judged, weights_of
from modelforge.planning.plan import Plan
from modelforge.signal.flow import LeafLayer, flow
from modelforge.signal.retuned import root_mean_square


def dead(plan: Plan, levels: Sequence[Level], *, vanishes: bool = False) -> Cause | None:
    """The cause of a network in which no weight can learn; None where one can, or where that is not known.

    A weight learns if what it reads and the gradient of what it makes are both not 0. A single layer that starts at 0
    is none: it learns in the first step, and the layers before it from then on.

    Args:
        plan: The network.
        levels: All of them.
        vanishes: Whether the signal vanishes: then what gives zeros is to blame only if it starts at 0, for numbers too
            small for their dtype become 0.
    """
    signals, gradients = judged(levels, "signal"), judged(levels, "gradient")
    leaves, weights = flow(plan).leaves, weights_of(plan)
    weighted = [leaf for leaf in leaves if leaf.layer.path in weights]
    if not weighted or not all(_is_still(leaf, signals, gradients) for leaf in weighted):
        return None
    first = next((leaf for leaf in leaves if signals.get(leaf.layer.path) == 0), None)
    if first is None:
        return None
    path = first.layer.path
    weight = weights.get(path)
    sentence = f"No weight can learn: `{path}` ({first.layer.type}) gives only zeros"
    if weight is not None and root_mean_square(weight) == 0:
        sentence += f", because `{weight.scheme}` starts `{weight.path}` at 0"
        key, place = weight.rule.key, weight.rule.place
    elif vanishes:
        return None
    else:
        sentence += ", because it reads only zeros" if _reads_zeros(first, signals) else ""
        key, place = first.layer.key, None
    spot = Spot.of(place or plan.origins.place(key))
    return Cause(verdict="dead", severity="error", sentence=sentence, key=key, spot=spot)


def _is_still(leaf: LeafLayer, signals: Mapping[str, float], gradients: Mapping[str, float]) -> bool:
    """Whether a layer's weights get no gradient; unknown energies count as some."""
    if gradients.get(leaf.layer.path) == 0:
        return True
    return _reads_zeros(leaf, signals)


def _reads_zeros(leaf: LeafLayer, signals: Mapping[str, float]) -> bool:
    return bool(leaf.reads) and all(signals.get(read.maker.removeprefix("@")) == 0 for read in leaf.reads)
