"""param_groups: any module → the parameter groups of an optimizer, by role, path, depth and muP."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from torch import nn

from modelforge.building.fill import aliases_of
from modelforge.building.ledger import Ledger
from modelforge.core.errors import ForgeError
from modelforge.core.quoting import quoted
from modelforge.inits.schemes.width import LEARNING_RATE
from modelforge.modules.hooks import as_written
from modelforge.modules.parameters import layouts
from modelforge.modules.parametrised import plain
from modelforge.train.arguments import misuse
from modelforge.train.optimizers.groups import Grouping, Member, unknown_roles


def param_groups(
    model: nn.Module,
    *,
    lr: float,
    weight_decay: float = 0.0,
    no_decay: Sequence[str] = ("bias", "scale"),
    groups: Mapping[str, Mapping[str, Any]] | None = None,
    layer_decay: float | None = None,
    mup: bool = False,
    ledger: Ledger | None = None,
) -> list[dict[str, Any]]:
    """Groups the parameters of a model for an optimizer of torch; each one that is trained is in exactly one group.

    Args:
        model: A model that modelforge built, or any `nn.Module`: roles come from its ledger, or from the classes of its
            modules. A parameter whose role is not known decays.
        lr: The learning rate.
        weight_decay: The weight decay.
        no_decay: Roles without weight decay: `weight`, `recurrent`, `bias`, `embedding`, `scale`.
        groups: Settings by role or by glob of a path: `{"head.*": {"lr": 1e-2}}`.
        layer_decay: By what the learning rate is multiplied from each layer to the one before it. Layers are the
            model's own, in order; each copy of a `Repeat`, or item of a list of modules, counts as one.
        mup: Whether to multiply learning rates as the initializers in the ledger state. Weight decay is divided by the
            same: AdamW and SGD multiply it by the learning rate.
        ledger: What `mf.initialize` returned; default the model's own.

    Returns:
        Groups with `params`, `name`, `lr` and `weight_decay`.

    Raises:
        ForgeError: a role that there is not, a glob that matches nothing, two that match the same parameter, or `mup`
            without learning rates in the ledger.

    Example:
        >>> import torch
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 2))
        >>> groups = param_groups(net, lr=1e-3, weight_decay=0.1)
        >>> [(group["name"], len(group["params"]), group["weight_decay"]) for group in groups]
        [('default', 2, 0.1), ('no_decay', 4, 0.0)]
        >>> optimizer = torch.optim.AdamW(groups)
    """
    ledger = ledger if ledger is not None else getattr(model, "ledger", None)
    rates = _rates(ledger) if mup else {}
    grouping = Grouping(tuple(no_decay), groups or {}, layer_decay)
    with as_written(model) as written:
        members = list(_members(written, ledger, rates))
        weights = dict(written.named_parameters())
    problems = [*unknown_roles(("no_decay", role) for role in no_decay), *grouping.problems(members, "groups")]
    if mup and not rates:
        message = "`mup` takes learning rates from a ledger, but there is none that states any"
        problems.append(misuse("mup", message, "initialise with `mup` or `spectral`, and give the ledger"))
    if layer_decay is not None and not 0 < layer_decay <= 1:
        message = f"`layer_decay` must be greater than 0 and at most 1, but is {quoted(layer_decay)}"
        problems.append(misuse("layer_decay", message))
    if problems:
        raise ForgeError(problems)
    base = {"lr": lr, "weight_decay": weight_decay}
    chosen = grouping.assign(members, base, decays_by_rate=True)
    found: dict[str, dict[str, Any]] = {}
    for path, group in chosen.items():
        of_name = found.setdefault(group.name, {"params": [], "name": group.name, **base, **group.options})
        of_name["params"].append(weights[path])
    return list(found.values())


def _members(model: nn.Module, ledger: Ledger | None, rates: Mapping[str, float]) -> Iterator[Member]:
    """The parameters that are trained; what a parametrisation computes a weight from has the weight's role."""
    by_class: dict[str, str | None] = {}
    with plain(model) as parametrised:
        by_class |= {path: item.role for path, item in layouts(model).items()}
        behind = {id(one): path for path, item in parametrised.items() for one in item.originals}
    stated = {} if ledger is None else {name: one for one in ledger for name in (one.path, *one.aliases)}
    aliases = aliases_of(model)
    for path, weight in model.named_parameters():
        if weight.requires_grad:
            name = behind.get(id(weight), path)
            role = stated[name].role if name in stated else by_class.get(name)
            yield Member(path, role, aliases[path], rates.get(name, 1.0))


def _rates(ledger: Ledger | None) -> dict[str, float]:
    """By what the learning rate of each parameter is multiplied, by each of its names."""
    entries = () if ledger is None else (entry for entry in ledger if LEARNING_RATE in entry.numbers)
    return {name: entry.numbers[LEARNING_RATE] for entry in entries for name in (entry.path, *entry.aliases)}
