"""app: the command line, on which modules put their commands; `answer` carries one out.

`modelforge --help` needs no torch: the module of a command is imported when it is called.
"""

from __future__ import annotations

from enum import StrEnum
from pkgutil import resolve_name
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from modelforge._version import __version__
from modelforge.cli.answer import say


class TwoWords(TyperGroup):
    """Commands whose names may have two words: `sweep work DIR` beside `sweep DIR`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command of the first two words, if there is one, and what follows them."""
        command = self.get_command(ctx, " ".join(args[:2]))
        return (command.name, command, args[2:]) if command else super().resolve_command(ctx, args)


app = typer.Typer(
    cls=TwoWords,
    name="modelforge",
    help="Neural networks and their initial values, declared layer by layer in Hydra YAML.",
    epilog="Exit status: 0 fine, 1 problems found, 2 misuse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def answer(command: str, *arguments: Any, **options: Any) -> NoReturn:
    """Carries out a command, whose module is imported now, prints its answer and exits; see `say`."""
    say(resolve_name(f"modelforge.cli.{command}"), *arguments, **options)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelforge {__version__}")
        raise typer.Exit


def named_form(form: StrEnum | None, **flags: bool) -> str | None:
    """The form of the output that `--format`, or an option called like a form, names; None where none does.

    Args:
        form: Of `--format`.
        flags: By form, whether its option is given, such as `json=True`.
    """
    named = {form and form.value, *(name for name, is_given in flags.items() if is_given)} - {None}
    if len(named) > 1:
        options = ["--format", *(f"--{name}" for name in flags)]
        raise typer.BadParameter(f"choose one of {', '.join(options[:-1])} and {options[-1]}")
    return next(iter(named), None)


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction]  # typer calls it
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version
