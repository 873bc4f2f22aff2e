"""review: a pair of sides → `Review`: everything that differs between their configs, and how much was compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from modelforge.config.composition import Library
from modelforge.config.document import Documents
from modelforge.config.references import is_interpolation
from modelforge.config.source import Files
from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import listed
from modelforge.planning.study import Studies
from modelforge.review.affected import PLANNED, Composition, Entry, Reach, composed, entries
from modelforge.review.causes import Causes
from modelforge.review.changed_files import PACKAGE, FileDiff, changed_files, content
from modelforge.review.consequences import Known, TrainingOf
from modelforge.review.entry_diff import entry_diff
from modelforge.review.option_names import choice_of, follows_renames, label_of, option_of, with_choices, with_new_names
from modelforge.review.pair import Pair
from modelforge.review.project_code import why_not_compared
from modelforge.review.renames import renamed_files
from modelforge.review.review import EntryDiff, FileNote, Review
from modelforge.review.revision import short
from modelforge.review.sides import Side
from modelforge.review.values import ValueChange, exact, meet

TRAINED = ("data", "trainer", "scheduler")
"""The sections that set the length of a training."""
Effective = Callable[[Mapping[str, Any]], Mapping[str, Any]]
Track = Callable[[Sequence[Entry], str], Iterable[Entry]]
"""Shows the progress over entries, under a label."""


def review(
    pair: Pair,
    *,
    track: Track = lambda items, label: items,
    further: Sequence[str] = (),
    effective: Effective = lambda values: {},
    training: TrainingOf = lambda values: None,
    documents: Documents | None = None,
) -> Review:
    """Compares all that two sides' configs compose to: every entry that reads a file that differs.

    Args:
        pair: The sides, as `open_sides` gives them.
        track: Wraps the entries while they are composed, to show progress.
        further: Overrides of further compositions to compare, each as one text: `"model=gpt2 data=text"`.
        effective: Composed values → what the training comes to in numbers; `modelforge.train.effective` knows.
        training: Composed values → what lint rules may know of it; `modelforge.train.settings` knows.
        documents: Files that were parsed, by a scan before.

    Raises:
        ForgeError: a side's default does not compose, or has no plan.
    """
    return _Reviewer(pair, track, further, effective, training, documents or Documents()).review()


class _Reviewer:
    def __init__(
        self,
        pair: Pair,
        track: Track,
        further: Sequence[str],
        effective: Effective,
        training: TrainingOf,
        documents: Documents,
    ) -> None:
        self.pair, self.old, self.new, self.overrides = pair, pair.old, pair.new, pair.overrides
        self.track, self.further, self.documents = track, further, documents
        self.numbers = _Numbers(effective)
        self.consequences = Known(training)
        self.left_out = _left_out(self.old, self.new)
        files, paths = changed_files(self.old, self.new, documents)
        files = tuple(file for file in files if file.path not in self.left_out)
        paths = [path for path in paths if path not in self.left_out]
        self.files = renamed_files(files)
        self.names = {file.old_path: file.path for file in self.files if file.old_path}
        """Of renamed files the path on the old side → that on the new one."""
        self.paths = tuple(path for path in paths if path not in self.names)
        self.changed = {file.path: file for file in files if file.path in self.names}
        self.changed |= {file.path: file for file in self.files}
        self.meaningful = {path for path, file in self.changed.items() if not file.formatting or file.reordered}
        """The files that a composition can differ by."""
        self.studies = Studies()
        self.causes = Causes(self.changed)
        self.libraries = {side.folder: Library(Files(documents=documents)) for side in (self.old, self.new)}
        self.failed: dict[str, str] = {}
        """Why an entry can be composed on neither side, by its file."""
        self.alone: dict[str, str] = {}
        self.default: Composition | None = None
        """On the new side; None until it is compared."""
        self.num_unaffected = 0
        self.read: dict[str, list[tuple[EntryDiff, tuple[Any, ...]]]] = {}
        """For each file that differs the comparisons that read it, and the files that each of them merged."""

    def review(self) -> Review:
        """Compares the sides."""
        found = tuple(self._compare_all())
        same_folder = not self.files and self.old.folder == self.new.folder
        return Review(
            self.old.name,
            self.new.name,
            self.overrides,
            notes=tuple(self._notes(self.pair.range)),
            files=(
                *map(self._note, self.files),
                *(_not_there(path, why_not_compared(path)) for path in self.pair.code),
                *(_not_there(path, why) for path, why in self.left_out.items() if why),
            ),
            num_files=0 if same_folder else len(self.paths),
            entries=found,
            num_unaffected=self.num_unaffected,
            alone=self.alone,
            causes=self.causes.found(),
            lacks_plugins=self.pair.lacks_plugins,
        )

    def _compare_all(self) -> Iterator[EntryDiff]:
        default, *others = entries(self.paths, self.overrides, self.further)
        before, after = self._composed_before(default), self._composed_after(default)
        self._check_default(before, after)
        label = " ".join(self.overrides) or default.label
        yield self._compare(replace(default, label=label), before, after)
        self.default = after
        if "overrides" in (self.old.kind, self.new.kind):
            return
        if not self.meaningful:
            self.num_unaffected = len(others)
            return
        seen = {(before.signature, after.signature)}
        for entry in self.track(self._reached(others), "comparing"):
            file = self._decisive(entry)
            kind = file.kind if file else "changed"
            before = Composition(None) if kind == "added" else self._composed_before(entry)
            after = Composition(None) if kind == "removed" else self._composed_after(entry)
            if not (before.config or after.config or kind == "added"):
                why = (after.problems or before.problems)[0].message
                self.failed[entry.file] = f"`{entry.label}` cannot be composed alone: {why}"
                self.alone[entry.label] = why
                continue
            signature = (before.signature, after.signature)
            whole = before.config is not None and after.config is not None
            renamed = file is not None and file.old_path
            if whole and not renamed and not (before.files | after.files) & self.meaningful:
                self.num_unaffected += 1
            elif not whole or renamed or signature not in seen:
                seen.add(signature)
                yield self._compare(entry, before, after)

    def _decisive(self, entry: Entry) -> FileDiff | None:
        """The file of an option that an entry chooses, where it comes or goes; else the entry's own, if it differs."""
        chosen = [file for choice in map(choice_of, entry.overrides) if choice for file in choice.files]
        files = [self.changed[file] for file in dict.fromkeys((entry.file, *chosen)) if file in self.changed]
        return next((file for file in files if file.kind != "changed"), self.changed.get(entry.file))

    def _composed_before(self, entry: Entry) -> Composition:
        """An entry on the old side, by the names that its options have there."""
        old_names = {new: old for old, new in self.names.items()}
        choices = {word: choice_of(word) for word in (*entry.overrides, *self.overrides)}
        renamed = {word: one for word, one in choices.items() if one and not old_names.keys().isdisjoint(one.files)}
        old_words = {word: one.called(old_names).text for word, one in renamed.items()}
        own, common = ([old_words.get(word, word) for word in words] for words in (entry.overrides, self.overrides))
        name = option_of(old_names.get(f"{entry.config_name}.yaml", entry.config_name))[1]
        found = self._composed(self.old, replace(entry, overrides=tuple(own), config_name=name), common)
        noted = {key: name for one in renamed.values() for key, name in one.noted.items()}
        return with_choices(with_new_names(found, self.names), noted, entry.config_name)

    def _composed_after(self, entry: Entry) -> Composition:
        return self._composed(self.new, entry, self.overrides)

    def _composed(self, side: Side, entry: Entry, overrides: Sequence[str]) -> Composition:
        found = composed(side, entry, overrides, self.studies, self.libraries[side.folder])
        # A revision may be a stranger's: the files of weights that it names are not read, for either side.
        return replace(found, read_files="revision" not in (self.old.kind, self.new.kind))

    def _reached(self, others: Sequence[Entry]) -> list[Entry]:
        """The entries that may read a file that differs."""
        alike = {
            path: content(self.old, path, self.documents, leads_only=True)
            for path in self.paths
            if path not in self.changed
        }
        reaches: list[Reach] = []
        for side, differ in (
            (self.old, {path: file.old for path, file in self.changed.items()}),
            (self.new, {path: file.new for path, file in self.changed.items()}),
        ):
            contents = {path: found for path, found in {**alike, **differ}.items() if found is not None}
            reaches.append(Reach(side, contents, self.overrides))
        reached = [
            entry
            for entry in others
            if any(entry.file in self.meaningful or reach.may_read(entry) & self.meaningful for reach in reaches)
        ]
        self.num_unaffected = len(others) - len(reached)
        return reached

    def _check_default(self, old: Composition, new: Composition) -> None:
        """Raises the problems of the default composition, each with the side it is on unless it is on both."""
        found: dict[Problem, list[str]] = {}
        for side, one in ((self.old, old), (self.new, new)):
            for problem in one.decided if isinstance(one.decided, tuple) else ():
                found.setdefault(problem, []).append(side.name)
        if found:
            left = [f"`{one.path}` ({one.what})" for side in (self.old, self.new) for one in side.left_out]
            hint = f"left out of what is compared: {listed(dict.fromkeys(left), 3)}" if left else ""
            raise ForgeError(
                replace(
                    problem,
                    message=problem.message if len(names) > 1 else f"{problem.message} (in `{names[0]}`)",
                    hint="; ".join(filter(None, (problem.hint, hint))),
                )
                for problem, names in found.items()
            )

    def _compare(self, entry: Entry, old: Composition, new: Composition) -> EntryDiff:
        file = self._decisive(entry)
        result = entry_diff(entry, file.kind if file else "changed", old, new, self.consequences, self.default)
        was = label_of(file.old_path) if file is not None and file.old_path else ""
        result = replace(result, was=was, file=file.path if file else entry.file)
        if any(change.path[0] not in PLANNED for change in result.values):
            result = replace(result, effective=tuple(self.numbers.changes(old, new)))
        self.causes.add(result, file.path if file else entry.file, old, new)
        for path in (old.files | new.files) & self.changed.keys():
            self.read.setdefault(path, []).append((result, (*old.signature, *new.signature)))
        return result

    def _note(self, file: FileDiff) -> FileNote:
        if file.formatting and not (file.reordered and file.path not in self.read):
            return FileNote(file)
        if file.path not in self.read:
            return FileNote(file, self._reason(file), file.edits)
        idle = [edit for edit in file.edits if not self._shows(file, edit)]
        rewritten = [edit for edit in idle if self._says_the_same(file, edit)]
        return FileNote(file, "", tuple(edit for edit in idle if edit not in rewritten), tuple(rewritten))

    def _says_the_same(self, file: FileDiff, edit: ValueChange) -> bool:
        """Whether an edit without an effect writes a value in another way, or a file by its new name."""
        interpolated = any(map(is_interpolation, (edit.old, edit.new)))
        if edit.path[0] != "defaults":
            numbers = all(
                isinstance(value, int | float) and not isinstance(value, bool) for value in (edit.old, edit.new)
            )
            return interpolated or (numbers and edit.old == edit.new)
        return interpolated or follows_renames(file.path, edit.old, edit.new, self.names)

    def _reason(self, file: FileDiff) -> str:
        problems = [problem for side in (file.old, file.new) if side for problem in side.problems]
        if not file.is_config:
            return "composition reads only .yaml files"
        if problems:
            return problems[0].message
        if file.path in self.failed:
            return self.failed[file.path]
        return "no composition reads it"

    def _shows(self, file: FileDiff, edit: ValueChange) -> bool:
        """Whether a comparison that read the file shows the effect of an edit."""
        for found, merged in self.read[file.path]:
            if found.kind != "changed" or found.broken:
                return True
            if edit.path[0] in ("defaults", PACKAGE) and not found.equal:
                return True
            packages = {item[0] for item in merged if item[1] == file.path}
            for package in packages:
                full = (*filter(None, package.split(".")), *edit.path)
                if any(meet(full, change.path) for change in found.values):
                    return True
        return False

    def _notes(self, name: str) -> Iterator[str]:
        if name:
            yield f"`{short(name)}` compares `{short(self.old.name)}` with `{short(self.new.name)}`"
        yield from (side.note for side in (self.old, self.new) if side.note)
        if same := [f"{one.path} ({one.what})" for one in self.new.left_out if not self.left_out[one.path]]:
            yield f"left out on both sides: {listed(same, 3)}"
        if self.new.kind == "overrides" and self.old.kind != "overrides" and self.old.name != ".":
            words = f'"{self.new.name}"' if " " in self.new.name else self.new.name
            yield (
                f"`{self.new.name}` is read as the new side, the working tree with these overrides; "
                f"for both sides: modelforge diff {self.old.name} . {words}"
            )


