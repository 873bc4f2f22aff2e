"""What torchrun and Slurm say of a process."""

from __future__ import annotations

import pytest

from modelforge.core.errors import ForgeError
from modelforge.train.parallel.launch import Launch, launch_of

TORCHRUN = {
    "RANK": "3",
    "WORLD_SIZE": "4",
    "LOCAL_RANK": "1",
    "GROUP_RANK": "1",
    "MASTER_ADDR": "node0",
    "MASTER_PORT": "29500",
    "TORCHELASTIC_USE_AGENT_STORE": "True",
    "TORCHELASTIC_RESTART_COUNT": "2",
}
SLURM = {
    "SLURM_NTASKS": "8",
    "SLURM_PROCID": "5",
    "SLURM_LOCALID": "1",
    "SLURM_NODEID": "1",
    "SLURM_JOB_ID": "1234",
    "SLURM_STEP_NODELIST": "gpu[08-09]",
    "SLURM_STEP_ID": "2",
}


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        (TORCHRUN, Launch(3, 4, 1, 1, "node0", 29500, "torchrun", restart_count="2")),
        (
            {**TORCHRUN, "TORCHELASTIC_USE_AGENT_STORE": "False"},
            Launch(3, 4, 1, 1, "node0", 29500, "torchrun", True, "2"),
        ),
        ({**TORCHRUN, "WORLD_SIZE": "1", "RANK": "0"}, None),
        (SLURM, Launch(5, 8, 1, 1, "gpu08", 15_000 + 1234 * 7 + 2, "Slurm", hosts_store=True)),
        ({**SLURM, "MASTER_ADDR": "a", "MASTER_PORT": "7"}, Launch(5, 8, 1, 1, "a", 7, "Slurm", hosts_store=True)),
        ({**SLURM, "SLURM_NTASKS": "1"}, None),
        ({"SLURM_JOB_ID": "1234"}, None),
    ],
    ids=["alone", "torchrun", "as torchrun", "one of torchrun", "Slurm", "named", "one of Slurm", "no step"],
)
def test_place(environment: dict[str, str], expected: Launch | None):
    assert launch_of(environment) == expected


@pytest.mark.parametrize(
    "given", [{**TORCHRUN, "RANK": "x"}, {**TORCHRUN, "MASTER_PORT": "-1"}, {**SLURM, "SLURM_PROCID": "0.5"}]
)
def test_a_variable_that_holds_no_number_is_a_problem(given: dict[str, str]):
    with pytest.raises(ForgeError, match="must be a whole number") as caught:
        launch_of(given)
    assert "env -u" in caught.value.problems[0].hint
