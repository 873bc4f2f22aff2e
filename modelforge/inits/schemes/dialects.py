"""Names that mean different things elsewhere, as exactly what they mean there: torch's, Keras' and JAX's.

Laws and fans are those of the libraries, packed tensors and transposed convolutions included; see `foreign_fans`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import ClassVar, Literal

from pydantic import create_model

from modelforge.core.complaints import WrongField
from modelforge.core.errors import Refusal
from modelforge.core.matrix import Matrix
from modelforge.inits.base import Elementwise
from modelforge.inits.fields import Positive, Real
from modelforge.inits.gains.gain import Gain
from modelforge.inits.laws.law import Law
from modelforge.inits.laws.truncated_normal import LEAST_MASS, TruncatedNormal
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.foreign_fans import Fans, jax_fans, keras_fans, torch_fans
from modelforge.inits.schemes.variance_scaling import Kaiming, LeCun, Preset, VarianceScaling, Xavier

# --- torch ------------------------------------------------------------------------------------------------------------


class _Torch(Preset):
    def fans(self, matrix: Matrix) -> Fans:
        """Those of the stored tensor."""
        return torch_fans(matrix)


class _TorchXavier(_Torch):
    distribution: ClassVar[Literal["uniform", "normal"]] = "uniform"

    gain: Gain = 1.0
    """A number, `auto`, or an activation's name; torch's own constants are `torch.tanh` and the like."""

    def same_as(self) -> VarianceScaling:
        """Xavier."""
        return Xavier(gain=self.gain, distribution=self.distribution)


@register_initializer("torch.xavier_uniform")
class TorchXavierUniform(_TorchXavier):
    """What torch calls `xavier_uniform_`.

    Formula: w ~ U(-a, a), a = gain·√(6 / (fan_in + fan_out))
    Source: torch.nn.init.xavier_uniform_; Glorot and Bengio, AISTATS 2010
    """


@register_initializer("torch.xavier_normal")
class TorchXavierNormal(_TorchXavier):
    """What torch calls `xavier_normal_`; the same name in Keras and JAX, `glorot_normal`, is truncated.

    Formula: w ~ N(0, gain² · 2 / (fan_in + fan_out))
    Source: torch.nn.init.xavier_normal_; Glorot and Bengio, AISTATS 2010
    """

    distribution: ClassVar[Literal["uniform", "normal"]] = "normal"


class _TorchKaiming(_Torch):
    distribution: ClassVar[Literal["uniform", "normal"]] = "uniform"

    a: Real = 0.0
    """Negative slope of the leaky ReLU that follows; 0 for a ReLU."""
    mode: Literal["fan_in", "fan_out"] = "fan_in"
    """Whether activations or gradients keep their second moment."""

    def same_as(self) -> VarianceScaling:
        """Kaiming, for a leaky ReLU."""
        return Kaiming(gain=math.sqrt(2 / (1 + self.a**2)), mode=self.mode, distribution=self.distribution)


@register_initializer("torch.kaiming_uniform")
class TorchKaimingUniform(_TorchKaiming):
    """What torch calls `kaiming_uniform_`, for its default nonlinearity, a leaky ReLU.

    Formula: w ~ U(-b, b), b = √(6 / ((1 + a²)·fan))
    Source: torch.nn.init.kaiming_uniform_; He et al., arXiv:1502.01852
    """


@register_initializer("torch.kaiming_normal")
class TorchKaimingNormal(_TorchKaiming):
    """What torch calls `kaiming_normal_`, for its default nonlinearity; `he_normal` in Keras and JAX is truncated.

    Formula: w ~ N(0, 2 / ((1 + a²)·fan))
    Source: torch.nn.init.kaiming_normal_; He et al., arXiv:1502.01852
    """

    distribution: ClassVar[Literal["uniform", "normal"]] = "normal"


@register_initializer("torch_default")
class TorchDefault(_Torch):
    """What torch's Linear, Bilinear and convolutions start with, for every matrix: small weights, a gain of 1/√3.

    Fans are those of the tensor as it is stored, as in `torch.kaiming_uniform`. `torch` draws what each module itself
    would, which for recurrent layers and embeddings is something else.

    Formula: w ~ U(-1/√fan_in, 1/√fan_in), so Var w = 1 / (3·fan_in); in torch: Kaiming with a negative slope of √5. Of
        a Bilinear, fan_in is the size of its first input alone
    Source: `reset_parameters` of torch.nn's Linear, Bilinear and convolutions
    """

    def same_as(self) -> VarianceScaling:
        """A third of LeCun's variance."""
        return LeCun(gain=1 / math.sqrt(3), distribution="uniform")

    def fans(self, matrix: Matrix) -> Fans:
        """Those of the stored tensor; the first input's size for a Bilinear."""
        fan_in, fan_out = torch_fans(matrix)
        return (fan_in / matrix.shape[2] if matrix.kind == "bilinear" and matrix.shape[2] else fan_in), fan_out

    def law(self, matrix: Matrix) -> Law:
        if len(matrix.shape) == 1:
            reason = "`torch_default` draws a bias by the fan_in of its weight, which a bias alone does not show"
            raise Refusal(reason, "`scheme: torch` draws both, or give `bias` a scheme of its own")
        return super().law(matrix)


