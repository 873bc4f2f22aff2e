"""Names that mean different things elsewhere, as exactly what they mean there: torch's, Keras' and JAX's.

Laws and fans are those of the libraries, packed tensors and transposed convolutions included; see `foreign_fans`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from modelforge.core.complaints import WrongField
from modelforge.core.matrix import Block
from modelforge.inits.base import Elementwise
from modelforge.inits.fields import Positive, Real
from modelforge.inits.gains.gain import Gain
from modelforge.inits.laws.cut_normal import LEAST_MASS, CutNormal
from modelforge.inits.registry import register_initializer
from modelforge.inits.schemes.foreign_fans import jax_fans, keras_fans, torch_fans
from modelforge.inits.schemes.variance_scaling import Kaiming, LeCun, Preset, VarianceScaling, Xavier

# --- torch ------------------------------------------------------------------------------------------------------------


class _Torch(Preset):
    def fans(self, block: Block) -> tuple[float, float]:
        """Those of the stored tensor."""
        return torch_fans(block)


class _TorchXavier(_Torch):
    gain: Gain = 1.0
    """A number, `auto`, or an activation's name; torch's own constants are `torch.tanh` and the like."""


@register_initializer("torch.xavier_uniform")
class TorchXavierUniform(_TorchXavier):
    """What torch calls `xavier_uniform_`.

    Formula: w ~ U(-a, a), a = gain·√(6 / (fan_in + fan_out))
    Source: torch.nn.init.xavier_uniform_; Glorot and Bengio, AISTATS 2010
    """

    def same_as(self) -> VarianceScaling:
        """Xavier's uniform values."""
        return Xavier(gain=self.gain)


@register_initializer("torch.xavier_normal")
class TorchXavierNormal(_TorchXavier):
    """What torch calls `xavier_normal_`; the same name in Keras and JAX, `glorot_normal`, is truncated.

    Formula: w ~ N(0, gain² · 2 / (fan_in + fan_out))
    Source: torch.nn.init.xavier_normal_; Glorot and Bengio, AISTATS 2010
    """

    def same_as(self) -> VarianceScaling:
        """Xavier with normal values."""
        return Xavier(gain=self.gain, distribution="normal")


class _TorchKaiming(_Torch):
    a: Real = 0.0
    """Negative slope of the leaky ReLU that follows; 0 for a ReLU."""
    mode: Literal["fan_in", "fan_out"] = "fan_in"
    """Whether activations or gradients keep their second moment."""

    @property
    def _gain(self) -> float:
        return math.sqrt(2 / (1 + self.a**2))


@register_initializer("torch.kaiming_uniform")
class TorchKaimingUniform(_TorchKaiming):
    """What torch calls `kaiming_uniform_`, for its default nonlinearity, a leaky ReLU.

    Formula: w ~ U(-b, b), b = √(6 / ((1 + a²)·fan))
    Source: torch.nn.init.kaiming_uniform_; He et al., arXiv:1502.01852
    """

    def same_as(self) -> VarianceScaling:
        """Kaiming's scale with uniform values."""
        return Kaiming(gain=self._gain, mode=self.mode, distribution="uniform")


@register_initializer("torch.kaiming_normal")
class TorchKaimingNormal(_TorchKaiming):
    """What torch calls `kaiming_normal_`, for its default nonlinearity; `he_normal` in Keras and JAX is truncated.

    Formula: w ~ N(0, 2 / ((1 + a²)·fan))
    Source: torch.nn.init.kaiming_normal_; He et al., arXiv:1502.01852
    """

    def same_as(self) -> VarianceScaling:
        """Kaiming with normal values."""
        return Kaiming(gain=self._gain, mode=self.mode)


@register_initializer("torch.trunc_normal")
class TorchTruncNormal(Elementwise):
    """What torch calls `trunc_normal_`: bounds are absolute, and what comes out has a smaller deviation than `std`.

    With `std: 0.02` the default bounds lie at 100 deviations and cut nothing; `truncated_normal` has bounds in units of
    sigma.

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
        elif (kept := self._law.mass) < LEAST_MASS:
            share = f"a share of at least {LEAST_MASS:g} of N({self.mean:g}, {self.std:g}²)"
            message = f"must leave {share} above `a` ({self.a:g}), but is {self.b:g} and leaves {kept:.1g}"
            yield WrongField("b", message, "`a` and `b` are values, not multiples of `std`", "MF092")

    def law(self, block: Block) -> CutNormal:
        """The normal law between the bounds."""
        del block
        return self._law

    @property
    def _law(self) -> CutNormal:
        return CutNormal(self.mean, self.std, self.a, self.b)


# --- Keras and JAX ----------------------------------------------------------------------------------------------------


class _Keras(Preset):
    def fans(self, block: Block) -> tuple[float, float]:
        """Those of Keras' layer."""
        return keras_fans(block)


class _Jax(Preset):
    def fans(self, block: Block) -> tuple[float, float]:
        """Those of Flax' layer."""
        return jax_fans(block)


class _GlorotUniform(Preset):
    def same_as(self) -> VarianceScaling:
        """Xavier."""
        return Xavier()


class _GlorotNormal(Preset):
    def same_as(self) -> VarianceScaling:
        """Xavier with truncated values."""
        return Xavier(distribution="truncated_normal")


class _HeUniform(Preset):
    def same_as(self) -> VarianceScaling:
        """Kaiming's scale with uniform values."""
        return Kaiming(distribution="uniform")


