"""The originals of conf/model in `transformers`, small and with random values, and the overrides that make ours so."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
import transformers
from torch import Tensor, nn

import modelforge as mf

CONF = Path(__file__).parents[2] / "conf"
NUM_CLASSES = 5
VOCABULARY = 61
STEPS = 12


@dataclass(frozen=True)
class Original:
    """One model of `transformers`, and what makes ours equal to it."""

    model: str
    """Ours, in conf/model; its names in conf/weights."""
    kind: str
    """Its class in `transformers`."""
    settings: Mapping[str, Any]
    """Of its config."""
    overrides: tuple[str, ...]
    inputs: Callable[[], dict[str, Tensor]]
    """A batch, by the names that the original has for its inputs, in the order of ours."""
    ours: tuple[str, ...] = ()
    """Names of our outputs, where there are several."""
    prepare: Callable[[nn.Module], None] = field(default=lambda _: None)
    """What of it must be changed to be what its paper says."""
    dropout: tuple[str, ...] = ()
    """Overrides that switch ours off."""

    def make(self) -> Any:
        """The original as it is new."""
        kind = getattr(transformers, self.kind)
        torch.manual_seed(0)
        model = kind(kind.config_class(**self.settings))
        self.prepare(model)
        return model

    def load(self, path: Path, *more: str) -> mf.ModelSpec:
        """Ours, with the values of a file that the original was saved to."""
        weights = [f"weights={self.model}", f"weights.path={path / 'model.safetensors'}"]
        return mf.load(CONF, [f"model={self.model}", *self.overrides, *self.dropout, *weights, *more])

    def plan(self) -> mf.Plan:
        """Ours, as it starts by itself."""
        return mf.plan(mf.load(CONF, [f"model={self.model}", *self.overrides]))


def _images(size: int) -> Callable[[], dict[str, Tensor]]:
    def batch() -> dict[str, Tensor]:
        return {"pixel_values": torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(1))}

    return batch


def _tokens(*names: str, steps: int = STEPS) -> Callable[[], dict[str, Tensor]]:
    def batch() -> dict[str, Tensor]:
        generator = torch.Generator().manual_seed(1)
        return {name: torch.randint(2, VOCABULARY, (3, steps), generator=generator) for name in names}

    return batch


def _momentum(model: nn.Module) -> None:
    """Torch's momentum is what is new; the original has 0.997, which is TensorFlow's, of what was."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1


LABELS = {"num_labels": NUM_CLASSES}
IMAGES = (f"data.num_outputs={NUM_CLASSES}",)
TEXT = (f"data.vocab_size={VOCABULARY}", f"data.context={STEPS}")
DEPTHS = tuple(f"model.args.depth{stage}=2" for stage in (1, 2, 3, 4))

