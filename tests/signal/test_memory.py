"""The memory of a training step, compared with what autograd keeps of built models."""

from __future__ import annotations

import pytest
import torch

import modelforge as mf
from modelforge.report.table import to_text
from modelforge.signal.memory import Memory, memory, memory_table

OVERRIDES = {
    "mlp": (1.0, ()),
    "cnn": (1.0, ()),
    "resnet_small": (1.0, ()),
    "unet": (1.0, ()),
    "transformer": (1.2, ("init=xavier_normal",)),
}


def kept(spec: mf.ModelSpec, plan: mf.Plan, batch: int) -> int:
    """Bytes of the memory that saved tensors lie in, parameters and buffers left out."""
    model = mf.build(spec).train()
    own = {tensor.untyped_storage().data_ptr() for tensor in (*model.parameters(), *model.buffers())}
    found: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            found[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    inputs = [torch.randn(value.of(batch)) for value in plan.inputs.values()]
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        _ = model(*inputs)
        return sum(tensor.untyped_storage().nbytes() for tensor in found.values())


@pytest.mark.parametrize("model", OVERRIDES)
def test_activations_are_those_that_autograd_keeps(model):
    """To the byte, but for attention, which keeps less with the kernel that the CPU has."""
    most, more = OVERRIDES[model]
    spec = mf.load("conf", overrides=[f"model={model}", *more])
    plan = mf.plan(spec)
    found = sum(memory(plan, 8, lambda _: 0).values(), Memory())
    assert found.activations is not None
    assert 1 <= found.activations / kept(spec, plan, 8) <= most


def test_frozen_parameters_have_no_gradient_and_no_state():
    layers = {"one": {"type": "Linear", "out_features": 8}, "two": {"type": "Linear", "out_features": 8, "bias": False}}
    plan = mf.plan(mf.parse({"input": {"shape": [4]}, "layers": layers}, init="xavier"))
    found = memory(plan, 2, lambda parameter: 8 * len(parameter.shape), frozen={"one.weight", "one.bias"})
    assert found["one"] == Memory(parameters=4 * 40, activations=0)
    assert found["two"] == Memory(4 * 64, 4 * 64, 16, activations=4 * 2 * 8)


def test_the_dtype_of_the_model_counts():
    layers = {"one": {"type": "Linear", "out_features": 8}, "act": "Tanh"}
    model = {"input": {"shape": [4]}, "layers": layers}
    whole, half = (
        mf.plan(mf.parse({"model": model, "init": "xavier", "dtype": dtype})) for dtype in ("float32", "bfloat16")
    )
    sums = [sum(memory(plan, 2, lambda _: 0).values(), Memory()) for plan in (whole, half)]
    assert sums[0].total == 2 * sums[1].total > 0


def test_a_total_that_lacks_a_layer_is_a_lower_bound():
    """A batch norm cannot run on one example."""
    layers = {
        "dense": {"type": "Linear", "out_features": 64},
        "norm": "BatchNorm1d",
        "head": {"type": "Linear", "out_features": 8},
    }
    plan = mf.plan(mf.parse({"input": {"shape": [64]}, "layers": layers}, init="xavier"))
    found = memory(plan, 1, lambda _: 0)
    assert found["norm"].activations is None
    assert sum(found.values(), Memory()).activations is None
    assert "≥ 512 B" in to_text(memory_table(plan, found, 1))
    assert "≥" not in to_text(memory_table(plan, memory(plan, 2, lambda _: 0), 2))