def _not_there(path: str, reason: str) -> FileNote:
    """A note of something that differs and is in no folder that is compared."""
    return FileNote(FileDiff(path, "changed", None, None), reason, counted=False)


def _left_out(old: Side, new: Side) -> dict[str, str]:
    """The links and submodules that a side leaves out, each with why it is not compared; empty where it is the same."""
    before, after = ({one.path: one.what for one in side.left_out} for side in (old, new))
    return {
        path: "" if before.get(path) == after.get(path) else f"{after.get(path) or before[path]}: it is not followed"
        for path in {**before, **after}
    }


class _Numbers:
    """What trainings come to, for many compositions; equal ones are asked for once."""

    def __init__(self, effective: Effective) -> None:
        self.effective = effective
        self.known: dict[str, Mapping[str, Any]] = {}

    def changes(self, old: Composition, new: Composition) -> Iterator[ValueChange]:
        """The numbers that differ; one that a side does not have is left out."""
        before, after = self._of(old), self._of(new)
        for name in before:
            if name in after and before[name] != after[name]:
                yield ValueChange(name, before[name], after[name])

    def _of(self, side: Composition) -> Mapping[str, Any]:
        sections = {name: side.values.get(name) for name in TRAINED}
        key = exact(sections)
        if key not in self.known:
            self.known[key] = self.effective(sections)
        return self.known[key]
