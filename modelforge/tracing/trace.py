"""trace: a module and its inputs → its calls of layers and functions, in order, with the module that made each.

torch.fx records the calls; each is carried out at once on the example inputs, so that `forward` may decide by shapes. A
decision by values cannot be recorded, and is a problem of the module that makes it.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.fx.node import map_arg
from torch.nn.utils import parametrize

from modelforge.core.errors import Problem
from modelforge.core.quoting import sentence
from modelforge.modules.arguments import layer_of
from modelforge.modules.hooks import evaluating
from modelforge.tracing.state import has_state

TORCH = str(Path(torch.__file__).parent)


class Batch(int):
    """The size of the batch dimension, as `forward` sees it: it may vary, so a config cannot hold it."""


@dataclass
class Trace:
    """The record of one pass, in one mode."""

    graph: fx.Graph
    problems: list[Problem]
    called: dict[str, list[fx.Node]] = field(default_factory=dict)
    """Containers that were called, by path, each with the nodes that it was called with."""


def trace(module: nn.Module, inputs: tuple[Tensor, ...]) -> Trace:
    """Records one pass of a module, in its present mode."""
    tracer = _Tracer(module, inputs)
    try:
        with torch.enable_grad():
            graph = tracer.trace(module)
    except Exception as error:
        tracer.problems.append(_complaint(error, module, ""))
        graph = fx.Graph()
    return Trace(graph, tracer.problems, tracer.called)


class _Proxy(fx.Proxy):
    """A value in `forward`, with the shape and the parts of the real one."""

    @property
    def value(self) -> Any:
        return self.node.meta["value"]

    def __getattr__(self, name: str) -> Any:
        if isinstance(self.value, Tensor) and name in ("shape", "ndim", "dtype", "device", "is_cuda", "requires_grad"):
            return _sizes(self.value) if name == "shape" else getattr(self.value, name)
        return super().__getattr__(name)

    def size(self, dim: int | None = None) -> Any:
        sizes = _sizes(self.value)
        return sizes if dim is None else sizes[dim]

    def dim(self) -> int:
        return self.value.dim()

    def numel(self) -> int:
        return self.value.numel()

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Any]:
        return iter([self[index] for index in range(len(self.value))])  # pyright: ignore[reportIndexIssue]  # fx makes it


def _sizes(value: Tensor) -> tuple[int, ...]:
    return tuple(Batch(size) if not axis else size for axis, size in enumerate(value.shape))


class _Tracer(fx.Tracer):
    def __init__(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.problems: list[Problem] = []
        self.called: dict[str, list[fx.Node]] = {}
        self._inputs = tuple(value.clone() for value in inputs)
        self._stack: list[str] = [""]
        self._executing = False
        self._names = {id(inner): name for name, inner in reversed([*module.named_modules(remove_duplicate=False)])}

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> tuple[Any, list[Any]]:
        """The arguments for which there are example inputs; all others keep their defaults."""
        del is_module, concrete_args
        arguments: list[Any] = [self.root]
        for name, value in zip(input_names(self.root, len(self._inputs)), self._inputs, strict=True):
            proxy = self.create_proxy("placeholder", name, (), {})
            proxy.node.meta["value"] = value
            arguments.append(proxy)
        return root_fn, arguments

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *rest: Any, **more: Any) -> fx.Proxy:
        proxy = super().create_proxy(kind, target, args, kwargs, *rest, **more)
        proxy.node.meta["container"] = self._stack[-1]
        if kind in ("call_module", "call_function", "call_method") and not torch.is_grad_enabled():
            self._refuse_no_grad()
        if kind not in ("placeholder", "output"):
            proxy.node.meta["value"] = self._execute(proxy.node)
        return proxy

    def create_arg(self, a: Any) -> Any:
        if isinstance(a, Batch):
            return a
        made = super().create_arg(a)
        if isinstance(made, fx.Node) and is_record(made) and "value" not in made.meta:
            made.meta |= {"value": self._execute(made), "container": self._stack[-1]}
        return made

    def is_leaf(self, m: nn.Module, module_qualified_name: str) -> bool:
        """Whether a module is a layer, or computes with parameters of its own, which no config can express."""
        del module_qualified_name
        alone = bool(m._parameters and not m._modules)
        return layer_of(m) is not None or alone or parametrize.is_parametrized(m)

    def path_of_module(self, mod: nn.Module) -> str:
        return self._names[id(mod)]

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self._executing else super().getattr(attr, attr_val, parameter_proxy_cache)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self._executing or id(m) not in self._names:
            return forward(*args, **kwargs)
        path = self.path_of_module(m)
        if self.is_leaf(m, path):
            return self.create_proxy("call_module", path, args, kwargs)
        if path in self.called and not has_state(m):
            return forward(*args, **kwargs)  # again, and nothing is shared: its steps are the caller's
        return self._enter(path, m, _STEPS.get(type(m), forward), args, kwargs)

    def _enter(self, path: str, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if path in self.called:
            self.problems.append(twice(path))
        self.called[path] = [value.node for value in (*args, *kwargs.values()) if isinstance(value, fx.Proxy)]
        num_before = len(self.graph.nodes)
        self._stack.append(path)
        try:
            return forward(*((m, *args) if forward is _STEPS.get(type(m)) else args), **kwargs)
        except Exception as error:
            self.problems.append(_complaint(error, m, path))
        finally:
            self._stack.pop()
        for node in reversed([*self.graph.nodes][num_before:]):
            self.graph.erase_node(node)
        proxy = self.create_proxy("call_module", path, args, kwargs)
        proxy.node.meta["void"] = True
        return proxy

    def _execute(self, node: fx.Node) -> Any:
        """The result of a call on the example inputs."""
        if node.op == "get_attr":
            return self._attribute(node)
        args, kwargs = map_arg((node.args, node.kwargs), self._value)
        self._executing = True
        try:
            return self._carry_out(node, args, kwargs)
        finally:
            self._executing = False

    def _carry_out(self, node: fx.Node, args: Any, kwargs: Any) -> Any:
        with torch.no_grad():
            if node.op == "call_module":
                module = self.root.get_submodule(str(node.target))
                with evaluating(module):  # it changes no statistics, and accepts a batch of one
                    return module(*args, **kwargs)
            if node.op == "call_method":
                return getattr(args[0], str(node.target))(*args[1:], **kwargs)
            assert callable(node.target)
            return node.target(*args, **kwargs)

    def _refuse_no_grad(self) -> None:
        path = self._stack[-1]
        hint = "freezing belongs to training: leave `torch.no_grad()` out of `forward`"
        message = f"`{path or 'forward'}` runs without gradients, which a config cannot express"
        problem = Problem("MF131", path or type(self.root).__name__, message, hint, part="key")
        if problem not in self.problems:
            self.problems.append(problem)

    def _value(self, node: fx.Node) -> Any:
        if "value" not in node.meta:  # a tensor that `forward` makes, which torch.fx has put aside
            node.meta |= {"value": self._attribute(node), "container": self._stack[-1]}
        return node.meta["value"]

    def _attribute(self, node: fx.Node) -> Any:
        owner, _, name = str(node.target).rpartition(".")
        self._executing = True
        try:
            return getattr(self.root.get_submodule(owner), name)
        finally:
            self._executing = False


def is_record(node: fx.Node) -> bool:
    """Whether a node makes a namedtuple or a dataclass."""
    return node.op == "call_function" and isinstance(node.target, type)


def fields(record: fx.Node) -> dict[str, Any]:
    """The values in a record by name, without None."""
    named = dict(zip(getattr(record.target, "_fields", ()), record.args, strict=False)) | dict(record.kwargs)
    return {name: value for name, value in named.items() if value is not None}


def input_names(module: nn.Module, count: int) -> list[str]:
    """The names of the inputs of `forward`; numbered where it takes any number."""
    parameters = list(inspect.signature(module.forward).parameters.values())
    names = [item.name for item in parameters if item.kind in (item.POSITIONAL_ONLY, item.POSITIONAL_OR_KEYWORD)]
    return names[:count] if len(names) >= count else [f"x{index}" for index in range(count)]


def twice(path: str) -> Problem:
    """A module with state that is called again."""
    hint = "a layer runs once; parameters are shared by `tie`, so make a second module and tie its parameters"
    return Problem("MF133", path, f"`{path}` is called twice", hint, part="key")


def _complaint(error: Exception, module: nn.Module, path: str) -> Problem:
    """The problem of a `forward` that cannot be recorded: its own line, and torch's words."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith(TORCH) and frame.filename != __file__
    ]
    here = f" at `{frames[-1].line}`" if frames and frames[-1].line else ""
    said = sentence(error)
    message = f"`forward` of {type(module).__name__} cannot be followed{here}: {said}"
    hint = "decide by shapes or by arguments of the constructor, not by values; or register the class as a layer"
    if "not a member" in said or "not installed as a submodule" in said:
        hint = "hold modules in an `nn.ModuleList` or `nn.ModuleDict`, not in a list or dict of Python's"
    return Problem("MF131", path or type(module).__name__, message, hint, part="key")


# --- torch's own containers, without their decisions by values --------------------------------------------------------


def _encoder(module: Any, src: Any, mask: Any = None, src_key_padding_mask: Any = None, is_causal: Any = None) -> Any:
    if mask is not None or src_key_padding_mask is not None or is_causal:
        raise TypeError("a TransformerEncoderLayer reads no masks in a config")
    for layer in module.layers:
        src = layer(src)
    return src if module.norm is None else module.norm(src)


def _decoder(module: Any, tgt: Any, memory: Any, *masks: Any, **more: Any) -> Any:
    if any(value is not None and value is not False for value in (*masks, *more.values())):
        raise TypeError("a TransformerDecoderLayer reads no masks in a config")
    for layer in module.layers:
        tgt = layer(tgt, memory)
    return tgt if module.norm is None else module.norm(tgt)


_STEPS: dict[type[nn.Module], Callable[..., Any]] = {
    nn.TransformerEncoder: _encoder,
    nn.TransformerDecoder: _decoder,
}
