"""`Matrix`: what an initializer fills. A logical part of a parameter: the whole, a gate, a projection, a group."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Literal

from modelforge.core.paths import join

if TYPE_CHECKING:
    from torch import Tensor

Projection = Literal["q", "k", "v", "o"]
"""What a matrix of an attention makes: queries, keys, values, or its output."""


Kind = Literal["matrix", "convolution", "bilinear", "stack", "slope"]
"""What computes with a matrix: a product, taps that slide, a form of two inputs; one of several in a stack; or an
activation, for the part below zero (PReLU)."""


@dataclass(frozen=True, slots=True)
class Activation:
    """An activation that follows a parameter in the graph; equal names mean equal functions."""

    name: str
    function: Callable[[Tensor], Tensor] = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Branch:
    """The residual branch that a parameter is in: y = shortcut(x) + branch(x)."""

    index: int
    """From 0, in execution order, over the whole model."""
    num_weights: int
    """Layers in it that have weights."""
    ends: bool
    """Whether what the parameter makes is what the branch adds: the output projection, or the norm after it."""
    extra: int = 0
    """How many branches, up to this one, come after the first two of their layer. A decoder layer has three branches:
    attention, attention to the encoder, and MLP."""

    @property
    def layer(self) -> int:
        """Number of the transformer layer, from 1: two branches, attention and MLP, make one, or all of one module."""
        return (self.index - self.extra) // 2 + 1


@dataclass(frozen=True, slots=True)
class Context:
    """Where in the network a parameter stands."""

    num_branches: int
    """Residual branches of the whole model: 2·L in a transformer of L layers."""
    branch: Branch | None = None
    """The innermost branch it is in; None outside of all."""
    reads_input: bool | None = None
    """Whether it is the first to weigh an input of the model; None where that is not known."""
    gives_output: bool | None = None
    """Whether it is the last to weigh the output of the model."""
    input_width: bool | None = None
    """Whether what it reads is as wide as an input of the model: no kernel and no table stands before it. What a layer
    without a kernel adds or multiplies by, such as the scale of a norm, counts as reading what the layer reads."""
    output_width: bool | None = None
    """Whether what it makes is as wide as the output of the model: no kernel stands after it."""
    known: bool = True
    """Whether the layer that holds it is known inside: what makes its output, and which residual branches it has."""


@dataclass(frozen=True, slots=True)
class Attention:
    """The attention that a matrix is part of."""

    projections: tuple[Projection, ...]
    """What the matrix makes; where it is several, they lie side by side along its outputs, equal in size."""
    num_heads: int
    """Heads of the queries."""
    head_size: int
    """Rows of `q`, `k` and `v` that one head has."""
    width: int
    """Width of the stream that the queries read."""
    path: str = ""
    """Path of the module that is the attention: projections with one path belong together."""

    def below(self, prefix: str) -> Attention:
        """The same, seen from outside: its path begins at the module that holds it at `prefix`."""
        return replace(self, path=join(prefix, self.path))


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows `start:stop` (of dimension 0, outputs first) of a parameter, with the fans of the matrix they stand for.

    A plain weight is one matrix. LSTM and GRU gates, packed query/key/value projections and the groups of a
    convolution are one matrix each.
    """

    shape: tuple[int, ...]
    """Shape of the rows, dimension 0 included: `(stop - start, ...)`."""
    fan_in: float
    """Inputs that each output sums over: for a transposed convolution the mean number, not always whole."""
    fan_out: float
    """Outputs that each input reaches."""
    name: str = ""
    """`"i"`, `"f"`, `"g"`, `"o"` (LSTM), `"r"`, `"z"`, `"n"` (GRU), `"q"`, `"k"`, `"v"`, a group's number, or `""`."""
    start: int = 0
    input_first: bool = False
    """True where dimension 0 counts inputs and dimension 1 outputs (transposed convolutions)."""
    addend: int = 0
    """0 for a parameter that stands alone or comes first; 1 for the second of two that are added (`bias_hh`)."""
    fixed: float | None = None
    """A constant that no scheme may change (the padding row of an embedding)."""
    activations: tuple[Activation, ...] | None = None
    """The distinct activations that read what this parameter makes; empty where none follows, None where the graph is
    not known."""
    role: str | None = None
    """`weight`, `recurrent`, `bias`, `embedding`, `scale`; None where it is not known."""
    context: Context | None = None
    """Where it stands; None where the graph is not known."""
    attention: Attention | None = None
    """The attention that it is part of, if it is part of one."""
    tied: bool | None = None
    """Whether it is a table that vectors are looked up in and also, under another name, a weight that multiplies; None
    where that is not known."""
    default: float | None = None
    """A constant that replaces the role's default: the slope of a PReLU, 0 for a norm that multiplies by 1 + weight."""
    kind: Kind = "matrix"
    """What computes with it, where the shape alone does not show that."""
    strides: tuple[int, ...] | None = None
    """Of a transposed convolution, one for each axis of its taps; None where they are not known."""
    dilations: tuple[int, ...] | None = None
    """The same for the distances of its taps."""
    stored: tuple[int, ...] | None = None
    """Shape of the whole parameter as it is stored; None where it is `shape`."""

    @property
    def stop(self) -> int:
        return self.start + self.shape[0] if self.shape else 1

    def at(self, name: str, start: int) -> Matrix:
        """The same matrix under another name and at another place."""
        shape, fan_in, fan_out, _, _, *others = _VALUES(self)
        return Matrix(shape, fan_in, fan_out, name, start, *others)  # `replace` takes twice as long

    def repeats(self, other: Matrix) -> bool:
        """Whether both are groups of one convolution, and nothing but their number and place tells them apart."""
        groups = self.kind == "convolution" and self.name.isdigit() and other.name.isdigit()
        return groups and _WITHOUT_PLACE(self) == _WITHOUT_PLACE(other)


_NAMES = [item.name for item in fields(Matrix)]
_VALUES = attrgetter(*_NAMES)
_WITHOUT_PLACE = attrgetter(*(name for name in _NAMES if name not in ("name", "start")))
