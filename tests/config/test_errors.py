"""Every mistake has its text: no traceback of Hydra, OmegaConf or PyYAML reaches a user."""

from __future__ import annotations

import pytest

from modelforge.config import compose
from modelforge.core.errors import ForgeError
from modelforge.core.suggestions import did_you_mean


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
           = help: quote a value that holds spaces or any of `,:=[]{}()`: `'key="a, b"'`

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


FILES = [
    (
        "syntax",
        {"config.yaml": "a: 1\nb: [1, 2\nc: 3\n"},
        """
        error[MF002]: expected ',' or ']', but got ':'
          --> conf/config.yaml:3:2
           |
        3  | c: 3
           |  ^ while parsing a flow sequence, which begins on line 2
        """,
    ),
    (
        "tab",
        {"config.yaml": "a:\n\tb: 1\n"},
        """
        error[MF002]: the line is indented by a tab
          --> conf/config.yaml:2:1
           |
        2  | \\tb: 1
           | ^^ YAML is indented by blanks
        """,
    ),
    (
        "no blank behind a colon",
        {"config.yaml": "a: 1\nact:ReLU\nb: 2\n"},
        """
        error[MF002]: `act:` needs a blank behind its colon
          --> conf/config.yaml:2:1
           |
        2  | act:ReLU
           | ^^^^^^^^ write `act: ReLU`
        """,
    ),
    (
        "no blank behind the last colon",
        {"config.yaml": "a: 1\nact:ReLU\n"},
        """
        error[MF002]: `act:` needs a blank behind its colon
          --> conf/config.yaml:2:1
           |
        2  | act:ReLU
           | ^^^^^^^^ write `act: ReLU`
        """,
    ),
    (
        "duplicates",
        {"config.yaml": "defaults: [model: a]\n", "model/a.yaml": "x: 1\nlayers:\n  0: {a: 1, a: 2}\n  0: {}\nx: 2\n"},
        """
        error[MF002]: the key `x` is written twice
          --> conf/model/a.yaml:5:1
           |
        5  | x: 2
           | ^ the first is on line 1

        error[MF002]: the key `0` is written twice
          --> conf/model/a.yaml:4:3
           |
        4  |   0: {}
           |   ^ the first is on line 3

        error[MF002]: the key `a` is written twice
          --> conf/model/a.yaml:3:13
           |
        3  |   0: {a: 1, a: 2}
           |             ^ the first is on line 3
        """,
    ),
    (
        "not a mapping",
        {"config.yaml": "- 1\n- 2\n"},
        """
        error[MF002]: a config file holds a mapping, `key: value`
          --> conf/config.yaml:1:1
           |
        1  | - 1
           | ^^^
        """,
    ),
    (
        "a list for a key",
        {"config.yaml": "? [1, 2]\n: 3\n"},
        """
        error[MF002]: a key must be a name
          --> conf/config.yaml:1:3
           |
        1  | ? [1, 2]
           |   ^^^^^^
        """,
    ),
    (
        "a tag",
        {"config.yaml": "a: !!python/object/apply:os.system [ls]\n"},
        """
        error[MF002]: the tag `!!python/object/apply:os.system` means nothing in a config
          --> conf/config.yaml:1:4
           |
        1  | a: !!python/object/apply:os.system [ls]
           |    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ leave it out, or quote the text
        """,
    ),
    (
        "an alias of itself",
        {"config.yaml": "a: &a\n  b: *a\n"},
        """
        error[MF002]: an alias that contains itself
          --> conf/config.yaml:1:4
           |
        1  | a: &a
           |    ^^
        """,
    ),
    (
        "control character",
        {"config.yaml": "a: 1\nb: \x01\n"},
        """
        error[MF002]: a character that YAML does not allow
          --> conf/config.yaml:2:1
           |
        2  | b: \\x01
           | ^
        """,
    ),
    (
        "header",
        {"config.yaml": "# @package a b\nx: 1\n"},
        """
        error[MF002]: wrong header
          --> conf/config.yaml:1:1
           |
        1  | # @package a b
           | ^ write `# @package model` or `# @package _global_`
        """,
    ),
    (
        "broken interpolation",
        {"config.yaml": "a: 1\nb: [x, '${a']\n"},
        """
        error[MF003]: `${a` is not an interpolation
          --> conf/config.yaml:2:8
           |
        2  | b: [x, '${a']
           |        ^^^^^ write `${key.path}`; a literal `${` is written `\\${`
        """,
    ),
    (
        "unresolved, missing and cyclic",
        {
            "config.yaml": "defaults: [_self_, model: a]\n"
            "data:\n  num_classes: ???\n  shape: [8, 8]\none: ${two}\ntwo: x${one}\n",
            "model/a.yaml": "width: ???\nout: ${data.num_clases}\nclasses: ${data.num_classes}\nin: ${data.shape.x}\n",
        },
        """
        error[MF011]: `data.num_classes` must be given
          --> conf/config.yaml:3:16
           |
        3  |   num_classes: ???
           |                ^^^ as an override: `data.num_classes=...`
           = override key: data.num_classes

        error[MF003]: interpolations that lead back to themselves: `one` → `two` → `one`
          --> conf/config.yaml:5:6
           |
        5  | one: ${two}
           |      ^^^^^^
           = override key: one

        error[MF011]: `model.width` must be given
          --> conf/model/a.yaml:1:8
           |
        1  | width: ???
           |        ^^^ as an override: `model.width=...`
           = override key: model.width

        error[MF003]: `${data.num_clases}` leads nowhere: `data` has no key `num_clases`
          --> conf/model/a.yaml:2:6
           |
        2  | out: ${data.num_clases}
           |      ^^^^^^^^^^^^^^^^^^ did you mean `num_classes`?
           = override key: model.out

        error[MF003]: `${data.shape.x}` leads nowhere: `data.shape` is a list of 2 and has no item `x`
          --> conf/model/a.yaml:4:5
           |
        4  | in: ${data.shape.x}
           |     ^^^^^^^^^^^^^^^
           = override key: model.in
        """,
    ),
    (
        "an interpolation to what it is part of",
        {"config.yaml": "a:\n  b: {c: '${a}'}\n"},
        """
        error[MF003]: `${a}` refers to `a`, which it is part of
          --> conf/config.yaml:2:10
           |
        2  |   b: {c: '${a}'}
           |          ^^^^^^
           = override key: a.b.c
        """,
    ),
    (
        "option that a defaults list names",
        {"config.yaml": "defaults:\n  - _self_\n  - model: lstmm\n", "model/lstm.yaml": "a: 1\n"},
        """
        error[MF001]: `model` has no option `lstmm`
          --> conf/config.yaml:3:12
           |
        3  |   - model: lstmm
           |            ^^^^^ did you mean `lstm`?
        """,
    ),
    (
        "config that a nested defaults list names",
        {"config.yaml": "defaults: [model: a]\n", "model/a.yaml": "defaults:\n  - bse\n", "model/base.yaml": "a: 1\n"},
        """
        error[MF001]: there is no config `model/bse`
          --> conf/model/a.yaml:2:5
           |
        2  |   - bse
           |     ^^^
        """,
    ),
    (
        "group that must be chosen",
        {"config.yaml": "defaults:\n  - model: ???\n", "model/a.yaml": "a: 1\n", "model/b.yaml": "a: 1\n"},
        """
        error[MF011]: `model` must be chosen
          --> conf/config.yaml:2:12
           |
        2  |   - model: ???
           |            ^^^ `model=...`, one of `a`, `b`
           = override key: model
        """,
    ),
    (
        "defaults that are no list",
        {"config.yaml": "defaults: {model: a}\n"},
        """
        error[MF001]: Invalid defaults list in 'config', defaults must be a list (got mapping)
          --> conf/config.yaml:1:1
           |
        1  | defaults: {model: a}
           | ^^^^^^^^
        """,
    ),
    (
        "an override before its group",
        {"config.yaml": "defaults:\n  - override model: a\n  - model: b\n", "model/a.yaml": "x: 1\n"},
        """
        error[MF001]: In config: Override 'model : a' is defined before 'model: b'. \
Overrides must be at the end of the defaults list
          --> conf/config.yaml:1:1
           |
        1  | defaults:
           | ^^^^^^^^
        """,
    ),
    (
        "an interpolation in braces",
        {"config.yaml": "a: {b: ${c}}\n"},
        """
        error[MF002]: expected ',' or '}', but got '{'
          --> conf/config.yaml:1:9
           |
        1  | a: {b: ${c}}
           |         ^ inside `{}` and `[]` an interpolation is quoted: `'${...}'`
        """,
    ),
    (
        "a mandatory value in braces",
        {"config.yaml": "a: {b: ???}\n"},
        """
        error[MF002]: expected the node content, but found '?'
          --> conf/config.yaml:1:8
           |
        1  | a: {b: ???}
           |        ^ inside `{}` and `[]` a mandatory value is quoted: `'???'`
        """,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "text"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_files(write, fails, files, text):
    root = write(files)
    fails(lambda: compose(root), text)


def test_no_folder(write, fails):
    write({"config.yaml": ""})
    fails(
        lambda: compose("cnof"),
        """
        error[MF001]: the config folder `cnof` does not exist
          --> cnof
           = help: did you mean `conf`?
        """,
    )


def test_no_primary_config(write, fails):
    root = write({"main.yaml": ""})
    fails(
        lambda: compose(root),
        """
        error[MF001]: there is no `config.yaml` in `conf`
          --> conf
           = help: known: `main`
        """,
    )


def test_not_utf8(write, fails):
    root = write({"config.yaml": ""})
    (root / "config.yaml").write_bytes(b"a: \xff\n")
    fails(
        lambda: compose(root),
        """
        error[MF002]: the file is not UTF-8
          --> conf/config.yaml:1
        """,
    )


def doubling(first: str, step: str, times: int = 40) -> str:
    return first + "\n" + "".join(step.format(new=new, old=new - 1) + "\n" for new in range(1, times))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (doubling("a0: &a0 [1, 1]", "a{new}: &a{new} [*a{old}, *a{old}]"), "hold more than 50,000 keys and values"),
        (doubling("a0: x", "a{new}: ${{a{old}}}${{a{old}}}"), "interpolations make more than 100,000"),
        (doubling("a0: 1", "a{new}: {{x: '${{a{old}}}', y: '${{a{old}}}'}}"), "interpolations make more than 100,000"),
        ("[" * 100_000, "the file is nested more than 50 levels deep"),
        ("{a: " * 100_000, "the file is nested more than 50 levels deep"),
    ],
    ids=["aliases", "texts", "mappings", "lists", "deep mappings"],
)  # fmt: skip
def test_explosions(write, text, message):
    root = write({"config.yaml": text})
    with pytest.raises(ForgeError, match=message) as caught:
        compose(root)
    assert caught.value.problems[0].code == "MF060"


