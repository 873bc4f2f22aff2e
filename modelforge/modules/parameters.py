"""Layouts: what each parameter of a module is. Its role, and the matrices that it is made of.

Keyed by module class, so that they serve modules that modelforge did not build too. Norms of
unregistered classes are recognised by what they compute (see `norms`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, TypeVar

from torch import Tensor, nn

from modelforge.core.matrix import Matrix
from modelforge.core.paths import join
from modelforge.modules.by_class import ClassTable, ModuleClass
from modelforge.modules.by_class import forget_class as forget_class
from modelforge.modules.norms import neutral_scale
from modelforge.modules.packed_projections import Packing, packings


@dataclass(frozen=True, slots=True)
class ParameterLayout:
    """Role and matrices of one parameter. Matrices cover dimension 0 without gaps: of the parameter, outputs first, or
    of a stack of matrices (experts), one below the other."""

    role: str | None
    """None where nothing is known: only a `params` rule can cover such a parameter."""
    matrices: tuple[Matrix, ...]
    default: float | None = None
    """A constant that replaces the role's default (the slope of a PReLU)."""
    guess: int = 0
    """The number of matrices side by side that its name suggests, where their order is not known; 0 for none."""
    transposed: tuple[int, int] | None = None
    """Dimensions that are exchanged in how it is stored: matrices are those of `parameter.transpose(0, 1)`, say. Fans,
    matrices and values are as if it were stored outputs first."""
    reads_input: bool = False
    """Whether it is one of several kernels that read what the layer reads: of both directions, or of q, k and v."""

    def outputs_first(self, stored: Tensor) -> Tensor:
        """A view of the parameter, or of what broadcasts against it, with its outputs first; and back."""
        return stored if self.transposed is None else stored.transpose(*self.transposed)

    def below(self, prefix: str) -> ParameterLayout:
        """The same for a module at `prefix`."""
        if all(matrix.attention is None for matrix in self.matrices):
            return self
        matrices = (
            replace(matrix, attention=matrix.attention and matrix.attention.below(prefix)) for matrix in self.matrices
        )
        return replace(self, matrices=tuple(matrices))


Layout = Callable[[Any], Mapping[str, ParameterLayout]]
LayoutFunction = TypeVar("LayoutFunction", bound=Layout)
_LAYOUTS = ClassTable[Layout]()


def register_layout(*classes: ModuleClass) -> Callable[[LayoutFunction], LayoutFunction]:
    """Registers how the parameters of these classes, and of classes derived from them, are laid out.

    The decorated function gets a module and gives a `ParameterLayout` for each of its own parameters, by name; those
    that it leaves out stay unknown. A name with dots (`q_proj.weight`) is a child's parameter; this layout
    goes before that of the child's own class. Matrices with an `Attention` are part of the module's attention.

    Args:
        classes: Classes, or full names of classes that need not be imported (`"package.module.Class"`).

    Example:
        >>> import torch, modelforge as mf
        >>> class Mixer(nn.Module):
        ...     def __init__(self) -> None:
        ...         super().__init__()
        ...         self.kernel = nn.Parameter(torch.empty(300, 50))  # inputs first: y = x @ kernel
        >>> @register_layout(Mixer)
        ... def mixer(module: Mixer) -> dict[str, ParameterLayout]:
        ...     return {"kernel": transposed("weight", module.kernel)}
        >>> mf.initialize(Mixer(), "lecun")["kernel"].numbers["fan_in"]
        300.0
        >>> forget_class(Mixer)
    """

    def decorate(function: LayoutFunction) -> LayoutFunction:
        _LAYOUTS.add(function, *classes)
        return function

    return decorate


def layout(module: nn.Module) -> Mapping[str, ParameterLayout]:
    """Layouts of the module's own parameters (not those of its children), by local name."""
    layouts = _registered(module)
    own = {name: weight for name, weight in module._parameters.items() if weight is not None}
    if own and layouts is None:
        layouts = _norm_by_deed(module)
    return {name: (layouts or {}).get(name) or _unknown(name, weight) for name, weight in own.items()}


def layouts(module: nn.Module) -> dict[str, ParameterLayout]:
    """Layouts of all parameters in a module, by full name; of what several modules say, the outermost's counts."""
    found: dict[str, ParameterLayout] = {}
    for prefix, inner in module.named_modules():
        registered = _registered(inner)
        children = {name: item for name, item in (registered or {}).items() if "." in name}
        if registered is None:
            children = _packed(inner)
        for name, item in {**children, **layout(inner)}.items():
            found.setdefault(join(prefix, name), item.below(prefix))
    return found


def _packed(module: nn.Module) -> dict[str, ParameterLayout]:
    """Those of linear layers whose output its class takes apart, or may take apart."""
    found: dict[str, ParameterLayout] = {}
    for child, packing in packings(module).items():
        for name, item in layout(module.get_submodule(child)).items():
            weight = module.get_submodule(child)._parameters[name]
            assert weight is not None, "it has a layout"
            if item.role not in ("weight", "bias") or len(item.matrices) != 1:
                continue
            changed = replace(item, guess=packing) if isinstance(packing, int) else _split(item, packing)
            found[f"{child}.{name}"] = changed
    return found


