"""Models that ship, as predicted and as measured."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import check

AGREES = {
    "mlp": (),
    "autoencoder": (),
    "cnn": ("init=kaiming_normal",),
    "resnet_small": ("init=kaiming_normal",),
    "unet": (),
    "mlp_mixer": (),
    "rnn": (),
    "lstm": (),
    "gru": (),
    "bilstm": (),
    "char_lstm": (),
}
AGREES_SLOWLY = {"transformer": ("init=xavier_normal",), "bert": (), "t5": (), "vit": ()}
WITH_NORMS = {"resnet": (6, 1), "mobilenet_v2": (6, 1), "convnext": (12, 8)}
"""Models with norms of few numbers, the seeds of each and the widest spread: dropping one of 16 examples scatters most
in `convnext`, and so does its norm of small pixels."""


@pytest.mark.parametrize("model", AGREES)
def test_as_measured(model):
    check(mf.load("conf", overrides=[f"model={model}", *AGREES[model]]))


@pytest.mark.slow
@pytest.mark.parametrize("model", AGREES_SLOWLY)
def test_transformers_as_measured(model):
    check(mf.load("conf", overrides=[f"model={model}", *AGREES_SLOWLY[model]]))


@pytest.mark.slow
@pytest.mark.parametrize("model", WITH_NORMS)
def test_norms_of_few_numbers_as_measured(model):
    seeds, widest = WITH_NORMS[model]
    check(mf.load("conf", overrides=[f"model={model}"]), seeds=seeds, widest=widest)


KNOWN = ("bert", "convnext", "gpt2", "lenet", "llama", "mobilenet_v2", "resnet", "t5", "transformer", "vit")


@pytest.mark.parametrize("model", KNOWN)
def test_every_layer_has_a_rule(model):
    more = ["init=xavier_normal"] if model in ("transformer", "lenet") else []
    prediction = mf.predict(mf.plan(mf.load("conf", overrides=[f"model={model}", *more])))
    assert not prediction.unknown
    # the way back through what is added to logits is left out, and a mask has none
    without = ("input", "RelativePositionBias", "PaddingMask")
    known = [node for node in prediction.nodes if node.type not in without]
    assert all(node.gradient is not None for node in known)
