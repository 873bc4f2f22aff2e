"""read_acceptances: `review.yaml` in a config folder → accepted changes, and further compositions to compare."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from modelforge.config.nodes import items
from modelforge.core.complaints import Owner, problem
from modelforge.core.errors import ForgeError, Place, Problem
from modelforge.core.paths import join
from modelforge.review.changed_files import REVIEW, Content, content
from modelforge.review.document import Acceptance, Change, Text
from modelforge.review.fingerprints import fingerprint
from modelforge.review.rows import bounded, spot
from modelforge.review.sides import Side

MAX_ACCEPTED = 200
MAX_FURTHER = 100


class _Accept(BaseModel):
    """A change that is meant: its fingerprint, and who says so."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    fingerprint: Annotated[str, StringConstraints(pattern="^[0-9a-f]{12}$")]
    """The twelve digits that `modelforge diff` shows with the change."""
    reason: Annotated[Text, StringConstraints(min_length=1)]
    """Why the change is meant."""
    author: Annotated[Text, StringConstraints(min_length=1)]
    """Who accepts it."""


class _File(BaseModel):
    """What `review.yaml` may say."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    accept: Annotated[list[_Accept], Field(max_length=MAX_ACCEPTED)] = []
    """Changes that are meant."""
    entries: Annotated[list[Text], Field(max_length=MAX_FURTHER)] = []
    """Overrides of further compositions to compare, each as one text: `"model=gpt2 data=text"`."""


@dataclass(frozen=True)
class Acceptances:
    """The changes that the new side accepts."""

    accepted: Mapping[str, Acceptance] = field(default_factory=dict[str, Acceptance])
    """By fingerprint."""
    places: Mapping[str, Place | None] = field(default_factory=dict[str, Place | None])
    earlier: frozenset[str] = frozenset()
    """Fingerprints that the old side accepts as well."""
    entries: tuple[str, ...] = ()
    """Overrides of further compositions, each as one text."""

    def applied(self, changes: Iterable[Change]) -> list[Change]:
        """The changes, those that are accepted with reason and author."""
        return [change.model_copy(update={"accepted": self.accepted.get(change.fingerprint)}) for change in changes]

    def unused(self, changes: Sequence[Change]) -> tuple[list[Change], list[Problem]]:
        """The acceptances that fit no change, as changes to show, and as problems.

        An unused acceptance that is the same on the old side is left from an earlier review, and no problem.
        """
        made = {change.fingerprint for change in changes}
        shown: list[Change] = []
        problems: list[Problem] = []
        for name in (name for name in self.accepted if name not in made):
            earlier, place = name in self.earlier, self.places[name]
            message = f"`{name}` in `{REVIEW}` accepts a change that is not there"
            if not earlier:
                hint = "leave the acceptance out: it would hide such a change later"
                problems.append(Problem("MF075", "", message, hint, place))
            kind = "acceptance-left" if earlier else "acceptance-unused"
            title = f"{name} was accepted in an earlier review" if earlier else f"MF075: {message}"
            shown.append(
                Change(
                    fingerprint=fingerprint(kind, "broken", name),
                    kind=kind,
                    section="broken",
                    severity="info" if earlier else "error",
                    title=bounded(title),
                    spot=spot(place),
                )
            )
        return shown, problems


def read_acceptances(old: Side, new: Side) -> Acceptances:
    """What the new side accepts, and the further compositions of either side; nothing where there is no such file.

    Raises:
        ForgeError: the file is wrong.
    """
    found, before = content(new, REVIEW), content(old, REVIEW)
    known = _entries(before)
    if found is None:
        return Acceptances(entries=tuple(known))
    if found.problems:
        raise ForgeError(found.problems)
    try:
        read = _File.model_validate(found.data)
    except ValidationError as error:
        raise ForgeError(_problem(detail, found) for detail in error.errors(include_url=False)) from None
    places = [_place(found, ("accept", index, "fingerprint")) for index in range(len(read.accept))]
    earlier = frozenset(_fingerprints(before))
    accepted = {
        one.fingerprint: Acceptance(reason=one.reason, author=one.author, arrives=one.fingerprint not in earlier)
        for one in read.accept
    }
    return Acceptances(
        accepted,
        {one.fingerprint: place for one, place in zip(read.accept, places, strict=True)},
        earlier,
        tuple(dict.fromkeys([*read.entries, *known])),
    )


def _entries(content: Content | None) -> list[str]:
    """The further compositions of the old side: a change cannot take them out of its own review."""
    listed = content.data.get("entries") if content else None
    return [one for one in listed if isinstance(one, str)][:MAX_FURTHER] if isinstance(listed, list) else []


def _fingerprints(content: Content | None) -> Iterable[str]:
    listed = content.data.get("accept") if content else None
    for one in listed if isinstance(listed, list) else ():
        if isinstance(one, Mapping):
            yield str(one.get("fingerprint"))


def _problem(detail: Any, content: Content) -> Problem:
    location = detail["loc"]
    owner = Owner(
        f"`{REVIEW}`" if len(location) < 2 else "an acceptance", model=_File if len(location) < 2 else _Accept
    )
    return problem(detail, join(*location), owner).at(_place(content, location))


def _place(content: Content, location: tuple[int | str, ...]) -> Place | None:
    """Where a part of the file is written, or the nearest one around it."""
    node: yaml.Node | None = content.document.root
    for part in location:
        below: yaml.Node | None = None
        if isinstance(node, yaml.MappingNode):
            below = items(node).get(str(part), (None, None))[1]
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
            below = node.value[part]
        if below is None:
            break
        node = below
    return content.document.place(node) if node is not None else None
