"""causes: the edits of a review, each with what it does in which compositions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from modelforge.config.references import split
from modelforge.core.errors import Place
from modelforge.review.affected import Composition
from modelforge.review.apart import Part, apart, breaking
from modelforge.review.cause import Outcome, TracedCause, Written
from modelforge.review.changed_files import PACKAGE, FileDiff
from modelforge.review.edits import Edit, edits, moved_name, moves
from modelforge.review.review import EntryDiff
from modelforge.review.values import ABSENT, Path, ValueChange, exact, meet

Key = tuple[str, ...]
"""What makes two causes one: kind, file, and key in it."""
CHOOSING = (("defaults",), (PACKAGE,))
"""The edits of a file by which other files are read, or are merged elsewhere."""


class Causes:
    """Collects the causes of one composition after the other."""

    def __init__(self, changed: Mapping[str, FileDiff]) -> None:
        self.changed = changed
        self._found: dict[tuple[Key, ...], tuple[tuple[Written, ...], dict[str, Outcome]]] = {}

    def add(self, compared: EntryDiff, file: str, old: Composition, new: Composition) -> None:
        """Takes in what differs in one composition.

        Args:
            compared: What differs.
            file: The file of the option that was composed; empty for the default.
            old: The composition on the old side.
            new: The composition on the new side.
        """
        if compared.same:
            return
        if compared.kind != "changed":
            written = self._file(file)
            self._note([written], Outcome((compared.label,), arrival="broken" if compared.broken else compared.kind))
            return
        if old.config is None or new.config is None:
            self._note(self._broken(compared), Outcome((compared.label,), arrival="broken"))
            return
        groups: dict[tuple[Key, ...], tuple[list[Written], list[Edit]]] = {}
        place = _Placing(self.changed, old, new)
        for several in moves(list(edits(old.written, new.written))):
            places = {_key(one): one for one in map(place, several)}
            groups.setdefault(tuple(places), (list(places.values()), []))[1].extend(several)
        written = [places for places, _ in groups.values()]
        edited = [tuple(several) for _, several in groups.values()]
        for part in apart(old, new, edited, compared.values, compared.diff):
            if not part.empty:
                self._note(_joined(written, part.groups), _outcome(compared.label, part))
        if compared.broken in ("old", "new"):
            numbers = breaking(old, new, edited)
            self._note(_joined(written, numbers), Outcome((compared.label,), arrival="broken"))

    def found(self) -> tuple[TracedCause, ...]:
        """All causes, in the order in which they were found.

        An edit that works only with others in one composition is grouped with them in compositions without a plan, too.
        """
        several = [keys for keys in self._found if len(keys) > 1]
        for keys, (_, outcomes) in list(self._found.items()):
            around = next((other for other in several if other != keys and set(keys) < set(other)), None)
            if around and all(outcome.diff is None and not outcome.arrival for outcome in outcomes.values()):
                for like, outcome in self._found.pop(keys)[1].items():
                    self._found[around][1].setdefault(like, outcome)
        return tuple(TracedCause(written, tuple(outcomes.values())) for written, outcomes in self._found.values())

    def _note(self, written: Sequence[Written], outcome: Outcome) -> None:
        """Adds an outcome to its cause, or its composition to an equal one."""
        key = tuple(_key(one) for one in written)
        _, outcomes = self._found.setdefault(key, (tuple(written), {}))
        data = replace(outcome, labels=()).to_dict()
        model = data.pop("model") or {}
        like = exact([data, *(model.get(part) for part in ("totals", "layers", "parameters"))])
        known = outcomes.get(like)
        outcomes[like] = replace(outcome, labels=(*known.labels, *outcome.labels)) if known else outcome

    def _broken(self, compared: EntryDiff) -> list[Written]:
        """The edit that a problem names by its place, or else all edits of the files that were read."""
        places = {(problem.place.file, problem.place.line) for problem in compared.problems if problem.place}
        every = [
            Written("defaults" if edit.path[:1] in CHOOSING else "value", file.path, edit)
            for file in self.changed.values()
            for edit in file.edits
        ]
        at = [one for one in every if any((p.file, p.line) in places for p in _places(one.change))]
        files = {file for file, _ in places}
        whole = [self._file(file.path) for file in self.changed.values() if _content_file(file) in files]
        gone = [self._file(file.path) for file in self.changed.values() if file.kind == "removed"]
        return at or whole or gone or every or [Written("together", "", ValueChange(compared.label, ABSENT, ABSENT))]

    def _file(self, path: str) -> Written:
        file = self.changed[path]
        how = "set" if file.kind == "changed" else file.kind
        before, after = (Place(side.document.file, line=1) if side else None for side in (file.old, file.new))
        return Written("file", path, ValueChange(path, ABSENT, ABSENT, before, after), how)


def _joined(written: Sequence[Sequence[Written]], numbers: Sequence[int]) -> list[Written]:
    """The edits of several groups, each once."""
    return list({_key(one): one for number in numbers for one in written[number]}.values())


def _outcome(label: str, part: Part) -> Outcome:
    shown = part.diff if part.diff is not None and not part.diff.equal else None
    return Outcome((label,), part.values, part.derived, shown)


def _key(written: Written) -> Key:
    return (written.kind, written.file, written.change.name)


def _places(change: ValueChange) -> Iterator[Place]:
    yield from (place for place in (change.old_place, change.new_place) if place is not None)


def _content_file(file: FileDiff) -> str:
    content = file.new or file.old
    return content.document.file if content else ""


class _Placing:
    """Finds the edited place that an edit of a composition comes from."""

    def __init__(self, changed: Mapping[str, FileDiff], old: Composition, new: Composition) -> None:
        self.changed, self.old, self.new = changed, old, new
        self.packages: dict[str, set[str]] = {}
        for composition in (old, new):
            for package, file in composition.merged:
                self.packages.setdefault(file, set()).add(package)
        self.names = {document: file for one in (old, new) for document, file in one.names.items()}
        self.choosing = [
            Written("defaults", path, edit)
            for path in sorted((old.files | new.files) & changed.keys())
            for edit in changed[path].edits
            if edit.path[:1] in CHOOSING
        ]
        self.overriding = [*_overrides(old, new)]

    def __call__(self, edit: Edit) -> Written:
        """The edited place."""
        moved = moved_name(edit.old, edit.new) if edit.kind == "moved" else ""
        path = (*edit.path, moved) if moved else edit.path
        old = self.old.place(edit.old_path or path) if edit.old is not ABSENT else None
        new = self.new.place(path) if edit.new is not ABSENT else None
        places = [place for place in (new, old) if place is not None]
        for place in places:
            for written in self.overriding:
                if place.override == written.change.name:
                    change = replace(_change(edit, edit.path, old, new), name=written.change.name)
                    return Written("override", "", change, written.how)
        for place in places:
            if (written := self._edited(edit, place, old, new)) is not None:
                return written
        return self._chosen(edit, old, new)

    def _edited(self, edit: Edit, place: Place, old: Place | None, new: Place | None) -> Written | None:
        """The key of the file at a place, where the file was merged on both sides, and differs in that key."""
        file = self.names.get(place.file or "", "")
        known = self.changed.get(file)
        if known is None or known.kind != "changed" or not (file in self.old.files and file in self.new.files):
            return None
        for package in self.packages[file]:
            head = split(package) if package else ()
            inside = edit.path[len(head) :]
            if edit.path[: len(head)] != head or not inside:
                continue
            if edit.kind == "moved" or any(meet(inside, change.path) for change in known.edits):
                name = edit.old_path[-1] if edit.old_path else ""
                return Written("value", file, _change(edit, inside, old, new), edit.kind, name)
        return None

    def _chosen(self, edit: Edit, old: Place | None, new: Place | None) -> Written:
        """What chose another file: an override, a list of defaults, or a file that came or went."""
        head, *rest = edit.path or ("",)  # of the sections at the top, in another order
        group = rest[0] if head == "choices" and rest else head
        for written in (*self.overriding, *self.choosing):
            if group in _groups(written.change):
                return written
        files = [self.names.get(place.file or "", "") for place in (new, old) if place is not None]
        if head == "choices":  # an optional one, which is there on one side alone
            files = [f"{group}/{option}.yaml" for option in (edit.new, edit.old) if option is not ABSENT]
        for file in files:
            known = self.changed.get(file)
            if known is not None and known.kind != "changed":
                return Written("file", file, ValueChange(file, ABSENT, ABSENT, old, new), known.kind)
        if alone := [*self.choosing, *self.overriding]:
            return alone[0]
        return Written("together", "", _change(edit, edit.path, old, new), edit.kind)


def _change(edit: Edit, path: Path, old: Place | None, new: Place | None) -> ValueChange:
    return ValueChange(".".join(path), edit.old, edit.new, old, new, path)


def _overrides(old: Composition, new: Composition) -> Iterator[Written]:
    """The overrides that one side alone has."""
    sides = [one.config.overrides if one.config else () for one in (old, new)]
    for words in dict.fromkeys((*sides[1], *sides[0])):
        if (words in sides[0]) != (words in sides[1]):
            place = Place(override=words)
            places = (place, None) if words in sides[0] else (None, place)
            yield Written(
                "override", "", ValueChange(words, ABSENT, ABSENT, *places), "removed" if places[0] else "added"
            )


def _groups(change: ValueChange) -> set[str]:
    """The config groups that an override or the difference of two lists of defaults names."""
    if change.path[:1] != ("defaults",):
        return {change.name.partition("=")[0].lstrip("+~").partition("@")[0]}
    sides = [side if isinstance(side, list) else [] for side in (change.old, change.new)]
    found: set[str] = set()
    for item in (*(one for one in sides[0] if one not in sides[1]), *(one for one in sides[1] if one not in sides[0])):
        for key in item if isinstance(item, Mapping) else (str(item),):
            name = str(key).split()[-1].strip("/") if str(key).strip() else ""
            group, _, package = name.partition("@")
            found |= {group, package.removeprefix("_global_.")}
    return found
