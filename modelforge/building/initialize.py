"""initialize: any module and an init block → its parameters, each filled once, and the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.jit import ScriptModule
from torch.nn.parameter import is_lazy

from modelforge.building.aliasing import overlaps_itself, shared, unwritable
from modelforge.building.fill import KEEP, aliases_of, fill_module
from modelforge.building.ledger import Ledger
from modelforge.building.shards import shard_of
from modelforge.config.origins import Origins
from modelforge.core.complaints import require
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import FrozenDict
from modelforge.core.matrix import Context
from modelforge.core.paths import around
from modelforge.core.quoting import listed
from modelforge.core.rng import check_seed
from modelforge.inits import registry
from modelforge.language.init import InitSpec
from modelforge.language.parse import parse_init
from modelforge.modules.hooks import as_written
from modelforge.modules.parameters import layouts
from modelforge.modules.parametrised import Parametrised, plain
from modelforge.modules.structure import is_known
from modelforge.planning.assign import ParameterPlan, assign
from modelforge.planning.precedence import FROZEN
from modelforge.planning.scopes import ModelParameter, Scope
from modelforge.planning.study import ParameterFacts, describe, num_branches
from modelforge.planning.weight_files import locate, stored_buffers


def initialize(module: nn.Module, init: Mapping[str, Any] | str, *, seed: int = 0) -> Ledger:
    """Fills every parameter of any module, in place, exactly once, in place of `Module.apply`.

    Args:
        module: Any `nn.Module` with real memory, as a whole: values depend on a parameter's name, so equal layers that
            are given one by one start with equal values. Roles, logical matrices and residual branches come from its
            modules' classes; for those that modelforge does not know, name parameters in `params`, or see
            `register_layout`, `register_inside` and `register_branches` in `modelforge.layers`. A parameter with
            several names (tied weights) is filled once, as its first name in `named_parameters` says; in `params` each
            name will do. What a parametrisation makes (`torch.nn.utils.parametrizations`) counts as the parameter, and
            is written through its `right_inverse`. A frozen parameter (`requires_grad=False`, as of a fixed table)
            keeps its values unless `params` names it or they come from a file; the ledger then shows `keep`. What
            `torch.compile` gives counts as the module that was compiled, as a whole or part by part.
        init: An init block, as in YAML: a scheme with its fields, and blocks for roles, `types` and `params`.
        seed: Key of all random numbers. The same seed and paths give the same values.

    Returns:
        The ledger: for each parameter its rule, targets and measured values; `.warnings` is printed below the table.

    Raises:
        ForgeError: parameters that no rule covers, `params` and `types` that match nothing, schemes that cannot serve
            a shape, parameters that cannot be written: without memory, not yet materialised, expanded, computed by a
            parametrisation that changes what was drawn; a module that is frozen as a whole, or in which the block fills
            nothing, as a plain scheme in a norm or an embedding. Nothing is written then.
            Also, after others were written, a parameter that `torch` should fill and that no
            `reset_parameters` writes as a whole.

    Example:
        >>> net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> ledger = initialize(net, {"scheme": "kaiming", "bias": {"scheme": "constant", "value": 0.1}})
        >>> ledger.ok, ledger["0.weight"].scheme, round(ledger["2.bias"].measured_mean, 6)
        (True, 'kaiming', 0.1)
    """
    require(module, nn.Module, "initialize takes an nn.Module")
    require(init, Mapping | str, f"initialize takes an init block or the name of a scheme{_scheme_of(init)}")
    seed = check_seed(seed)
    block = parse_init(init)
    if isinstance(module, ScriptModule):
        message = f"`{module.original_name}` was compiled by `torch.jit`: what its modules are cannot be seen any more"
        raise ForgeError(
            [Problem("MF094", "init", message, "initialise it first: `torch.jit.script(module)` comes after")]
        )
    with as_written(module) as written:
        return _initialize(written, block, seed)


def _initialize(module: nn.Module, block: InitSpec, seed: int) -> Ledger:
    if lazy := [_uninitialised(path) for path, weight in module.named_parameters() if is_lazy(weight)]:
        raise ForgeError(lazy)
    scope = Scope(block, "init", "", outermost=True)
    with plain(module) as parametrised:
        decided, found = assign(list(_model_parameters(module, scope, parametrised)), [scope], Origins.empty())
        kept = {item.path for item in decided if item.initializer.values_from == "existing"}
        keeps = block.scheme is not None and registry.get(block.scheme).values_from == "existing"
        if block.scheme is not None and not keeps and not decided and not found:
            raise ForgeError([_without_parameters(module)])
        if decided and not found and not keeps:
            if all(item.rule.key == FROZEN for item in decided):
                raise ForgeError([_nothing_to_fill()])
            has_weights = any(layout.role == "weight" for layout in layouts(module).values())  # perhaps tied to a table
            if block.is_rule and not has_weights and all(rule.default for item in decided for rule in item.chain):
                raise ForgeError([_of_other_roles(block, decided)])
        ties = {name: first for first, others in aliases_of(module).items() for name in others}
        located = locate(decided, partial(_names, module), ties=ties)
        found += located.problems
        refused = (*_sharing(module, kept), *_unwritable(module, kept, parametrised))
        problems = {problem.key: problem for problem in refused}
        warnings = tuple(problem for problem in found if problem.severity == "warning")
        found = [problem for problem in found if problem.key not in problems and problem not in warnings]
        if problems or found:
            raise ForgeError([*problems.values(), *found])
        ledger = fill_module(module, located.parameters, seed, parametrised, located.buffers)
        return replace(ledger, warnings=warnings)


def _model_parameters(
    module: nn.Module, scope: Scope, parametrised: Mapping[str, Parametrised]
) -> Iterator[ModelParameter]:
    count = num_branches(module)
    aliases, known, weights = aliases_of(module), layouts(module), dict(module.named_parameters())
    for facts in describe(module):
        follows = facts.follows if isinstance(facts.follows, tuple) else None
        context = _context(module, count, facts)
        roles = {name: known[name].role if name in known else None for name in aliases[facts.name]}
        behind = parametrised[facts.name].originals if facts.name in parametrised else (weights[facts.name],)
        # Whole numbers cannot be trained anyway, so they do not count as frozen.
        frozen = any(not weight.requires_grad and weight.is_floating_point() for weight in behind)
        yield ModelParameter(
            path=facts.name,
            facts=facts,
            key=facts.name,
            scopes=(scope,),
            follows=follows,
            context=context,
            aliases=FrozenDict(roles),
            frozen=frozen,
        )


def _names(module: nn.Module) -> dict[str, tuple[int, ...] | None]:
    """All names in a checkpoint of a module; buffers with their shapes."""
    names = dict.fromkeys(name for name, _ in module.named_parameters(remove_duplicate=False))
    return {**names, **{name: tuple(value.shape) for name, value in stored_buffers(module)}}


def _context(module: nn.Module, num_branches: int, facts: ParameterFacts) -> Context | None:
    """The context of a parameter as far as classes declare it; None for a kernel inside a class that declares nothing,
    and so may add residual branches."""
    outer = [path for path in around(facts.name) if path != facts.owner]
    kernel = facts.layout.role in ("weight", "recurrent")
    if kernel and facts.branch is None and not all(is_known(module.get_submodule(path)) for path in outer):
        return None
    return Context(num_branches, facts.branch) if num_branches else None


def _nothing_to_fill() -> Problem:
    message = "every parameter is frozen (`requires_grad=False`), and so kept: there is nothing to fill"
    return Problem("MF029", "init", message, "call `module.requires_grad_()` first, or name parameters in `params`")


def _of_other_roles(block: InitSpec, decided: Sequence[ParameterPlan]) -> Problem:
    roles = list(dict.fromkeys(item.role for item in decided if item.rule.key != FROZEN))
    named = [f"`{role}`" for role in roles if role is not None]
    reason = "no parameter here has the role `weight`"
    reason += f", only {listed(named, len(named))}" if named else ""
    what = "this block" if block.scheme is None else f"`{block.scheme}`"
    write = f"`{roles[0]}: {{scheme: ...}}`" if roles[0] is not None else '`params: {"*": {scheme: ...}}`'
    hint = f"write {write} in the block to fill them, or give it the whole network, once"
    return Problem("MF029", "init", f"{what} fills nothing: {reason}", hint)


def _scheme_of(function: object) -> str:
    """The scheme that does what a function of `torch.nn.init` does, in words; empty for anything else."""
    if getattr(function, "__module__", "") != nn.init.__name__:
        return ""
    name = getattr(function, "__name__", "").rstrip("_")
    found = next((scheme for scheme in (f"torch.{name}", name) if scheme in registry.SCHEMES), "")
    return f", here `{found}`" if found else ""


def _without_parameters(module: nn.Module) -> Problem:
    hint = "give it the whole network, once: `types: {Linear: ...}` and `params` choose what is filled how"
    return Problem("MF029", "init", f"{type(module).__name__} has no parameters: there is nothing to fill", hint)


def _uninitialised(path: str) -> Problem:
    hint = "run the module once on an example: lazy layers take their shapes from it"
    return Problem("MF094", path, f"`{path}` has no shape yet: its lazy layer has not run", hint)


def _unwritable(
    module: nn.Module, kept: Collection[str], parametrised: Mapping[str, Parametrised]
) -> Iterator[Problem]:
    uses = Counter(id(weight) for item in parametrised.values() for weight in item.originals)
    uses.update(id(weight) for weight in module.parameters())
    for path, weight in module.named_parameters():
        item = parametrised.get(path)
        behind = item.originals if item is not None else (weight,)
        if weight.device.type == "meta":
            hint = "give it memory first: `module.to_empty(device=...)`"
            yield Problem("MF094", path, f"`{path}` is on the meta device: there is no memory to fill", hint)
        elif path in kept:
            continue
        elif any(overlaps_itself(_local(original)) for original in behind):
            hint = "give each element its own memory: `nn.Parameter(weight.detach().contiguous())`"
            yield Problem("MF094", path, f"`{path}` overlaps itself: several elements share one place in memory", hint)
        elif any(_local(original).is_neg() for original in behind):
            hint = "give it values of its own: `nn.Parameter(weight.detach().resolve_neg())`"
            yield Problem("MF094", path, f"`{path}` is a view of negated memory", hint)
        elif item is not None and (reason := unwritable(item, uses)):
            yield Problem("MF094", path, f"`{path}` {reason}", KEEP.format(path))


def _local(weight: Tensor) -> Tensor:
    return shard_of(weight.detach()).local


def _sharing(module: nn.Module, kept: Collection[str]) -> Iterator[Problem]:
    """Different parameters in the same memory: writing one would change the others."""
    locals_ = {path: _local(weight) for path, weight in module.named_parameters() if weight.device.type != "meta"}
    for path, other in shared({path: local for path, local in locals_.items() if not overlaps_itself(local)}):
        if path not in kept or other not in kept:
            hint = "to tie them, make them one parameter: `head.weight = embed.weight`; else copy one of them"
            yield Problem("MF094", other, f"`{other}` shares memory with `{path}`", hint)
