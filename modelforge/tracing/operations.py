"""convert: a call of a function or of a tensor's method → the layer without parameters that does the same."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from math import inf, isfinite, prod
from typing import Any

from torch import Tensor, fx

from modelforge.core.errors import Refusal
from modelforge.core.words import a_class
from modelforge.language import registry
from modelforge.tracing.trace import Batch

BATCH_FIRST = "dimension 0 is the batch, and must stay so"


@dataclass(frozen=True)
class Same:
    """A call that returns its input."""

    node: fx.Node


@dataclass(frozen=True)
class Layer:
    """A call that is a layer."""

    type: str
    arguments: Mapping[str, Any]
    reads: tuple[fx.Node, ...]
    name: str = ""
    """Its name, if not that of its type."""


@dataclass(frozen=True)
class Call:
    """One call of a function or a method, with its result on the example inputs."""

    called: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    value: Any
    training: bool
    op: str = "call_function"

    @cached_property
    def name(self) -> str:
        """The name of the function, without the underscores of its variants."""
        name = self.called.removesuffix("_").removeprefix("_")
        return _OTHER_NAMES.get(name, name)

    @property
    def overwrites(self) -> bool:
        """Whether it overwrites its input."""
        in_place = self.called.endswith("_") and not self.called.startswith("__")
        return in_place or bool(self.kwargs.get("inplace"))

    @property
    def shown(self) -> str:
        """The call in words."""
        return f"`x.{self.called}`" if self.op == "call_method" else f"the function `{self.called}`"

    @property
    def source(self) -> fx.Node:
        """The tensor that it is called on."""
        first = self.args[0] if self.args else self.kwargs.get("input")
        if not isinstance(first, fx.Node):
            raise Refusal(f"{self.shown} reads {a_class(first)} first, where layers read tensors")
        return first

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of its input."""
        value = self.source.meta["value"]
        return tuple(value.shape) if isinstance(value, Tensor) else ()

    def bound(self, names: str, **defaults: Any) -> dict[str, Any]:
        """All its arguments, by these names; `defaults` are the function's own."""
        given = {_NUMPY_NAMES.get(name, name): value for name, value in self.kwargs.items()}
        given = dict(zip(names.split(), self.args, strict=False)) | given
        if len(self.args) > len(names.split()) or not given.keys() <= set(names.split()):
            raise Refusal(f"{self.shown} is called with arguments that no layer has: {', '.join(given)}")
        return defaults | given

    def named(self, names: str, **defaults: Any) -> dict[str, Any]:
        """Its arguments after the tensor, by name."""
        given = self.bound(f"input {names}", **defaults)
        given.pop("input", None)
        if any(isinstance(item, fx.Node) for item in given.values()):
            raise Refusal(f"{self.shown} is called with a tensor where layers have a number")
        return given


