"""Upgrades of configs of earlier versions."""

from __future__ import annotations

from textwrap import dedent

import pytest

from modelforge.config.document import Document
from modelforge.language.migrations import MIGRATIONS, upgraded, with_version
from modelforge.language.version import VERSION


def after(text: str, group: str, version: int = 0) -> str:
    return upgraded(Document("file.yaml", dedent(text)), group, version)[0]


def test_the_callback_of_a_sweep_became_an_option():
    text = """\
    # where runs go
    defaults:
      - override job_logging: none   # quiet

    run:
      dir: runs
    callbacks:
      sweep:
        _target_: modelforge.sweep.callback.SweepReport
    """
    assert after(text, "hydra") == dedent("""\
    # where runs go
    defaults:
      - override job_logging: none   # quiet
      - override callbacks: sweep_report

    run:
      dir: runs
    """)


def test_the_callback_in_a_primary_config():
    text = "hydra:\n  callbacks: {sweep: {_target_: modelforge.runs.callback.SweepReport}}\n  run: {dir: x}\nseed: 0\n"
    assert after(text, "") == dedent("""\
    defaults:
      - override /hydra/callbacks: sweep_report
    hydra:
      run: {dir: x}
    seed: 0
    """)


@pytest.mark.parametrize(
    "text",
    [
        "hydra:\n  callbacks: {own: {_target_: mine.Callback}}\n",
        "hydra:\n  callbacks: {own: {_target_: mine.C}, sweep: {_target_: modelforge.runs.callback.SweepReport}}\n",
        "hydra: 3\n",
        "callbacks: {ema: {decay: 0.9}}\n",
        "",
    ],
)
def test_what_is_not_ours_stays(text: str):
    assert after(text, "") == text


def test_files_of_the_present_version_stay():
    text = "hydra:\n  callbacks: {sweep: {_target_: modelforge.runs.callback.SweepReport}}\n"
    assert upgraded(Document("file.yaml", text), "", VERSION) == (text, [])
    assert {step.version for step in MIGRATIONS} <= {*range(1, VERSION + 1)}


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("# head\ndefaults:\n  - model: mlp\n", "# head\nmodelforge: 1\ndefaults:\n  - model: mlp\n"),
        ("seed: 0\nmodelforge: 0   # old\n", "seed: 0\nmodelforge: 1   # old\n"),
        ("# nothing else\n", "# nothing else\n\nmodelforge: 1\n"),
        ("", "modelforge: 1\n"),
    ],
)
def test_a_primary_config_gets_the_version(text: str, result: str):
    assert with_version(Document("config.yaml", text)) == result
