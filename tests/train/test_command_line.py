"""check_command_line: our words, before Hydra's, and only for what Hydra would refuse too."""

import io
from pathlib import Path

import pytest

from modelforge.train import check_command_line, overrides_first
from modelforge.train.terminal import loading

CONF = Path(__file__).parents[2] / "conf"
BASIC = "hydra/sweeper=basic"
"""Our own sweeper checks all jobs itself; Hydra's gets them checked before, as far as they are few."""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["model=lstmm"],
            "error[MF001]: `model` has no option `lstmm`\n"
            "  --> override model=lstmm\n"
            "   = help: did you mean `lstm` or `bilstm`?\n",
        ),
        (
            ["-m", "init.gian=1,2", BASIC],
            "error[MF001]: `init` has no key `gian`\n"
            "  --> override init.gian=1,2\n"
            "   = help: did you mean `gain`? A new key needs a `+`: `+init.gian=1,2`\n",
        ),
        (
            ["-m", "model=mlp,lstmm,gru", "init=ortogonal,orthogonal", BASIC],
            "error[MF001]: `init` has no option `ortogonal`\n"
            "  --> override init=ortogonal,orthogonal\n"
            "   = help: did you mean `orthogonal`?\n"
            "\n"
            "error[MF001]: `model` has no option `lstmm`\n"
            "  --> override model=mlp,lstmm,gru\n"
            "   = help: did you mean `lstm` or `bilstm`?\n",
        ),
        (
            ["optimizer.lr=abc", "trainer.max_epochs=x"],
            "error[MF051]: `lr` of AdamW must be a number, but is 'abc'\n"
            "  --> override optimizer.lr=abc\n"
            "\n"
            "error[MF051]: `max_epochs` of Trainer must be a whole number or null, but is 'x'\n"
            "  --> override trainer.max_epochs=x\n",
        ),
        (
            ["-m", "hydra.launcher=joblib", "seed=1,2"],
            "error[MF001]: `hydra.launcher` holds the settings of an option\n"
            "  --> override hydra.launcher=joblib\n"
            "   = help: choose an option with a slash: `hydra/launcher=joblib`\n",
        ),
        (
            ["-m", "hydra/sweeper=basic", "seed=1,2", "sweep.where='seed < 2'"],
            "error[MF084]: `sweep.where` chooses among listed jobs, and the sweeper that is chosen does not read it\n"
            "  --> sweep.where\n"
            "   = help: leave it out, or choose the default: `hydra/sweeper=freezing`\n",
        ),
        (
            ["hydra.sweeper.params=3"],
            "error[MF001]: `hydra.sweeper.params` holds keys with their values\n"
            "  --> override hydra.sweeper.params=3\n"
            "   = help: write `KEY=a,b,c`, or `hydra.sweeper.params={KEY: a,b,c}`\n",
        ),
    ],
)
def test_a_mistake_is_refused_with_a_way_out(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        check_command_line("conf", arguments)
    assert (stop.value.code, capsys.readouterr().err) == (1, said)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "model=mlp init=xavier_uniform data=digits seed=0  ·  runs/mlp-xavier_uniform/...\n"),
        (
            ["model=lstm", "init.gain=2", "hydra.run.dir=a/b"],
            "model=lstm init=xavier_uniform data=digits_rows seed=0  ·  a/b\n",
        ),
        (["--multirun", "init.gain=0.5,1", "model=lstm,cnn"], "4 jobs  ·  runs/sweeps/...\n"),
        (["-m", "init=glob(*)", "seed=range(0,3)"], "45 jobs  ·  runs/sweeps/...\n"),
        (["--cfg", "job", "model=nothing_of_ours_to_judge"], ""),
    ],
)
def test_what_hydra_takes_passes_with_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    check_command_line(CONF, arguments)
    assert capsys.readouterr() == (line, "")


