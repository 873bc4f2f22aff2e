"""BERT, T5 and ConvNeXt of conf/model compute what the models of `transformers` compute with the same values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import nn

import modelforge as mf

transformers = pytest.importorskip("transformers")


def fill(ours: nn.Module, theirs: nn.Module, names: Mapping[str, str]) -> None:
    """Random values for all parameters of theirs, and the same for ours; `names` leads from our modules to theirs."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in theirs.parameters():
            weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
        for path, weight in ours.named_parameters():
            module, _, local = path.rpartition(".")
            their = names[module]
            weight.copy_(theirs.get_parameter(their if their.endswith("parameter") else f"{their}.{local}"))
    seen = {id(weight) for weight in theirs.parameters()}
    assert len(list(ours.parameters())) == len(seen)
    ours.eval()
    theirs.eval()


def built(*overrides: str) -> Any:
    return mf.build(mf.load("conf", list(overrides)))


def test_bert():
    settings = transformers.BertConfig(
        vocab_size=17, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=256,
        max_position_embeddings=64,
    )  # fmt: skip
    theirs = transformers.BertModel(settings)
    ours = built("model=bert", "model.args.head=false", "model.args.depth=2")
    names = {
        "token": "embeddings.word_embeddings",
        "position": "embeddings.position_embeddings",
        "segment": "embeddings.token_type_embeddings",
        "norm": "embeddings.LayerNorm",
        "pooler": "pooler.dense",
    }
    for index in range(2):
        here, there = f"blocks.{index}.block", f"encoder.layer.{index}"
        names |= {f"{here}.attention.attend.{our}_proj": f"{there}.attention.self.{their}" for our, their in
                  (("q", "query"), ("k", "key"), ("v", "value"))}  # fmt: skip
        names |= {
            f"{here}.attention.attend.out_proj": f"{there}.attention.output.dense",
            f"{here}.norm1": f"{there}.attention.output.LayerNorm",
            f"{here}.mlp.up": f"{there}.intermediate.dense",
            f"{here}.mlp.down": f"{there}.output.dense",
            f"{here}.norm2": f"{there}.output.LayerNorm",
        }
    fill(ours, theirs, names)
    tokens = torch.randint(1, 17, (3, 64), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(tokens), theirs(tokens).pooler_output, atol=1e-5, rtol=1e-4)


def test_t5():
    settings = transformers.T5Config(
        vocab_size=17, d_model=64, d_kv=16, d_ff=256, num_layers=2, num_heads=4, feed_forward_proj="relu",
        tie_word_embeddings=True,
    )  # fmt: skip
    theirs = transformers.T5ForConditionalGeneration(settings)
    ours = built("model=t5", "data.num_steps=40")
    names = {"token": "shared"}
    for ours_stack, stack, parts in (
        ("encoder", "encoder", {"self": "SelfAttention", "mlp": "DenseReluDense"}),
        ("decoder", "decoder", {"self": "SelfAttention", "cross": "EncDecAttention", "mlp": "DenseReluDense"}),
    ):
        names |= {
            f"{ours_stack}.near": f"{stack}.block.0.layer.0.SelfAttention.relative_attention_bias",
            f"{ours_stack}.norm": f"{stack}.final_layer_norm",
        }
        for index in range(2):
            for place, (part, module) in enumerate(parts.items()):
                here, there = f"{ours_stack}.blocks.{index}.block.{part}", f"{stack}.block.{index}.layer.{place}"
                names[f"{here}.norm"] = f"{there}.layer_norm"
                for our, their in zip(("q_proj", "k_proj", "v_proj", "out_proj"), "qkvo", strict=True):
                    names[f"{here}.attend.{our}"] = f"{there}.{module}.{their}"
                names |= {f"{here}.up": f"{there}.{module}.wi", f"{here}.down": f"{there}.{module}.wo"}
    fill(ours, theirs, names)
    generator = torch.Generator().manual_seed(1)
    source, target = (torch.randint(1, 17, (3, 40), generator=generator) for _ in range(2))
    with torch.no_grad():
        expected = theirs(input_ids=source, decoder_input_ids=target).logits
        torch.testing.assert_close(ours(source, target), expected, atol=1e-4, rtol=1e-4)


def test_convnext():
    widths, depths = [24, 48, 96, 192], [1, 1, 2, 1]
    settings = transformers.ConvNextConfig(
        num_channels=1, patch_size=1, hidden_sizes=widths, depths=depths, num_labels=10, image_size=8
    )
    theirs = transformers.ConvNextForImageClassification(settings)
    ours = built("model=convnext")
    names = {
        "stem": "convnext.embeddings.patch_embeddings",
        "norm.norm": "convnext.embeddings.layernorm",
        "final": "convnext.layernorm",
        "head": "classifier",
    }
    for stage, depth in enumerate(depths):
        there = f"convnext.encoder.stages.{stage}"
        if stage:
            names[f"halve{stage}.norm.norm"] = f"{there}.downsampling_layer.0"
            names[f"halve{stage}.conv"] = f"{there}.downsampling_layer.1"
        for index in range(depth):
            here, layer = f"stage{stage + 1}.blocks.{index}.block", f"{there}.layers.{index}"
            names |= {
                f"{here}.depthwise": f"{layer}.dwconv",
                f"{here}.norm": f"{layer}.layernorm",
                f"{here}.up": f"{layer}.pwconv1",
                f"{here}.down": f"{layer}.pwconv2",
                f"{here}.scale": f"{layer}.layer_scale_parameter",
            }
    fill(ours, theirs, names)
    images = torch.randn(3, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(ours(images), theirs(images).logits, atol=1e-4, rtol=1e-4)