_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "axis0": "dim0", "axis1": "dim1"}
"""Arguments that torch knows by a second name."""
_SYNONYMS = {
    "add": "iadd",
    "cat": "concat concatenate",
    "div": "truediv itruediv true_divide divide",
    "logsigmoid": "log_sigmoid",
    "mul": "imul multiply",
    "neg": "negative",
    "transpose": "swapaxes swapdims",
    **{f"max_pool{n}d": f"max_pool{n}d_with_indices" for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": f"adaptive_max_pool{n}d_with_indices" for n in (1, 2, 3)},
}
_OTHER_NAMES = {other: name for name, others in _SYNONYMS.items() for other in others.split()}
_NO_FIELDS = {"inplace", "_stacklevel", "dtype", "training", "out"}
"""Arguments of functions that no layer has."""


def convert(call: Call) -> Layer | Same:
    """The layer that a call is.

    Raises:
        Refusal: there is none.
    """
    if call.name in _FUNCTIONS:
        return _FUNCTIONS[call.name](call)
    hint = _HINTS.get(call.name, "write it as a layer: a module class of your own, with `mf.register_layer`")
    raise Refusal(f"{call.shown} has no layer that does the same", hint)


def _by_arguments(call: Call, kind: str, names: str, defaults: Mapping[str, Any]) -> Layer:
    """The layer `kind`, of a function whose arguments after the tensor are `names`."""
    given = call.named(names, **defaults)
    if "training" in names.split() and given.get("training", True) != call.training:
        when = "in training alone" if call.training else "in training alone, not in evaluation"
        hint = "`training=self.training` drops in training alone, as layers do"
        raise Refusal(f"{call.shown} does not drop {when}", hint)
    if given.get("dtype") is not None:
        raise Refusal(f"{call.shown} is called with a dtype, which no layer has")
    if isinstance(given.get("dim"), int) and given["dim"] % len(call.value.shape) == 0:
        raise Refusal(f"{call.shown} compares the examples of the batch", BATCH_FIRST)
    if given.pop("antialias", False):
        raise Refusal(f"{call.shown} is called with `antialias`, which no layer has")
    fields = registry.get(kind).spec.model_fields
    arguments = {name: _plain(value) for name, value in given.items() if name in fields and name not in _NO_FIELDS}
    return Layer(kind, arguments, (call.source,), call.name)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        items = tuple(_plain(item) for item in value)
        return items[0] if len(items) > 1 and len(set(items)) == 1 else items
    return int(value) if isinstance(value, Batch) else value


def _reshape(call: Call) -> Layer | Same:
    """A change of each example's shape: `Flatten` where it becomes a vector."""
    before, after = call.shape, tuple(call.value.shape)
    if before == after:
        return Same(call.source)
    asked = call.args[1:] or [call.kwargs[name] for name in ("shape", "size") if name in call.kwargs]
    first = asked[0] if asked else None
    first = first[0] if isinstance(first, tuple | list) and first else first
    fixed = call.name in ("view", "reshape") and not isinstance(first, Batch) and first != -1
    if fixed or not before or before[:1] != after[:1] or 0 in after:
        hint = f"{BATCH_FIRST}: `x.flatten(1)` and `x.reshape(x.shape[0], ...)` keep it"
        raise Refusal(f"{call.shown} mixes the batch with other dimensions, or says how large it is", hint)
    if len(after) == 2 and after[1] == prod(before[1:]):
        return Layer("Flatten", {}, (call.source,))
    if call.name == "flatten":
        given = call.named("start_dim end_dim", start_dim=0, end_dim=-1)
        return Layer("Flatten", given, (call.source,))
    return Layer("Reshape", {"shape": after[1:]}, (call.source,))


def _pair(call: Call, kind: str, neutral: int) -> Layer | Same:
    """A sum or product of two tensors; of a number and a tensor only a factor, or what changes nothing."""
    given = call.bound("input other alpha" if kind == "Add" else "input other", alpha=1)
    left, right = given["input"], given["other"]
    if given["alpha"] != 1:
        raise Refusal(f"{call.shown} is called with `alpha`, which no layer has", "`Rescale` multiplies by a number")
    if isinstance(left, fx.Node) and isinstance(right, fx.Node):
        return Layer(kind, {}, (left, right))
    tensor, number = (left, right) if isinstance(left, fx.Node) else (right, left)
    if isinstance(tensor, fx.Node) and isinstance(number, int | float):
        if number == neutral:
            return Same(tensor)
        if kind == "Multiply":
            return _rescaled(call, tensor, float(number))
    raise Refusal(f"{call.shown} adds a number", "write it as a layer of your own")


def _quotient(call: Call) -> Layer:
    given = call.bound("input other rounding_mode", rounding_mode=None)
    tensor, number = given["input"], given["other"]
    if not isinstance(tensor, fx.Node) or not isinstance(number, int | float):
        raise Refusal(f"{call.shown} divides by a tensor, which no layer does", "write it as a layer of your own")
    if given["rounding_mode"] is not None:
        raise Refusal(f"{call.shown} rounds, which no layer does", "write it as a layer of your own")
    return _rescaled(call, tensor, 1 / number if number else inf)


def _rescaled(call: Call, tensor: fx.Node, factor: float) -> Layer:
    if not isfinite(factor):
        raise Refusal(f"{call.shown} gives NaN or infinity, whatever it reads", "a factor is a finite number")
    return Layer("Rescale", {"factor": factor}, (tensor,))


def _concat(call: Call) -> Layer:
    given = call.bound("tensors dim", dim=0)
    tensors, dim = given["tensors"], given["dim"]
    if dim % len(call.value.shape) == 0 or not all(isinstance(item, fx.Node) for item in tensors):
        raise Refusal(f"{call.shown} concatenates along the batch", BATCH_FIRST)
    return Layer("Concat", {} if dim == 1 else {"dim": dim}, tuple(tensors))


def _mean(call: Call) -> Layer:
    given = call.named("dim keepdim dtype", dim=None, keepdim=False)
    dims = given["dim"] if isinstance(given["dim"], tuple | list) else (given["dim"],)
    if None in dims or any(dim % len(call.shape) == 0 for dim in dims) or given.get("dtype") is not None:
        raise Refusal(f"{call.shown} averages over the batch", f"give `dim`: {BATCH_FIRST}")
    dim = dims[0] if len(dims) == 1 else tuple(dims)
    return Layer("Mean", {"dim": dim} | ({"keepdim": True} if given["keepdim"] else {}), (call.source,))


def _transpose(call: Call) -> Layer:
    count = len(call.shape)
    if call.name == "permute":
        asked = call.args[1:] or (call.kwargs["dims"],)
        dims = list(asked[0] if isinstance(asked[0], tuple | list) else asked)
        dims = [dim % count for dim in dims]
    else:
        given = call.named("dim0 dim1")
        one, other = given["dim0"] % count, given["dim1"] % count
        dims = list(range(count))
        dims[one], dims[other] = other, one
    if dims[0] != 0:
        raise Refusal(f"{call.shown} moves the batch away from dimension 0", BATCH_FIRST)
    return Layer("Permute", {"dims": tuple(dims)}, (call.source,))


def _item(call: Call) -> Layer | Same:
    """`x[:, -1]` and such: one index, all other dimensions whole."""
    index = call.args[1]
    parts = list(index) if isinstance(index, tuple | list) else [index]
    at = next((position for position, part in enumerate(parts) if part is Ellipsis), None)
    if at is not None:
        gap = len(call.shape) - sum(part is not None for part in parts) + 1
        parts[at : at + 1] = [slice(None)] * gap
    whole = [isinstance(part, slice) and part == slice(None) for part in parts]
    numbers = [axis for axis, part in enumerate(parts) if isinstance(part, int) and not isinstance(part, bool)]
    if all(whole):
        return Same(call.source)
    if parts[0] is not None and all(part is None or full for part, full in zip(parts, whole, strict=True)):
        return _reshape(call)
    if len(numbers) == 1 and sum(whole) == len(parts) - 1:
        return Layer("Select", {"dim": numbers[0], "index": int(parts[numbers[0]])}, (call.source,))
    raise Refusal("a slice of a tensor has no layer that does the same", "`x[:, -1]` has: `Select`")


def _moved(call: Call) -> Same:
    """A move to the device and dtype that the tensor has already."""
    before = call.source.meta["value"]
    if isinstance(call.value, Tensor) and (call.value.dtype, call.value.device) == (before.dtype, before.device):
        return Same(call.source)
    raise Refusal(f"{call.shown} changes the dtype or the device", "`mf.build` takes `dtype` and `device`")


def _of_two(call: Call, kind: str, names: str) -> Layer:
    given = call.bound(f"x1 x2 {names}")
    first, second = given.pop("x1"), given.pop("x2")
    if not isinstance(first, fx.Node) or not isinstance(second, fx.Node):
        raise Refusal(f"{call.shown} compares with something that is not a tensor of the network")
    if isinstance(given.get("dim"), int) and given["dim"] % len(first.meta["value"].shape) == 0:
        raise Refusal(f"{call.shown} compares the examples of the batch", BATCH_FIRST)
    return Layer(kind, given, (first, second))


def _layer(kind: str, names: str = "", **defaults: Any) -> Callable[[Call], Layer]:
    """A layer, by the function's arguments after the tensor, and those defaults that differ from the layer's."""
    return partial(_by_arguments, kind=kind, names=names, defaults=defaults)


_POOL = "kernel_size stride padding dilation ceil_mode return_indices"
_MEAN_POOL = "kernel_size stride padding ceil_mode count_include_pad divisor_override"
_FUNCTIONS: dict[str, Callable[[Call], Layer | Same]] = {
    **{
        name.lower(): _layer(name, "inplace")
        for name in ("ReLU", "ReLU6", "SELU", "SiLU", "Mish", "Hardswish", "Hardsigmoid")
    },
    **{name.lower(): _layer(name) for name in ("Sigmoid", "Tanh", "LogSigmoid", "Softsign", "Tanhshrink")},
    "elu": _layer("ELU", "alpha inplace"),
    "celu": _layer("CELU", "alpha inplace"),
    "leaky_relu": _layer("LeakyReLU", "negative_slope inplace"),
    "gelu": _layer("GELU", "approximate"),
    "hardtanh": _layer("Hardtanh", "min_val max_val inplace"),
    "softplus": _layer("Softplus", "beta threshold"),
    "hardshrink": _layer("Hardshrink", "lambd"),
    "softshrink": _layer("Softshrink", "lambd"),
    "threshold": _layer("Threshold", "threshold value inplace"),
    "glu": _layer("GLU", "dim"),
    "softmax": _layer("Softmax", "dim _stacklevel dtype"),
    "log_softmax": _layer("LogSoftmax", "dim _stacklevel dtype"),
    "softmin": _layer("Softmin", "dim _stacklevel dtype"),
    **{f"dropout{n}": _layer(f"Dropout{n}", "p training inplace") for n in ("", "1d", "2d", "3d")},
    "alpha_dropout": _layer("AlphaDropout", "p training inplace", training=False),
    "feature_alpha_dropout": _layer("FeatureAlphaDropout", "p training inplace", training=False),
    **{f"max_pool{n}d": _layer(f"MaxPool{n}d", _POOL) for n in (1, 2, 3)},
    "avg_pool1d": _layer("AvgPool1d", "kernel_size stride padding ceil_mode count_include_pad"),
    **{f"avg_pool{n}d": _layer(f"AvgPool{n}d", _MEAN_POOL) for n in (2, 3)},
    **{f"lp_pool{n}d": _layer(f"LPPool{n}d", "norm_type kernel_size stride ceil_mode") for n in (1, 2, 3)},
    **{f"adaptive_avg_pool{n}d": _layer(f"AdaptiveAvgPool{n}d", "output_size") for n in (1, 2, 3)},
    **{f"adaptive_max_pool{n}d": _layer(f"AdaptiveMaxPool{n}d", "output_size return_indices") for n in (1, 2, 3)},
    "pixel_shuffle": _layer("PixelShuffle", "upscale_factor"),
    "pixel_unshuffle": _layer("PixelUnshuffle", "downscale_factor"),
    "channel_shuffle": _layer("ChannelShuffle", "groups"),
    "interpolate": _layer("Upsample", "size scale_factor mode align_corners recompute_scale_factor antialias"),
    **dict.fromkeys(("view", "reshape", "squeeze", "unsqueeze", "flatten", "unflatten", "ravel"), _reshape),
    **dict.fromkeys(("contiguous", "clone", "alias"), lambda call: Same(call.source)),
    **dict.fromkeys(("to", "type_as", "float", "double", "half", "bfloat16", "cpu", "cuda"), _moved),
    "add": partial(_pair, kind="Add", neutral=0),
    "mul": partial(_pair, kind="Multiply", neutral=1),
    "div": _quotient,
    "neg": lambda call: Layer("Rescale", {"factor": -1.0}, (call.source,)),
    "cat": _concat,
    "mean": _mean,
    "permute": _transpose,
    "transpose": _transpose,
    "select": lambda call: Layer("Select", call.named("dim index"), (call.source,)),
    "getitem": _item,
    "cosine_similarity": partial(_of_two, kind="CosineSimilarity", names="dim eps"),
    "pairwise_distance": partial(_of_two, kind="PairwiseDistance", names="p eps keepdim"),
}
"""Every function that has a layer."""
_ATTENTION = "`SelfAttention` and `CrossAttention` are layers that attend"
_PRODUCT = f"{_ATTENTION}; for another product write a layer of your own, with `mf.register_layer`"
_HINTS = {
    "scaled_dot_product_attention": _ATTENTION,
    "matmul": _PRODUCT,
    "bmm": _PRODUCT,
    "detach": "gradients belong to training; write a layer of your own, with `mf.register_layer`",
}
