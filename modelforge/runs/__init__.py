"""The runs below a folder as one table: `collect(folder) -> Sweep`. Reads files only; imports no torch."""

from modelforge.runs.collect import Row as Row
from modelforge.runs.collect import Sweep as Sweep
from modelforge.runs.collect import collect as collect
