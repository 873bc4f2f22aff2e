"""open_sides: what a person names → `Pair`: two sides to compare."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from modelforge.config.folder import shipped
from modelforge.core.errors import ForgeError, Problem
from modelforge.review.project_code import changed_code, has_plugins
from modelforge.review.sides import Side, open_side, parse_range


@dataclass(frozen=True)
class Pair:
    """Two sides to compare."""

    old: Side
    new: Side
    overrides: tuple[str, ...] = ()
    """Of both."""
    range: str = ""
    """The name that both come from, if they come from one."""
    code: tuple[str, ...] = ()
    """The modules of the project's plugins that differ, and `pyproject.toml` where it names others."""
    lacks_plugins: bool = False
    """Whether the project has plugins, which are not imported for two revisions."""

    @property
    def are_revisions(self) -> bool:
        """Whether both are revisions, and may be anybody's."""
        return self.old.kind == self.new.kind == "revision"


@contextmanager
def open_sides(old: str, new: str | None, conf: Path | None, overrides: Sequence[str]) -> Generator[Pair]:
    """Two sides as a person names them; the configs of revisions are there until the context ends.

    Raises:
        ForgeError: a name means nothing, or the two do not go together.
    """
    ends = parse_range(old, conf)
    if ends is not None:
        overrides = [*([new] if new is not None else []), *overrides]
        if bad := [word for word in overrides if "=" not in word and not word.startswith(("~", "+"))]:
            message = f"`{old}` names both sides, but `{bad[0]}` is another one"
            raise ForgeError([Problem("MF070", bad[0], message, "only overrides may follow a range")])
    with ExitStack() as stack:
        sides: list[Side] = []
        problems: dict[Problem, None] = {}
        for name in ends or (old, new if new is not None else "."):
            try:
                sides.append(stack.enter_context(open_side(name, conf)))
            except ForgeError as error:
                problems |= dict.fromkeys(error.problems)
        if problems:
            raise ForgeError(problems)
        _check_working_tree(sides, conf)
        lacks = all(side.kind == "revision" for side in sides) and has_plugins()
        yield Pair(sides[0], sides[1], tuple(overrides), old if ends else "", changed_code(*sides), lacks)


def _check_working_tree(sides: Sequence[Side], conf: Path | None) -> None:
    """Refuses to compare a revision's configs with those that modelforge ships."""
    if conf is None and any(side.kind == "revision" for side in sides):
        for side in sides:
            if side.name == "." and side.folder == shipped() and not Path("conf").is_dir():
                message = "the working tree has no folder `conf`"
                raise ForgeError([Problem("MF070", ".", message, "name another one: `--conf DIR`")])
