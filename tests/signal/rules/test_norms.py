"""Norms as predicted and as measured; a norm is known whatever arrives."""

from __future__ import annotations

import pytest

import modelforge as mf
from tests.signal.nets import chain, check

HE = {"scheme": "kaiming", "gain": 3.0}
CONV = {"type": "Conv2d", "out_channels": 64, "kernel_size": 3, "padding": 1}
LINEAR = {"type": "Linear", "out_features": 64}


@pytest.mark.parametrize("norm", ["BatchNorm2d", {"type": "GroupNorm", "num_groups": 4}])
@pytest.mark.parametrize("training", [True, False])
def test_norms_of_channels(norm, training):
    check(chain(*[CONV, norm, "ReLU"] * 2, CONV, shape=[32, 6, 6], init=HE), training=training, batch=8)


@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm"])
def test_norms_of_positions(norm):
    wide = LINEAR | {"out_features": 512}
    check(chain(*[wide, norm, "Tanh"] * 2, wide, shape=[5, 512], init=HE))


@pytest.mark.parametrize("layer", ["Conv2d", "ConvTranspose2d"])
def test_batch_norms_around_convolutions_of_single_pixels(layer):
    """Each kernel is one number, which a batch norm takes back, and the direction of what it reads with it."""
    own = {"type": layer, "out_channels": 64, "kernel_size": 1, "groups": 64, "bias": False}
    mixed = {"type": "Conv2d", "out_channels": 64, "kernel_size": 1, "bias": False}
    check(
        chain(*[mixed, "BatchNorm2d", "ReLU", own, "BatchNorm2d", "ReLU"] * 2, mixed, shape=[48, 1, 1], init=HE),
        widest=2,
    )


def test_batch_norms_of_padded_maps_of_few_pixels():
    """Each position has taps of its own, and in all examples the same part of what all have in common."""
    narrow = CONV | {"bias": False}
    check(chain(*[narrow, "BatchNorm2d", "ReLU"] * 2, narrow, shape=[64, 2, 2], init=HE))


def test_layer_norms_of_single_pixels_in_series():
    """Where a pixel is small, the first norm leaves it small, and the second one does not."""
    conv, last = {"type": "Conv2d", "out_channels": 32, "kernel_size": 1}, {"type": "Permute", "dims": [0, 2, 3, 1]}
    scheme = {"scheme": "normal", "std": 0.02}
    check(
        chain(
            conv, last, "LayerNorm", "LayerNorm", {"type": "Linear", "out_features": 32}, shape=[1, 8, 8], init=scheme
        ),
        widest=4,
    )


@pytest.mark.parametrize(("norm", "units"), [("InstanceNorm2d", 1), ({"type": "GroupNorm", "num_groups": 4}, 4)])
def test_norms_of_other_elements_read_no_energies_of_positions(norm, units):
    conv, last = {"type": "Conv2d", "out_channels": 16, "kernel_size": 1}, {"type": "Permute", "dims": [0, 2, 3, 1]}
    first = {"type": "Permute", "dims": [0, 3, 1, 2]}
    scheme = {"scheme": "normal", "std": 0.02}
    prediction = mf.predict(mf.plan(chain(conv, last, "LayerNorm", first, norm, shape=[1, 4, 4], init=scheme)))
    between, last = prediction.nodes[-3].signal.level, prediction.nodes[-1].signal.level
    assert (between.count, between.units) == (32 * 16, 16)
    assert last is not None
    assert last.units == units


def test_batch_norm_lets_gradients_explode():
    """π/(π - 1) a layer after ReLU (Yang et al. 2019, arXiv:1902.08129)."""
    spec = chain(*[LINEAR, "BatchNorm1d", "ReLU"] * 10, shape=[64], init={"scheme": "xavier"})
    prediction = mf.predict(mf.plan(spec), batch_size=100_000)
    ratio = prediction.node("relu14").gradient.energy / prediction.node("relu17").gradient.energy
    assert ratio == pytest.approx(3.141593 / 2.141593, rel=0.05)


@pytest.mark.parametrize("norm", ["BatchNorm1d", {"type": "InstanceNorm1d", "track_running_stats": True}])
def test_a_norm_of_running_statistics_is_not_known_after_what_is_not(norm):
    pool = {"type": "LPPool1d", "norm_type": 3, "kernel_size": 2}
    plan = mf.plan(chain(pool, norm, "Flatten", LINEAR, shape=[4, 64], init={"scheme": "lecun"}))
    evaluation, training = mf.predict(plan, training=False), mf.predict(plan)
    assert len(evaluation.unknown) == 4
    assert {node.note for node in evaluation.unknown} == {evaluation.nodes[1].note}
    assert [node.path for node in training.unknown] == ["lppool1d0"]


