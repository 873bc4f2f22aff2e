"""measure: a claim → its result. Each variant is planned, probed and trained at most once for each seed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from modelforge.core.errors import ForgeError, Problem
from modelforge.gallery.claim import load_claim, overrides_of
from modelforge.gallery.expectation import Expectation
from modelforge.gallery.profile import Profile
from modelforge.gallery.quantity import Reading
from modelforge.gallery.result import Picture, Result, Verdict, ratio
from modelforge.gallery.subject import Subject

QUIET = ("logger=csv", "trainer.enable_progress_bar=false")
"""Overrides of every training here: metrics go to a file, and nothing is printed."""


def measure(name: str, conf: Path | None = None, *, seeds: Sequence[int] = (), overrides: Sequence[str] = ()) -> Result:
    """What is measured of a claim.

    Args:
        name: The claim.
        conf: The folder of configs; None for the default one.
        seeds: In place of those that the claim names.
        overrides: For all variants, such as `trainer.max_epochs=1`; numbers are then judged all the same.

    Raises:
        ForgeError: the claim or the config of a variant is wrong; everything is checked before anything trains.
    """
    claim = load_claim(name, conf)
    started = time.monotonic()
    numbers = tuple(seeds or claim.seeds)
    with TemporaryDirectory() as folder:
        subjects = {
            variant: tuple(
                Subject(
                    conf,
                    (*overrides_of(name), *QUIET, *settings.overrides, f"seed={seed}", *overrides),
                    Path(folder) / variant / str(seed),
                    settings.calibrate,
                )
                for seed in numbers
            )
            for variant, settings in claim.variants.items()
        }
        _check(subjects)
        verdicts = tuple(Verdict(one, _readings(one, subjects)) for one in claim.expect)
        pictures = tuple(_picture(profile, subjects) for profile in claim.pictures)
    return Result(name, claim, numbers, verdicts, pictures, time.monotonic() - started)


Subjects = Mapping[str, tuple[Subject, ...]]
"""By variant, one for each seed."""


def _check(subjects: Subjects) -> None:
    """Raises what is wrong with the configs of all variants."""
    problems: list[Problem] = []
    for first, *_ in subjects.values():
        try:
            _ = first.job
        except ForgeError as error:
            problems += error.problems
    if problems:
        raise ForgeError(problems)


def _readings(expectation: Expectation, subjects: Subjects) -> tuple[Reading, ...]:
    quantity = expectation.quantity
    readings = tuple(map(quantity.measure, subjects[expectation.of]))
    if expectation.over is None:
        return readings
    return tuple(map(ratio, readings, map(quantity.measure, subjects[expectation.over])))


def _picture(profile: Profile, subjects: Subjects) -> Picture:
    drawn = profile.of or tuple(subjects)
    return Picture(profile, {name: tuple(map(profile.curve, subjects[name])) for name in drawn})
