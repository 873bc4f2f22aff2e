"""How a command ends after problems, and after Ctrl-C."""

from __future__ import annotations

import pytest

from modelforge.core.errors import ForgeError, Problem
from modelforge.report.stream import exiting

WRONG = ForgeError([Problem("MF001", "seed", "no number")])


@pytest.mark.parametrize(("behind", "status"), [(ValueError, 1), (KeyboardInterrupt, 130)])
def test_ctrl_c_behind_a_problem_is_ctrl_c(capsys, behind: type[BaseException], status: int):
    def fails() -> None:
        try:
            raise behind
        except BaseException:
            raise WRONG from None

    with pytest.raises(SystemExit) as ended, exiting():
        fails()
    assert ended.value.code == status
    assert ("MF001" in capsys.readouterr().err) == (status == 1)
