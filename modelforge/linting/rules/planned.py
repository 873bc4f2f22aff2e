"""Pages of the warnings that planning gives itself, before any rule is applied."""

from __future__ import annotations

from modelforge.linting.rule import register_planned


def _config(*layers: str, shape: str = "[16]", own: str = "", init: str = "xavier") -> str:
    """A config as YAML: its layers, a line each, the model's own init block, and the `init` group."""
    block = [f"  init: {own}"] if own else []
    lines = ["model:", f"  input: {{shape: {shape}}}", *block, "  layers:", *(f"    {layer}" for layer in layers)]
    return "\n".join([*lines, f"init: {init}", ""])


register_planned(
    "MW104",
    why="What nothing reads has no effect on the outputs: its parameters get no gradient, and the computation is lost.",
    when="A layer's output, or an input of the model, that is named neither in `inputs` of a later layer nor in "
    "`outputs`, and does not stand right before the layer that would read it.",
    bad=_config(
        "main: {type: Linear, out_features: 16}",
        "aside: {type: Linear, out_features: 16}",
        "head: {type: Linear, out_features: 2, inputs: main}",
    ),
    good=_config(
        "main: {type: Linear, out_features: 16}",
        "aside: {type: Linear, out_features: 16}",
        "sum: {type: Add, inputs: [main, aside]}",
        "head: {type: Linear, out_features: 2}",
    ),
)
register_planned(
    "MW105",
    why="Planning runs each layer on a few random examples. One that gives infinities or NaN for some of them spoils "
    "the whole network as soon as such an input arrives.",
    when="A value that is not finite for negative inputs, zeros, or inputs of size 100, though it is finite for "
    "positive ones of size 1.",
    bad=_config(
        "pool: {type: LPPool2d, norm_type: 1.5, kernel_size: 2}",
        "flat: Flatten",
        "head: {type: Linear, out_features: 2}",
        shape="[3, 8, 8]",
    ),
    good=_config(
        "pool: {type: LPPool2d, norm_type: 2, kernel_size: 2}",
        "flat: Flatten",
        "head: {type: Linear, out_features: 2}",
        shape="[3, 8, 8]",
    ),
)
register_planned(
    "MW106",
    why="In evaluation, the prediction for an example should be the same whatever else is in its batch.",
    when="Planning runs each layer in evaluation mode on two batches that share an example, and compares what it "
    "gives for that one.",
    bad=_config("norm: {type: BatchNorm1d, track_running_stats: false}", "head: {type: Linear, out_features: 2}"),
    good=_config("norm: BatchNorm1d", "head: {type: Linear, out_features: 2}"),
)
register_planned(
    "MW107",
    why="Schemes such as `gpt2` and `deepnorm` count residual branches and treat their ends differently. Inside a "
    "class of your own, the graph does not show the branches, so the scheme starts too large there.",
    when="A scheme with `branches: auto` fills a layer whose class has child modules and is not declared. "
    "[Your own layers](../layers.md#your-own-layers) shows how to declare it.",
)
register_planned(
    "MW108",
    why="A scheme for the ends of residual branches that fills none has no effect, and each branch starts at full "
    "strength.",
    when="A scheme with `ends: auto` fills parameters, all of them known not to be at the end of a branch. A branch "
    "ends with its last layer that has parameters.",
    bad=_config(
        "block: {type: Residual, layers: {norm: LayerNorm, dense: {type: Linear, out_features: 16}}}",
        "head: {type: Linear, out_features: 2}",
        init="{scheme: xavier, scale: zero_gamma}",
    ),
    good=_config(
        "block: {type: Residual, layers: {dense: {type: Linear, out_features: 16}, norm: LayerNorm}}",
        "head: {type: Linear, out_features: 2}",
        init="{scheme: xavier, scale: zero_gamma}",
    ),
)
register_planned(
    "MW109",
    why="A rule that fills no parameter suggests an effect that it does not have.",
    when="An init block of the model, or a field of one, that other blocks override for each parameter it matches; or "
    "a role that is written for this model, which has no parameter of that role. The `init` group is a default and may "
    "be overridden, but for the fields that an override sets: `init.gain=2`.",
    bad=_config(
        "hidden: {type: Linear, out_features: 16, bias: false, init: xavier}",
        "head: {type: Linear, out_features: 2, bias: false, init: zeros}",
        own="lecun",
        init="kaiming",
    ),
    good=_config(
        "hidden: {type: Linear, out_features: 16, bias: false}",
        "head: {type: Linear, out_features: 2, bias: false, init: zeros}",
        own="lecun",
        init="kaiming",
    ),
)
register_planned(
    "MW110",
    why="An override such as `init.scheme=xavier` changes one key of a block. Gains, modes and roles that were written "
    "for the old scheme stay, and rarely suit the new one.",
    when="An override sets `scheme` alone, and fields that the new scheme has as well differ from its defaults. "
    "`init=xavier_normal` or `init={scheme: xavier}` replaces the whole block.",
)
register_planned(
    "MW113",
    why="Fans are counted for each matrix. A packed parameter that counts as one matrix starts at another scale: the "
    "fan out of `qkv` is three times that of each projection.",
    when="A name such as `qkv` or `gate_up_proj` with a shape that divides accordingly, or a cut of a dimension "
    "that may be the last (`chunk(2, dim=1)`); a scheme that counts fans; and a `forward` that does not show for "
    'certain how the rows are split. `params: {"*.qkv.weight": {matrices: 3}}` declares it.',
)
