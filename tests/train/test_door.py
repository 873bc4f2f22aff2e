"""train.py reads configs as data, whatever its flags: what they may not do is refused before Hydra does anything."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CALLBACK = "# @package _global_\nhydra:\n  callbacks:\n    x: {_target_: evilpkg.run}\n"
NO_TORCH = """\
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "lightning"):
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped configs with one more experiment that names a callback, a package that tells when it is imported."""
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(ROOT / "conf", folder / "conf")
    shutil.copy(ROOT / "train.py", folder)
    (folder / "evilpkg").mkdir()
    (folder / "evilpkg" / "__init__.py").write_text("open('ran', 'w').close()\n")
    (folder / "conf" / "experiment" / "evil.yaml").write_text(CALLBACK)
    (folder / "more" / "experiment").mkdir(parents=True)
    shutil.copy(folder / "conf" / "experiment" / "evil.yaml", folder / "more" / "experiment" / "too.yaml")
    (folder / "secret.yaml").write_text("password: hunter2\n")
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(NO_TORCH)
    return folder


def train(project: Path, *arguments: str, has_torch: bool = False) -> subprocess.CompletedProcess[str]:
    path = f"{ROOT}:{project}" if has_torch else f"{project / 'site'}:{ROOT}:{project}"
    return subprocess.run(
        [sys.executable, "train.py", *arguments],
        cwd=project,
        env={"PYTHONPATH": path, "PATH": "", "TOKEN": "s3cr3t"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ("experiment=evil", "MF006"),
        ("-m experiment=evil", "MF006"),
        ("-m experiment=adding,evil", "MF006"),
        ("-m experiment=glob(e*)", "MF006"),
        ("experiment=evil --run", "MF006"),
        ("experiment=evil --cfg job", "MF006"),
        ("--cfg all --resolve experiment=evil", "MF006"),
        ("--cfg hydra --package hydra.callbacks experiment=evil", "MF006"),
        ("experiment=evil --help", "MF006"),
        ("experiment=evil --info", "MF006"),
        ("--config-dir more experiment=too", "MF006"),
        ("-m --config-dir more experiment=too", "MF006"),
        ("--config-name experiment/evil --cfg all", "MF006"),
        ("--config-name ../secret --cfg all", "MF004"),
        ("--config-path pkg://evilpkg --cfg all", "MF004"),
        ("--experimental-rerun job.pickle", "MF004"),
        ("hydra.searchpath=[pkg://evilpkg] --cfg job", "MF004"),
        ("hydra.searchpath=[pkg://evilpkg] -m", "MF004"),
        ("+hydra.callbacks.x._target_=evilpkg.run --cfg all", "MF006"),
        ("model=../../secret --cfg job", "MF004"),
    ],
)
def test_every_flag_reads_configs_as_data(project: Path, arguments: str, code: str):
    # The jobs of a multirun are planned before the first begins, which takes torch.
    result = train(project, *arguments.split(), has_torch="-m" in arguments.split())
    assert result.returncode == 1, result.stdout
    assert result.stderr.startswith(f"error[{code}]: "), result.stderr
    assert "hunter2" not in result.stdout + result.stderr
    assert not (project / "ran").exists()
    assert not (project / "runs").exists()


def test_what_is_refused_has_no_defaults_list(project: Path):
    refused = train(project, "experiment=evil", "--info", "defaults")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "override key: hydra.callbacks" in refused.stderr
    assert not (project / "ran").exists()
    shown = train(project, "--info", "defaults")
    assert "model" in shown.stdout


def test_what_is_asked_for_needs_no_torch_and_shows_no_control(project: Path):
    """Also what Hydra prints by itself is escaped."""
    (project / "conf" / "experiment" / "esc.yaml").write_text(
        '# @package _global_\ntags: ["a\\e[31m\\u202eb\\u200b"]\n'
    )
    shown = train(project, "experiment=esc", "--cfg", "job")
    assert shown.returncode == 0, shown.stderr
    assert "optimizer:" in shown.stdout
    assert all(one == "\n" or one.isprintable() for one in shown.stdout)
    helped = train(project, "--help")
    assert helped.returncode == 0, helped.stderr
    assert "model: " in helped.stdout


@pytest.mark.parametrize(
    ("arguments", "first"),
    [
        ("seed=3", "model=mlp init=xavier_uniform data=digits seed=3  ·  runs/mlp-xavier_uniform/..."),
        (
            "experiment=adding hydra.run.dir=here",
            "experiment=adding model=rnn init=xavier_uniform data=adding seed=0  ·  here",
        ),
        ("-m init=orthogonal,constant seed=1,2", "4 jobs  ·  runs/sweeps/..."),
    ],
)
def test_the_first_line_says_what_is_to_be_done_before_torch_is_there(project: Path, arguments: str, first: str):
    result = train(project, *arguments.split())
    assert result.stdout.splitlines()[:1] == [first], result.stderr


def test_the_command_line_may_read_the_environment(project: Path):
    shown = train(project, "tags=[${oc.env:TOKEN}]", "--cfg", "job", "--resolve")
    assert shown.returncode == 0, shown.stderr
    assert "- s3cr3t" in shown.stdout
