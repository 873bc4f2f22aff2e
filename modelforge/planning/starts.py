"""starts: the parameters of activations → the numbers that they start with, before anything asks for a gain."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from modelforge.config.origins import Origins
from modelforge.core.matrix import Context
from modelforge.planning.assign import assign
from modelforge.planning.scopes import ModelParameter
from modelforge.planning.study import ParameterFacts
from modelforge.planning.ties import Ties


def starts(
    paths: Collection[str],
    parameters: Iterable[ModelParameter],
    ties: Ties,
    context: Callable[[str, ParameterFacts], Context],
    origins: Origins,
) -> dict[str, float | None]:
    """The numbers by path; None for what is drawn, or in a file. What a module gives itself is left out.

    Args:
        paths: The parameters of activations, under the names that they have there.
        parameters: All parameters of the model.
        ties: Which of them are one.
        context: The context of a parameter.
        origins: Where init blocks were written.
    """
    first = {path: ties.first.get(path, path) for path in paths}
    names = {*first.values()}
    own = [
        replace(parameter, context=context(parameter.layer_path, parameter.facts))
        for parameter in ties.with_aliases(parameters)
        if parameter.path in names
    ]
    decided, _ = assign(own, [], origins, fresh=True)
    drawn = [item for item in decided if item.initializer.values_from != "module"]
    found = {item.path: item.mean if item.std == 0 else None for item in drawn}
    return {path: found[name] for path, name in first.items() if name in found}
