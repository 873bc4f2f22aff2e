"""steps: a trace → the layers that a config can declare, in order, with their arguments and inputs."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from modelforge.core.errors import Problem, Refusal
from modelforge.core.words import a_class
from modelforge.modules.arguments import layer_of, read
from modelforge.tracing.operations import Call, Same, convert
from modelforge.tracing.state import has_state, is_computed
from modelforge.tracing.trace import Trace, fields, is_record, twice


@dataclass(frozen=True)
class Ref:
    """A value: the output of a node, or the part of it at an index path."""

    node: fx.Node
    path: tuple[int, ...] = ()

    @property
    def value(self) -> Any:
        """The value for the example inputs."""
        value = self.node.meta["value"]
        for index in self.path:
            value = value[index]
        return value


@dataclass(frozen=True)
class Step:
    """A layer of the config, found at a node of the trace."""

    node: fx.Node
    type: str
    arguments: Mapping[str, Any]
    reads: tuple[Ref, ...]
    container: str
    """Path of the module whose `forward` made the call."""
    path: str
    """Path of the layer's own module; empty for a function, and for a module that runs again."""
    name: str
    """The name that it should have."""
    has_state: bool = False
    """Whether parameters or buffers tie it to its path."""


class Steps:
    """All layers of a trace in order, the results of the model, and problems."""

    def __init__(self, traced: Trace, module: nn.Module) -> None:
        self.steps: list[Step] = []
        self.results: dict[str, Ref] = {}
        self.problems: list[Problem] = []
        self._module = module
        self._same: dict[fx.Node, Ref] = {}
        """Nodes that are another value, unchanged."""
        self._ran: set[str] = set()
        self._weights_alone: set[fx.Node] = set()
        self._zeros: set[fx.Node] = set()
        for node in traced.graph.nodes:
            self._add(node)

    def ref(self, node: fx.Node) -> Ref:
        """The value of a node, without the calls that change nothing."""
        return self._same.get(node, Ref(node))

    def _add(self, node: fx.Node) -> None:
        """Adds a node; after a problem, nodes that read it are checked as if it had worked."""
        if node.meta.get("void"):
            return
        try:
            if node.op == "call_module":
                self._add_module(node)
            elif node.op in ("call_function", "call_method"):
                self._add_operation(node)
            elif node.op == "output":
                self._add_results(node.args[0])
        except Refusal as refusal:
            path = str(node.target) if node.op == "call_module" else node.meta.get("container", "")
            path, code = path or type(self._module).__name__, refusal.code or "MF130"
            self.problems.append(Problem(code, path, refusal.reason, refusal.hint, part="key"))

    def _add_module(self, node: fx.Node) -> None:
        path = str(node.target)
        module = self._module.get_submodule(path)
        layer = layer_of(module)
        if layer is None or is_computed(module):
            return  # one of the problems of the module itself
        again, stateful = path in self._ran, has_state(module)
        self._ran.add(path)
        if again and stateful:
            self.problems.append(twice(path))
            return
        arguments = read(module, layer)
        if getattr(module, "inplace", False):
            _check_overwriting(node)
        if type(module) is nn.MultiheadAttention:
            arguments, reads = self._attention(node, arguments)
        else:
            reads = self._reads(node, module)
        name = path.rpartition(".")[2]
        container, kept = node.meta["container"], "" if again else path
        self.steps.append(
            Step(
                node=node,
                type=layer.name,
                arguments=arguments,
                reads=reads,
                container=container,
                path=kept,
                name=name,
                has_state=stateful,
            )
        )

    def _reads(self, node: fx.Node, module: nn.Module) -> tuple[Ref, ...]:
        """The inputs of a layer, in the order of its `forward`."""
        bound = inspect.signature(module.forward).bind(*node.args, **node.kwargs)
        given: list[Ref | None] = []
        for name, value in bound.arguments.items():
            parameter = bound.signature.parameters[name]
            values = value if parameter.kind is parameter.VAR_POSITIONAL else (value,)
            given += [self._read(item, name, parameter.default) for item in values]
        while given and given[-1] is None:
            given.pop()
        skipped = len(given) < len(bound.arguments) or None in given
        reads = tuple(item for item in given if item is not None)
        if skipped and len(reads) < len(given):
            raise Refusal(f"{type(module).__name__} is called with an argument that is left out before others")
        return reads

    def _read(self, value: Any, name: str, default: Any) -> Ref | None:
        """A value, a tuple of all parts of one, or nothing where the default is meant."""
        if isinstance(value, fx.Node):
            zero = value in self._zeros or (value.op == "get_attr" and _is_zero(value.meta["value"]))
            if zero and default is None:
                return None  # what a recurrent layer starts from anyway
            self._refuse_made(value, f"its `{name}` is")
            return self.ref(value)
        if isinstance(value, tuple | list):
            parts = [self._read(item, name, default) for item in value]
            if all(part is None for part in parts):
                return None
            whole = _whole([part for part in parts if part is not None], len(parts))
            if whole is not None:
                return whole
            raise Refusal(f"`{name}` combines several values", "a layer reads whole outputs of other layers")
        if value is None or (isinstance(value, bool | int | float | str) and value == default):
            return None
        raise Refusal(f"it is called with `{name}={value!r}`", "layers of a config read only tensors")

    def _attention(self, node: fx.Node, arguments: dict[str, Any]) -> tuple[dict[str, Any], tuple[Ref, ...]]:
        """The arguments and inputs of an attention: the layer has two outputs only where both are read."""
        named = inspect.signature(nn.MultiheadAttention.forward).bind(None, *node.args, **node.kwargs).arguments
        for name in ("key_padding_mask", "attn_mask"):
            if named.get(name) is not None:
                raise Refusal(f"MultiheadAttention reads `{name}`", "`SelfAttention` reads masks, and may be causal")
        reads = tuple(self.ref(named[name]) for name in ("query", "key", "value"))
        if not all(_takes_item(user) for user in node.users):
            raise Refusal("both outputs of MultiheadAttention are read at once", "take its items one by one")
        need_weights = any(user.args[1] in (1, -1) and user.users for user in node.users if _takes_item(user))
        if need_weights and not named.get("average_attn_weights", True):
            raise Refusal("the attention weights of each head are read", "a config's layer averages over heads")
        for user in node.users if not need_weights else ():
            if user.args[1] in (0, -2):
                self._same[user] = Ref(node)
        node.meta["value"] = node.meta["value"] if need_weights else node.meta["value"][0]
        while len(reads) > 1 and reads[-1] == reads[-2]:
            reads = reads[:-1]
        return arguments | {"need_weights": need_weights}, reads

    def _add_operation(self, node: fx.Node) -> None:
        if node in self._same or is_record(node):
            return
        name = str(node.target) if node.op == "call_method" else getattr(node.target, "__name__", str(node.target))
        if name == "_assert":
            return
        if name in ("new_zeros", "zeros_like"):
            self._zeros.add(node)
            return
        if _takes_item(node):
            source = self.ref(node.args[0])  # pyright: ignore[reportArgumentType]  # a node, see above
            if isinstance(source.value, tuple | list):
                self._same[node] = Ref(source.node, (*source.path, int(node.args[1]) % len(source.value)))  # pyright: ignore[reportArgumentType]  # see `_takes_item`
                return
        for inner in node.all_input_nodes:
            self._refuse_made(inner, f"`{name}` reads")
        if any(inner.op == "get_attr" or inner in self._weights_alone for inner in node.all_input_nodes):
            self._weights_alone.add(node)
            return
        call = Call(name, node.args, dict(node.kwargs), node.meta["value"], self._module.training, node.op)
        result = convert(call)
        if call.overwrites:
            _check_overwriting(node)
        if isinstance(result, Same):
            self._same[node] = self.ref(result.node)
        else:
            reads = tuple(self.ref(item) for item in result.reads)
            container, name = node.meta["container"], result.name or result.type.lower()
            self.steps.append(
                Step(
                    node=node,
                    type=result.type,
                    arguments=result.arguments,
                    reads=reads,
                    container=container,
                    path="",
                    name=name,
                )
            )

    def _refuse_made(self, node: fx.Node, who: str) -> None:
        """Refuses a tensor that no layer makes: one of `forward` itself, or a parameter of a layer. A parameter of a
        container is another problem already."""
        if is_record(node):
            raise Refusal(f"{who} {a_class(node.meta['value'])}", "layers read tensors: give its fields")
        owner, _, local = str(node.target).rpartition(".")
        if node in self._zeros or (node.op == "get_attr" and local.startswith("_tensor_constant")):
            hint = "make it in a layer of your own; `PositionEmbedding` and its kin know positions"
            raise Refusal(f"{who} a tensor that `forward` makes", hint)
        if node.op != "get_attr":
            return
        holder = self._module.get_submodule(owner)
        if layer_of(holder) is not None:
            hint = "a parameter is its layer's own; `tie` makes two layers' parameters one"
            raise Refusal(f"{who} the parameter `{node.target}` itself", hint)
        if local not in holder._parameters and local not in holder._buffers:
            raise Refusal(f"{who} the tensor `{node.target}`", "make it in a layer of your own")

    def _add_results(self, output: Any) -> None:
        if isinstance(output, Mapping):
            named = dict(output)
        elif isinstance(output, fx.Node) and is_record(output):
            named = fields(output)
        elif isinstance(output, fx.Node):
            named = {"": output}
        else:
            named = {}
        if not named or not all(isinstance(item, fx.Node) for item in named.values()):
            given = output.meta["value"] if isinstance(output, fx.Node) else output
            reason = f"the model gives a {type(given).__name__.removeprefix('immutable_')}"
            hint = 'a config\'s model gives a tensor, or by name several: `return {"scores": a, "features": b}`'
            raise Refusal(reason, hint, code="MF133")
        if wrong := [name for name in named if not isinstance(name, str)]:
            hint = 'names are text: `return {"scores": a}`'
            raise Refusal(f"the model names an output {wrong[0]!r}", hint, code="MF133")
        for name, item in named.items():
            self._refuse_made(item, f"its output{f' `{name}`' if name else ''} is")
        self.results = {str(name): self.ref(item) for name, item in named.items()}
        for name, ref in self.results.items():
            if not isinstance(ref.value, Tensor) and not ref.node.meta.get("void"):
                shown = f"its output `{name}`" if name else "the model's output"
                hint = "a config's model gives a tensor, or by name several: return one, or a dict of tensors"
                raise Refusal(f"{shown} is {a_class(ref.value)}", hint, code="MF133")


def _takes_item(node: fx.Node) -> bool:
    return (
        node.op == "call_function"
        and getattr(node.target, "__name__", "") == "getitem"
        and isinstance(node.args[0], fx.Node)
        and isinstance(node.args[1], int)
    )


def _whole(parts: list[Ref], count: int) -> Ref | None:
    """The tuple that these are all parts of, in order."""
    first = parts[0]
    above = Ref(first.node, first.path[:-1])
    if not first.path or len(parts) < count or not isinstance(above.value, tuple) or len(above.value) != count:
        return None
    same = all(part == Ref(first.node, (*above.path, index)) for index, part in enumerate(parts))
    return above if same else None


def _is_zero(value: Any) -> bool:
    return isinstance(value, Tensor) and value.device.type != "meta" and not bool(torch.any(value))


def _check_overwriting(node: fx.Node) -> None:
    """Refuses a call that overwrites a value which is read afterwards."""
    for overwritten in node.all_input_nodes[:1]:
        if any(user is not node and node < user for user in overwritten.users):
            hint = "without `inplace` those would read the old values: leave it out, and check that this is meant"
            raise Refusal("it overwrites a value that is read afterwards", hint)
