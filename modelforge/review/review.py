"""review: two sides → `Review`: everything that differs between their configs, and what was compared to say so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from modelforge.config import shipped
from modelforge.core.errors import ForgeError, Problem
from modelforge.planning.plan import Plan
from modelforge.planning.study import Studies
from modelforge.review.diff import Diff, diff
from modelforge.review.entries import Composition, Entry, Reach, composed, entries
from modelforge.review.facts import ValueChange, flat, value_changes
from modelforge.review.files import FileDiff, changed_files, content
from modelforge.review.sides import Side, open_side, parse_range

Track = Callable[[Sequence[Entry], str], Iterable[Entry]]


@dataclass(frozen=True)
class EntryDiff:
    """What differs in one thing that was composed on both sides, or on the one that has it."""

    label: str
    kind: Literal["added", "removed", "changed"]
    num_values: int
    """How many composed values were compared."""
    values: tuple[ValueChange, ...] = ()
    diff: Diff | None = None
    """None where no plans were compared."""
    same_model: bool = False
    """Whether both sides say the same of the model, so that there is one plan."""
    plan: Plan | None = None
    """That of the side that has it, if the other one has not."""
    broken: Literal["", "old", "new", "both"] = ""
    """The side that cannot be composed or planned; `both`: composed on both, and planned on neither."""
    problems: tuple[Problem, ...] = ()

    @property
    def equal(self) -> bool:
        """Whether both sides come to the same."""
        same = self.same_model or (self.diff.equal if self.diff else self.broken == "both")
        return self.kind == "changed" and not self.values and same and self.broken in ("", "both")

    def to_dict(self) -> dict[str, Any]:
        """The difference as plain data."""
        return {
            "label": self.label,
            "kind": self.kind,
            "equal": self.equal,
            "num_values": self.num_values,
            "values": [change.to_dict() for change in self.values],
            "model": "same" if self.same_model else self.diff.to_dict() if self.diff else None,
            "broken": self.broken or None,
            "problems": [problem.to_dict() for problem in self.problems],
        }


@dataclass(frozen=True)
class FileNote:
    """A file that differs, and what of it no comparison shows."""

    file: FileDiff
    reason: str = ""
    """Why it was not compared; empty where it was."""
    edits: tuple[ValueChange, ...] = ()
    """What it says differently without an effect on what was compared."""

    @property
    def equal(self) -> bool:
        """Whether it says the same, or is hidden and no config."""
        hidden = not self.file.is_config and any(part.startswith(".") for part in self.file.path.split("/"))
        return hidden or (self.file.formatting and not self.reason)

    def to_dict(self) -> dict[str, Any]:
        """The note as plain data."""
        return {**self.file.to_dict(), "compared": not self.reason, "reason": self.reason or None}


@dataclass(frozen=True)
class Review:
    """Everything that differs between two sides, and what was compared."""

    old: str
    new: str
    overrides: tuple[str, ...]
    """Those of both sides."""
    notes: tuple[str, ...]
    """How the names of the sides were taken, where that is worth a word."""
    files: tuple[FileNote, ...]
    """The files that differ."""
    num_files: int
    """Of both sides together; 0 where both are one folder, whose files cannot differ."""
    entries: tuple[EntryDiff, ...]
    """What was compared, the default first."""
    num_unaffected: int
    """Further entries that read none of the files that differ."""
    alone: tuple[str, ...] = ()
    """Further entries that cannot be composed by themselves on either side."""

    @property
    def default(self) -> EntryDiff:
        """The composition of the defaults, with the overrides."""
        return self.entries[0]

    @property
    def equal(self) -> bool:
        """Whether nothing differs but formatting, comments and the order of keys (and files such as .gitignore)."""
        return all(entry.equal for entry in self.entries) and all(note.equal for note in self.files)

    @property
    def not_compared(self) -> tuple[FileNote, ...]:
        """The files that differ and that nothing that was compared reads."""
        return tuple(note for note in self.files if note.reason)

    def to_dict(self) -> dict[str, Any]:
        """The review as plain data; the model of the default composition comes first, as `Diff.to_dict` gives it."""
        default = self.default.diff.to_dict() if self.default.diff else {}
        return {
            "old": self.old,
            "new": self.new,
            **default,
            "equal": self.equal,
            "overrides": list(self.overrides),
            "notes": list(self.notes),
            "compared": {
                "compositions": [entry.label for entry in self.entries],
                "unaffected": self.num_unaffected,
                "cannot_be_composed": list(self.alone),
                "files": self.num_files,
                "values": sum(entry.num_values for entry in self.entries),
            },
            "not_compared": [note.to_dict() for note in self.not_compared],
            "files": [note.to_dict() for note in self.files],
            "compositions": [entry.to_dict() for entry in self.entries],
        }


def review(
    old: str,
    new: str | None = None,
    conf: Path | None = None,
    overrides: Sequence[str] = (),
    track: Track = lambda items, label: items,
) -> Review:
    """Compares all that two sides' configs compose to: every entry that reads a file that differs.

    Args:
        old: A config folder, an override set, a git revision, `.` for the working tree, or a range (`main...HEAD`).
        new: The same, but no range; None for the working tree.
        conf: The config folder; None for the default one.
        overrides: Hydra overrides for both sides.
        track: Wraps the entries while they are composed, to show progress.

    Raises:
        ForgeError: a side cannot be read, or its default does not compose, or has no plan.
    """
    if (ends := parse_range(old, conf)) is not None:
        overrides = [*([new] if new is not None else []), *overrides]
        if bad := [word for word in overrides if "=" not in word and not word.startswith(("~", "+"))]:
            message = f"`{old}` names both sides, and `{bad[0]}` is a third"
            raise ForgeError([Problem("MF070", bad[0], message, "behind a range come overrides alone")])
        named = (old, *ends)
    else:
        named = ("", old, new if new is not None else ".")
    with ExitStack() as stack:
        sides: list[Side] = []
        problems: dict[Problem, list[str]] = {}
        for name in named[1:]:
            try:
                sides.append(stack.enter_context(open_side(name, conf)))
            except ForgeError as error:
                for problem in error.problems:
                    problems.setdefault(problem, []).append(name)
        if problems:
            raise ForgeError(problems)
        _check_working_tree(sides, conf)
        return _Reviewer(sides[0], sides[1], tuple(overrides), track).review(named[0])


def _check_working_tree(sides: Sequence[Side], conf: Path | None) -> None:
    """Refuses to compare a revision's configs with those that modelforge ships."""
    if conf is None and any(side.kind == "revision" for side in sides):
        for side in sides:
            if side.name == "." and side.folder == shipped() and not Path("conf").is_dir():
                message = "the working tree has no folder `conf`"
                raise ForgeError([Problem("MF070", ".", message, "name another one: `--conf DIR`")])


