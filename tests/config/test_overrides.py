"""Overrides that cannot be read or applied, and what was meant."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from modelforge.config.compose import compose
from modelforge.config.overrides import parse
from modelforge.core.errors import ForgeError


@pytest.fixture
def here(monkeypatch, conf):
    monkeypatch.chdir(conf.parent)


OVERRIDES = [
    (
        ["model=lstmm", "init=xavir", "model.layers.foo=1"],
        """
        error[MF001]: `model` has no option `lstmm`
          --> override model=lstmm
           = help: did you mean `lstm`?

        error[MF001]: `init` has no option `xavir`
          --> override init=xavir
           = help: did you mean `xavier`?
        """,
    ),
    (
        ["init=torch.xavier_normal"],
        """
        error[MF001]: `init` has no option `torch.xavier_normal`
          --> override init=torch.xavier_normal
           = help: known: `xavier`, `zeros`. For a scheme without a file: `'init={scheme: torch.xavier_normal}'`
        """,
    ),
    (
        ["model=zzz", "init=null", "data=[digits,3]"],
        """
        error[MF001]: `model` has no option `zzz`
          --> override model=zzz
           = help: known: `lstm`, `mlp`

        error[MF001]: `init` has no option `null`
          --> override init=null
           = help: known: `xavier`, `zeros`

        error[MF001]: `data` has no option `3`
          --> override data=[digits,3]
           = help: known: `digits`
        """,
    ),
    (
        ["just text", "=3", "init.gain=[1", "init.gain=0.5,1", "init.gain=range(3)", "model=lstm,mlp"],
        """
        error[MF001]: `just text` is not an override
          --> override just text
           = help: write `key=value`

        error[MF001]: `=3` is not an override
          --> override =3
           = help: write `key=value`

        error[MF001]: the override `init.gain=[1` cannot be read
          --> override init.gain=[1
           = help: quote a value that holds spaces, letters with accents, or any of `,:=[]{}()`: `'key="a, b"'`

        error[MF001]: `init.gain` is given several values, and one config takes one
          --> override init.gain=0.5,1
           = help: several values need a multirun, `-m`; a list is written `init.gain=[0.5,1]`

        error[MF001]: `init.gain` is given several values, and one config takes one
          --> override init.gain=range(3)
           = help: several values need a multirun, `-m`

        error[MF001]: `model` is given several values, and one config takes one
          --> override model=lstm,mlp
           = help: several values need a multirun, `-m`; a list is written `model=[lstm,mlp]`
        """,
    ),
    (
        ["model=lstm", "model.layers.rnn.hiden_size=128", "init.gain=2", "modl.layers=1", "init.zzzz=1"],
        """
        error[MF001]: `model.layers.rnn` has no key `hiden_size`
          --> override model.layers.rnn.hiden_size=128
           = help: did you mean `hidden_size`? A new key needs a `+`: `+model.layers.rnn.hiden_size=128`

        error[MF001]: the config has no key `modl`
          --> override modl.layers=1
           = help: did you mean `model`? A new key needs a `+`: `+modl.layers=1`

        error[MF001]: `init` has no key `zzzz`
          --> override init.zzzz=1
           = help: known: `gain`, `scheme`. A new key needs a `+`: `+init.zzzz=1`
        """,
    ),
    (
        ["+init.gain=2", "~init.gian", "init.gain.x=3", "data.shape.5=1", "~init.gain=5", "hydra.job.nam=1"],
        """
        error[MF001]: `init.gain` is already there
          --> override +init.gain=2
           = help: to change it, drop the `+`: `init.gain=2`

        error[MF001]: `init` has no key `gian`
          --> override ~init.gian
           = help: did you mean `gain`?

        error[MF001]: `init.gain` is a value, `0.001`, and has no keys
          --> override init.gain.x=3

        error[MF001]: `data.shape` is a list of 2 and has no item `5`
          --> override data.shape.5=1
           = help: a list is given as a whole: `data.shape=[...]`

        error[MF001]: Could not delete from config. The value of 'init.gain' is 0.001 and not 5.
          --> override ~init.gain=5

        error[MF001]: `hydra.job` has no key `nam`
          --> override hydra.job.nam=1
           = help: did you mean `name` or `num`? A new key needs a `+`: `+hydra.job.nam=1`
        """,
    ),
    (
        ["init@model.init=zeros"],
        """
        error[MF001]: the defaults list has no `init@model.init`
          --> override init@model.init=zeros
           = help: to add it: `+init@model.init=zeros`
        """,
    ),
    (
        ["~init=zeros"],
        """
        error[MF001]: the defaults list has no `init`
          --> override ~init=zeros
        """,
    ),
    (
        ["inits@model=zeros"],
        """
        error[MF001]: there is no config group `inits`
          --> override inits@model=zeros
           = help: did you mean `init`?
        """,
    ),
    (
        [
            "init.gain=${init.gian}",
            "+init.depth=???",
            "init.scheme=${nothing:1}",
            "seed='${num_classes}'",
            "+a=${data.shape.2}",
        ],
        """
        error[MF003]: `${nothing:1}` cannot be resolved: there is no resolver `nothing`
          --> override init.scheme=${nothing:1}

        error[MF003]: `${init.gian}` leads nowhere: `init` has no key `gian`
          --> override init.gain=${init.gian}
           = help: did you mean `gain`?

        error[MF011]: `init.depth` must be given
          --> override +init.depth=???
           = help: as an override: `init.depth=...`

        error[MF003]: `${num_classes}` leads nowhere: there is no key `num_classes`
          --> override seed='${num_classes}'
           = help: did you mean `data.num_classes`?

        error[MF003]: `${data.shape.2}` leads nowhere: `data.shape` is a list of 2 and has no item `2`
          --> override +a=${data.shape.2}
        """,
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "text"), OVERRIDES, ids=lambda value: value[0] if isinstance(value, list) else ""
)
def test_overrides(here, fails, overrides, text):
    fails(lambda: compose("conf", overrides), text)


SETTINGS = {
    "config.yaml": "defaults: [_self_, init: normal, optimizer: adam, trainer: short, logger: null]\nckpt: null\n",
    "init/normal.yaml": "scheme: normal\nmean: 0\n",
    "init/xavier.yaml": "scheme: xavier\nmode: fan_avg\n",
    "optimizer/adam.yaml": "lr: 1e-3\n",
    "trainer/short.yaml": "max_epochs: 3\n",
    "logger/csv.yaml": "name: csv\n",
}


@pytest.mark.parametrize(
    ("override", "said", "hint"),
    [
        ("trainer.lr=1", "`trainer` has no key `lr`", "did you mean `optimizer.lr`?"),
        ("lr=1", "the config has no key `lr`", "did you mean `optimizer.lr`?"),
        ("epochs=1", "the config has no key `epochs`", "did you mean `trainer.max_epochs`?"),
        ("optimizer.learning_rate=1", "`optimizer` has no key `learning_rate`", "did you mean `optimizer.lr`?"),
        (
            "init.mode=fan_in",
            "`init` has no key `mode`",
            "it has `scheme`, `mean`; `init=xavier` has `mode`",
        ),
        (
            "optimizer={type: SGD, momentum: 0.9}",
            "a mapping is merged into `optimizer`, which has no key `type`, `momentum`",
            "choose the option of `optimizer` that has it and set the value, `optimizer=... optimizer.type=...`; or "
            "add new keys: `++optimizer={type: SGD, momentum: 0.9}`",
        ),
        (
            "logger.name=x",
            "the config has no key `logger`",
            "no option of the group `logger` is chosen: `logger=...` does that; a new key needs a `+`: "
            "`+logger.name=x`",
        ),
        (
            "~ckpt",
            "`ckpt` is null, and there is nothing to delete",
            "leave this override out: null says that there is none",
        ),
        ("optimizer=null", "`optimizer` has no option `null`", "known: `adam`"),
    ],
)
def test_what_was_meant(write, override, said, hint):
    with pytest.raises(ForgeError) as caught:
        compose(write(SETTINGS), [override])
    (problem,) = caught.value.problems
    assert (problem.message, problem.hint) == (said, hint)


@pytest.mark.parametrize("model", ["plain", "logging"])
def test_null_leaves_a_group_out_that_a_defaults_list_may_leave_out(write, model: str):
    files = {"model/plain.yaml": "a: 1\n", "model/logging.yaml": "defaults: [override /logger@_global_.logger: csv]\n"}
    defaults = SETTINGS["config.yaml"].replace("logger: null", "logger: null, model: plain")
    conf = write({**SETTINGS, **files, "config.yaml": defaults})
    composed = compose(conf, [f"model={model}", "logger=null"])
    assert "logger" not in composed.values
    assert composed.overrides == (f"model={model}", "logger=null")
    assert compose(conf, [f"model={model}", "logger=csv"]).values["logger"] == {"name": "csv"}


def test_a_large_group_says_where_its_options_lie(write):
    root = write({"config.yaml": "defaults: [model: m0]\n"} | {f"model/m{index}.yaml": "a: 1\n" for index in range(30)})
    with pytest.raises(ForgeError) as caught:
        compose(root, ["model=transformer"])
    assert [problem.hint for problem in caught.value.problems] == ["conf/model holds 30 others"]


@pytest.mark.parametrize(
    ("override", "code", "message"),
    [
        ("a=" + "[" * 3_000 + "]" * 3_000, "MF060", "an override is at most 50 levels deep, and this has 3,000"),
        ("a=\ud800", "MF062", "a text holds a lone surrogate, `\\ud800`, which file names and terminals cannot hold"),
        ("a=" + "x" * 20_000, "MF060", "a text has at most 10,000 characters, and this has 20,002"),
    ],
)
def test_overrides_that_no_config_can_hold(here, override, code, message):
    with pytest.raises(ForgeError) as caught:
        compose("conf", [override])
    (problem,) = caught.value.problems
    assert (problem.code, problem.message) == (code, message)


def test_a_folder_in_place_of_an_override_comes_with_what_takes_one(tmp_path: Path):
    with pytest.raises(ForgeError) as caught:
        parse([str(tmp_path)])
    (problem,) = caught.value.problems
    assert problem.message == f"`{tmp_path}` is not an override"
    ways = (
        f"`modelforge show --conf {tmp_path}` reads its config.yaml, `python train.py --from {tmp_path}` repeats a run"
    )
    assert problem.hint == f'it is a folder: {ways}, and `mf.load_run("{tmp_path}")` gives its model'


@pytest.mark.parametrize("text", ["{}=1", "model.{}=1", "~{}"])
def test_a_key_longer_than_any_file_name_is_unknown(text: str):
    with pytest.raises(ForgeError) as caught:
        compose(None, [text.format("x" * 300)])
    assert {problem.code for problem in caught.value.problems} == {"MF001"}


@pytest.mark.parametrize(
    ("override", "hint"),
    [
        ("data.target=größe", "quote the value: `'data.target=\"größe\"'`"),
        ("data.path=my é/a.csv", "quote the value: `'data.path=\"my é/a.csv\"'`"),
        (
            "init.gain=[1",
            "quote a value that holds spaces, letters with accents, or any of `,:=[]{}()`: `'key=\"a, b\"'`",
        ),
    ],
)
def test_a_text_that_needs_quotes_is_shown_in_them(override: str, hint: str):
    with pytest.raises(ForgeError) as caught:
        parse([override])
    (problem,) = caught.value.problems
    assert problem.hint == hint
    if hint.startswith("quote the value"):
        (quoted,) = parse(shlex.split(hint.split("`")[1]))
        assert quoted.value() == override.partition("=")[2]
