"""check_command_line: our words, before Hydra's, and only for what Hydra would refuse too."""

import io

import pytest

from modelforge.train import check_command_line
from modelforge.train.command_line import MAX_COMPOSED
from modelforge.train.loading import loading


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
            "   = help: did you mean `gain`? A new key needs a `+`: `+init.gian=1`\n"
            "\n"
            "error[MF001]: `init` has no key `gian`\n"
            "  --> override init.gian=2\n"
            "   = help: did you mean `gain`? A new key needs a `+`: `+init.gian=2`\n",
        ),
        (
            ["-m", "model=mlp,lstmm,gru", "init=ortogonal,orthogonal"],
            "error[MF001]: `init` has no option `ortogonal`\n"
            "  --> override init=ortogonal\n"
            "   = help: did you mean `orthogonal`?\n"
            "\n"
            "error[MF001]: `model` has no option `lstmm`\n"
            "  --> override model=lstmm\n"
            "   = help: did you mean `lstm`?\n",
        ),
        (
            ["optimizer.lr=abc", "trainer.max_epochs=x"],
            "error[MF051]: `lr` of AdamW must be a number, but is 'abc'\n"
            "  --> override optimizer.lr=abc\n"
            "\n"
            "error[MF051]: `max_epochs` of Trainer must be a whole number or null, but is 'x'\n"
            "  --> override trainer.max_epochs=x\n",
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


def test_a_long_sweep_is_tried_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    composed: list[list[str]] = []
    monkeypatch.setattr("modelforge.train.command_line.compose", lambda conf, words: composed.append(words))
    check_command_line("conf", ["-m", "seed=1,2", f"data.split_seed={','.join(map(str, range(100)))}"])
    assert len(composed) == MAX_COMPOSED
    assert composed[:3] == [
        ["seed=1", "data.split_seed=0"],
        ["seed=2", "data.split_seed=0"],
        ["seed=1", "data.split_seed=1"],
    ]


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
