"""The runs below folders as one table and one page: `collect(folder) -> Sweep`. Reads files only; imports no torch."""

from modelforge.results.collect import collect as collect
from modelforge.results.report import report_sweep as report_sweep
from modelforge.results.sweep import Row as Row
from modelforge.results.sweep import Sweep as Sweep
