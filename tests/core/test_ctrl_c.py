"""Ctrl-C while a program imports."""

import signal
import subprocess
import sys

import pytest

BEGIN = "import os, signal; from modelforge.core.ctrl_c import end_at_ctrl_c, raise_at_ctrl_c; "
PRESS = "os.kill(os.getpid(), signal.SIGINT); print('goes on'); "


def run(code: str, command: tuple[str, ...] = (sys.executable, "-c")) -> tuple[int, str, str]:
    done = subprocess.run([*command, code], capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_it_ends_what_has_done_nothing_yet_without_a_traceback():
    assert run(f"{BEGIN} end_at_ctrl_c(); {PRESS}") == (130, "", "")


def test_it_raises_again_afterwards():
    status, out, err = run(f"{BEGIN} end_at_ctrl_c(); raise_at_ctrl_c(); {PRESS}")
    assert (status, out) == (-signal.SIGINT, "")
    assert "KeyboardInterrupt" in err


@pytest.mark.parametrize("own", ["signal.SIG_IGN", "print"])
def test_a_handler_of_someone_else_stays(own: str):
    code = f"{BEGIN} signal.signal(signal.SIGINT, {own}); end_at_ctrl_c(); raise_at_ctrl_c(); "
    assert run(f"{code} print(signal.getsignal(signal.SIGINT) is {own})") == (0, "True\n", "")


@pytest.mark.parametrize(
    "program", ["import sys; sys.argv = ['modelforge', 'list']; from modelforge.cli import main; main()",
                "import runpy; runpy.run_path('train.py', run_name='__main__')"],
)  # fmt: skip
def test_our_programs_end_so_while_they_import(program: str):
    """`typer` and `hydra` stand for all that takes long to import: here they press Ctrl-C."""
    finder = (
        "import os, signal, sys\n"
        "class Press:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name in ('typer', 'hydra'):\n"
        "            os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Press())\n"
    )
    assert run(finder + program) == (130, "", "")