class _HeNormal(Preset):
    def same_as(self) -> VarianceScaling:
        """Kaiming with truncated values."""
        return Kaiming(distribution="truncated_normal")


class _LecunUniform(Preset):
    def same_as(self) -> VarianceScaling:
        """LeCun's scale with uniform values."""
        return LeCun(distribution="uniform")


class _LecunNormal(Preset):
    def same_as(self) -> VarianceScaling:
        """LeCun with truncated values."""
        return LeCun(distribution="truncated_normal")


@register_initializer("keras.glorot_uniform")
class KerasGlorotUniform(_Keras, _GlorotUniform):
    """What Keras calls `glorot_uniform`. Fans are those of Keras' layers.

    Formula: w ~ U(-a, a), a = √(6 / (fan_in + fan_out))
    Source: keras.initializers.GlorotUniform; Glorot and Bengio, AISTATS 2010
    """


@register_initializer("keras.glorot_normal")
class KerasGlorotNormal(_Keras, _GlorotNormal):
    """What Keras calls `glorot_normal`: truncated, unlike torch's `xavier_normal_`. Fans are those of Keras' layers.

    Formula: w ~ N(0, s²) cut to ±2s, s = √(2 / (fan_in + fan_out)) / .87962566103423978, so Var w = 2 / (fan_in +
        fan_out)
    Source: keras.initializers.GlorotNormal; Glorot and Bengio, AISTATS 2010
    """


@register_initializer("keras.he_uniform")
class KerasHeUniform(_Keras, _HeUniform):
    """What Keras calls `he_uniform`. Fans are those of Keras' layers.

    Formula: w ~ U(-a, a), a = √(6 / fan_in)
    Source: keras.initializers.HeUniform; He et al., arXiv:1502.01852
    """


@register_initializer("keras.he_normal")
class KerasHeNormal(_Keras, _HeNormal):
    """What Keras calls `he_normal`: truncated, unlike torch's `kaiming_normal_`. Fans are those of Keras' layers.

    Formula: w ~ N(0, s²) cut to ±2s, s = √(2 / fan_in) / .87962566103423978, so Var w = 2 / fan_in
    Source: keras.initializers.HeNormal; He et al., arXiv:1502.01852
    """


@register_initializer("keras.lecun_uniform")
class KerasLecunUniform(_Keras, _LecunUniform):
    """What Keras calls `lecun_uniform`. Fans are those of Keras' layers.

    Formula: w ~ U(-a, a), a = √(3 / fan_in)
    Source: keras.initializers.LecunUniform; LeCun et al., Efficient BackProp, 1998
    """


@register_initializer("keras.lecun_normal")
class KerasLecunNormal(_Keras, _LecunNormal):
    """What Keras calls `lecun_normal`: truncated. Fans are those of Keras' layers.

    Formula: w ~ N(0, s²) cut to ±2s, s = √(1 / fan_in) / .87962566103423978, so Var w = 1 / fan_in
    Source: keras.initializers.LecunNormal; LeCun et al., Efficient BackProp, 1998
    """


@register_initializer("jax.glorot_uniform")
class JaxGlorotUniform(_Jax, _GlorotUniform):
    """What JAX calls `glorot_uniform`. Fans are those of Flax' layers.

    Formula: w ~ U(-a, a), a = √(6 / (fan_in + fan_out))
    Source: jax.nn.initializers.glorot_uniform; Glorot and Bengio, AISTATS 2010
    """


@register_initializer("jax.glorot_normal")
class JaxGlorotNormal(_Jax, _GlorotNormal):
    """What JAX calls `glorot_normal`: truncated, unlike torch's `xavier_normal_`. Fans are those of Flax' layers.

    Formula: w ~ N(0, s²) cut to ±2s, s = √(2 / (fan_in + fan_out)) / .87962566103423978, so Var w = 2 / (fan_in +
        fan_out)
    Source: jax.nn.initializers.glorot_normal; Glorot and Bengio, AISTATS 2010
    """


@register_initializer("jax.he_uniform")
class JaxHeUniform(_Jax, _HeUniform):
    """What JAX calls `he_uniform`. Fans are those of Flax' layers.

    Formula: w ~ U(-a, a), a = √(6 / fan_in)
    Source: jax.nn.initializers.he_uniform; He et al., arXiv:1502.01852
    """


@register_initializer("jax.he_normal")
class JaxHeNormal(_Jax, _HeNormal):
    """What JAX calls `he_normal`: truncated, unlike torch's `kaiming_normal_`. Fans are those of Flax' layers.

    Formula: w ~ N(0, s²) cut to ±2s, s = √(2 / fan_in) / .87962566103423978, so Var w = 2 / fan_in
    Source: jax.nn.initializers.he_normal; He et al., arXiv:1502.01852
    """


@register_initializer("jax.lecun_uniform")
class JaxLecunUniform(_Jax, _LecunUniform):
    """What JAX calls `lecun_uniform`. Fans are those of Flax' layers.

    Formula: w ~ U(-a, a), a = √(3 / fan_in)
    Source: jax.nn.initializers.lecun_uniform; LeCun et al., Efficient BackProp, 1998
    """


@register_initializer("jax.lecun_normal")
class JaxLecunNormal(_Jax, _LecunNormal):
    """What JAX calls `lecun_normal`: truncated. Fans are those of Flax' layers.

    Formula: w ~ N(0, s²) cut to ±2s, s = √(1 / fan_in) / .87962566103423978, so Var w = 1 / fan_in
    Source: jax.nn.initializers.lecun_normal; LeCun et al., Efficient BackProp, 1998
    """
