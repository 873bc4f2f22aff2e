"""Properties of random models: shapes are those of the real forward, dumps can be read, and no layer knows another."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import modelforge as mf
from modelforge.core.tensors import BATCH

SETTINGS = settings(max_examples=40, deadline=None, derandomize=True)
INIT = {"scheme": "normal", "std": 0.5, "bias": {"scheme": "uniform", "low": -1.0, "high": 1.0}}

sizes = st.integers(1, 5)
linear = st.fixed_dictionaries({"type": st.just("Linear"), "out_features": sizes}, optional={"bias": st.booleans()})
anything = st.one_of(
    linear,
    st.sampled_from(["ReLU", "Tanh", "LayerNorm", "PReLU", "Identity", "Dropout", "Flatten", "RMSNorm", "GELU"]),
    st.just({"type": "Flatten", "start_dim": 1, "end_dim": -2}),
)
image = st.one_of(
    anything,
    st.fixed_dictionaries(
        {
            "type": st.just("Conv2d"),
            "out_channels": st.sampled_from([2, 4]),
            "kernel_size": st.sampled_from([1, 3, [3, 1]]),
            "padding": st.sampled_from(["same", 1]),
        },
        optional={"groups": st.sampled_from([1, 2]), "bias": st.booleans(), "dilation": st.sampled_from([1, 2])},
    ),
    st.fixed_dictionaries(
        {"type": st.just("ConvTranspose2d"), "out_channels": sizes, "kernel_size": sizes, "stride": sizes}
    ),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["MaxPool2d", "AvgPool2d"]), "kernel_size": st.sampled_from([1, 2])}
    ),
    st.fixed_dictionaries({"type": st.just("AdaptiveAvgPool2d"), "output_size": sizes}),
    st.sampled_from(["BatchNorm2d", "InstanceNorm2d"]),
)
steps = st.one_of(
    anything,
    st.fixed_dictionaries(
        {"type": st.sampled_from(["LSTM", "GRU", "RNN"]), "hidden_size": sizes},
        optional={"bidirectional": st.booleans(), "bias": st.booleans()},
    ),
    st.fixed_dictionaries({"type": st.just("MultiheadAttention"), "num_heads": st.just(1)}),
    st.fixed_dictionaries(
        {"type": st.just("SelfAttention"), "num_heads": st.just(1)},
        optional={"causal": st.booleans(), "bias": st.booleans(), "head_dim": sizes},
    ),
    st.sampled_from(["PositionEmbedding", "SinusoidalEmbedding", "ClassToken", {"type": "Permute", "dims": [0, 2, 1]}]),
    st.sampled_from([{"type": "Select", "dim": 1, "index": -1}, {"type": "Mean", "dim": 1}]),
)


def layers(layer: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """A chain, with combinators in it."""
    flat = st.lists(layer, min_size=1, max_size=3).map(
        lambda found: {f"l{index}": one for index, one in enumerate(found)}
    )
    nested = st.one_of(
        layer,
        flat.map(lambda inner: {"type": "Sequential", "layers": inner}),
        flat.map(lambda inner: {"type": "Residual", "layers": inner}),
        st.builds(lambda inner, times: {"type": "Repeat", "times": times, "layers": inner}, flat, st.integers(1, 3)),
        flat.map(lambda inner: {"type": "Parallel", "branches": inner, "merge": {"type": "Concat", "dim": -1}}),
    )
    return st.lists(nested, min_size=1, max_size=5).map(
        lambda found: {f"l{index}": one for index, one in enumerate(found)}
    )


models = st.one_of(
    st.tuples(st.just((4,)), layers(anything)),
    st.tuples(st.just((2, 6, 6)), layers(image)),
    st.tuples(st.just((5, 4)), layers(steps)),
)


def parsed(shape: tuple[int, ...], layers: dict[str, Any]) -> mf.ModelSpec:
    return mf.parse({"input": {"shape": list(shape)}, "layers": layers}, init=INIT)


def planned_or_told(spec: mf.ModelSpec) -> mf.Plan | set[str]:
    """The plan, or the codes of what is wrong."""
    try:
        return mf.plan(spec)
    except mf.ForgeError as error:
        return {problem.code for problem in error.problems}


@SETTINGS
@given(models)
def test_inferred_shapes_are_those_of_the_forward(model):
    shape, layers = model
    plan = planned_or_told(parsed(shape, layers))
    if not isinstance(plan, mf.Plan):
        assert plan <= {"MF040", "MF041", "MF043", "MF044"}
        return
    built = mf.build(plan)
    assert built.ledger.ok
    shapes: dict[str, Any] = {}
    for path, module in built.named_modules():
        module.register_forward_hook(lambda module, args, output, path=path: shapes.update({path: first(output)}))
    with torch.no_grad():
        built(torch.randn(2, *shape))
    for layer in plan.layers:
        assert shapes[layer.path] == tuple(2 if size == BATCH else size for size in first(layer.output)), layer.path


def first(value: Any) -> tuple[int, ...]:
    return first(value[0]) if isinstance(value, tuple) else tuple(value.shape)


@SETTINGS
@given(models)
def test_dump_and_parse_are_inverse(model):
    spec = parsed(*model)
    again = mf.parse(spec.to_dict())
    assert again == spec
    assert again.to_dict() == spec.to_dict()


@SETTINGS
@given(models, st.integers(0, 5), st.integers(0, 2**70))
def test_a_new_layer_changes_no_other(model, where, seed):
    shape, layers = model
    new = list(layers.items())
    new.insert(where, ("new", {"type": "Residual", "layers": {"norm": {"type": "Linear", "out_features": 1}}}))
    try:
        expected = mf.build(parsed(shape, layers), seed=seed)
        found = mf.build(parsed(shape, dict(new)), seed=seed)
    except mf.ForgeError:
        return
    state = found.state_dict()
    for path, value in expected.state_dict().items():
        assert torch.equal(state[path], value), path


names = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF), max_size=8)
junk = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), names, st.sampled_from(["Linear", "xavier", "input"])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            names | st.sampled_from(["type", "layers", "init", "inputs", "scheme", "params", "bias"]), inner, max_size=4
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(junk, junk, junk)
def test_junk_is_told_never_a_traceback(given_input, given_layers, given_init):
    for config in (
        {"input": given_input, "layers": given_layers},
        {"input": {"shape": [4]}, "layers": {"a": given_layers}},
    ):
        with suppress(mf.ForgeError):
            mf.plan(mf.parse(config, init=given_init))