@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm", {"type": "GroupNorm", "num_groups": 4}])
def test_examples_that_are_left_out_stay_0_after_a_norm(norm):
    """Before it their gradients are divided by √ε, and no forward signal shows it."""
    plain = LINEAR | {"bias": False}
    layers = [plain, {"type": "DropPath", "p": 0.3}, plain, norm, plain]
    plan = check(chain(*layers, shape=[64], init="xavier"), seeds=12)
    nodes = mf.predict(plan).nodes
    assert nodes[4].signal.second == pytest.approx(0.7, rel=1e-4)
    assert [node.path for node in mf.predict(plan).lost] == ["input", *[node.path for node in nodes[1:4]]]


def test_a_norm_is_known_after_what_is_not():
    pool = {"type": "LPPool1d", "norm_type": 3, "kernel_size": 2}
    prediction = mf.predict(mf.plan(chain(pool, "LayerNorm", LINEAR, shape=[4, 64], init={"scheme": "lecun"})))
    assert [node.path for node in prediction.unknown] == ["lppool1d0"]
    assert prediction.node("linear2").signal.second == pytest.approx(1.0, rel=1e-4)
    assert prediction.node("layernorm1").gradient is not None
    assert prediction.node("input").gradient is None


@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm"])
@pytest.mark.parametrize("scale", [0.0, 0.5])
def test_scales_multiply_means_too(norm, scale):
    layers = [LINEAR, "ReLU", {"type": norm, "init": {"scale": {"scheme": "constant", "value": scale}}}, LINEAR]
    plan = check(chain(*layers, shape=[64], init="kaiming"))
    node = mf.predict(plan).nodes[-2]
    assert node.signal.second == pytest.approx(scale**2, rel=1e-4)
    mean = (2 / 3.14159) ** 0.5 * 0.5**0.5 if norm == "RMSNorm" else 0.0
    assert node.signal.mean == pytest.approx(scale * mean, rel=1e-4)


def test_without_a_scale_a_norm_keeps_what_it_keeps_with_a_scale_of_1():
    one, none = (
        mf.predict(
            mf.plan(
                chain(LINEAR, "ReLU", {"type": "RMSNorm", "elementwise_affine": affine}, shape=[64], init="kaiming")
            )
        )
        for affine in (True, False)
    )
    assert one.nodes[-1].signal == none.nodes[-1].signal
    assert one.nodes[-1].signal.third > 0


@pytest.mark.parametrize("bias", ["zeros", {"scheme": "normal", "std": 2.0}])
def test_of_a_single_number_a_norm_leaves_its_bias(bias):
    init = {"scheme": "kaiming", "bias": bias}
    check(chain(LINEAR | {"out_features": 1}, "LayerNorm", LINEAR, shape=[64], init=init), widest=1.5)


@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", ["BatchNorm2d", "InstanceNorm2d"])
def test_running_statistics_are_read_where_there_are_some(norm, training, kept):
    norm = {"type": norm, "track_running_stats": kept}
    check(chain(CONV, norm, "ReLU", CONV, shape=[32, 6, 6], init=HE), training=training, batch=8)


@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm"])
@pytest.mark.parametrize("activation", ["ReLU", "Mish", "Tanh"])
@pytest.mark.parametrize("first", ["norm", "activation"])
def test_norms_of_few_units_beside_activations(norm, activation, first):
    """Energies after a norm do not scatter, and slopes are large where what the norm divides by is."""
    pair = (norm, activation) if first == "norm" else (activation, norm)
    layers = [{"type": "Linear", "out_features": 32}, *pair] * 6
    check(chain(*layers, shape=[32], init={"scheme": "kaiming", "gain": "auto"}), seeds=12, spare=0.2)


@pytest.mark.parametrize("norm", ["LayerNorm", "RMSNorm"])
def test_norms_and_weights_take_a_direction_out_once(norm):
    """Weights before a norm leave nothing of the gradient along what they read, which a norm before them would take."""
    layers = [{"type": "Linear", "out_features": 8}, norm] * 6
    check(chain(*layers, shape=[8], init={"scheme": "kaiming"}), seeds=24, widest=1.5)


@pytest.mark.parametrize("activation", ["LeakyReLU", "GELU", "Tanh"])
def test_batch_norms_of_few_examples_after_activations(activation):
    layers = [{"type": "Linear", "out_features": 32}, activation, "BatchNorm1d"]
    check(chain(*layers, shape=[32], init={"scheme": "kaiming", "gain": "auto"}), seeds=24, spare=0.05)