def _split(layout: ParameterLayout, packing: Packing) -> ParameterLayout:
    (matrix,) = layout.matrices
    several = [f"{head}." for head in range(packing.repeats)] if packing.repeats > 1 else [""]
    sizes = [*packing.sizes] * packing.repeats
    names = [f"{head}{name}" for head in several for name in packing.names]
    # A matrix whose rows lie apart, some for each head, has the fans of all of them.
    whole_sizes = [size * packing.repeats for size in sizes]
    return replace(layout, matrices=tuple(_cut(matrix, sizes, names, whole_sizes)))


def split(layout: ParameterLayout, sizes: Sequence[int]) -> ParameterLayout:
    """The same parameter as matrices of so many rows one below the other, in place of what is known of it."""
    first = layout.matrices[0]
    shape = (sum(sizes), *first.shape[1:])
    names = [str(index) for index in range(len(sizes))]
    base = replace(first, shape=shape, name="", start=0)
    return replace(layout, matrices=tuple(_cut(base, sizes, names, sizes)), guess=0)


def _cut(matrix: Matrix, sizes: Sequence[int], names: Sequence[str], outputs: Sequence[int]) -> Iterator[Matrix]:
    start = 0
    for size, name, count in zip(sizes, names, outputs, strict=True):
        shape = (size, *matrix.shape[1:])
        fan_in, fan_out = _fans((count, *matrix.shape[1:]))
        yield replace(matrix, shape=shape, fan_in=fan_in, fan_out=fan_out, name=name, start=start)
        start += size


def _registered(module: nn.Module) -> Mapping[str, ParameterLayout] | None:
    known = _LAYOUTS.of(module)
    return None if known is None else known(module)


def roles_layout(roles: Mapping[str, str]) -> Layout:
    """A layout for modules whose parameters are plain matrices, outputs first; embeddings are looked up row by row."""

    def by_roles(module: nn.Module) -> dict[str, ParameterLayout]:
        if strangers := roles.keys() - module._parameters.keys():
            raise ValueError(f"{type(module).__qualname__} is registered with roles for what it lacks: {strangers}")
        return {
            name: ParameterLayout(roles[name], (_looked_up(weight) if roles[name] == "embedding" else whole(weight),))
            for name, weight in module._parameters.items()
            if weight is not None and name in roles
        }

    return by_roles


def whole(weight: Tensor, **changes: Any) -> Matrix:
    """One matrix, outputs first; fans count dimension 1 (in), dimension 0 (out) and the taps behind them."""
    shape = tuple(weight.shape)
    fan_in, fan_out = _fans(shape)
    return replace(Matrix(shape, fan_in, fan_out), **changes)


def rows(weight: Tensor, names: Sequence[str], **changes: Any) -> tuple[Matrix, ...]:
    """Equal matrices stacked along dimension 0, one a name, fans counted in each alone."""
    size = weight.shape[0] // len(names)
    shape = (size, *weight.shape[1:])
    matrix = replace(Matrix(shape, *_fans(shape)), **changes)
    return tuple(matrix.at(name, index * size) for index, name in enumerate(names))


def transposed(role: str, weight: Tensor, *names: str, **changes: Any) -> ParameterLayout:
    """The layout of a matrix that is stored (inputs, outputs): one matrix, or equal ones along the outputs."""
    return ParameterLayout(role, rows(weight.transpose(0, 1), names or ("",), **changes), transposed=(0, 1))


def _looked_up(weight: Tensor) -> Matrix:
    return whole(weight, fan_in=1.0, fan_out=float(prod(weight.shape[1:])))


def _fans(shape: tuple[int, ...]) -> tuple[float, float]:
    if len(shape) < 2:
        return float(prod(shape)), float(prod(shape))
    taps = prod(shape[2:])
    return float(shape[1] * taps), float(shape[0] * taps)


def _unknown(name: str, weight: Tensor) -> ParameterLayout:
    """Only a vector `bias` explains itself; which axis of a matrix counts inputs, its module's class must say."""
    return ParameterLayout("bias" if name == "bias" and weight.ndim == 1 else None, (whole(weight),))


def vector(role: str, weight: Tensor | None, **changes: Any) -> ParameterLayout | None:
    """A layout without fans that matter: biases and scales."""
    return None if weight is None else ParameterLayout(role, (whole(weight, **changes),))


def present(**layouts: ParameterLayout | None) -> dict[str, ParameterLayout]:
    """The layouts of those parameters that exist."""
    return {name: item for name, item in layouts.items() if item is not None}


def _norm_by_deed(module: nn.Module) -> dict[str, ParameterLayout]:
    neutral = neutral_scale(module)
    if neutral is None:
        return {}
    weight, bias = module._parameters["weight"], module._parameters.get("bias")
    assert weight is not None, "it has a neutral value"
    # Ones are what scales start with anyway.
    scale = ParameterLayout("scale", (whole(weight),), default=None if neutral == 1 else neutral)
    return present(weight=scale, bias=vector("bias", bias))
