"""Networks of conf/model have exactly as many parameters as published, and none takes long to plan."""

from __future__ import annotations

from pathlib import Path

import pytest

import modelforge as mf

CONF = Path(__file__).parents[2] / "conf"
IMAGENET = ["data.input.shape=[3,224,224]", "data.num_outputs=1000"]
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
    assert not plan.warnings


@pytest.mark.parametrize("path", sorted((CONF / "model").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_file_can_be_reviewed(path: Path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 120
