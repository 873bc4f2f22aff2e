"""from_module: an `nn.Module` → the config of the same network. The way back from `build`.

`state` refuses what no config can express, `trace` records the module's calls, `steps` makes layers of them, `nest`
puts those into containers, `write` makes the config, and `prove` builds it and compares.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from modelforge.core.complaints import require
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import sentence
from modelforge.core.rng import preserved_globals
from modelforge.language.layer import NAME
from modelforge.modules.arguments import layer_of
from modelforge.tracing.nest import nest
from modelforge.tracing.prove import prove
from modelforge.tracing.state import refuse_left_behind, refuse_state, refuse_unused
from modelforge.tracing.steps import Ref, Steps
from modelforge.tracing.text import ModelConfig as ModelConfig
from modelforge.tracing.trace import Trace, trace
from modelforge.tracing.write import Writer

_DTYPES = {torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool}


def from_module(module: nn.Module, *example_inputs: Tensor) -> ModelConfig:
    """Writes the config that builds the same network: names, arguments and parameters are those of the module.

    The module's own code runs a few times, on copies of the module and of the examples. The config is built once and
    run beside the module, both with drawn values, so that it is proven before it is returned. Where that cannot be
    done, its `unproven` says why, and so does the first line of its text.

    Args:
        module: A module made of registered layers: torch.nn's, modelforge's, and those of `register_layer`. Functions
            and methods of tensors become layers where there is one that does the same.
        example_inputs: Its inputs, with the batch as dimension 0: shapes and dtypes count, values do not.

    Returns:
        The model section of a config, for `mf.parse`; `str()` of it is YAML.

    Raises:
        ForgeError: all that a config cannot express: classes and functions that are not layers, parameters and buffers
            outside of layers, hooks, frozen parameters, decisions by values, modules with parameters that run twice.
        TypeError: `module` is not a module, or an example is not a tensor.

    Example:
        >>> net = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2))
        >>> print(from_module(net, torch.zeros(1, 3, 4)))
        input: {shape: [3, 4]}
        layers:
          "0": Flatten
          "1": {type: Linear, out_features: 8}
          "2": ReLU
          "3": {type: Linear, out_features: 2}
        <BLANKLINE>
    """
    _check_arguments(module, example_inputs)
    problems = refuse_state(module)
    try:
        twin = copy.deepcopy(module)
    except Exception as error:
        name = type(module).__name__
        message = f"{name} cannot be copied, and its code runs on a copy: {sentence(error)}"
        raise ForgeError(problems or [Problem("MF131", name, message, "see `copy.deepcopy`", part="key")]) from error
    with preserved_globals():
        traced = trace(twin.eval(), example_inputs)
        found = Steps(traced, twin)
        training = trace(twin.train(), example_inputs)
        problems += [] if problems else refuse_left_behind(twin)
        in_training = Steps(training, twin)
    twin.eval()
    problems += traced.problems + found.problems + training.problems + in_training.problems
    if not traced.problems:
        problems += refuse_unused(twin, {str(node.target) for node in traced.graph.nodes if node.op == "call_module"})
    if not problems and _signature(found) != _signature(in_training):
        message = f"{type(module).__name__} is not the same network in training and in evaluation"
        hint = "`self.training` decides which layers run: a config has the same layers in both"
        problems.append(Problem("MF131", type(module).__name__, message, hint, part="key"))
    if not problems and not found.steps:
        problems.append(Problem("MF133", type(module).__name__, "there is no layer in it", part="key"))
    _raise(problems)
    config = _write(twin, traced, found)
    problems, config.unproven = prove(config, twin, example_inputs)
    _raise(problems)
    return config


def _write(module: nn.Module, traced: Trace, steps: Steps) -> ModelConfig:
    group, problems = nest(steps.steps, steps.results)
    _raise(problems)
    writer = Writer({path: [steps.ref(node) for node in nodes] for path, nodes in traced.called.items()})
    inputs = _inputs(traced, {item.path.partition(".")[0] for item in group.items})
    tensors = {name: _tensor(ref.value) for name, ref in inputs.items()}
    written = writer.model(group, inputs, steps.results)
    _raise(writer.problems)
    ties = _ties(module)
    config = {"input": tensors["input"] if list(tensors) == ["input"] else tensors, **written}
    return ModelConfig(config | ({"tie": ties} if ties else {}))


def _check_arguments(module: object, inputs: tuple[object, ...]) -> None:
    require(module, nn.Module, "from_module takes an nn.Module")
    assert isinstance(module, nn.Module)
    name = type(module).__name__
    if name == "OptimizedModule":
        hint = "give the module that was compiled: `module._orig_mod`"
        raise ForgeError([Problem("MF131", name, "a compiled module has no `forward` to follow", hint, part="key")])
    if layer_of(module) is not None:
        message, hint = f"{name} is a layer itself, not a network of layers", "wrap it: `nn.Sequential(layer)`"
        raise ForgeError([Problem("MF133", name, message, hint, part="key")])
    wrong = [type(value).__name__ for value in inputs if not isinstance(value, Tensor)]
    if wrong:
        raise TypeError(f"example inputs are tensors, but one is a {wrong[0]}")
    problems: list[Problem] = []
    tensors = [value for value in inputs if isinstance(value, Tensor)]
    for index, value in enumerate(tensors):
        path = f"example_inputs.{index}"
        if value.ndim == 0 or not len(value):
            hint = "the batch is dimension 0, also of one example: `x[None]`"
            problems.append(Problem("MF134", path, f"it has no batch: its shape is {tuple(value.shape)}", hint))
        if not value.is_floating_point() and value.dtype not in _DTYPES:
            problems.append(Problem("MF134", path, f"a config has no input of dtype {value.dtype}"))
    if not tensors:
        problems.append(Problem("MF134", "example_inputs", "there is none", "give one for each argument of `forward`"))
    elif not problems and len({len(value) for value in tensors}) > 1:
        sizes = " and ".join(str(len(value)) for value in tensors)
        hint = "the batch is dimension 0 of all of them"
        problems.append(Problem("MF134", "example_inputs", f"the batches have different sizes: {sizes}", hint))
    _raise(problems)


def _raise(problems: Iterable[Problem]) -> None:
    if found := list(dict.fromkeys(problems)):
        raise ForgeError(found)


def _signature(steps: Steps) -> Any:
    """The layers and their inputs, to compare two traces."""
    number: dict[Any, int] = {step.node: index for index, step in enumerate(steps.steps)}

    def refer(ref: Ref) -> Any:
        return number.get(ref.node, ref.node.name), ref.path

    layers = [(step.type, step.arguments, step.path, [refer(ref) for ref in step.reads]) for step in steps.steps]
    return layers, {name: refer(ref) for name, ref in steps.results.items()}


def _inputs(traced: Trace, taken: set[str]) -> dict[str, Ref]:
    """The inputs of the model, by the names of `forward`; a single one is `input`."""
    nodes = [node for node in traced.graph.nodes if node.op == "placeholder"]
    if len(nodes) == 1:
        return {"input": Ref(nodes[0])}
    named: dict[str, Ref] = {}
    for node in nodes:
        name = str(node.target)
        while name in taken or name in named or not NAME.fullmatch(name):
            name = f"x_{name.strip('_')}"
        named[name] = Ref(node)
    return named


def _tensor(value: Tensor) -> dict[str, Any]:
    kind = str(value.dtype).removeprefix("torch.")
    return {"shape": list(value.shape[1:])} | ({} if value.is_floating_point() else {"dtype": kind})


def _ties(module: nn.Module) -> dict[str, str]:
    """Second names of parameters, each with the first."""
    first: dict[int, str] = {}
    ties: dict[str, str] = {}
    for path, weight in module.named_parameters(remove_duplicate=False):
        other = first.setdefault(id(weight), path)
        if other != path:
            ties[path] = other
    return ties
