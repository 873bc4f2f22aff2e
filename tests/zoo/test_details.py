"""What the papers say of single layers, and a plan or a pass shows."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import modelforge as mf

CONF = Path(__file__).parents[2] / "conf"


def planned(*overrides: str) -> mf.Plan:
    return mf.plan(mf.load(CONF, list(overrides)))


@pytest.mark.parametrize(("size", "last"), [("tiny", 0.1), ("small", 0.4), ("base", 0.5), ("large", 0.5)])
def test_blocks_of_convnext_are_skipped_more_often_the_deeper_they_are(size: str, last: float):
    plan = planned("model=convnext", f"model.size={size}", "data.input.shape=[3,64,64]")
    rates = [layer.arguments["p"] for layer in plan.layers if layer.type == "DropPath"]
    assert rates == pytest.approx(torch.linspace(0, last, len(rates)).tolist())
    scales = [item for item in plan.parameters if item.path.endswith(".scale.weight")]
    assert len(scales) == len(rates)
    assert all((item.mean, item.std) == (1e-6, 0) for item in scales)


def test_t5_starts_as_its_paper_did():
    width, head_dim, hidden = 512, 64, 2048
    plan = planned("model=t5", "model.size=small", "data.vocab_size=32128")
    ends = {
        "token.weight": 1,
        ".near.weight": width**-0.5,
        ".q_proj.weight": (width * head_dim) ** -0.5,
        ".k_proj.weight": width**-0.5,
        ".v_proj.weight": width**-0.5,
        ".out_proj.weight": (8 * head_dim) ** -0.5,
        ".up.weight": width**-0.5,
        ".down.weight": hidden**-0.5,
        "norm.weight": 0,
    }
    for item in plan.parameters:
        (std,) = (std for end, std in ends.items() if item.path.endswith(end))
        assert item.std == pytest.approx(std), item.path


def test_layers_of_a_stack_of_t5_read_one_table():
    plan = planned("model=t5")
    assert [layer.path for layer in plan.layers if layer.type == "RelativePositionBias"] == [
        "encoder.near",
        "decoder.near",
    ]


def test_bert_starts_with_one_deviation():
    plan = planned("model=bert", "model.size=base")
    assert {item.std for item in plan.parameters if len(item.shape) == 2} == {0.02}
    assert {item.std for item in plan.parameters if len(item.shape) == 1} == {0}


def test_a_tcn_sees_no_later_step_and_as_many_earlier_ones_as_it_says():
    model = mf.build(mf.load(CONF, ["model=tcn", "data.input.shape=[32,2]"])).eval()
    x = torch.randn(1, 32, 2, requires_grad=True)
    steps = model.rest(model.first(model.channels(x)))
    steps[0, :, 20].sum().backward()
    assert x.grad is not None
    reached = x.grad[0].abs().sum(1).nonzero().flatten().tolist()
    assert reached == [*range(21)]
    assert 1 + 2 * (3 - 1) * (2**3 - 1) == 29  # steps that depth 3 and kernel 3 see

    x.grad = None
    model.rest(model.first(model.channels(x)))[0, :, 31].sum().backward()
    assert x.grad[0].abs().sum(1).nonzero().flatten().tolist() == [*range(3, 32)]


def test_a_unet_hands_on_each_level():
    plan = planned("model=unet", "model.size=paper", "data.input.shape=[1,32,32]")
    reads = {layer.path: [str(read) for read in layer.reads] for layer in plan.layers}
    assert {path: reads[f"{path}.both"][0] for path in ("up4", "up3", "up2", "up1")} == {
        "up4": "level4",
        "up3": "level3",
        "up2": "level2",
        "up1": "level1",
    }
