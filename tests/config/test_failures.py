"""Why a config cannot be composed, with the place and a way out."""

from __future__ import annotations

import pytest

from modelforge.config.compose import compose
from modelforge.core.errors import ForgeError

FILES = [
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
        "experiment that does not say that it is for the whole config",
        {
            "config.yaml": "defaults:\n  - model: a\n  - try: b\n",
            "model/a.yaml": "a: 1\n",
            "model/c.yaml": "a: 1\n",
            "try/b.yaml": "defaults:\n  - override /model: c\n",
        },
        """
        error[MF001]: `conf/try/b.yaml` chooses a `model` below `try`, where the defaults list has none
          --> conf/try/b.yaml:2:5
           |
        2  |   - override /model: c
           |     ^^^^^^^^^^^^^^^ begin the file with `# @package _global_`
           = override key: model@try.model
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
        "defaults that are not a list",
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
]  # fmt: skip


@pytest.mark.parametrize(("files", "text"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_what_hydra_cannot_compose(write, fails, files, text):
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
