"""Depth-aware schemes: what starts smaller the more residual branches there are.

Branches are counted in the plan and not matched by name: `Residual` says what it adds, and so do torch's transformer
layers. A model whose graph is not known gives the numbers in the block.
"""

from __future__ import annotations

from math import sqrt
from typing import Annotated, Any, Literal

from modelforge.core.complaints import Alternatives
from modelforge.core.errors import Refusal
from modelforge.core.matrix import Matrix
from modelforge.inits.base import Elementwise
from modelforge.inits.depth import DepthAware, LayerAware
from modelforge.inits.fields import Distribution, Positive, Real, Truncate, centred
from modelforge.inits.laws.law import Constant, Law, Normal
from modelforge.inits.matrices import require_matrix
from modelforge.inits.registry import register_initializer


@register_initializer("gpt2")
class GPT2(DepthAware):
    """Normal values, smaller in the projection that ends a residual branch, so that the sum of all keeps its size.

    The paper has no number for `std`: 0.02 is that of the authors' code (openai/gpt-2, src/model.py), which gives
    positions 0.01 and has no factor for the ends of branches.

    Formula: w ~ N(0, std²); at the end of a branch std / √N with N residual branches, 2·L for L layers
    Source: Radford, Wu, Child, Luan, Amodei and Sutskever, Language models are unsupervised multitask learners, 2019,
        §2.3
    """

    std: Positive = 0.02
    """Standard deviation of all but the ends of branches."""

    def law(self, matrix: Matrix) -> Law:
        return Normal(0.0, self.std / (sqrt(self.num_branches(matrix)) if self.ends_branch(matrix) else 1.0))


@register_initializer("llama_depth")
class LlamaDepth(LayerAware):
    """Truncated normal values; in the projection that ends a residual branch they shrink with the number of its layer.

    The two sources differ from it. Both give the second input matrix of a gated MLP (`w3`) the small values as well,
    embeddings N(0, 1) and the head 1 / √d, which `params` and `embedding` can do. OLMo-core cuts at 3·std without a
    correction, so its values have 0.9866·std, where here `std` is what comes out; torchtitan cuts at ±2, so far out
    that it changes nothing. The idea is older: in DS-Init (Zhang et al., arXiv:1908.11365) all matrices of layer l are
    Xavier's, uniform, / √l.

    Formula: w ~ N(0, sigma²) cut to ±truncate·sigma, with standard deviation std; at the end of a branch of layer l
        (from 1) std / √(2·l)
    Source: `llama_depth` in OLMo-core, src/olmo_core/nn/transformer/init.py; `depth_scaled_std` in torchtitan,
        models/llama3
    """

    std: Positive = 0.02
    """Standard deviation of all but the ends of branches."""
    truncate: Truncate = 3.0
    """Where the normal law is cut, in units of its sigma before the cut."""

    def law(self, matrix: Matrix) -> Law:
        scale = sqrt(2 * self.layer_number(matrix)) if self.ends_branch(matrix) else 1.0
        return centred(self.std / scale, "truncated_normal", self.truncate)


@register_initializer("mitchell")
class Mitchell(LayerAware):
    """LeCun's variance, divided by twice the number of the layer at the end of a branch; cut at three sigma.

    The std is that of the values after the cut. OLMo's code does not correct for the cut: what is sigma there is std
    here, so its values have 0.98658 of the std here.

    Formula: std = 1 / √fan_in; at the end of a branch of layer l (from 1) 1 / √(2·l·fan_in); embeddings 1 / √dim
    Source: Groeneveld et al., OLMo, arXiv:2402.00838, who credit Mitchell Wortsman; `mitchell` in allenai/OLMo,
        olmo/model.py and olmo/initialization.py
    """

    truncate: Truncate = 3.0
    """Where the normal law is cut, in units of its sigma before the cut."""

    def law(self, matrix: Matrix) -> Law:
        require_matrix(matrix, self.scheme, "fans are not defined for it")
        size = _width(matrix) if matrix.role == "embedding" else matrix.fan_in
        scale = 2 * self.layer_number(matrix) if self.ends_branch(matrix) else 1
        return centred(1 / sqrt(size * scale) if size else 0.0, "truncated_normal", self.truncate)