class _Reviewer:
    def __init__(self, old: Side, new: Side, overrides: tuple[str, ...], track: Track) -> None:
        self.old, self.new, self.overrides, self.track = old, new, overrides, track
        self.files, self.paths = changed_files(old, new)
        self.changed = {file.path: file for file in self.files}
        self.studies = Studies()
        self.failed: dict[str, str] = {}
        """Why an entry can be composed on neither side, by its file."""
        self.alone: list[str] = []
        self.read: dict[str, list[tuple[EntryDiff, tuple[Any, ...]]]] = {}
        """The comparisons that read a file that differs, and what each merged."""

    def review(self, name: str) -> Review:
        found = list(self._compare_all())
        files = tuple(self._note(file) for file in self.files)
        same_folder = not self.files and self.old.folder == self.new.folder
        return Review(
            self.old.name,
            self.new.name,
            self.overrides,
            tuple(self._notes(name)),
            files,
            0 if same_folder else len(self.paths),
            tuple(found),
            self.num_unaffected,
            tuple(self.alone),
        )

    def _compare_all(self) -> Iterator[EntryDiff]:
        default, *others = entries(self.paths, self.overrides)
        self.num_unaffected = 0
        before, after = (self._composed(side, default) for side in (self.old, self.new))
        self._check_default(before, after)
        label = " ".join(self.overrides) or default.label
        yield self._compare(replace(default, label=label), before, after, always=True)
        if "overrides" in (self.old.kind, self.new.kind):
            return
        if not self.files:
            self.num_unaffected = len(others)
            return
        seen = {(before.signature, after.signature)}
        for entry in self.track(self._reached(others), "comparing"):
            kind = self.changed[entry.file].kind if entry.file in self.changed else "changed"
            before = Composition(None) if kind == "added" else self._composed(self.old, entry)
            after = Composition(None) if kind == "removed" else self._composed(self.new, entry)
            if not (before.config or after.config):
                problems = after.problems or before.problems
                self.failed[entry.file] = f"`{entry.label}` cannot be composed by itself: {problems[0].message}"
                self.alone.append(entry.label)
                continue
            signature = (before.signature, after.signature)
            whole = before.config is not None and after.config is not None
            if whole and not (before.files | after.files) & self.changed.keys():
                self.num_unaffected += 1
            elif not whole or signature not in seen:
                seen.add(signature)
                yield self._compare(entry, before, after)

    def _composed(self, side: Side, entry: Entry) -> Composition:
        return composed(side, entry, self.overrides, self.studies)

    def _reached(self, others: Sequence[Entry]) -> list[Entry]:
        """The entries that may read a file that differs."""
        reaches: list[Reach] = []
        for side in (self.old, self.new):
            found = {path: content(side, path) for path in self.paths if (side.folder / path).is_file()}
            reaches.append(Reach(side, {k: v for k, v in found.items() if v is not None}, self.overrides))
        reached = [
            entry
            for entry in others
            if any(entry.file in self.changed or reach.may_read(entry) & self.changed.keys() for reach in reaches)
        ]
        self.num_unaffected = len(others) - len(reached)
        return reached

    def _check_default(self, old: Composition, new: Composition) -> None:
        found: dict[Problem, list[str]] = {}
        for side, one in ((self.old, old), (self.new, new)):
            decided = one.decided
            for problem in decided if not isinstance(decided, Plan) else ():
                found.setdefault(problem, []).append(side.name)
        if found:
            raise ForgeError(_on_side(problem, names) for problem, names in found.items())

    def _compare(self, entry: Entry, old: Composition, new: Composition, *, always: bool = False) -> EntryDiff:
        result = _entry_diff(entry, self.changed.get(entry.file), old, new, always=always)
        for file in (old.files | new.files) & self.changed.keys():
            self.read.setdefault(file, []).append((result, (*old.signature, *new.signature)))
        return result

    # --- files ----------------------------------------------------------------------------------------------------

    def _note(self, file: FileDiff) -> FileNote:
        if file.formatting and not (file.reordered and file.path not in self.read):
            return FileNote(file)
        if file.path not in self.read:
            return FileNote(file, self._reason(file), file.edits)
        return FileNote(file, "", tuple(edit for edit in file.edits if not self._shows(file, edit)))

    def _reason(self, file: FileDiff) -> str:
        problems = [problem for side in (file.old, file.new) if side for problem in side.problems]
        if not file.is_config:
            return "no config: composition reads files that end in .yaml"
        if problems:
            return problems[0].message
        if file.path in self.failed:
            return self.failed[file.path]
        return "nothing that was compared reads it"

    def _shows(self, file: FileDiff, edit: ValueChange) -> bool:
        """Whether a comparison that read the file tells what the edit did."""
        for found, merged in self.read[file.path]:
            if found.kind != "changed" or found.broken:
                return True
            if edit.path[0] in ("defaults", "# @package") and not found.equal:
                return True
            packages = {item[0] for item in merged if item[1] == file.path}
            for package in packages:
                full = (*filter(None, package.split(".")), *edit.path)
                if any(_meet(full, change.path) for change in found.values):
                    return True
        return False

    def _notes(self, name: str) -> Iterator[str]:
        if name:
            yield f"`{name}` is taken as `{self.old.name}` against `{self.new.name}`"
        yield from (side.note for side in (self.old, self.new) if side.note)
        if self.new.kind == "overrides" and self.old.kind != "overrides" and self.old.name != ".":
            words = f'"{self.new.name}"' if " " in self.new.name else self.new.name
            yield (
                f"`{self.new.name}` is taken as B: it applies to the working tree alone; "
                f"for both sides: modelforge diff {self.old.name} . {words}"
            )


