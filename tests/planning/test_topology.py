"""Where parameters stand: residual branches are counted in the plan, and inputs and outputs are known."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest
from torch import nn

import modelforge as mf
from modelforge.core.matrix import Branch, Context
from modelforge.planning.plan import Plan

GPT2 = {"scheme": "gpt2", "std": 0.02}


def transformer(depth: int, inner: dict[str, Any] | None = None) -> dict[str, Any]:
    attention = {"norm": "LayerNorm", "mix": {"type": "MultiheadAttention", "num_heads": 2}, "drop": "Dropout"}
    mlp = {
        "norm": "LayerNorm",
        "up": {"type": "Linear", "out_features": 16},
        "act": "GELU",
        "down": {"type": "Linear", "out_features": 8},
        "drop": "Dropout",
    }
    block = inner or {
        "attention": {"type": "Residual", "layers": attention},
        "mlp": {"type": "Residual", "layers": mlp},
    }
    layers = {
        "token": {"type": "Embedding", "num_embeddings": 11, "embedding_dim": 8},
        "blocks": {"type": "Repeat", "times": depth, "layers": block},
        "norm": "LayerNorm",
        "head": {"type": "Linear", "out_features": 11},
    }
    return {"input": {"shape": [5], "dtype": "int64"}, "layers": layers}


def decided(model: dict[str, Any], init: Any = GPT2) -> Plan:
    return mf.plan(mf.parse(model, init=init))


def context(plan: Plan, path: str) -> Context:
    found = plan.parameter(path).fills[0][0].context
    assert found is not None
    return found


@pytest.mark.parametrize("depth", [1, 4])
def test_exactly_the_output_projections_end_branches(depth):
    plan = decided(transformer(depth))
    ends = {
        item.path
        for item in plan.parameters
        if item.role == "weight" and (found := context(plan, item.path).branch) is not None and found.ends
    }
    assert ends == {
        f"blocks.{i}.{name}.weight" for i in range(depth) for name in ("attention.mix.out_proj", "mlp.down")
    }
    smaller = {item.path for item in plan.parameters if item.scheme == "gpt2" and item.std != 0.02}
    assert smaller == ends
    assert plan.parameter("blocks.0.mlp.down.weight").std == pytest.approx(0.02 / (2 * depth) ** 0.5)


def test_branches_are_numbered_in_execution_order():
    plan = decided(transformer(2))
    assert context(plan, "blocks.0.attention.mix.in_proj_weight") == Context(
        4, Branch(0, 2, False), False, False, False, False
    )
    assert context(plan, "blocks.1.attention.mix.out_proj.weight") == Context(
        4, Branch(2, 2, True), False, False, False, False
    )
    assert context(plan, "blocks.1.mlp.up.weight") == Context(4, Branch(3, 2, False), False, False, False, False)
    assert context(plan, "blocks.1.mlp.norm.weight").branch == Branch(3, 2, False)
    assert context(plan, "token.weight") == Context(4, None, True, False, False, False)
    assert context(plan, "head.weight") == Context(4, None, False, True, False, True)


def test_torch_s_own_transformer_layers_say_where_their_branches_are():
    layer = {"type": "TransformerEncoderLayer", "nhead": 2, "dim_feedforward": 16, "norm_first": True}
    plan = decided(transformer(3, {"layer": layer}))
    smaller = {item.path for item in plan.parameters if item.scheme == "gpt2" and item.std != 0.02}
    assert smaller == {
        f"blocks.{i}.layer.{name}.weight" for i in range(3) for name in ("self_attn.out_proj", "linear2")
    }
    assert context(plan, "blocks.2.layer.linear1.weight").branch == Branch(5, 2, False)
    assert context(plan, "blocks.2.layer.norm1.weight").branch is None


def convolution(**changes: Any) -> dict[str, Any]:
    return {"type": "Conv2d", "out_channels": 4, "kernel_size": 3, "padding": 1, **changes}


def test_a_norm_that_ends_a_branch_ends_it_instead_of_the_convolution():
    block = {
        "type": "Residual",
        "shortcut": convolution(kernel_size=1, padding=0),
        "layers": {"conv1": convolution(), "act": "ReLU", "conv2": convolution(), "norm": "BatchNorm2d"},
    }
    plan = decided({"input": {"shape": [4, 6, 6]}, "layers": {"block": block, "act": "ReLU"}})
    assert context(plan, "block.norm.weight").branch == Branch(0, 2, True)
    assert context(plan, "block.conv2.weight").branch == Branch(0, 2, False)
    assert context(plan, "block.shortcut.weight").branch is None
    assert context(plan, "block.shortcut.weight").reads_input
    assert context(plan, "block.norm.weight").gives_output
    scaled = decided({"input": {"shape": [4, 6, 6]}, "layers": {"block": block}}, {**GPT2, "scale": "zero_gamma"})
    assert scaled.parameter("block.norm.weight").mean == 0


def test_a_branch_in_a_branch():
    inner = {"type": "Residual", "layers": {"one": {"type": "Linear", "out_features": 4}}}
    outer = {"type": "Residual", "layers": {"inner": inner, "two": {"type": "Linear", "out_features": 4}}}
    plan = decided({"input": {"shape": [4]}, "layers": {"outer": outer}})
    assert context(plan, "outer.inner.one.weight").branch == Branch(0, 1, True)
    assert context(plan, "outer.two.weight").branch == Branch(1, 2, True)


def test_a_product_is_no_residual_sum():
    gate = {"type": "Residual", "merge": "Multiply", "layers": {"one": {"type": "Linear", "out_features": 4}}}
    with pytest.raises(mf.ForgeError, match="`gpt2` counts residual branches, but the model has none"):
        decided({"input": {"shape": [4]}, "layers": {"gate": gate}})


def test_modules_that_were_not_built_here():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 3)
    ledger = mf.initialize(encoder, GPT2)
    smaller = {entry.path for entry in ledger if entry.scheme == "gpt2" and entry.target_std != 0.02}
    assert smaller == {f"layers.{i}.{name}.weight" for i in range(3) for name in ("self_attn.out_proj", "linear2")}
    assert ledger["layers.0.linear2.weight"].target_std == pytest.approx(0.02 / 6**0.5)


def test_where_no_graph_is_known_the_block_must_say_it():
    net = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    message = "`gpt2` starts the ends of residual branches differently, but no graph is known"
    with pytest.raises(mf.ForgeError, match=message):
        mf.initialize(net, GPT2)
    given = {"scheme": "normal", "std": 0.02, "params": {"1.weight": {**GPT2, "branches": 16, "ends": True}}}
    assert mf.initialize(net, given)["1.weight"].target_std == pytest.approx(0.005)


def planned(model: dict[str, Any]) -> mf.Plan:
    return mf.plan(mf.parse(model, init={"scheme": "lecun"}))


def widths(plan: mf.Plan) -> dict[str, tuple[bool | None, bool | None]]:
    """For each parameter, whether it reads the input's width and makes the output's."""
    contexts = {item.path: item.fills[0][0].context for item in plan.parameters}
    return {path: (found.input_width, found.output_width) for path, found in contexts.items() if found is not None}


def test_norms_and_scales_do_not_hide_where_the_widths_of_input_and_output_end():
    layers = {
        "norm": "BatchNorm1d",
        "one": {"type": "Linear", "out_features": 8},
        "act": "PReLU",
        "head": {"type": "Linear", "out_features": 3},
        "scale": "LayerScale",
    }
    assert widths(planned({"input": {"shape": [5]}, "layers": layers})) == {
        "norm.weight": (True, False),
        "norm.bias": (True, False),
        "one.weight": (True, False),
        "one.bias": (False, False),
        "act.weight": (False, False),
        "head.weight": (False, True),
        "head.bias": (False, True),
        "scale.weight": (False, True),
    }


def test_all_kernels_that_read_the_layer_s_input_have_its_width():
    layers = {
        "rnn": {"type": "LSTM", "hidden_size": 4, "bidirectional": True, "num_layers": 2, "bias": False},
        "last": {"type": "Select", "dim": 1, "index": -1},
        "head": {"type": "Linear", "out_features": 3},
    }
    found = widths(planned({"input": {"shape": [7, 5]}, "layers": layers}))
    assert {path for path, (reads, _) in found.items() if reads} == {"rnn.weight_ih_l0", "rnn.weight_ih_l0_reverse"}


def test_learned_positions_keep_the_width_of_what_they_are_added_to():
    layers = {"position": "PositionEmbedding", "head": {"type": "Linear", "out_features": 3}}
    found = widths(planned({"input": {"shape": [7, 5]}, "layers": layers}))
    assert found == {"position.weight": (True, False), "head.weight": (True, True), "head.bias": (False, True)}


# --- sums, wherever they stand ----------------------------------------------------------------------------------------


def linear(size: int, *inputs: str) -> dict[str, Any]:
    return {"type": "Linear", "out_features": size, **({"inputs": list(inputs)} if inputs else {})}


def added(*parts: str) -> dict[str, Any]:
    return {"type": "Add", "inputs": list(parts)}


def ends(layers: dict[str, Any]) -> dict[str, int]:
    """The kernels that end a branch, each with the number of its branch."""
    plan = decided({"input": {"shape": [8]}, "layers": layers | {"head": linear(2)}})
    found = {item.path: context(plan, item.path).branch for item in plan.parameters if item.role == "weight"}
    return {path: branch.index for path, branch in found.items() if branch is not None and branch.ends}


def test_a_sum_with_what_it_was_made_from_joins_a_branch():
    layers = {"up": linear(16), "act": "ReLU", "down": linear(8), "sum": added("down", "input")}
    more = {"up2": linear(16), "down2": linear(8), "sum2": added("sum", "down2")}
    assert ends(layers | more) == {"down.weight": 0, "down2.weight": 1}
    plan = decided({"input": {"shape": [8]}, "layers": layers | more})
    assert context(plan, "up.weight") == Context(2, Branch(0, 2, False), True, False, True, False)
    assert plan.parameter("down.weight").std == pytest.approx(0.02 / 2**0.5)


def test_add_counts_as_residual_does():
    inside = {"up": linear(16), "act": "ReLU", "down": linear(8)}
    residual = {"stem": linear(8)} | {f"r{i}": {"type": "Residual", "layers": inside} for i in range(3)}
    summed: dict[str, Any] = {"stem": linear(8)}
    last = "stem"
    for i in range(3):
        summed |= {f"up{i}": linear(16), f"act{i}": "ReLU", f"down{i}": linear(8), f"sum{i}": added(f"down{i}", last)}
        last = f"sum{i}"
    assert [*ends(residual).values()] == [*ends(summed).values()] == [0, 1, 2]


def test_an_identity_beside_a_branch():
    body = {"type": "Sequential", "layers": {"up": linear(16), "down": linear(8)}}
    both = {"type": "Parallel", "branches": {"skip": "Identity", "body": body}, "merge": "Add"}
    assert ends({"both": both}) == {"both.body.down.weight": 0}


def test_a_projection_is_a_shortcut_where_the_branch_has_more():
    layers = {"stem": linear(8), "short": linear(4, "stem"), "up": linear(16, "stem"), "down": linear(4)}
    assert ends(layers | {"sum": added("down", "short")}) == {"down.weight": 0}


def test_several_branches_of_one_sum():
    layers = {"stem": linear(8), "mix": linear(8, "stem"), "up": linear(16, "stem"), "down": linear(8)}
    assert ends(layers | {"sum": added("stem", "mix", "down")}) == {"mix.weight": 0, "down.weight": 1}


def test_sums_that_join_no_branch():
    token = {"type": "Embedding", "num_embeddings": 5, "embedding_dim": 8, "inputs": ["input"]}
    layers = {"a": token, "b": token, "sum": added("a", "b"), "head": linear(2)}
    with pytest.raises(mf.ForgeError, match="`gpt2` counts residual branches, but the model has none"):
        decided({"input": {"shape": [6], "dtype": "int64"}, "layers": layers})
    equal = {"type": "Parallel", "branches": {"a": linear(8), "b": linear(8)}, "merge": "Add"}
    with pytest.raises(mf.ForgeError, match="`gpt2` counts residual branches, but the model has none"):
        decided({"input": {"shape": [8]}, "layers": {"both": equal}})


def test_gates_end_no_branch():
    squeeze = {"pool": linear(4), "act": "ReLU", "excite": linear(8), "sigmoid": "Sigmoid"}
    gate = {"type": "Residual", "layers": squeeze, "merge": "Multiply"}
    branch = {"up": linear(16), "act": "ReLU", "down": linear(8), "gate": gate}
    assert ends({"block": {"type": "Residual", "layers": branch}}) == {"block.down.weight": 0}


def test_routers_end_no_branch():
    expert = {"type": "Sequential", "layers": {"up": linear(16), "down": linear(8)}}
    router = {"type": "Sequential", "layers": {"score": linear(8), "share": {"type": "Softmax", "dim": -1}}}
    mixed = {"type": "Parallel", "branches": {"expert": expert, "router": router}, "merge": "Multiply"}
    assert ends({"block": {"type": "Residual", "layers": {"mixed": mixed}}}) == {"block.mixed.expert.down.weight": 0}


def test_many_residual_branches_are_planned_in_time():
    """What reaches a layer is known from what reaches those before it: not followed back to the input for each."""
    inside = {"l": linear(8), "act": "Tanh"}
    layers = {"r": {"type": "Repeat", "times": 1500, "layers": {"x": {"type": "Residual", "layers": inside}}}}
    begin = process_time()
    plan = decided({"input": {"shape": [8]}, "layers": layers})
    assert process_time() - begin < 30
    weights = [item.path for item in plan.parameters if item.role == "weight"]
    found = [context(plan, path) for path in weights]
    assert all(one is not None and one.reads_input and one.input_width for one in found)
