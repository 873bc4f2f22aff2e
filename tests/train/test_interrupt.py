"""Signals that ask a run to stop."""

from __future__ import annotations

import signal

import pytest

from modelforge.train import interrupt
from modelforge.train.interrupt import Interrupted, Interrupts


def test_a_second_signal_at_once_is_the_first_one_again(monkeypatch: pytest.MonkeyPatch):
    """A terminal sends Ctrl-C to all processes, and the parent of a pool to its workers, once more."""
    clock = iter((10.0, 10.2, 10.2 + interrupt.ECHO, 11.0))
    monkeypatch.setattr(interrupt.time, "monotonic", lambda: next(clock))
    lines: list[str] = []
    with Interrupts(lines.append) as interrupts:
        interrupts.hold()
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        assert interrupts.pending == signal.SIGINT
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
    assert lines == ["stopping as soon as that can be resumed; once more to stop at once"]


def test_what_unwinds_is_not_interrupted_again():
    with Interrupts(lambda _: None):
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
