"""The runs below a folder as one table: `collect(folder) -> Sweep`. Reads files only; imports no torch."""

from modelforge.sweep.collect import Row as Row
from modelforge.sweep.collect import Sweep as Sweep
from modelforge.sweep.collect import collect as collect
