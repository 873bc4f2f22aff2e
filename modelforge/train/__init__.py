"""Training with Lightning: `run` is the Hydra job behind train.py. Importing this imports no torch."""

from modelforge.train.command_line import check_command_line as check_command_line
from modelforge.train.command_line import overrides_first as overrides_first
from modelforge.train.hydra_job import run as run
from modelforge.train.job import Result as Result
from modelforge.train.job import execute as execute
from modelforge.train.repeat_run import repeat as repeat
