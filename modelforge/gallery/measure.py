"""measure: a claim → its result. Each variant is planned, probed and trained at most once for each seed."""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from modelforge.config.compose import Config, compose
from modelforge.core.errors import ForgeError, Problem
from modelforge.gallery.claim import KEY, overrides_of, parse_claim
from modelforge.gallery.expectation import Expectation
from modelforge.gallery.profile import Profile
from modelforge.gallery.quantity import CODE, Reading
from modelforge.gallery.result import Picture, Result, Verdict, ratio
from modelforge.gallery.subject import Subject


def measure(name: str, conf: Path | None = None, *, seeds: Sequence[int] = (), overrides: Sequence[str] = ()) -> Result:
    """What is measured of a claim.

    Args:
        name: The claim.
        conf: The folder of configs; None for the default one.
        seeds: In place of those that the claim names.
        overrides: For all variants, such as `trainer.max_epochs=1`; numbers are then judged all the same.

    Raises:
        ForgeError: the claim or the config of a variant is wrong, which is checked before anything trains; or a network
            does not have what the claim asks of it.
    """
    config = compose(conf, overrides_of(name))
    claim = parse_claim(config)
    started = time.monotonic()
    numbers = tuple(seeds or claim.seeds)
    with TemporaryDirectory() as folder:
        subjects = {
            variant: tuple(
                Subject(
                    conf,
                    (*overrides_of(name), *settings.overrides, f"++seed={seed}", *overrides),
                    Path(folder) / variant / str(seed),
                    settings.calibrate,
                )
                for seed in numbers
            )
            for variant, settings in claim.variants.items()
        }
        _check(subjects)
        verdicts: list[Verdict] = []
        for index, expectation in enumerate(claim.expect):
            with _at(f"{KEY}.expect.{index}.quantity", config):
                verdicts.append(Verdict(expectation, _readings(expectation, subjects)))
        pictures: list[Picture] = []
        for index, profile in enumerate(claim.pictures):
            with _at(f"{KEY}.pictures.{index}", config):
                pictures.append(_picture(profile, subjects))
    return Result(name, claim, numbers, tuple(verdicts), tuple(pictures), time.monotonic() - started)


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


@contextmanager
def _at(key: str, config: Config) -> Generator[None]:
    """Fills in the place of what a claim asks of a network that does not have it."""
    try:
        yield
    except ForgeError as error:
        raise ForgeError(
            config.origins.locate(replace(problem, key=key)) if problem.code == CODE else problem
            for problem in error.problems
        ) from error


def _readings(expectation: Expectation, subjects: Subjects) -> tuple[Reading, ...]:
    quantity = expectation.quantity
    readings = tuple(map(quantity.measure, subjects[expectation.of]))
    if expectation.over is not None:
        readings = tuple(map(ratio, readings, map(quantity.measure, subjects[expectation.over])))
    if expectation.spreads is not None and None in (reading.spread for reading in readings):
        message = f"no spread is predicted of {expectation.words}, so `spreads` gives no tolerance"
        raise ForgeError([Problem(CODE, KEY, message, "write `factor` or `tolerance`")])
    return readings


def _picture(profile: Profile, subjects: Subjects) -> Picture:
    drawn = profile.of or tuple(subjects)
    return Picture(profile, {name: tuple(map(profile.curve, subjects[name])) for name in drawn})