@pytest.mark.parametrize("what", ["defaults", "all", "config", "plugins", "defaults-tree"])
@pytest.mark.parametrize("override", ["model=lstn", "modle=lstm", "modle.x=1"])
def test_what_hydra_cannot_show_is_refused(what: str, override: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        check_command_line(CONF, ["--info", what, override])
    assert left.value.code == 1
    assert capsys.readouterr().err.startswith("error[MF")


@pytest.mark.parametrize("mode", ["run", "sweep"])
def test_a_folder_that_cannot_be_made_is_refused(mode: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    override = f"hydra.{mode}.dir={tmp_path}/file/${{now:%Y}}/run"
    with pytest.raises(SystemExit) as stop:
        check_command_line(CONF, [override, *(["-m"] if mode == "sweep" else [])])
    said = capsys.readouterr().err
    assert stop.value.code == 1
    assert said == (
        f"error[MF051]: nothing can be written to `{tmp_path}/file`, where the results would go: file exists\n"
        f"  --> override {override}\n"
        f"   = help: choose another folder: `hydra.{mode}.dir=...`\n"
    )


def test_what_this_machine_cannot_do_is_refused_before_a_folder_is_made(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    with pytest.raises(SystemExit) as stop:
        check_command_line(CONF, ["trainer.accelerator=tpu", f"hydra.run.dir={tmp_path / 'run'}"])
    assert stop.value.code == 1
    assert "Lightning refuses these settings: Requirement 'torch_xla" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_an_interrupt_while_checking_is_silent(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("modelforge.train.command_line.compose", interrupted)
    with pytest.raises(SystemExit) as stop:
        check_command_line(CONF, [])
    assert (stop.value.code, capsys.readouterr()) == (130, ("", ""))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["a=1", "-m", "b=2"], ["a=1", "b=2", "-m"]),
        (["-m", "a=1"], ["a=1", "-m"]),
        (["a=1", "--cfg", "job", "b=2"], ["a=1", "b=2", "--cfg", "job"]),
        (["--config-dir=conf", "a=1", "~b", "+c=2"], ["a=1", "~b", "+c=2", "--config-dir=conf"]),
        (["a=1", "--nonsense"], ["a=1", "--nonsense"]),
        (["a=1", "--version"], ["a=1", "--version"]),
        ([], []),
    ],
)
def test_hydra_gets_overrides_on_one_side_of_its_flags(
    arguments: list[str], expected: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert overrides_first(arguments) == expected
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["-m", "seed=0,1", "hydra.run.dir={folder}/x"],
            "warning[MW220]: `hydra.run.dir` has no effect on a multirun\n"
            "  --> override hydra.run.dir={folder}/x\n"
            "   = help: `hydra.sweep.dir` is the folder of a multirun\n",
        ),
        (
            ["hydra.sweep.dir={folder}/x"],
            "warning[MW220]: `hydra.sweep.dir` has no effect on a single run\n"
            "  --> override hydra.sweep.dir={folder}/x\n"
            "   = help: add `-m` for a multirun\n",
        ),
    ],
)
def test_a_setting_without_effect_is_a_warning(
    arguments: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    check_command_line(CONF, [argument.format(folder=tmp_path) for argument in arguments])
    assert capsys.readouterr().err == said.format(folder=tmp_path)


def test_a_single_run_of_a_sweep_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    check_command_line(CONF, ["experiment=gain_sweep"])
    assert "warning[MW220]: `init.gain: 0.1,0.5,1,2,8` has no effect on a single run\n" in capsys.readouterr().err


def test_a_job_whose_folder_has_too_long_a_name_is_refused(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    own = "hydra.sweep.subdir='${hydra:job.override_dirname}'"
    with pytest.raises(SystemExit):
        check_command_line(CONF, ["-m", "seed=0,1", f"+note={'x' * 300}", own, BASIC])
    assert (
        "error[MF051]: a job's folder would have a name of 313 bytes, and 255 are possible\n" in capsys.readouterr().err
    )
    check_command_line(CONF, ["-m", "seed=0,1", f"+note={'x' * 300}"])


def test_a_terminal_says_what_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    screen = Terminal()
    monkeypatch.setattr("sys.stderr", screen)
    with loading("json"):
        assert screen.getvalue() == ""
    with loading("a_slow_module"):
        assert screen.getvalue() == "\x1b[2mloading a_slow_module…\x1b[0m\r"
    assert screen.getvalue().endswith("\x1b[2K\r")


def test_a_folder_to_resume_that_cannot_be_read_is_a_problem_of_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = overrides_first(["sweep.resume=["])
    with pytest.raises(SystemExit) as stop:
        check_command_line(CONF, arguments)
    assert stop.value.code == 1
    assert capsys.readouterr().err.startswith("error[MF001]: the override `++sweep.resume=[` cannot be read")
