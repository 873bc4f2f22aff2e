"""refuse_state: problems of a module that no config can express, whatever its `forward` does."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from modelforge.core.errors import Problem
from modelforge.language import registry
from modelforge.modules.arguments import layer_of

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_OWN = "put it into a layer class of its own, with `mf.register_layer`"


def refuse_state(module: nn.Module) -> list[Problem]:
    """All problems of the modules, parameters and buffers that a module holds."""
    layers = layer_paths(module)
    problems: list[Problem] = []
    for path, inner in module.named_modules():
        if "parametrizations" in path.split("."):
            continue
        problems += _hooks(path, inner)
        if path in layers and layer_of(inner) is None:
            problems += _unregistered(path, inner)
        if path in layers or _below(path, layers):
            problems += _frozen(path, inner)
        else:
            problems += [] if parametrize.is_parametrized(inner) else _holdings(path, inner)
    return problems + _shared(module, layers) + _whole(module)


def refuse_unused(module: nn.Module, used: Collection[str]) -> Iterator[Problem]:
    """Layers with parameters or buffers that no call reached."""
    for path in layer_paths(module):
        if path not in used and has_state(module.get_submodule(path)):
            hint = "a layer that is not called has no place in a config: remove it, or call it"
            yield Problem("MF133", path, f"`{path}` holds parameters, but `forward` does not call it", hint, part="key")


def layer_paths(module: nn.Module) -> list[str]:
    """Paths of the modules that are layers, or would be if their class were registered, outermost ones only."""
    found: list[str] = []
    for path, inner in module.named_modules():
        alone = layer_of(inner) is not None or (inner._parameters and not inner._modules)
        if path and alone and not _below(path, found[-1:]):
            found.append(path)
    return found


def _below(path: str, above: Collection[str]) -> bool:
    parts = path.split(".")
    return any(".".join(parts[:end]) in above for end in range(1, len(parts)))


def has_state(module: nn.Module) -> bool:
    """Whether a module, or one in it, holds parameters or buffers."""
    return any(True for _ in module.parameters()) or any(True for _ in module.buffers())


def _problem(path: str, module: nn.Module, message: str, hint: str, code: str = "MF132") -> Problem:
    return Problem(code, path or type(module).__name__, message, hint, part="key")


def is_computed(module: nn.Module) -> bool:
    """Whether a parametrisation, of the newer kind or the older, computes one of its parameters."""
    older = any(isinstance(hook, WeightNorm | SpectralNorm) for hook in module._forward_pre_hooks.values())
    return older or parametrize.is_parametrized(module)


def _removers(module: nn.Module) -> Iterator[str]:
    """The functions that remove a module's parametrisations, by name below torch.nn.utils."""
    older = {type(hook) for hook in module._forward_pre_hooks.values()}
    if parametrize.is_parametrized(module):
        yield "parametrize.remove_parametrizations"
    if SpectralNorm in older:
        yield "remove_spectral_norm"
    if WeightNorm in older:
        yield "remove_weight_norm"


def _hooks(path: str, module: nn.Module) -> Iterator[Problem]:
    hooks = [hook for name in _HOOKS for hook in getattr(module, name).values()]
    if is_computed(module):
        removes = " and ".join(f"`torch.nn.utils.{name}`" for name in _removers(module))
        hint = f"{removes} removes it; add it to the module that `mf.build` returns"
        yield _problem(path, module, f"a parameter of {type(module).__name__} is computed by a parametrisation", hint)
    elif hooks:
        hint = "remove them, and add them to the module that `mf.build` returns"
        yield _problem(path, module, f"{type(module).__name__} has hooks, which a config cannot hold", hint)


def _frozen(path: str, module: nn.Module) -> Iterator[Problem]:
    frozen = [name for name, weight in module._parameters.items() if weight is not None and not weight.requires_grad]
    if frozen:
        hint = "freezing belongs to training: `requires_grad_(True)` first, and freeze what `mf.build` returns"
        yield _problem(path, module, f"{', '.join(frozen)} of {type(module).__name__} is frozen", hint)
    lazy = [name for name, weight in module._parameters.items() if weight is not None and is_lazy(weight)]
    if lazy:
        hint = "run the module once on an example first"
        yield _problem(path, module, f"{', '.join(lazy)} of {type(module).__name__} has no shape yet", hint)


