"""Properties of random models: shapes are those of the real forward, dumps can be read, and no layer knows another.

A property that leaves examples out (`assume`) says how many it must have checked: it cannot pass by leaving out all.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from random import Random
from typing import Any

import torch
from hypothesis import given, reject, settings
from hypothesis import strategies as st

import modelforge as mf
from modelforge.core.tensors import BATCH
from tests.fuzz import mutate

EXAMPLES = 40
SETTINGS = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)
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


def planned(spec: mf.ModelSpec) -> mf.Plan:
    """The plan; an example without one is left out, if it was refused for its shapes."""
    try:
        return mf.plan(spec)
    except mf.ForgeError as error:
        codes = {problem.code for problem in error.problems}
    assert codes <= {"MF040", "MF041", "MF043", "MF044"}
    return reject()


def test_inferred_shapes_are_those_of_the_forward():
    checked = []

    @SETTINGS
    @given(models)
    def check(model: Any) -> None:
        shape, layers = model
        plan = planned(parsed(shape, layers))
        built = mf.build(plan)
        assert built.ledger.ok
        shapes: dict[str, Any] = {}
        for path, module in built.named_modules():
            module.register_forward_hook(
                lambda module, args, output, path=path: shapes.update({path: first(output)}),
            )
        with torch.no_grad():
            built(torch.randn(2, *shape))
        for layer in plan.layers:
            assert shapes[layer.path] == tuple(2 if size == BATCH else size for size in first(layer.output)), layer.path
        checked.append(len(plan.layers))

    check()
    assert len(checked) >= EXAMPLES
    assert sum(checked) > 2 * EXAMPLES


def first(value: Any) -> tuple[int, ...]:
    return first(value[0]) if isinstance(value, tuple) else tuple(value.shape)


@SETTINGS
@given(models)
def test_dump_and_parse_are_inverse(model):
    spec = parsed(*model)
    again = mf.parse(spec.to_dict())
    assert again == spec
    assert again.to_dict() == spec.to_dict()


def test_a_new_layer_changes_no_other():
    checked = []

    @SETTINGS
    @given(models, st.integers(0, 5), st.integers(0, 2**70))
    def check(model: Any, where: int, seed: int) -> None:
        shape, layers = model
        new = list(layers.items())
        new.insert(where, ("new", {"type": "Residual", "layers": {"norm": {"type": "Linear", "out_features": 1}}}))
        expected = mf.build(planned(parsed(shape, layers)), seed=seed).state_dict()
        found = mf.build(planned(parsed(shape, dict(new))), seed=seed).state_dict()
        for path, value in expected.items():
            assert torch.equal(found[path], value), path
        checked.append(len(expected))

    check()
    assert len(checked) >= EXAMPLES
    assert sum(checked) > EXAMPLES


def nearly(model: tuple[tuple[int, ...], dict[str, Any]], random: Random) -> dict[str, Any]:
    """A config with a mistake: in its keys and values, or in its sizes and the order of its layers."""
    shape, layers = model
    good = {"input": {"shape": list(shape)}, "layers": layers}
    if random.random() < 0.4:
        return mutate.tree(good, random)
    names = random.sample([*layers], len(layers))
    sizes = random.choice(([2], [3, 5], [2, 7, 7], [5, 0]))
    return {"input": {"shape": sizes}, "layers": {name: layers[name] for name in names}}


def test_a_config_that_is_nearly_right_gets_a_plan_or_problems():
    ended: Counter[str] = Counter()

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(models, st.integers(0, 2**32))
    def check(model: Any, seed: int) -> None:
        step = "parsing"
        with suppress(mf.ForgeError):
            spec = mf.parse(nearly(model, Random(seed)), init=INIT)
            step = "planning"
            mf.plan(spec)
            step = "none"
        ended[step] += 1

    check()
    assert all(ended[step] >= 20 for step in ("parsing", "planning", "none")), ended