ORIGINALS: Mapping[str, Original] = MappingProxyType(
    {
        "resnet_basic": Original(
            "resnet",
            "ResNetForImageClassification",
            {"depths": [2, 2, 2, 2], "layer_type": "basic", "hidden_sizes": [64, 128, 256, 512], **LABELS},
            ("data.input.shape=[3,64,64]", "model.size=18", *IMAGES),
            _images(64),
        ),
        "resnet_bottleneck": Original(
            "resnet",
            "ResNetForImageClassification",
            {"depths": [2, 2, 2, 2], "layer_type": "bottleneck", **LABELS},
            ("data.input.shape=[3,64,64]", "model.size=50", *DEPTHS, *IMAGES),
            _images(64),
        ),
        "mobilenet_v2": Original(
            "mobilenet_v2",
            "MobileNetV2ForImageClassification",
            # As those have it who train it anew: evenly padded, and with the eps that is usual.
            {"tf_padding": False, "layer_norm_eps": 1e-5, "classifier_dropout_prob": 0.0, **LABELS},
            ("data.input.shape=[3,64,64]", *IMAGES),
            _images(64),
            prepare=_momentum,
            dropout=("model.args.dropout=0",),
        ),
        "mobilenet_v2_tensorflow": Original(
            "mobilenet_v2",
            "MobileNetV2ForImageClassification",
            {"classifier_dropout_prob": 0.0, **LABELS},  # as the authors' values are used
            (
                "data.input.shape=[3,64,64]",
                "model.blocks.conv.args.uneven=true",
                "model.blocks.conv.args.padding=0",
                "model.blocks.conv.layers.norm.eps=1e-3",
                *IMAGES,
            ),
            _images(64),
            prepare=_momentum,
            dropout=("model.args.dropout=0",),
        ),
        "convnext": Original(
            "convnext",
            "ConvNextForImageClassification",
            {
                "patch_size": 2,
                "hidden_sizes": [24, 48, 96, 192],
                "depths": [1, 2, 1, 1],
                "layer_norm_eps": 1e-6,  # of the last norm too, as in the authors' code
                **LABELS,
            },
            (
                "data.input.shape=[3,32,32]",
                *(f"model.args.{name}" for name in ("patch=2", "width=24", "depth1=1", "depth2=2", "depth3=1")),
                *IMAGES,
            ),
            _images(32),
            dropout=("model.args.rate=0",),
        ),
        "vit": Original(
            "vit",
            "ViTForImageClassification",
            {
                "hidden_size": 48,
                "num_hidden_layers": 2,
                "num_attention_heads": 3,
                "intermediate_size": 96,
                "image_size": 16,
                "patch_size": 4,
                "layer_norm_eps": 1e-6,  # as in the authors' code; 1e-12 here
                **LABELS,
            },
            (
                "data.input.shape=[3,16,16]",
                *(f"model.args.{name}" for name in ("patch=4", "width=48", "depth=2", "heads=3", "hidden=96")),
                *IMAGES,
            ),
            _images(16),
        ),
        "bert": Original(
            "bert",
            "BertForSequenceClassification",
            {
                "hidden_size": 64,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "intermediate_size": 256,
                "vocab_size": VOCABULARY,
                "max_position_embeddings": 64,
                **{name: 0.0 for name in ("hidden_dropout_prob", "attention_probs_dropout_prob")},
                **LABELS,
            },
            (f"model.args.vocab={VOCABULARY}", *IMAGES),
            _tokens("input_ids", steps=64),
            dropout=("model.args.dropout=0",),
        ),
        "gpt2": Original(
            "gpt2",
            "GPT2LMHeadModel",
            {
                "n_layer": 2,
                "n_embd": 32,
                "n_head": 4,
                "vocab_size": VOCABULARY,
                "n_positions": STEPS,
                **{name: 0.0 for name in ("resid_pdrop", "embd_pdrop", "attn_pdrop")},
            },
            (*(f"model.args.{name}" for name in ("width=32", "depth=2", "heads=4")), *TEXT),
            _tokens("input_ids"),
            dropout=("model.args.dropout=0",),
        ),
        "llama": Original(
            "llama",
            "LlamaForCausalLM",
            {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 4,
                "num_key_value_heads": 2,
                "intermediate_size": 88,
                "vocab_size": VOCABULARY,
                "rms_norm_eps": 1e-5,
                "rope_parameters": {"rope_type": "default", "rope_theta": 500_000.0},
            },
            (
                *(f"model.args.{name}" for name in ("width=32", "depth=2", "heads=4", "kv_heads=2", "hidden=88")),
                "model.args.theta=500000.0",
                *TEXT,
            ),
            _tokens("input_ids"),
        ),
        "t5": Original(
            "t5",
            "T5ForConditionalGeneration",
            {
                "d_model": 32,
                "d_kv": 8,
                "d_ff": 64,
                "num_layers": 2,
                "num_heads": 3,
                "vocab_size": VOCABULARY,
                "dropout_rate": 0.0,
            },
            (
                *(f"model.args.{name}" for name in ("width=32", "depth=2", "heads=3", "head_dim=8", "hidden=64")),
                f"data.vocab_size={VOCABULARY}",
                f"data.num_steps={STEPS}",
            ),
            _tokens("input_ids", "decoder_input_ids"),
            dropout=("model.args.dropout=0",),
        ),
    }
)
