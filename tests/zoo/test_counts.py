"""Networks of conf/model have exactly as many parameters as published, and none takes long to plan."""

from __future__ import annotations

from importlib.util import find_spec
from math import prod
from pathlib import Path

import pytest

import modelforge as mf
from modelforge.linting.lint import findings

CONF = Path(__file__).parents[2] / "conf"
IMAGENET = ["data.input.shape=[3,224,224]", "data.num_outputs=1000"]
T5 = ["model=t5", "data.vocab_size=32128", "data.num_steps=512"]
GPT2 = ["model=gpt2", "data.vocab_size=50257", "data.context=1024"]

PUBLISHED = {
    "vgg11": (["model=vgg", "model.size=11", "model.args.upsample=1", *IMAGENET], 132_863_336),
    "vgg16": (["model=vgg", "model.size=16", "model.args.upsample=1", *IMAGENET], 138_357_544),
    "vgg19_bn": (
        ["model=vgg", "model.size=19", "model.args.norm=true", "model.args.upsample=1", *IMAGENET],
        143_678_248,
    ),
    "resnet18": (["model=resnet", "model.size=18", *IMAGENET], 11_689_512),
    "resnet34": (["model=resnet", "model.size=34", *IMAGENET], 21_797_672),
    "resnet50": (["model=resnet", "model.size=50", *IMAGENET], 25_557_032),
    "resnet101": (["model=resnet", "model.size=101", *IMAGENET], 44_549_160),
    "resnet152": (["model=resnet", "model.size=152", *IMAGENET], 60_192_808),
    "mobilenet_v2": (["model=mobilenet_v2", *IMAGENET], 3_504_872),
    "vit_b16": (["model=vit", "model.size=base", "model.args.patch=16", *IMAGENET], 86_567_656),
    "vit_l16": (["model=vit", "model.size=large", "model.args.patch=16", *IMAGENET], 304_326_632),
    "convnext_tiny": (["model=convnext", "model.size=tiny", *IMAGENET], 28_589_128),
    "convnext_small": (["model=convnext", "model.size=small", *IMAGENET], 50_223_688),
    "convnext_base": (["model=convnext", "model.size=base", *IMAGENET], 88_591_464),
    "convnext_large": (["model=convnext", "model.size=large", *IMAGENET], 197_767_336),
    "bert_base": (["model=bert", "model.size=base"], 109_482_240),
    "bert_large": (["model=bert", "model.size=large"], 335_141_888),
    "t5_small": ([*T5, "model.size=small"], 60_506_624),
    "t5_base": ([*T5, "model.size=base"], 222_903_552),
    "t5_large": ([*T5, "model.size=large"], 737_668_096),
    # What the paper's own layers add up to, with one channel in, two classes out, and biases everywhere.
    "unet": (
        ["model=unet", "model.size=paper", "model.args.channels=2", "data.input.shape=[1,512,512]"],
        31_030_658,
    ),
    "lenet5": (["model=lenet", "data.input.shape=[1,32,32]"], 61_706),
    "gpt2": ([*GPT2, "model.size=small"], 124_439_808),
    "gpt2_medium": ([*GPT2, "model.size=medium"], 354_823_168),
    "gpt2_xl": ([*GPT2, "model.size=xl"], 1_557_611_200),
    "llama2_7b": (["model=llama", "model.size=7b", "data.vocab_size=32000", "data.context=4096"], 6_738_415_616),
    "llama3_8b": (["model=llama", "model.size=8b", "data.vocab_size=128256", "data.context=8192"], 8_030_261_248),
    "llama3_70b": (["model=llama", "model.size=70b", "data.vocab_size=128256", "data.context=8192"], 70_553_706_496),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_there_are_as_many_parameters_as_published(name: str):
    overrides, count = PUBLISHED[name]
    plan = mf.plan(mf.load(CONF, overrides))
    assert plan.num_parameters == count
    assert not findings(plan)


MIXER = {
    ("small", 32): 19,
    ("small", 16): 18,
    ("base", 32): 60,
    ("base", 16): 59,
    ("large", 32): 206,
    ("large", 16): 207,
}


@pytest.mark.parametrize(("size", "patch"), MIXER)
def test_mixers_have_as_many_millions_as_published(size: str, patch: int):
    """Table 1 of arXiv:2105.01601, which leaves the head out."""
    plan = mf.plan(mf.load(CONF, ["model=mlp_mixer", f"model.size={size}", f"model.args.patch={patch}", *IMAGENET]))
    head = sum(prod(parameter.shape) for parameter in plan.parameters if parameter.path.startswith("head."))
    assert round((plan.num_parameters - head) / 1e6) == MIXER[size, patch]
    assert not findings(plan)


def test_models_without_a_published_count_have_what_their_layers_add_up_to():
    def count(*overrides: str) -> int:
        return mf.plan(mf.load(CONF, [*overrides])).num_parameters

    inputs, hidden = 8, 64
    lstm = 4 * (hidden * (inputs + hidden) + 2 * hidden)
    assert count("model=bilstm") == 2 * lstm + (2 * hidden + 1) * 10
    # About 70 thousand in the paper, whose 16 convolutions have 400 lengths of weight norm more.
    mnist = ["model=tcn", "model.size=mnist", "data=digits", "data.input.shape=[64,1]"]
    convs = (7 * 1 + 1) * 25 + (7 * 25 + 1) * 25 * 15
    assert count(*mnist) == convs + (1 + 1) * 25 + (25 + 1) * 10 == 66_510


@pytest.mark.parametrize("path", sorted((CONF / "model").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_file_can_be_reviewed(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 120


ORIGINALS = ["bert", "convnext", "gpt2", "llama", "mobilenet_v2", "resnet", "t5", "vit"]


@pytest.mark.parametrize("name", ORIGINALS)
def test_a_file_is_shorter_than_the_python_that_defines_the_same_network(name: str):
    original = find_spec(f"transformers.models.{name}.modeling_{name}")
    assert original is not None
    assert original.origin is not None
    written = Path(original.origin).read_text(encoding="utf-8")
    assert len((CONF / "model" / f"{name}.yaml").read_text(encoding="utf-8").splitlines()) < len(written.splitlines())
