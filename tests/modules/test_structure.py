"""What a module says of its inside: residual branches, and the activation that reads each part."""

from __future__ import annotations

import pytest
from torch import nn

import modelforge as mf
from modelforge.layers import forget_class, reads, register_branches, register_inside
from modelforge.modules.structure import branches, follows, is_known, makes_output
from tests.modules.test_parameters import Packed


def test_branches_that_are_not_there():
    register_branches(Packed, ("norm", "other"), ("qk", "out"))
    try:
        assert mf.initialize(Packed(), "gpt2")["out.weight"].numbers["branches"] == 1
        register_branches(Packed, ("norm", "qk", "out"))
        with pytest.raises(mf.ForgeError, match="no graph is known"):
            mf.initialize(Packed(), "gpt2")
    finally:
        forget_class(Packed)


def test_torch_s_transformer_layers_say_what_reads_each_part():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, activation="gelu", norm_first=True)
    (activation,) = follows(layer, "linear1")
    assert (activation.name, follows(layer, "linear2"), follows(layer, "self_attn.out_proj")) == ("GELU", "output", ())
    assert follows(layer, "norm1") == "unknown"
    last = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    assert follows(last, "linear2") == ()


def test_the_output_is_made_where_each_module_around_says_so():
    layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, norm_first=True)
    assert [makes_output(layer, path) for path in ("linear2", "linear1", "self_attn.out_proj")] == [True, False, False]
    assert makes_output(nn.MultiheadAttention(4, 2), "out_proj")
    assert makes_output(nn.Linear(2, 2), "")
    assert not makes_output(nn.Sequential(nn.Linear(2, 2)), "0")


def test_an_activation_is_shown_with_what_it_was_made_with():
    assert [item.name for act in (nn.ReLU(), nn.LeakyReLU(0.2)) for item in reads(act)] == [
        "ReLU",
        "LeakyReLU(negative_slope=0.2)",
    ]
    assert reads(nn.PReLU()) == reads(len) == "unknown"


def test_a_registered_activation_is_what_follows_a_child():
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.act, self.down = nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4)

    assert (follows(Mixer(), "up"), is_known(Mixer())) == ("unknown", False)
    register_inside(Mixer)(lambda module: {"up": reads(module.act), "down": "output"})
    try:
        assert follows(Mixer(), "up")[0].name.startswith("ReLU")
        assert (follows(Mixer(), "down"), makes_output(Mixer(), "down"), is_known(Mixer())) == ("output", True, True)
        assert follows(nn.ModuleDict({"mixer": Mixer()}), "mixer.down") == "unknown"
    finally:
        forget_class(Mixer)


def test_a_branch_that_a_module_has_no_part_of_does_not_count():
    decoder = nn.TransformerDecoderLayer(4, 2, 8, batch_first=True)
    assert branches(decoder) == (("self_attn",), ("multihead_attn",), ("linear1", "linear2"))
    del decoder.multihead_attn
    assert branches(decoder) == (("self_attn",), ("linear1", "linear2"))
    del decoder.linear1
    assert branches(decoder) == ()
    assert branches(nn.Linear(2, 2)) == ()
