"""`TextClassification`: texts with a class each, from columns of a table or from one folder per class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import NonNegativeInt, PositiveInt, ValidationError

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import listed
from modelforge.core.suggestions import did_you_mean
from modelforge.core.words import plural
from modelforge.train.data.alike import look_alikes
from modelforge.train.data.csv_lines import Dialect
from modelforge.train.data.files import existing, read_utf8
from modelforge.train.data.folders import Kind, left_out, listing, parted, walk
from modelforge.train.data.labels import encode as encoded
from modelforge.train.data.parquet import read_parquet
from modelforge.train.data.parts import Arrays, Examples, Rows
from modelforge.train.data.refusals import fault, refusal, setting, together, undeclared
from modelforge.train.data.registry import register_data
from modelforge.train.data.separated import read_separated
from modelforge.train.data.source import Bounded, SplitSource, check, mistake, new_data
from modelforge.train.data.split import missing
from modelforge.train.data.vocabulary import PADDING, Pieces, is_unicode, vocabulary_of

if TYPE_CHECKING:
    import pyarrow as pa

TEXTS = Kind("text", frozenset({".txt"}))
PADDINGS = (PADDING, "<pad>", "<|padding|>", "<|pad|>")
"""How tokenizers call the token for padding."""
HOW = "a table of texts is written in UTF-8, with commas between values, or tabs in a `.tsv`"
MAX_SHOWN = 5


@dataclass(frozen=True)
class Texts:
    """Texts as they were read."""

    texts: Sequence[Any]
    labels: Sequence[Any] | None = None
    """The class of each, where it is known."""
    parts: Rows | None = None
    """The part of each, where folders say."""
    columns: Mapping[str, pa.ChunkedArray] = field(default_factory=dict[str, "pa.ChunkedArray"])
    """All columns of the table that the texts are from."""

    @property
    def column_names(self) -> tuple[str, ...]:
        """What `modelforge predict --keep` can put beside the predictions."""
        return tuple(self.columns or ("text", "label")[: 1 if self.labels is None else 2])

    def __getitem__(self, name: str) -> Sequence[Any] | pa.ChunkedArray | None:
        return self.columns[name] if self.columns else {"text": self.texts, "label": self.labels}[name]


@register_data("text_classification")
class TextClassification(Bounded, SplitSource):
    """Texts of at most `context` tokens; shorter ones are filled up with padding, longer ones cut at their end."""

    reads: ClassVar = "path"
    reads_folder: ClassVar = None
    target_kinds: ClassVar = ("class",)

    path: str | None = None
    """A table that ends in `.csv`, `.tsv` or `.parquet`, or a folder with one folder of `.txt` files per class."""
    text: str = "text"
    """The column of texts."""
    label: str = "label"
    """The column of classes."""
    split: Literal["random", "folders"] = "random"
    """Whether the three parts are drawn, or are folders `train`, `val` and `test` with the classes in them."""
    level: Literal["words", "tokens"] = "words"
    """What a token is: a word or sign in small letters, or a piece of a tokenizer."""
    tokenizer: str | None = None
    """A file `tokenizer.json`, for `tokens`; null learns byte pairs from the training part."""
    vocab_size: PositiveInt = 10_000
    """The most tokens: the most frequent ones of the training part, with padding and the unknown word."""
    context: PositiveInt = 128
    """How many tokens a model reads."""
    padding: Literal["left", "right"] = "right"
    """The side at which a text is filled up."""
    padding_id: NonNegativeInt = 0
    """The token to fill up with: an embedding's `padding_idx`."""
    num_classes: PositiveInt
    """How many classes there are."""

    @check
    def _check_text(self) -> Iterator[ValidationError]:
        if (self.input.shape, self.input.dtype) != ((self.context,), "int64"):
            must = f"`shape` must be [{self.context}] and `dtype` int64"
            yield mistake("input", f"a text has {plural(self.context, 'token')}: {must}")
        if self.level == "words" and self.tokenizer is not None:
            message = f"`tokenizer` is `{self.tokenizer}`, but `level` is 'words'"
            yield mistake("tokenizer", message, "write `data.level=tokens`")
        if self.tokenizer is None and self.padding_id:
            yield mistake(
                "padding_id", f"a learnt vocabulary has its padding at 0, but `padding_id` is {self.padding_id}"
            )
        least = 257 if self.level == "tokens" else 3
        if self.tokenizer is None and self.vocab_size < least:
            what = "the padding and 256 bytes" if least > 3 else "the padding, the unknown word and a known one"
            yield mistake("vocab_size", f"{what} are {least} tokens, but `vocab_size` is {self.vocab_size}")

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        found, warnings = self._found()
        named = f"`{self.path}`"
        labels, problems = encoded(found.labels or [], self.num_classes, named, key="num_classes")
        if problems:
            raise ForgeError(together(problems))
        parts = parted(self, found.parts, labels.classes)
        vocabulary = self._vocabulary([found.texts[row] for row in parts[0]])
        rows = self._tokens(vocabulary, found.texts)
        warnings += [
            *look_alikes(labels.names, "classes", named, "label"),
            *missing(labels.classes, parts, labels.names, named),
        ]
        fitted = {"classes": list(labels.names), **vocabulary.fitted}
        return Examples.of((Arrays(rows[part], labels.classes[part]) for part in parts), warnings, fitted)

    def raw(self, path: Path) -> Texts:
        """The texts of a table, with their classes where it has that column, or of `.txt` files."""
        if path.suffix.lower() in TABLES:
            return self._table(path, labelled=False)
        files = walk(path, TEXTS.endings).files if path.is_dir() else (existing(str(path)),)
        if not files:
            raise new_data(f"no text lies in `{path}`", "files end in .txt")
        classes = [file.relative_to(path).parts[0] for file in files] if path.is_dir() else None
        return Texts(read_utf8(files, "path", self.max_bytes), classes)

    def encode(self, raw: Any, fitted: Mapping[str, Any], *, labelled: bool = False) -> Arrays:
        """Texts as the model takes them; see `Source.encode`.

        Args:
            raw: What `raw` gives, or a list of texts.
            fitted: What was learnt at training time.
            labelled: Whether to give their classes, which `raw` has; or it is a pair of texts and classes.

        Raises:
            ForgeError: what is given is not a text, or its class is none of those at training time.
        """
        if labelled and not isinstance(raw, Texts) and not (isinstance(raw, tuple | list) and len(raw) == 2):
            raise new_data("new data with targets must be a pair of texts and classes")
        given = raw if isinstance(raw, Texts) else Texts(*raw) if labelled else Texts(raw)
        given = replace(given, texts=self._listed(given.texts))
        if strangers := [row for row, text in enumerate(given.texts) if not isinstance(text, str)]:
            raise new_data(f"text {strangers[0] + 1} is {type(given.texts[strangers[0]]).__name__}, not text")
        if broken := [row for row, text in enumerate(given.texts) if not is_unicode(text)]:
            raise new_data(f"text {broken[0] + 1} has half of a surrogate pair, which is not Unicode")
        vocabulary = vocabulary_of(fitted)
        assert isinstance(vocabulary, Pieces), "texts are read in pieces"
        rows = self._tokens(vocabulary, given.texts)
        if not labelled:
            return Arrays(rows, np.zeros(len(rows), np.int64))
        if given.labels is None:
            raise new_data(f"the texts have no classes: there is no column `{self.label}`")
        if len(given.labels) != len(rows):
            raise new_data(f"{plural(len(rows), 'text')} have {len(given.labels)} classes")
        number = {str(name): place for place, name in enumerate(fitted["classes"])}
        if others := sorted({str(label) for label in given.labels} - {*number}):
            what = "is not a class" if len(others) == 1 else "are not classes"
            hint = f"its classes: {listed(number, MAX_SHOWN, quote='`')}"
            raise new_data(f"{listed(others, MAX_SHOWN, quote='`')} {what} of the run", hint)
        return Arrays(rows, np.array([number[str(label)] for label in given.labels], np.int64))

    def _listed(self, given: Any) -> list[Any]:
        """Texts of a list, or of the column of a data frame or a mapping."""
        if isinstance(given, Mapping) or hasattr(given, "columns"):
            if self.text not in (known := [*given]):
                raise new_data(f"the new data has no column `{self.text}`", did_you_mean(self.text, known))
            given = given[self.text]
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            raise new_data(f"texts must be a list, but are {type(given).__name__}", "`[text]` for one")
        return [*given]

    def _tokens(self, vocabulary: Pieces, texts: Sequence[str]) -> Rows:
        return vocabulary.padded(texts, self.context, padding=self.padding_id, left=self.padding == "left")

    def _vocabulary(self, texts: Sequence[str]) -> Pieces:
        """The vocabulary of the training texts, or the one in a file."""
        if self.tokenizer is None:
            words = self.level == "words"
            return (
                Pieces.words(texts, self.vocab_size) if words else Pieces.byte_pairs(texts, self.vocab_size, [PADDING])
            )
        stored = Pieces.stored(self.tokenizer, "tokenizer")
        problems = list[Problem]()
        if stored.size > self.vocab_size:
            problems.append(undeclared("vocab_size", "token", stored.size, self.vocab_size, f"`{self.tokenizer}`"))
        known = {stored.tokenizer.token_to_id(name) for name in PADDINGS} - {None}
        if known != {self.padding_id} and known:
            message = f"`{self.tokenizer}` has its padding at {min(known)}, but `padding_id` is {self.padding_id}"
            problems.append(fault("padding_id", message, f"write `data.padding_id={min(known)}`"))
        elif not known and self.padding_id < stored.size:
            message = (
                f"`{self.tokenizer}` has no token for padding, and `padding_id` {self.padding_id} is another token"
            )
            hint = f"write `data.padding_id={stored.size} data.vocab_size={stored.size + 1}`"
            problems.append(fault("padding_id", message, hint))
        if self.context <= (number := stored.num_special):
            message = f"`{self.tokenizer}` puts {plural(number, 'token')} of its own into each text, and `context` is"
            hint = f"write `{setting('context', number + 1)}`, or more"
            problems.append(fault("context", f"{message} {self.context}: no room is left", hint))
        if problems:
            raise ForgeError(together(problems))
        return stored

    def _found(self) -> tuple[Texts, list[Problem]]:
        """The texts with their classes, and warnings."""
        if self.path and Path(self.path).expanduser().is_dir():
            root = existing(self.path, folder=True)
            found = listing(root, by_part=self.split == "folders", kind=TEXTS)
            texts = read_utf8(found.files, "path", self.max_bytes)
            names = [found.classes[label] for label in found.labels]
            return Texts(texts, names, found.parts), list(left_out(root, found.others, TEXTS))
        path = existing(self.path)
        if self.split == "folders":
            raise refusal("split", f"`split` is 'folders', but `{path}` is a file", "write `data.split=random`")
        return self._table(path, labelled=True), []

    def _table(self, path: Path, *, labelled: bool) -> Texts:
        """The two columns of a table; classes may be absent unless `labelled`."""
        if (ending := path.suffix.lower()) not in TABLES:
            hint = f"a table ends in {', '.join(TABLES)}"
            if ending in (".json", ".jsonl"):
                hint += f"; pandas converts it: `read_json(..., lines=True).to_parquet('{path.stem}.parquet')`"
            raise refusal("path", f"`{path}` is neither a table nor a folder", hint)
        table = TABLES[ending](existing(str(path)), "path", self.max_bytes)
        columns = table.column_names
        wanted = {"text": self.text} | ({"label": self.label} if labelled else {})
        lacking = [(key, name) for key, name in wanted.items() if name not in columns]
        if lacking:
            raise ForgeError(
                fault(key, f"`{path}` has no column `{name}`", did_you_mean(name, columns)) for key, name in lacking
            )
        if twice := [name for name in wanted.values() if columns.count(name) > 1]:
            raise refusal("path", f"`{path}` has several columns `{twice[0]}`", "give each a name of its own")
        texts = table[self.text].to_pylist()
        labels = table[self.label].to_pylist() if columns.count(self.label) == 1 else None
        if empty := [row for row, text in enumerate(texts) if not isinstance(text, str)]:
            what = "no value" if texts[empty[0]] is None else f"{texts[empty[0]]!r:.50}"
            raise refusal("text", f"column `{self.text}` must hold texts, but has {what} in row {empty[0] + 1}")
        if labelled and (bare := [row for row, label in enumerate(labels or ()) if label in (None, "")]):
            raise refusal("label", f"row {bare[0] + 1} of column `{self.label}` has no class", "leave the row out")
        return Texts(texts, labels, columns={name: table[name] for name in columns if columns.count(name) == 1})


def _separated(delimiter: str) -> Callable[[Path, str, int], pa.Table]:
    """The reader of tables as text; a value may have several lines."""
    return partial(_read_separated, Dialect(delimiter, '"', "utf-8-sig", newlines_in_values=True))


def _read_separated(dialect: Dialect, path: Path, key: str, max_bytes: int) -> pa.Table:
    try:
        return read_separated(path, key, dialect, max_bytes)
    except ForgeError as error:  # hints of tables name fields that this section has not
        kept = (replace(one, hint=HOW if "`data." in one.hint else one.hint) for one in error.problems)
        raise ForgeError(kept) from None


TABLES: Mapping[str, Callable[[Path, str, int], pa.Table]] = {
    ".csv": _separated(","),
    ".tsv": _separated("\t"),
    ".parquet": read_parquet,
}
"""Readers of tables by how their files end."""
