"""`Claim`: the `claim` block of an experiment, that is what a publication says, and how it is measured here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, PlainValidator, SerializeAsAny, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from modelforge.calibration.registry import METHODS
from modelforge.config.compose import Config, compose
from modelforge.config.folder import options
from modelforge.core.complaints import Owner, problem, wrong
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.frozen import AsTuple, FrozenDict, Node, Seed
from modelforge.core.paths import join
from modelforge.core.quoting import quoted, shortened
from modelforge.core.suggestions import did_you_mean
from modelforge.gallery.expectation import Expectation, Text
from modelforge.gallery.profile import Profile, parse_profile
from modelforge.gallery.quantity import CODE

KEY = "claim"
GROUP = "experiment/gallery"
"""The config group of the claims."""


def _method(name: str) -> str:
    if name not in METHODS:
        raise wrong(CODE, f"unknown calibration `{shortened(name)}`", METHODS.suggest(name))
    return name


class Variant(Node):
    """One of the networks that a claim compares."""

    overrides: Annotated[tuple[str, ...], AsTuple] = ()
    """What it changes in the experiment, as on the command line."""
    calibrate: Annotated[str, AfterValidator(_method)] | None = None
    """A method of `mf.calibrate` that follows the initial values."""


class Claim(Node):
    """What a publication says about initial values, and what confirms it."""

    question: Text
    """What a learner would ask."""
    says: Text
    """What is claimed, and why."""
    source: Text
    """The publication."""
    variants: Annotated[FrozenDict[str, Variant], Field(min_length=1)]
    """The networks that are compared, by name."""
    seeds: Annotated[tuple[Seed, ...], AsTuple, Field(min_length=1)] = (0, 1, 2)
    """Each variant is measured with each of them."""
    expect: Annotated[tuple[Expectation, ...], AsTuple, Field(min_length=1)]
    """The numbers that confirm the claim."""
    pictures: Annotated[tuple[Annotated[SerializeAsAny[Profile], PlainValidator(parse_profile)], ...], AsTuple] = ()
    """Curves to draw, one for each variant."""

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        if errors := [*self._unknown()]:
            raise ValidationError.from_exception_data("claim", errors)
        return self

    def _unknown(self) -> Iterator[InitErrorDetails]:
        for index, expectation in enumerate(self.expect):
            for key, name in (("of", expectation.of), ("over", expectation.over)):
                if name is not None and name not in self.variants:
                    error = wrong(CODE, f"there is no variant {quoted(name)}", did_you_mean(name, self.variants))
                    yield InitErrorDetails(type=error, loc=("expect", index, key), input=name)
        for index, picture in enumerate(self.pictures):
            for number, name in enumerate(picture.of):
                if name not in self.variants:
                    error = wrong(CODE, f"there is no variant {quoted(name)}", did_you_mean(name, self.variants))
                    yield InitErrorDetails(type=error, loc=("pictures", index, "of", number), input=name)


def names(conf: Path | None = None) -> tuple[str, ...]:
    """The names of all claims of a folder of configs.

    Raises:
        ForgeError: the folder has no claims.
    """
    return options(conf, GROUP)


def overrides_of(name: str) -> tuple[str, ...]:
    """The overrides that choose a claim: `train.py` takes them too."""
    return (f"{GROUP.partition('/')[0]}={GROUP.partition('/')[2]}/{name}",)


def load_claim(name: str, conf: Path | None = None) -> Claim:
    """The claim of a name.

    Raises:
        ForgeError: there is none, its config cannot be composed, or its `claim` block is wrong.
    """
    if name not in (known := names(conf)):
        raise ForgeError([Problem("MF080", name, f"the gallery has no claim `{name}`", did_you_mean(name, known))])
    return parse_claim(compose(conf, overrides_of(name)))


def parse_claim(config: Config) -> Claim:
    """The claim of a composed experiment.

    Raises:
        ForgeError: there is none, or all that is wrong with it, each at its place.
    """
    if not isinstance(section := config.values.get(KEY), dict):
        message = f"an experiment of the gallery needs a `{KEY}` block"
        raise ForgeError([Problem(CODE, KEY, message, "it says what is measured, and what is expected")])
    try:
        return Claim.model_validate(section)
    except ValidationError as error:
        details = error.errors(include_url=False)
        found = [problem(detail, join(KEY, *detail["loc"]), _owner(detail["loc"])) for detail in details]
        raise ForgeError(map(config.origins.locate, found)) from None


def _owner(location: tuple[int | str, ...]) -> Owner:
    """What has the key at a place."""
    *around, _ = location or (KEY,)
    parts = {"expect": ("an expectation", Expectation), "variants": ("a variant", Variant)}
    if not around:
        name, model = "a claim", Claim
    elif len(around) == 2 and around[0] in parts:
        name, model = parts[str(around[0])]
    else:
        name, model = f"`{join(*around)}`", None
    return Owner(name, model=model, missing=CODE, unknown=CODE, wrong=CODE)