def _entry_diff(entry: Entry, file: FileDiff | None, old: Composition, new: Composition, *, always: bool) -> EntryDiff:
    kind = file.kind if file is not None and file.kind != "changed" else "changed"
    shared = len({*flat(old.values), *flat(new.values)})
    if kind != "changed":
        here = new if kind == "added" else old
        if here.config is None:
            return EntryDiff(entry.label, kind, 0, broken="new" if kind == "added" else "old", problems=here.problems)
        decided = here.decided if entry.label.startswith("model=") else None
        plan = decided if isinstance(decided, Plan) else None
        return EntryDiff(entry.label, kind, shared, plan=plan, problems=decided if isinstance(decided, tuple) else ())
    if old.config is None or new.config is None:
        side = "old" if old.config is None else "new"
        return EntryDiff(entry.label, kind, 0, broken=side, problems=new.problems or old.problems)
    values = tuple(value_changes(old.values, new.values, old.config.origins.place, new.config.origins.place))
    if not always and old.plans_like(new):
        return EntryDiff(entry.label, kind, shared, values, same_model=True)
    before, after = old.decided, new.decided
    if isinstance(before, Plan) and isinstance(after, Plan):
        return EntryDiff(entry.label, kind, shared, values, diff(before, after))
    problems = [side for side in (after, before) if not isinstance(side, Plan)]
    side = "both" if len(problems) == 2 else "old" if isinstance(after, Plan) else "new"
    return EntryDiff(entry.label, kind, shared, values, broken=side, problems=problems[0])


def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one path is the other, or above it."""
    length = min(len(one), len(other))
    return one[:length] == other[:length]


def _on_side(problem: Problem, sides: list[str]) -> Problem:
    """The problem with the side it is on, unless it is on both, or is about the side's name itself."""
    if len(sides) > 1 or problem.code == "MF070":
        return problem
    return replace(problem, message=f"{problem.message} (in `{sides[0]}`)")