@register_initializer("small_init")
class SmallInit(Elementwise):
    """One small std for all matrices that read or write a stream of width d.

    The paper has it for the projections of attention; the matrices of its MLP have the same std by Xavier. GPT-NeoX has
    it for all matrices.

    Formula: w ~ N(0, 2 / (5·d)), with d the smaller side of the matrix: Xavier's for d x 4·d
    Source: Nguyen and Salazar, Transformers without tears, arXiv:1910.05895, §2.2; `small_init` in EleutherAI/gpt-neox,
        megatron/model/init_functions.py
    """

    def law(self, matrix: Matrix) -> Law:
        require_matrix(matrix, self.scheme, "it has no width")
        return centred(sqrt(2 / (5 * _width(matrix))) if _width(matrix) else 0.0)

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        return {"width": _width(matrix)}


@register_initializer("wang")
class Wang(DepthAware):
    """`small_init`, with smaller values at the end of a residual branch, the deeper the model.

    Both together are GPT-NeoX's. In Mesh-Transformer-JAX, from which the ends of branches come, values are truncated at
    two sigma without a correction (so 0.8796 of these), and the other matrices have 1 / √fan_in. Where attention and
    MLP are one branch, as in GPT-J, say `branches: 2·L`.

    Formula: w ~ N(0, 2 / (5·d)); at the end of a branch std = 2 / (L·√d), with L layers of two branches each
    Source: `small_init` and `wang_init` in EleutherAI/gpt-neox, megatron/model/init_functions.py and configs/20B.yml;
        Wang, Mesh-Transformer-JAX, 2021, mesh_transformer/transformer_shard.py
    """

    def law(self, matrix: Matrix) -> Law:
        require_matrix(matrix, self.scheme, "it has no width")
        width, ends = _width(matrix), self.ends_branch(matrix)
        if not width:
            return Constant(0.0)
        return Normal(0.0, 2 / (self.num_layers(matrix) * sqrt(width)) if ends else sqrt(2 / (5 * width)))


@register_initializer("deepnorm")
class DeepNorm(DepthAware):
    """Xavier's values, smaller in what a residual branch passes on: values, outputs and the MLP; queries and keys stay.

    It belongs to post-norm layers whose shortcut is scaled by `alpha`: LayerNorm(alpha·x + f(x)), alpha = (2·L)^¼.

    Formula: gain·Xavier, gain = (8·L)^-¼ in branches, 1 for queries, keys and outside; L layers of two branches each
    Source: Wang et al., DeepNet: scaling transformers to 1,000 layers, arXiv:2203.00555, for encoders or decoders
        alone; microsoft/torchscale, torchscale/architecture/encoder.py
    """

    distribution: Literal["normal", "uniform"] = "normal"
    """The law; the variance is the same for each."""

    def law(self, matrix: Matrix) -> Law:
        return _xavier(self.scheme, matrix, self._gain(matrix), self.distribution)

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        alpha = (2 * self.num_layers(matrix)) ** 0.25
        return super().numbers(matrix) | {"gain": self._gain(matrix), "alpha": alpha}

    def _gain(self, matrix: Matrix) -> float:
        return (8 * self.num_layers(matrix)) ** -0.25 if self.is_scaled(matrix) else 1.0


@register_initializer("t_fixup")
class TFixup(DepthAware):
    """Starts a transformer so small that it needs neither layer norm nor warm-up.

    In a model of an encoder and a decoder each has an L of its own, whose layers count for two branches even where they
    have three: say `init: {branches: 12, part: decoder}` on a decoder of six. The authors' code multiplies what is
    looked up in the table by √d, and draws queries and keys as fairseq does, Xavier's / √2; here, as in the paper, they
    are Xavier's.

    Formula: embeddings N(0, 1/d)·(9·L)^-¼; Xavier times 0.67·L^-¼ (encoder) or (9·L)^-¼ (decoder) in branches, queries
        and keys excepted; L layers of two branches each
    Source: Huang, Perez, Ba and Volkovs, Improving transformer optimization through better initialization, ICML 2020;
        layer6ai-labs/T-Fixup, fairseq/modules/transformer_layer.py
    """

    part: Literal["encoder", "decoder"] = "encoder"
    """Which of the two factors counts."""

    def law(self, matrix: Matrix) -> Law:
        require_matrix(matrix, self.scheme, "fans are not defined for it")
        num_layers = self.num_layers(matrix)
        if matrix.role == "embedding":
            return centred(_width(matrix) ** -0.5 * (9 * num_layers) ** -0.25 if _width(matrix) else 0.0)
        factor = 0.67 * num_layers**-0.25 if self.part == "encoder" else (9 * num_layers) ** -0.25
        return _xavier(self.scheme, matrix, factor if self.is_scaled(matrix) else 1.0, "uniform")


