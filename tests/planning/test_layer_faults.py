"""What would go wrong in the first batch is refused: layers run on the CPU before anything is built."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import modelforge as mf
from modelforge.layers.register import unregister_layer
from modelforge.planning import layer_faults, study
from modelforge.planning.trial import Trial

IMAGE, ROW, STEPS = [4, 9, 9], [4], [6, 4]


def planned(layer: Any, shape: list[int], **inputs: Any) -> mf.Plan:
    given = {"input": {"shape": shape, **inputs}, "layers": {"layer": layer}}
    return mf.plan(mf.parse(given, init={"scheme": "xavier"}))


def refused(layer: Any, shape: list[int]) -> tuple[str, str, str]:
    with pytest.raises(mf.ForgeError) as caught:
        planned(layer, shape)
    [problem] = caught.value.problems
    return problem.code, problem.message, problem.hint


def code(layer: Any, shape: list[int]) -> str:
    return refused(layer, shape)[0]


CONV = {"out_channels": 2, "kernel_size": 3}


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        *(
            ({"type": f"ConvTranspose{n}d", **CONV, **more}, [4] + [9] * n)
            for n in (1, 2, 3)
            for more in ({"stride": 2, "output_padding": 2}, {"stride": 3, "output_padding": -1}, {"padding": -1})
        ),
        *(({"type": f"Conv{n}d", **CONV, "padding": -1}, [4] + [9] * n) for n in (1, 2, 3)),
        ({"type": "Conv2d", "out_channels": 0, "kernel_size": 3}, IMAGE),
        ({"type": "Unfold", "kernel_size": 3, "padding": -1}, IMAGE),
        ({"type": "Upsample", "scale_factor": 0.05, "mode": "bilinear"}, IMAGE),
        ({"type": "Upsample", "scale_factor": 0.05, "mode": "bicubic"}, IMAGE),
        ({"type": "Upsample", "scale_factor": 0.05, "mode": "linear"}, [4, 9]),
        ({"type": "UpsamplingBilinear2d", "scale_factor": 0.05}, IMAGE),
        ({"type": "Softmax", "dim": 5}, ROW),
        ({"type": "BatchNorm1d", "momentum": 2.0}, ROW),
        ({"type": "BatchNorm2d", "momentum": -0.5}, IMAGE),
        ({"type": "InstanceNorm2d", "momentum": 2.0, "track_running_stats": True}, IMAGE),
        ({"type": "LayerNorm", "eps": -1.0}, ROW),
        ({"type": "RMSNorm", "eps": -5.0}, ROW),
        ({"type": "GroupNorm", "num_groups": 2, "eps": -1.0}, IMAGE),
        ({"type": "Softplus", "beta": 0.0}, ROW),
        # Too large to be tried as they are: channels and features shrink, what the kernels check stays.
        ({"type": "Conv2d", "out_channels": 512, "kernel_size": 3, "padding": -1}, [512, 300, 300]),
        ({"type": "LayerNorm", "eps": -1.0}, [4096, 8192]),
    ],
    ids=str,
)
def test_what_torch_s_kernels_refuse_is_refused_before_anything_is_built(layer, shape):
    assert code(layer, shape) == "MF043"


def test_values_that_are_not_finite_are_said_with_the_arguments_that_were_given():
    assert refused({"type": "LayerNorm", "eps": -1.0}, ROW) == (
        "MF043",
        "LayerNorm gives values that are not finite on (4,) from model.input, in training",
        "look at `eps: -1.0`",
    )
    assert refused({"type": "BatchNorm1d", "momentum": 2.0}, ROW) == (
        "MF043",
        "BatchNorm1d gives values that are not finite on (4,) from model.input, in evaluation after training",
        "look at `momentum: 2.0`",
    )


def test_what_is_finite_where_nothing_is_negative_is_a_warning():
    [warning] = planned({"type": "LPPool2d", "norm_type": 1.5, "kernel_size": 2}, IMAGE).warnings
    assert (warning.code, warning.message, warning.hint) == (
        "MW105",
        "LPPool2d gives values that are not finite for negative inputs",
        "put a layer in front that gives no negative values, such as `ReLU`",
    )


@pytest.mark.parametrize(
    ("layer", "shape", "inputs"),
    [
        ({"type": "LayerNorm", "eps": 0.0}, ROW, "zeros"),
        ({"type": "RMSNorm", "eps": 0.0}, ROW, "zeros"),
        ({"type": "GroupNorm", "num_groups": 2, "eps": 0.0}, IMAGE, "zeros"),
        ({"type": "LocalResponseNorm", "size": 2, "k": 0.0}, IMAGE, "zeros"),
        ({"type": "LPPool2d", "norm_type": -1.0, "kernel_size": 2}, IMAGE, "zeros"),
        ({"type": "CELU", "alpha": -1.0}, STEPS, "large inputs"),
    ],
    ids=str,
)
def test_what_is_finite_elsewhere_alone_is_a_warning(layer, shape, inputs):
    warning = planned(layer, shape).warnings[0]
    assert warning.code == "MW105"
    assert warning.message == f"{layer['type']} gives values that are not finite for {inputs}"
    assert warning.hint.startswith("look at `")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        ({"type": "LocalResponseNorm", "size": 2, "alpha": 1e308}, IMAGE),
        ({"type": "LocalResponseNorm", "size": 2, "beta": 1e308}, IMAGE),
        *(({"type": f"LPPool{n}d", "norm_type": 1e308, "kernel_size": 2}, [4] + [9] * n) for n in (1, 2, 3)),
    ],
    ids=str,
)
def test_what_cannot_be_trained_is_refused(layer, shape):
    assert code(layer, shape) == "MF043"


@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("kind", ["AdaptiveAvgPool", "AdaptiveMaxPool"])
def test_what_torch_s_backward_refuses_is_refused(kind, n):
    _, message, hint = refused({"type": f"{kind}{n}d", "output_size": 0}, [4] + [9] * n)
    assert message.startswith(f"{kind}{n}d cannot be trained on ({', '.join(map(str, [4] + [9] * n))}) from ")
    assert "backward: " in message
    assert hint.startswith("look at `output_size: ")


def test_own_layers_whose_gradients_are_not_there_or_not_finite(own):
    assert not planned(own(lambda m, x: x.detach() * 2), ROW).warnings
    assert not planned(own(lambda m, x: x.sign()), ROW).warnings
    _, message, _ = refused(own(lambda m, x: (x * 0).sqrt() + x), ROW)
    assert message.endswith("gives values that are not finite on (4,) from model.input, in its gradients")


@pytest.mark.parametrize("shape", [[251, 192], [6, 4]])
def test_messages_show_the_batch_as_b(shape):
    size = shape[0] * shape[1]
    message = f"Reshape cannot run on {tuple(shape)} from model.input: shape '[B, 5, 7]' is invalid for input of size "
    assert refused({"type": "Reshape", "shape": [5, 7]}, shape) == ("MF043", f"{message}{size}·B", "")


def test_an_axis_as_long_as_the_batch_that_stands_for_any_is_no_batch():
    assert str(planned("ReLU", [251]).output) == "(251,)"
    assert refused({"type": "Mean", "dim": 0}, [251])[:2] == (
        "MF044",
        "the batch must stay dimension 0, but the output of a batch of B has the shape (251,)",
    )


# --- examples that see one another ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Softmax", "Softmin", "LogSoftmax"])
def test_an_activation_over_the_batch(kind):
    message = f"the output for an example must not depend on the rest of its batch, but that of {kind} does"
    hint = "dimension 0 is the batch; dimensions of the example start at 1"
    assert refused(kind, STEPS) == ("MF044", message, f"give `dim`: -1 is the last; {hint}")
    assert refused({"type": kind, "dim": 0}, ROW) == ("MF044", message, hint)
    assert not planned({"type": kind, "dim": -1}, STEPS).warnings


@pytest.mark.parametrize("kind", ["Softmax", "Softmin", "LogSoftmax"])
def test_an_activation_over_an_axis_that_torch_chooses(kind: str):
    """Over the channels of a picture, and over the heads of an attention."""
    code, message, hint = refused(kind, IMAGE)
    assert (code, hint) == ("MF043", "give `dim`: -1 is the last; dimensions of the example start at 1")
    assert message == f"{kind} is given no `dim` for (4, 9, 9) from model.input, and torch would choose one"
    assert not planned({"type": kind, "dim": 1}, IMAGE).warnings
    assert not planned(kind, ROW).warnings  # there is one axis to choose


def test_too_large_to_be_tried_as_it_is():
    assert code("Softmax", [4096, 8192]) == "MF044"


def test_parts_that_broadcast_against_the_batch():
    layers = {"wide": {"type": "Unflatten", "dim": 1, "unflattened_size": [1, 4]}, "add": {"type": "Add"}}
    layers["add"]["inputs"] = ["input", "wide"]
    with pytest.raises(mf.ForgeError, match=r"MF044.*an example must not grow with its batch of B.*\(B, 4\)"):
        mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}))


@pytest.fixture
def own(request):
    names = []

    def register(forward: Any, *children: Callable[[], nn.Module], **options: Any) -> str:
        class Own(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.inner = nn.ModuleList(make() for make in children)

            def forward(self, x: Tensor) -> Tensor:
                return forward(self, x)

        Own.__name__ = Own.__qualname__ = f"Own{len(names)}"
        mf.register_layer(**options)(Own)
        names.append(Own.__name__)
        return Own.__name__

    yield register
    for name in names:
        unregister_layer(name)


def test_torchs_own_layers_are_tried_once_in_a_process_and_others_in_each_plan(own, monkeypatch):
    tried: list[str] = []

    def counted(setting: Any) -> Trial:
        tried.append(setting.layer.name)
        return Trial(setting)

    monkeypatch.setattr(layer_faults, "Trial", counted)
    monkeypatch.setattr(study, "_BUILTIN", study._Known())
    name = own(lambda m, x: x * 2)
    for _ in range(2):
        planned({"type": "Linear", "out_features": 3}, ROW)
        planned(name, ROW)
        assert code({"type": "Softmax", "dim": 5}, ROW) == "MF043"
    assert sorted(tried) == sorted(["Linear", "Softmax", name, name])


MIXING = {
    "mean": lambda m, x: x - x.mean(0),
    "cumsum": lambda m, x: x.cumsum(0),
    "cumsum from behind": lambda m, x: x.flip(0).cumsum(0).flip(0),
    "flip": lambda m, x: x.flip(0),
    "roll": lambda m, x: x.roll(1, 0),
    "sort": lambda m, x: x.sort(0)[0],
    "attention": lambda m, x: torch.softmax(x @ x.T, -1) @ x,
    "reshape": lambda m, x: x.reshape(-1, 2, len(x)).transpose(1, 2).reshape(x.shape).softmax(0),
    "dropped, then mixed": lambda m, x: torch.dropout(x, 0.5, m.training).cumsum(0),
}


@pytest.mark.parametrize("name", MIXING)
def test_own_layers_that_mix(own, name):
    assert code(own(MIXING[name]), ROW) == "MF044"


APART = {
    "dropout": lambda m, x: torch.dropout(x, 0.5, m.training),
    "rrelu": lambda m, x: nn.functional.rrelu(x, training=m.training),
    "noise of Python's": lambda m, x: x + random.random(),
    "noise of NumPy's": lambda m, x: x + float(np.random.rand()),
    "in place": lambda m, x: x.add_(1),
    "a mask of -inf": lambda m, x: torch.full_like(x, -torch.inf),
}


@pytest.mark.parametrize("name", APART)
def test_own_layers_that_do_not(own, name):
    assert not planned(own(APART[name]), ROW).warnings


def test_a_zero_weight_hides_nothing(own):
    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            return x + self.weight * x.mean(0)

    with pytest.raises(mf.ForgeError) as caught:
        planned(own(lambda m, x: m.inner[0](x), Gate), ROW)
    assert "MF044" in {problem.code for problem in caught.value.problems}


def test_statistics_of_the_batch_in_training_are_declared(own):
    def normed(module: Any, x: Tensor) -> Tensor:
        return x - x.mean(0) if module.training else x

    message = "the output for an example must not depend on the rest of its batch, but that of Own0 does in training"
    hint = "where that is its purpose, as in a batch norm, register the layer with `mixes_batch=True`"
    assert refused(own(normed), ROW) == ("MF044", message, hint)
    assert not planned(own(normed, mixes_batch=True), ROW).warnings
    assert not planned("BatchNorm1d", ROW).warnings


def test_batch_norms_inside_own_layers_are_declared_already(own):
    inside = own(lambda m, x: m.inner[0](x).relu(), lambda: nn.BatchNorm1d(4))
    assert not planned(inside, ROW).warnings
    beside = own(lambda m, x: m.inner[0](x).softmax(0), lambda: nn.BatchNorm1d(4))
    assert code(beside, ROW) == "MF044"


def test_statistics_of_the_batch_in_evaluation_are_a_warning():
    [warning] = planned({"type": "BatchNorm1d", "track_running_stats": False}, ROW).warnings
    assert (warning.code, warning.message, warning.hint) == (
        "MW106",
        "the output of BatchNorm1d for an example depends on the rest of its batch, in evaluation too",
        "let it keep running statistics for evaluation, as batch norms do by default",
    )


def test_planning_leaves_all_generators_alone(own):
    noise = own(lambda m, x: torch.dropout(x, 0.5, m.training) + torch.rand_like(x))
    before = torch.get_rng_state(), torch.are_deterministic_algorithms_enabled()
    planned(noise, ROW)
    assert torch.equal(before[0], torch.get_rng_state())
    assert torch.are_deterministic_algorithms_enabled() == before[1]


def test_a_layer_that_the_cpu_has_no_kernel_for_is_not_judged(own):
    def only_elsewhere(module: Any, x: Tensor) -> Tensor:
        if x.device.type == "cpu":
            raise NotImplementedError("no kernel")
        return x

    assert str(planned(own(only_elsewhere), ROW).output) == "(4,)"


def test_tables_with_one_row_and_indices_of_all_kinds():
    for count in (1, 2, 9):
        layer = {"type": "Embedding", "num_embeddings": count, "embedding_dim": 3}
        assert str(planned(layer, [6], dtype="int64").output) == "(6, 3)"
    layer["num_embeddings"] = 0
    with pytest.raises(mf.ForgeError, match="MF043"):
        planned(layer, [6], dtype="int64")


class _Lazy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.LazyLinear(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


class _Keeps(nn.Module):
    def __init__(self, listed: bool = False) -> None:
        super().__init__()
        self.steps = [torch.arange(4.0)] if listed else torch.arange(4.0)

    def forward(self, x: Tensor) -> Tensor:
        return x + (self.steps[0] if isinstance(self.steps, list) else self.steps)


@pytest.mark.parametrize(
    ("layer", "arguments", "message"),
    [
        (_Lazy, {}, "_Lazy learns its sizes from the first batch"),
        (_Keeps, {}, "_Keeps keeps a tensor in `steps`, which is neither a parameter nor a buffer"),
        (_Keeps, {"listed": True}, "_Keeps keeps a tensor in `steps`, which is neither a parameter nor a buffer"),
    ],
)
def test_what_a_built_model_would_not_have(layer: Any, arguments: Any, message: str):
    mf.register_layer(layer)
    try:
        assert refused({"type": layer.__name__, **arguments}, ROW)[:2] == ("MF041", message)
    finally:
        unregister_layer(layer.__name__)


def test_a_great_stride_takes_no_longer(monkeypatch: pytest.MonkeyPatch):
    """oneDNN's kernel is not asked: it takes 0.6 s here, and minutes for a stride of 1,000."""
    asked: list[bool] = []
    forward = torch.nn.ConvTranspose2d.forward

    def noted(module: torch.nn.ConvTranspose2d, inputs: torch.Tensor) -> torch.Tensor:
        if not inputs.is_meta:
            asked.append(torch.backends.mkldnn.enabled)
        return forward(module, inputs)

    monkeypatch.setattr(torch.nn.ConvTranspose2d, "forward", noted)
    up = {"type": "ConvTranspose2d", "out_channels": 4, "kernel_size": 2, "stride": 300}
    mf.plan(mf.parse({"input": {"shape": [4, 2, 2]}, "layers": {"up": up}}, init="xavier"))
    assert asked
    assert not any(asked)
    assert torch.backends.mkldnn.enabled