def _unregistered(path: str, module: nn.Module) -> Iterator[Problem]:
    if parametrize.is_parametrized(module):
        return
    name = type(module).__name__
    absent = registry.LEFT_OUT.get(name, "")
    bases = [base.__name__ for base in type(module).__mro__[1:] if base.__name__ in registry.names()]
    near = f"it derives from {bases[0]}, and may compute something else: " if bases else ""
    hint = absent or f"{near}register it, with `mf.register_layer`"
    yield _problem(path, module, f"{name} is not a registered layer", hint, "MF130")


def _holdings(path: str, module: nn.Module) -> Iterator[Problem]:
    """Parameters and buffers of a module that is not a layer but made of layers."""
    for kind, table in (("parameter", module._parameters), ("buffer", module._buffers)):
        names = [name for name, value in table.items() if value is not None]
        if names:
            noun = f"{kind}s" if len(names) > 1 else kind
            message = f"{type(module).__name__} holds the {noun} {', '.join(names)} itself, which only layers do"
            yield _problem(path, module, message, "; ".join([_OWN, *_ready_made(table)]))


def _ready_made(table: Mapping[str, Tensor | None]) -> Iterator[str]:
    """The layer that there is for a vector before the first step, or for one a step."""
    shapes = [tuple(value.shape) for value in table.values() if value is not None]
    if any(len(shape) > 1 and set(shape[:-1]) == {1} for shape in shapes):
        yield "a class token is `ClassToken` of `modelforge.layers.class_token`"
    if any(len(shape) == 3 and shape[0] == 1 < shape[1] for shape in shapes):
        yield "positions are `PositionEmbedding` of `modelforge.layers.positions`"


def _shared(module: nn.Module, layers: Collection[str]) -> list[Problem]:
    """Modules with state that have two names."""
    first: dict[int, str] = {}
    problems: dict[str, Problem] = {}
    for path, inner in module.named_modules(remove_duplicate=False):
        other = first.setdefault(id(inner), path)
        if other == path or not has_state(inner) or _below(path, layers) or _below(path, problems):
            continue
        hint = "make a second module, and share its parameters: `tie` says so in a config"
        problems[path] = _problem(path, inner, f"`{path}` is the same module as `{other}`", hint, "MF133")
    return list(problems.values())


def refuse_left_behind(module: nn.Module) -> list[Problem]:
    """The problem of a module whose own `train` leaves parts in evaluation mode, once that was called."""
    still = next((path or type(module).__name__ for path, inner in module.named_modules() if not inner.training), None)
    if still is None:
        return []
    hint = (
        "a config has one mode: leave that out of `train`, and call `.eval()` on the parts of what `mf.build` returns"
    )
    return [_problem("", module, f"`{still}` stays in evaluation mode while the model trains", hint)]


def _whole(module: nn.Module) -> list[Problem]:
    """Problems of several dtypes, or of several modes."""
    problems: list[Problem] = []
    kinds = {str(item.dtype).removeprefix("torch."): path for path, item in module.named_parameters()}
    if len(kinds) > 1 or any(kind.startswith("complex") for kind in kinds):
        shown = " and ".join(f"{kind} (`{path}`)" for kind, path in kinds.items())
        hint = "`mf.build(dtype=...)` gives all parameters one: convert the module first"
        problems.append(_problem("", module, f"its parameters are of several dtypes: {shown}", hint))
    modes = {inner.training: path for path, inner in reversed([*module.named_modules()])}
    if len(modes) > 1:
        shown = f"`{modes[not module.training] or type(module).__name__}`"
        mode = "evaluation" if module.training else "training"
        hint = "the mode belongs to training: call `.train()` or `.eval()` on the whole first"
        problems.append(_problem("", module, f"{shown} is in {mode} mode, and the model is not", hint))
    return problems
