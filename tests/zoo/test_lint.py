"""Every finding about the models that ship, with each init of `conf/`, and its reason.

With their own inits, docs/lint/README.md explains them. `pytest -m thorough tests/zoo/test_lint.py` lints all models
with all inits.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

import modelforge as mf
from modelforge.config.compose import compose
from modelforge.config.folder import options
from modelforge.linting.lint import examine
from modelforge.train.settings import training_of

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
MODELS, INITS = options(CONF, "model"), options(CONF, "init")
EXPLAINED = set(
    re.findall(r"^\| `(\w+)` \| (MW\d+) \|", (ROOT / "docs" / "lint" / "README.md").read_text("utf-8"), re.M)
)
FIXED = "irnn normal truncated_normal uniform"
"""Inits with one std for layers of every width."""
GAINLESS = "lecun_normal orthogonal xavier_normal xavier_uniform"
KAIMING = "kaiming_fan_out kaiming_normal kaiming_uniform"
PADDED = f"{FIXED} {GAINLESS} {KAIMING} sparse"
FOUND: dict[str, dict[str, str]] = {
    "autoencoder": {
        "MF095": "gpt2",
        "MW101": "constant",
        "MW123": f"{FIXED} sparse",
        "MW124": FIXED,
    },
    "bag_of_words": {"MF095": "gpt2", "MW101": "constant", "MW123": "irnn"},
    "bert": {"MW101": "constant", "MW123": "irnn", "MW138": "kaiming_fan_out"},
    "bilstm": {"MF095": "gpt2", "MW101": "constant", "MW123": "normal truncated_normal uniform"},
    "char_lstm": {"MF095": "gpt2", "MW101": "constant"},
    "cnn": {
        "MF095": "gpt2",
        "MW101": "constant",
        "MW123": FIXED,
        "MW124": "irnn normal truncated_normal",
        "MW138": KAIMING,
    },
    "convnext": {"MW101": "constant", "MW108": "gpt2", "MW138": "kaiming_fan_out"},
    "gpt2": {"MW101": "constant"},
    "gru": {"MF095": "gpt2", "MW101": "constant"},
    "lenet": {
        "MF095": "gpt2",
        "MW101": "constant",
        "MW123": f"{FIXED} sparse",
        "MW124": FIXED,
        "MW138": KAIMING,
    },
    "llama": {"MW101": "constant"},
    "lstm": {"MF095": "gpt2", "MW101": "constant", "MW123": "normal truncated_normal uniform"},
    "mlp": {
        "MF095": "gpt2",
        "MW101": "constant",
        "MW123": "irnn normal truncated_normal",
        "MW124": "irnn",
        "MW138": "kaiming_fan_out",
    },
    "mlp_mixer": {"MW101": "constant"},
    "mobilenet_v2": {"MW101": "constant", "MW108": "gpt2"},
    "resnet": {"MW101": "constant", "MW108": "gpt2"},
    "resnet_small": {"MW101": "constant", "MW108": "gpt2", "MW138": KAIMING},
    "rnn": {"MF095": "gpt2", "MW101": "constant", "MW138": "kaiming_fan_out"},
    "t5": {"MW101": "constant", "MW138": f"gpt2 {FIXED} sparse"},
    "tcn": {"MW101": "constant", "MW123": "irnn", "MW138": KAIMING},
    "transformer": {"MW101": "constant", "MW138": "kaiming_fan_out"},
    "unet": {
        "MF095": "gpt2",
        "MW101": "constant",
        "MW120": GAINLESS,
        "MW123": f"{FIXED} sparse torch",
        "MW124": FIXED,
        "MW134": PADDED,
    },
    "vgg": {
        "MF095": "gpt2",
        "MW101": "constant",
        "MW120": GAINLESS,
        "MW123": "irnn normal torch truncated_normal xavier_normal xavier_uniform",
        "MW124": "irnn torch xavier_normal xavier_uniform",
        "MW134": PADDED,
        "MW138": "sparse",
    },
    "vit": {},
}
"""Inits by model and code."""
FADES = "one std for all widths: the signal fades, or grows, with each layer"
REASONS: tuple[tuple[str, str, str, str], ...] = (
    # code, model, inits, reason
    ("MF095", "*", "gpt2", "the scheme counts residual branches, and the model has none"),
    ("MW101", "*", "constant", "the init is there to show what symmetry does"),
    ("MW108", "*", "gpt2", "branches end with a norm or a layer scale, which the scheme leaves alone"),
    ("MW120", "*", GAINLESS, "no gain for ReLU, in ten layers or more without a norm (He et al. 2015)"),
    ("MW123", "*", f"constant {FIXED} sparse", FADES),
    ("MW124", "*", f"constant {FIXED}", FADES),
    ("MW123", "*", "torch", "U(±1/√fan_in) lets each ReLU layer keep a sixth of the energy"),
    ("MW124", "vgg", "torch xavier_*", "the same backward: ten layers without a norm"),
    ("MW123", "vgg", "xavier_*", "half of the energy is lost in each of ten layers"),
    ("MW134", "*", PADDED, "pictures of 8 × 8 pixels: the deepest maps are smaller than a kernel"),
    ("MW138", "*", "kaiming_fan_out", "ten classes give the head std √(2/10), whatever it reads"),
    (
        "MW138",
        "*",
        "kaiming_normal kaiming_uniform",
        "pooling or branches raise the energy, and the head has ReLU's gain",
    ),
    ("MW138", "t5", f"gpt2 {FIXED} sparse", "the head is the table, which T5 starts with std 1"),
    ("MW138", "vgg", "constant sparse", "values of one size add up in wide layers"),
)


def reasons(code: str, model: str, init: str) -> list[int]:
    """The rows of `REASONS` that a finding has."""
    return [
        number
        for number, (of, models, inits, _) in enumerate(REASONS)
        if of == code and fnmatchcase(model, models) and any(fnmatchcase(init, glob) for glob in inits.split())
    ]


def test_every_finding_has_one_reason_and_every_reason_a_finding():
    assert {*FOUND} == {*MODELS}
    found = [
        reasons(code, model, init)
        for model, codes in FOUND.items()
        for code, inits in codes.items()
        for init in inits.split()
    ]
    assert all(len(each) == 1 for each in found)
    assert {number for each in found for number in each} == {*range(len(REASONS))}


def linted(model: str, *more: str) -> set[str]:
    """The codes that linting finds, or planning."""
    config = compose(CONF, [f"model={model}", *more])
    try:
        found = examine(mf.plan(mf.parse(config)), training_of(config.values))
    except mf.ForgeError as error:
        return {problem.code for problem in error.problems}
    return {problem.code for problem in (*found.planned, *found.problems)}


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
def test_a_model_with_its_own_init_is_clean_or_explained(model: str):
    assert linted(model) == {code for name, code in EXPLAINED if name == model}


@pytest.mark.thorough
@pytest.mark.parametrize("model", MODELS)
def test_a_model_with_any_init_has_these_findings_and_no_others(model: str):
    found = {(code, init) for init in INITS for code in linted(model, f"init={init}")}
    assert found == {(code, init) for code, inits in FOUND[model].items() for init in inits.split()}