@register_initializer("fixup")
class Fixup(DepthAware):
    """Kaiming's values, so much smaller in residual branches that no norms are needed; branch ends and the head are
    zero.

    The scalar multipliers and biases of the paper are layers of the model. The authors' code takes Kaiming's fan_out,
    which is the same where a convolution has as many outputs as inputs.

    Formula: std = √(2 / fan_in)·N^(-1 / (2·m - 2)) in the N branches of m layers each; 0 at their ends and in the head
    Source: Zhang, Dauphin and Ma, Fixup initialization, arXiv:1901.09321, §3; hongyi-zhang/Fixup,
        imagenet/models/fixup_resnet_imagenet.py
    """

    def law(self, matrix: Matrix) -> Law:
        require_matrix(matrix, self.scheme, "fans are not defined for it")
        head = matrix.context is not None and matrix.context.gives_output
        if head or self.ends_branch(matrix) or not matrix.fan_in:
            return Constant(0.0)
        return Normal(0.0, sqrt(2 / matrix.fan_in) * self._factor(matrix))

    def numbers(self, matrix: Matrix) -> dict[str, Any]:
        return super().numbers(matrix) | {"factor": self._factor(matrix)}

    def _factor(self, matrix: Matrix) -> float:
        branch = matrix.context.branch if matrix.context is not None else None
        if branch is None or branch.ends or branch.num_weights < 2:
            return 1.0
        return self.num_branches(matrix) ** (-1 / (2 * branch.num_weights - 2))


class EndScale(DepthAware):
    """A constant factor at the end of a residual branch, zero by default; other scales change nothing.

    A norm that multiplies by 1 + weight has a weight that is smaller by 1. A PReLU is not a scale, and keeps its slope.
    """

    def value_at_end(self, matrix: Matrix) -> float:
        """The factor."""
        return 0.0

    def law(self, matrix: Matrix) -> Law:
        if len(matrix.shape) > 1:
            hint = "move it below `scale:`: norms, `LayerScale` and `Scale` have such"
            raise Refusal(f"`{self.scheme}` is for scales, but this is a matrix", hint)
        neutral = 1.0 if matrix.default is None else matrix.default
        ends = self.ends_branch(matrix) and matrix.kind != "slope"
        return Constant(self.value_at_end(matrix) + (neutral - 1.0) if ends else neutral)


@register_initializer("zero_gamma")
class ZeroGamma(EndScale):
    """The scale of the norm that ends a residual branch is zero, so that the branch starts as its shortcut alone.

    Formula: γ = 0 at the end of a branch, 1 elsewhere
    Source: Goyal et al., Accurate, large minibatch SGD, arXiv:1706.02677, §5.1
    """


@register_initializer("rezero")
class ReZero(EndScale):
    """A learned number, zero at first, multiplies each residual branch (layer `Scale`).

    Formula: α = 0 at the end of a branch, 1 elsewhere
    Source: Bachlechner et al., ReZero is all you need, arXiv:2003.04887; De and Smith, arXiv:2002.10444 (SkipInit)
    """


@register_initializer("layerscale")
class LayerScaleScheme(EndScale):
    """A small learned number a channel multiplies each residual branch (layer `LayerScale`), the smaller the deeper.

    Formula: γ = value at the end of a branch, 1 elsewhere; `auto`: 0.1 up to 18 layers, 1e-5 up to 24, 1e-6 beyond
    Source: Touvron et al., Going deeper with image transformers, arXiv:2103.17239, §2
    """

    value: Annotated[Literal["auto"] | Real, Alternatives] = "auto"
    """The constant, or `auto`: by depth, two branches counting as one layer."""

    def value_at_end(self, matrix: Matrix) -> float:
        """The constant of the paper for this depth, or the one given."""
        if self.value != "auto":
            return self.value
        num_layers = self.num_layers(matrix)
        return 0.1 if num_layers <= 18 else 1e-5 if num_layers <= 24 else 1e-6


def _width(matrix: Matrix) -> int:
    """Width of the stream that a matrix reads or writes."""
    return matrix.shape[1] if matrix.role == "embedding" else min(matrix.shape[:2])


def _xavier(scheme: str, matrix: Matrix, gain: float, distribution: Distribution) -> Law:
    require_matrix(matrix, scheme, "fans are not defined for it")
    fans = matrix.fan_in + matrix.fan_out
    return centred(gain * sqrt(2 / fans) if fans else 0.0, distribution)
