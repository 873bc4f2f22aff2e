"""`Csv`: a table as text, one row a line, with a header."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BeforeValidator, Field, ValidationError

from modelforge.core.errors import ForgeError, Problem
from modelforge.train.data.column_source import ColumnSource
from modelforge.train.data.csv_lines import Dialect, header, utf8_word
from modelforge.train.data.files import existing
from modelforge.train.data.parts import Examples
from modelforge.train.data.refusals import refusal, setting
from modelforge.train.data.registry import register_data
from modelforge.train.data.separated import Numeric, read_separated
from modelforge.train.data.source import check, mistake

if TYPE_CHECKING:
    import pyarrow as pa

OTHER_DELIMITERS = ",;\t|"
NOT_DELIMITERS = "\r\n\0"
DIALECT = re.compile("`data.(encoding|delimiter|newlines_in_values)")
"""A hint that names how a file is written."""

Character = Annotated[
    str, Field(min_length=1, max_length=1), BeforeValidator(lambda raw: "\t" if raw == "\\t" else raw)
]


@register_data("csv")
class Csv(ColumnSource):
    """The first line names the columns. Read by pyarrow."""

    delimiter: Character = ","
    """The character between two values; `\\t` is a tab."""
    decimal: Literal[".", ","] = "."
    """The sign before the fraction of a number."""
    quote: Character | None = '"'
    """The sign around a value that holds delimiters; inside quotes it is written twice. null: there is none."""
    newlines_in_values: bool = False
    """Whether a value in quotes may hold line ends. Slower, and a quote that is not closed takes rows with it."""
    encoding: str = "utf-8"
    """The encoding of the file, as Python names it: `latin-1`, `cp1252`, `utf-16`."""

    @check
    def _check_signs(self) -> Iterator[ValidationError]:
        signs = {"delimiter": self.delimiter, "quote": self.quote, "decimal": self.decimal}
        for key in ("delimiter", "quote"):
            if (sign := signs[key]) is not None and sign in NOT_DELIMITERS:
                yield mistake(key, f"`{key}` cannot be {sign!r}", "line ends have their own use")
        for key, other in (("delimiter", "quote"), ("delimiter", "decimal"), ("quote", "decimal")):
            if signs[key] == signs[other]:
                yield mistake(key, f"`{key}` and `{other}` are both {signs[key]!r}")
        try:
            codecs.lookup(self.encoding)
            "".encode(self.encoding)
        except (LookupError, ValueError):
            yield mistake("encoding", f"Python knows no encoding {self.encoding!r}", "such as utf-8, latin-1")

    @property
    def decimal_sign(self) -> str:
        return self.decimal

    @property
    def dialect(self) -> Dialect:
        """How the file is written."""
        encoding = "utf-8-sig" if self.encoding.lower() in ("utf-8", "utf8") else self.encoding
        return Dialect(self.delimiter, self.quote, encoding, self.newlines_in_values)

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        path = self.found()["path"]
        self.store.check_size(path.stat().st_size, self.max_bytes, f"`{path}`")
        names = header(path, "path", self.dialect).names
        other = self._other_delimiter(names)
        if not other or self.target_kind == "input":
            examples = super().read()
            found = self.found().items()
            misread = [one for key, file in found for one in self._misread(file, key, "write `data.encoding=utf-8`")]
            return replace(examples, warnings=(*examples.warnings, *misread))
        message = f"the header of `{self.path}` is one column, and holds {other!r}: is that its `delimiter`?"
        lines = [setting("delimiter", other), *self.model_copy(update={"delimiter": other}).all_settings()]
        raise refusal("delimiter", message, f"write `{' '.join(lines)}`")

    def raw(self, path: Path) -> pa.Table:
        """The table of a file, every value as a text as it is written: some may stand beside predictions."""
        try:
            return read_separated(existing(str(path)), "path", self.dialect, self.max_bytes)
        except ForgeError as error:  # its hints name settings, which a finished run keeps
            kept = (replace(one, hint=self._written) if DIALECT.search(one.hint) else one for one in error.problems)
            raise ForgeError(kept) from None

    def doubts(self, path: Path) -> Iterator[Problem]:
        """The warning that a file of new data is UTF-8, but is read in another encoding."""
        yield from self._misread(path, "", f"save it in {self.encoding}")

    def described(self, columns: Sequence[str]) -> str:
        """The names of the columns in words; a single one may be several with another sign between them."""
        other = self._other_delimiter(columns)
        sign = f": {other!r} stands between values, but the run's `delimiter` is {self.delimiter!r}" if other else ""
        return super().described(columns) + sign

    @property
    def _written(self) -> str:
        return f"the run reads files in {self.encoding}, with {self.delimiter!r} between values: write it so"

    def _other_delimiter(self, columns: Sequence[str]) -> str:
        """The likely delimiter of a file whose columns are read as one, or nothing."""
        return next((sign for sign in OTHER_DELIMITERS if len(columns) == 1 and sign in columns[0]), "")

    def _misread(self, path: Path, key: str, hint: str) -> Iterator[Problem]:
        if codecs.lookup(self.encoding).name.startswith("utf") or not (word := utf8_word(path, key)):
            return
        read = word.encode().decode(self.encoding, "replace")
        message = f"`{path}` is UTF-8, but is read as {self.encoding}: {word!r} becomes {read!r}"
        yield Problem("MW206", key and f"data.{key}", message, hint)

    def table(self, path: Path, key: str = "path") -> pa.Table:
        """The table of a file: columns of numbers as float64, others as texts, exactly as they are written."""
        numeric = Numeric(self._numeric, self.missing, self.decimal)
        return read_separated(path, key, self.dialect, self.max_bytes, numeric, self.store)

    def _numeric(self, columns: Sequence[str]) -> list[str]:
        return [name for name in self.others(columns) if self.kind(name) == "number"]
