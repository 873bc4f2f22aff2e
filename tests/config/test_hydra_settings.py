"""What a config may set of Hydra's own, and what it may not."""

from __future__ import annotations

from textwrap import dedent

import pytest

from modelforge.config.compose import compose
from tests.config.secrets import around, refused

__all__ = ["around"]

CALLS = "x: {_target_: evilpkg.run}\n"


@pytest.mark.parametrize(
    "files",
    [{"m/a.yaml": f"# @package _global_\nhydra:\n  callbacks:\n    {CALLS}"},
     {"m/a.yaml": f"# @package hydra.callbacks\n{CALLS}"},
     {"m/a.yaml": f"# @package _global_.hydra.callbacks\n{CALLS}"},
     {"m/a.yaml": "# @package _global_\nhydra: {launcher: {_target_: evilpkg.run}}\n"},
     {"m/a.yaml": "# @package _global_\nhydra: {sweeper: {_target_: evilpkg.run}}\n"},
     {"m/a.yaml": "# @package _global_\nhydra: {sweeper: {sampler: {_target_: evilpkg.run}}}\n"},
     {"m/a.yaml": "# @package _global_\nhydra: {sweeper: {custom_search_space: evilpkg.run}}\n"},
     {"m/a.yaml": "# @package _global_\nhydra: {job_logging: {handlers: {x: {(): evilpkg.run}}}}\n"},
     {"m/a.yaml": "# @package _global_\nhydra: {hydra_logging: {handlers: {x: {class: evilpkg.run}}}}\n"},
     {"m/a.yaml": "# @package _global_\nhydra: {job: {env_set: {LD_PRELOAD: x}}}\n"},
     {"m/a.yaml": "# @package _global_\nhydra: {job: {env_copy: [TOKEN]}}\n"},
     {"m/a.yaml": "# @package _global_\nhydra: {launcher: {setup: [rm]}}\n"},
     {"m/a.yaml": '# @package _global_\nhydra: {launcher: {partition: "a\\nrm"}}\n'},
     {"m/a.yaml": "# @package _global_\nhydra: ${x}\n"},
     {"m/a.yaml": "# @package _global_\nhydra: {sweeper: {params: '${x}'}}\n"},
     {"m/a.yaml": "# @package _global_\nhydra: {sweeper: {params: {+hydra.callbacks.x._target_: evilpkg.run}}}\n"},
     {"m/a.yaml": "# @package _global_\nhydra: {sweeper: {params: {x: '\\${oc.env:TOKEN}'}}}\n"},
     {"m/a.yaml": f"# @package _global_\nb: &b {{callbacks: {{{CALLS.strip()}}}}}\nhydra: {{<<: *b}}\n"},
     {"config.yaml": "defaults: [m@hydra.callbacks: a]\n", "m/a.yaml": CALLS},
     {"config.yaml": "defaults: ['m@_global_.hydra.callbacks': a]\n", "m/a.yaml": CALLS},
     {"config.yaml": "defaults: [override hydra/callbacks: a]\n", "hydra/callbacks/a.yaml": CALLS}],
)  # fmt: skip
def test_a_file_names_no_code_of_hydras(write, files: dict[str, str]):
    text = refused(lambda: compose(write({"config.yaml": "defaults: [m: a]\n", **files})))
    assert text.startswith("error[MF006]: ")


@pytest.mark.parametrize(
    "override",
    ["+hydra.callbacks.x._target_=evilpkg.run", "+hydra.callbacks={x: {_target_: evilpkg.run}}",
     "hydra.launcher._target_=evilpkg.run", "+hydra.job_logging.handlers.x.class=evilpkg.run"],
)  # fmt: skip
def test_an_override_names_no_code_of_hydras(write, override: str):
    text = refused(lambda: compose(write({"config.yaml": "x: 1\n"}), [override]))
    assert text.startswith("error[MF006]: ")
    assert f"--> override {override}" in text


def test_the_text_of_a_callback(write, fails):
    root = write(
        {"config.yaml": "defaults: [m: a]\n", "m/a.yaml": f"# @package _global_\nhydra:\n  callbacks:\n    {CALLS}"}
    )
    fails(
        lambda: compose(root),
        """
        error[MF006]: a config file may not set `hydra.callbacks`
          --> conf/m/a.yaml:3:3
           |
        3  |   callbacks:
           |   ^^^^^^^^^ for the table of a multirun, write `- override hydra/callbacks: sweep_report` in config.yaml
           = help: other callbacks of Hydra are registered in code, with its ConfigStore
           = override key: hydra.callbacks
        """,
    )


def test_what_a_file_may_set_of_hydras(write):
    text = """\
        defaults: [override hydra/callbacks: sweep_report, override hydra/job_logging: none]
        hydra:
          mode: RUN
          verbose: true
          output_subdir: null
          run: {dir: "runs/${hydra:runtime.choices.m}/${now:%Y}"}
          sweep: {dir: runs, subdir: "${hydra:job.num}"}
          job: {name: mine, chdir: true, config: {override_dirname: {exclude_keys: [seed]}}}
          help: {app_name: mine, header: "one\\ntwo"}
          sweeper: {params: {x: "1,2", +m: "glob(*)"}}
        """
    hydra = compose(write({"config.yaml": dedent(text)})).hydra
    assert hydra["callbacks"] == {"sweep": {"_target_": "modelforge.sweeps.callback.SweepReport"}}
    assert hydra["sweeper"]["params"] == {"x": "1,2", "+m": "glob(*)"}


@pytest.mark.parametrize("more", ["", "hydra: default, "])
def test_the_line_that_a_refused_callback_names(write, more: str):
    line = f"defaults: [{more}override hydra/callbacks: sweep_report]\n"
    root = write({"config.yaml": line, "hydra/default.yaml": "run: {dir: runs}\n"})
    assert list(compose(root).hydra["callbacks"]) == ["sweep"]
