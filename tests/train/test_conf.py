"""The shipped configs: each one says how to run it, and every model takes every init and the data of its kind."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

import modelforge as mf
from modelforge.config.compose import Config
from modelforge.config.folder import options
from modelforge.core.errors import ForgeError
from modelforge.linting.lint import findings
from modelforge.planning.study import Studies
from modelforge.train.prepare import prepare

CONF = Path(__file__).parents[2] / "conf"
GROUPS = (
    "data",
    "model",
    "init",
    "weights",
    "optimizer",
    "scheduler",
    "trainer",
    "callbacks",
    "logger",
    "experiment",
    "debug",
)

MODELS = {
    "data=digits_rows": ["model=lstm"],
    "data=digits_autoencoding": ["model=autoencoder"],
    "data=copy": ["model=lstm", "~model.layers.last"],
    "data=text": ["model=char_lstm"],
    "data=text_classification": ["model=bag_of_words"],
    "data=digits_pixels": ["model=bert"],
    "data=reverse": ["model=t5"],
}
"""What reads data that the default model does not."""


def names(group: str) -> list[str]:
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def has_branches(config: Config) -> bool:
    """Whether there is anything that a scheme which counts residual branches can count."""
    plan = mf.plan(mf.parse(config, init="xavier"))
    return any(layer.type in ("Residual", "TransformerEncoderLayer") for layer in plan.layers)


def check_inits(config, model: str, inits: Iterable[str]) -> None:
    studies = Studies()
    for init in inits:
        composed = config(f"model={model}", f"init={init}")
        if init == "gpt2" and not has_branches(composed):
            with pytest.raises(ForgeError, match="counts residual branches, but the model has none"):
                prepare(composed, studies)
            continue
        job = prepare(composed, studies)
        assert {parameter.path for parameter in job.plan.parameters}, init
        codes = {warning.code for warning in findings(job.plan)}
        # Where a branch ends with a norm or a scale of its own, `gpt2` has no kernel to make smaller.
        allowed = {"constant": (set(), {"MW101"}), "gpt2": (set(), {"MW108"})}
        assert codes in allowed.get(init, (set(),)), init


@pytest.mark.parametrize(("place", "model"), [*enumerate(names("model"))], ids=str)
def test_every_model_takes_a_third_of_the_inits(config, place: int, model: str):
    check_inits(config, model, names("init")[place % 3 :: 3])


@pytest.mark.slow
@pytest.mark.thorough
@pytest.mark.parametrize("model", names("model"))
def test_every_model_takes_every_init(config, model: str):
    check_inits(config, model, names("init"))


@pytest.mark.parametrize(
    ("model", "data"),
    [
        ("mlp", "digits"), ("cnn", "digits"), ("resnet_small", "digits"), ("rnn", "digits_rows"),
        ("gru", "digits_rows"), ("lstm", "digits_rows"), ("transformer", "digits_rows"),
        ("char_lstm", "text"), ("autoencoder", "digits_autoencoding"),
        ("bilstm", "digits_rows"), ("tcn", "digits_rows"),
    ],
)  # fmt: skip
def test_a_model_chooses_its_data_unless_it_is_given(config, model: str, data: str):
    shapes = {"digits": [1, 8, 8], "digits_rows": [8, 8], "digits_autoencoding": [1, 8, 8], "text": [64]}
    assert config(f"model={model}").choices["data"] == data
    assert config(f"model={model}").values["data"]["input"]["shape"] == shapes[data]
    for other in ("digits", "digits_rows"):
        assert config(f"model={model}", f"data={other}").choices["data"] == other


@pytest.mark.parametrize(
    "override",
    [f"{group}={name}" for group in GROUPS if group not in ("model", "init", "weights") for name in names(group)],
)
def test_every_option_is_right(config, override: str):
    """Also where the data is not there: what a file knows is declared."""
    prepare(config(override, *MODELS.get(override, [])))


@pytest.mark.parametrize("path", sorted(CONF.rglob("*.yaml")), ids=lambda path: path.relative_to(CONF).as_posix())
def test_every_file_shows_the_command_that_uses_it(path: Path):
    text = path.read_text(encoding="utf-8")
    assert "python train.py" in text or "modelforge gallery" in text or path.parent.name == "hydra"
    assert "_target_" not in text


def test_the_groups_are_those_that_users_expect():
    assert {path.name for path in CONF.iterdir() if path.is_dir()} == {*GROUPS, "hydra", ".schema"}
    assert set(options(CONF, "model")) == set(names("model"))
