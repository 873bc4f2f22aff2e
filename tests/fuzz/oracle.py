"""judge: a case → what is wrong with the answer. An ordinary value, or a `ForgeError` that says everything it must."""

from __future__ import annotations

import signal
import traceback
import warnings
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelforge.core.codes import CODES
from modelforge.core.errors import ForgeError, Problem, render
from tests.fuzz.cases import Case

SECONDS = 10
"""Of the processor: other programs do not count."""
LONGEST = 1_000
"""Characters of a message: it quotes 200 of each thing that was given, and may quote a few."""


class TooSlow(BaseException):
    """The time is over."""


@dataclass(frozen=True)
class Find:
    """A case with a wrong answer; equal `kind`s are one fault."""

    case: Case
    kind: str
    detail: str


@dataclass(frozen=True)
class Verdict:
    """What came of a case: the codes of its problems, or none; and what is wrong."""

    codes: tuple[str, ...]
    find: Find | None


def judge(case: Case, seconds: float = SECONDS) -> Verdict:
    """Runs a case under a time limit, with warnings as errors."""
    try:
        with _limited(seconds), warnings.catch_warnings():
            warnings.simplefilter("error")
            # Hydra's word to whoever writes a config of their own.
            warnings.filterwarnings("ignore", ".*Defaults list is missing `_self_`", UserWarning)
            case.run()
    except ForgeError as error:
        wrong = next(_wrong(case, error), None)
        codes = tuple(problem.code for problem in error.problems)
        return Verdict(codes, wrong and Find(case, wrong, str(error)[:2_000]))
    except TooSlow:
        return Verdict((), Find(case, f"slow: more than {seconds} s in a {case.kind}", traceback.format_exc()))
    except Exception as error:
        return Verdict((), Find(case, f"{type(error).__name__} at {_where(error)}", traceback.format_exc()[-1_500:]))
    return Verdict((), None)


def _wrong(case: Case, error: ForgeError) -> Iterator[str]:
    for problem in error.problems:
        if problem.code not in CODES:
            yield f"no such code: {problem.code}"
        if not problem.message.strip():
            yield f"no message: {problem.code}"
        if len(problem.message) > LONGEST or len(problem.hint) > LONGEST:
            yield f"long message: {problem.code} {problem.message[:60]!r}"
        if case.has_places and problem.code in ("MF001", "MF002") and not _has_line(problem):
            yield f"no line: {problem.code} {problem.message[:60]!r}"
        try:
            render(problem).encode()
        except UnicodeEncodeError:
            yield f"not printable: {problem.code} {problem.message[:60]!r}"


def _has_line(problem: Problem) -> bool:
    return problem.place is not None and bool(problem.place.file) and problem.place.line > 0


def _where(error: BaseException) -> str:
    """The last line of ours that an exception passed."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if f"{Path('modelforge')}/" in frame.filename] or frames[-1:]
    return f"{ours[-1].filename.rpartition('/modelforge/')[2]}:{ours[-1].lineno}"


@contextmanager
def _limited(seconds: float) -> Generator[None]:
    def stop(number: int, frame: object) -> None:
        raise TooSlow

    old = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, old)
