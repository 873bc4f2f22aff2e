"""look and read: a source → whether its data is there, and its examples; errors of the system become problems."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from modelforge.core.errors import ForgeError
from modelforge.core.torch_state import num_cores
from modelforge.core.words import plural
from modelforge.train.data.adapters import examples_of
from modelforge.train.data.files import existing, matching
from modelforge.train.data.parts import Examples
from modelforge.train.data.refusals import fault
from modelforge.train.data.source import Source

MAX_WORKERS = 8
"""The most processes for each core that prepare batches."""


def look(source: Source) -> None:
    """Checks that the files of a source exist; opens none.

    Raises:
        ForgeError: they do not.
    """
    where = getattr(source, source.reads, None) if source.reads else None
    with _in_words(source):
        if source.reads == "path":
            existing(where, folder=source.reads_folder)
        elif where is not None:
            matching(where)


def read(source: Source) -> Examples:
    """The examples of a source.

    Raises:
        ForgeError: they are not there, cannot be read, or are not what is declared.
    """
    if source.num_workers > (most := MAX_WORKERS * num_cores()):
        message = f"`num_workers` is {source.num_workers:,}, but this machine has {plural(num_cores(), 'core')}"
        raise ForgeError([fault("num_workers", message, f"at most {most}; 0 is best for what lies in memory")])
    with _in_words(source):
        return examples_of(source.read(), source)


@contextmanager
def _in_words(source: Source) -> Generator[None]:
    try:
        yield
    except MemoryError:
        raise ForgeError([fault(source.reads or "type", "the data does not fit into memory")]) from None
    except OSError as error:
        reason = error.strerror.lower() if error.strerror else str(error)
        named = f"`{error.filename}`" if error.filename else "the data"
        raise ForgeError([fault(source.reads or "type", f"{named} cannot be read: {reason}")]) from None