def test_deep_files_are_fine(write):
    root = write({"config.yaml": "{a: " * 49 + "1" + "}" * 49})
    values = compose(root).values
    for _ in range(49):
        values = values["a"]
    assert values == 1


def test_long_chains_are_fine(write):
    root = write({"config.yaml": doubling("a0: x", "a{new}: ${{a{old}}}", 300)})
    assert compose(root).values["a299"] == "x"


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
        ("logger=null", "`logger` has no option `null`", "to leave it out: `~logger`"),
    ],
)
def test_what_was_meant(write, override, said, hint):
    with pytest.raises(ForgeError) as caught:
        compose(write(SETTINGS), [override])
    (problem,) = caught.value.problems
    assert (problem.message, problem.hint) == (said, hint)


def test_a_large_group_says_where_its_options_lie(write):
    root = write({"config.yaml": "defaults: [model: m0]\n"} | {f"model/m{index}.yaml": "a: 1\n" for index in range(30)})
    with pytest.raises(ForgeError) as caught:
        compose(root, ["model=transformer"])
    assert [problem.hint for problem in caught.value.problems] == ["conf/model holds 30 others"]


def test_a_name_is_never_suggested_for_itself():
    assert did_you_mean("weights", ["weights", "weight"]) == "did you mean `weight`?"
    assert did_you_mean("weights", ["weights"]) == ""


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("010", "`010` means 8 in YAML 1.1"),
        ("0b11", "`0b11` means 3 in YAML 1.1"),
        ("0o17", "`0o17` means 15 in YAML 1.2, and is a text in YAML 1.1"),
        ("12:30", "`12:30` means 750 in YAML 1.1"),
        ("1:30.5", "`1:30.5` means 90.5 in YAML 1.1"),
        ("0x_", "`0x_` is not a whole number"),
        ("9" * 400, "a whole number has at most 300 digits, and this has 400"),
        ("9" * 5_000, "a whole number has at most 300 digits, and this has 5,000"),
        ("!!int ''", "`` is not a whole number"),
        ("!!bool text", "`text` is not true or false"),
        ("!!float x", "`x` is not a number"),
        ("!!timestamp text", "the tag `!!timestamp` means nothing in a config"),
        ("!!set {a}", "the tag `!!set` means nothing in a config"),
        ("!own 3", "the tag `!own` means nothing in a config"),
        ('"\\ud800"', "a text holds a lone surrogate, `\\ud800`, which file names and terminals cannot hold"),
        ('"\\0"', "a text holds a null character, which file names and terminals cannot hold"),
        ("x" * 20_000, "a text has at most 10,000 characters, and this has 20,000"),
    ],
)
def test_values_that_are_not_what_they_seem(write, written, expected):
    write({"config.yaml": f"first: 1\na: {written}\n"})
    with pytest.raises(ForgeError) as caught:
        compose("conf")
    (problem,) = caught.value.problems
    assert problem.message == expected
    assert (problem.place.file, problem.place.line, problem.place.column) == ("conf/config.yaml", 2, 4)


@pytest.mark.parametrize(
    ("written", "value"),
    [("0x1F", 31), ("-7", -7), ("1_000", 1000), ("0", 0), ("08", "08"), ("'010'", "010"), ("!!str 3", "3"), ("9", 9)],
)
def test_numbers_that_every_reader_takes_for_the_same(write, written, value):
    write({"config.yaml": f"a: {written}\n"})
    assert compose("conf").values == {"a": value}


def test_a_file_that_is_too_long_is_not_read(write):
    write({"config.yaml": "a: 1\n" * 300_000})
    with pytest.raises(ForgeError) as caught:
        compose("conf")
    (problem,) = caught.value.problems
    assert (problem.code, str(problem.place)) == ("MF060", "conf/config.yaml:1")
    assert problem.message == "a config file has at most 1,000,000 characters, and this has 1,500,000"


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


def test_a_section_of_hydras_that_is_empty(write):
    write({"config.yaml": "a: 1\nhydra:\nrun:\n  dir: runs\n"})
    with pytest.raises(ForgeError) as caught:
        compose("conf")
    (problem,) = caught.value.problems
    assert (problem.code, problem.message, str(problem.place)) == (
        "MF001",
        "the section `hydra` is empty",
        "conf/config.yaml:2:1",
    )
