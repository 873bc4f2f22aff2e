"""`ColumnSource`: files with named columns. A subclass says how one file becomes an Arrow table."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from modelforge.core.errors import ForgeError
from modelforge.train.data.columns import Columns
from modelforge.train.data.files import existing, extra
from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.data.source import new_data
from modelforge.train.data.store import Memory, store_in

if TYPE_CHECKING:
    import pyarrow as pa

PATHS = {"path": 0, "val_path": 1, "test_path": 2}
"""The fields that name files, each with the place of its part."""


class ColumnSource(Columns):
    """Tables of columns by name."""

    @abstractmethod
    def table(self, path: Path, key: str = "path") -> pa.Table:
        """The table of a file; `key` names the field that names it.

        Raises:
            ForgeError: it cannot be read.
        """

    @property
    def store(self) -> Memory:
        """Where the table lies."""
        return store_in(self.on_disk)

    def found(self) -> dict[str, Path]:
        """The files of the section by the fields that name them.

        Raises:
            ForgeError: one is not there.
        """
        named = {key: path for key in PATHS if (path := getattr(self, key)) is not None or key == "path"}
        return {key: existing(path, folder=self.reads_folder, key=key) for key, path in named.items()}

    def tables(self) -> list[tuple[str, pa.Table, int]]:
        """The table of each file with its name and its part, as a place in `PARTS`."""
        return [(f"`{getattr(self, key)}`", self.table(path, key), PATHS[key]) for key, path in self.found().items()]

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        extra("pyarrow", "a table")
        from modelforge.train.data.frame import read_examples
        from modelforge.train.data.guesses import with_guesses
        from modelforge.train.data.sheet import Sheet

        sheet = Sheet.of(self.tables(), self.decimal_sign)
        try:
            return read_examples(self, sheet, self.store)
        except ForgeError as error:
            raise ForgeError(with_guesses(self, error.problems, sheet)) from None

    def all_settings(self) -> list[str]:
        """The settings with which the table can be read; the last column counts as the target where none is named."""
        from modelforge.train.data.guesses import settings_for
        from modelforge.train.data.sheet import Sheet

        try:
            sheet = Sheet.of(self.tables(), self.decimal_sign)
        except ForgeError:
            return []
        known = [name for name in self.target if name in sheet.columns]
        return settings_for(self, sheet, known[0] if known else [*sheet.columns][-1])

    def raw(self, path: Path) -> pa.Table:
        """The table of a file of the same kind; see `Source.raw`."""
        extra("pyarrow", "a table")
        return self.table(existing(str(path), folder=self.reads_folder))

    def encode(self, raw: Any, fitted: Mapping[str, Any], *, labelled: bool = False) -> Arrays:
        """New rows as the model takes them: see `Source.encode`.

        Args:
            raw: A pyarrow table, a data frame, a mapping of columns, or a list of rows by name. The order of its
                columns does not matter, and further ones are not read.
            fitted: What training kept.
            labelled: Whether it holds the target as well.

        Raises:
            ForgeError: a column is missing, or holds what its column did not hold in training.
        """
        from modelforge.train.data.arrow import as_table
        from modelforge.train.data.frame import encode_rows

        try:
            return encode_rows(self, as_table(raw), fitted, labelled=labelled)
        except ForgeError as error:
            (code,) = {problem.code for problem in new_data("").problems}
            raise ForgeError(
                replace(problem, key="", code=code if problem.severity == "error" else problem.code)
                for problem in error.problems
            ) from None