@register_initializer("torch.trunc_normal")
class TorchTruncNormal(Elementwise):
    """What torch calls `trunc_normal_`: bounds are absolute, and what comes out has a smaller std than `std`.

    With `std: 0.02` the default bounds lie at 100·std and cut nothing; `truncated_normal` has bounds in units of sigma.

    Formula: w ~ N(mean, std²) cut to [a, b]; with α, β = (a - mean, b - mean) / std and Z = Φ(β) - Φ(α), what comes out
        has mean m = mean + std·(φ(α) - φ(β)) / Z and variance std²·(1 + (αφ(α) - βφ(β)) / Z) - (m - mean)²
    Source: torch.nn.init.trunc_normal_
    """

    mean: Real = 0.0
    """Mean of the normal law before it is cut."""
    std: Positive = 1.0
    """Standard deviation of the normal law before it is cut."""
    a: Real = -2.0
    """Lower bound."""
    b: Real = 2.0
    """Upper bound, greater than `a`."""

    def conflicts(self) -> Iterable[WrongField]:
        """Bounds the wrong way round, or such that next to nothing lies between."""
        if not self.a < self.b:
            yield WrongField("b", f"must be greater than `a` ({self.a!r}), but is {self.b!r}", "exchange them")
        elif (kept := self.law().unit.mass) < LEAST_MASS:
            share = f"a share of at least {LEAST_MASS:g} of N({self.mean:g}, {self.std:g}²)"
            message = f"must leave {share} above `a` ({self.a:g}), but is {self.b:g} and leaves {kept:.1g}"
            yield WrongField("b", message, "`a` and `b` are values, not multiples of `std`", "MF092")

    def law(self, matrix: Matrix | None = None) -> TruncatedNormal:
        return TruncatedNormal.between(self.mean, self.std, self.a, self.b)


# --- Keras and JAX ----------------------------------------------------------------------------------------------------


class _Foreign(Preset):
    stands_for: ClassVar[VarianceScaling]
    count: ClassVar[Callable[[Matrix], Fans]]

    def same_as(self) -> VarianceScaling:
        """What the name stands for."""
        return self.stands_for

    def fans(self, matrix: Matrix) -> Fans:
        """Those of the library's own layers."""
        return type(self).count(matrix)


_GLOROT, _HE = "Glorot and Bengio, AISTATS 2010", "He et al., arXiv:1502.01852"
_LECUN = "LeCun et al., Efficient BackProp, 1998"
_NAMES: dict[str, tuple[VarianceScaling, str, str, str]] = {
    "GlorotUniform": (Xavier(), "", "6 / (fan_in + fan_out)", _GLOROT),
    "GlorotNormal": (Xavier(distribution="truncated_normal"), "`xavier_normal_`", "2 / (fan_in + fan_out)", _GLOROT),
    "HeUniform": (Kaiming(distribution="uniform"), "", "6 / fan_in", _HE),
    "HeNormal": (Kaiming(distribution="truncated_normal"), "`kaiming_normal_`", "2 / fan_in", _HE),
    "LecunUniform": (LeCun(distribution="uniform"), "", "3 / fan_in", _LECUN),
    "LecunNormal": (LeCun(distribution="truncated_normal"), "", "1 / fan_in", _LECUN),
}
"""What each name stands for, what torch has under a like name, the square in its formula, and who proposed it."""
_UNIFORM, _NORMAL = (
    "w ~ U(-a, a), a = √({0})",
    "w ~ N(0, s²) cut to ±2s, s = √({0}) / .87962566103423978, so Var w = {0}",
)


def _register(library: str, title: str, layers: str, package: str, count: Callable[[Matrix], Fans]) -> None:
    """Makes a class of each name, with the names that it has in a library."""
    for name, (stands_for, like, square, source) in _NAMES.items():
        snake = name.replace("Uniform", "_uniform").replace("Normal", "_normal").lower()
        cut = stands_for.distribution == "truncated_normal"
        unlike = f": truncated, unlike torch's {like}" if like else ": truncated" if cut else ""
        named = f"{package}.{name if library == 'keras' else snake}"
        doc = (
            f"What {title} calls `{snake}`{unlike}. Fans are those of {layers} layers.\n\n"
            f"Formula: {(_NORMAL if cut else _UNIFORM).format(square)}\nSource: {named}; {source}"
        )
        made = create_model(f"{title}{name}", __base__=_Foreign, __doc__=doc, __module__=__name__)
        made.stands_for, made.count = stands_for, count
        # Where pickle looks for it.
        globals()[made.__name__] = register_initializer(f"{library}.{snake}")(made)


_register("keras", "Keras", "Keras'", "keras.initializers", keras_fans)
_register("jax", "JAX", "Flax'", "jax.nn.initializers", jax_fans)
