"""check_command_line: our words, before Hydra's, and only for what Hydra would refuse too."""

import pytest

from modelforge.train import check_command_line


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["model=lstmm"],
            "error[MF001]: `model` has no option `lstmm`\n"
            "  --> override model=lstmm\n"
            "   = help: did you mean `lstm`?\n",
        ),
        (
            ["-m", "init.gian=1,2"],
            "error[MF001]: `init` has no key `gian`\n"
            "  --> override init.gian=1\n"
            "   = help: did you mean `gain`? A new key needs a `+`: `+init.gian=1`\n",
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
    "arguments",
    [
        [],
        ["model=lstm", "init.gain=2"],
        ["--multirun", "init.gain=0.5,1", "model=lstm,cnn"],
        ["-m", "init=glob(*)", "seed=range(0,3)"],
        ["--cfg", "job", "model=nothing_of_ours_to_judge"],
    ],
)
def test_what_hydra_takes_passes_in_silence(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    check_command_line("conf", arguments)
    assert capsys.readouterr() == ("", "")
