"""main: the command line. Each command is declared here and carried out in a module of its own, imported when called:
`modelforge --help` needs no torch.
"""

from __future__ import annotations

import signal
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from modelforge._version import __version__
from modelforge.cli.answer import say
from modelforge.core.plugins import installed_alone
from modelforge.report.screen import removed_folder

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="OVERRIDES", help="Hydra overrides: model=lstm init.gain=0.5", show_default=False),
]
Conf = Annotated[
    Path | None,
    typer.Option("--conf", metavar="DIR", help="The config folder; ./conf, or else the one that modelforge ships."),
]
Json = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]


class Kind(StrEnum):
    """What there are lists of."""

    layers = "layers"
    inits = "inits"
    activations = "activations"


class File(StrEnum):
    """What there are schemas of."""

    model = "model"
    init = "init"


app = typer.Typer(
    name="modelforge",
    help="Neural networks and how they start, declared layer by layer in Hydra YAML.",
    epilog="Exit status: 0 fine, 1 problems found, 2 misuse.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> None:
    """The entry point of the `modelforge` command."""
    if hasattr(signal, "SIGPIPE"):
        # As other tools do: end in silence when the reader of a pipe has gone.
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal without σ or … shows a question mark, not a traceback.
            stream.reconfigure(errors="replace")  # pyright: ignore[reportAttributeAccessIssue]  # it has it
    if problem := removed_folder():
        print(problem, file=sys.stderr)
        sys.exit(1)
    installed_alone("hydra_plugins")
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelforge {__version__}")
        raise typer.Exit


def _one_of(option: str, given: bool, as_json: bool) -> None:
    """Refuses two forms of output at once."""
    if given and as_json:
        raise typer.BadParameter(f"choose one of {option} and --json")


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction]  # typer calls it
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print it.")] = False,
) -> None:
    del version


@app.command()
def check(
    overrides: Overrides = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Every model with every init, and every experiment; default without overrides."),
    ] = False,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """All problems and warnings of one config, or of every config in conf/."""
    from modelforge.cli.check import check

    say(check, conf, overrides or [], every=every or not overrides, as_json=as_json)


@app.command()
def show(overrides: Overrides = None, conf: Conf = None, as_json: Json = False) -> None:
    """The model as a tree: layers, output shapes, parameters, how they start, FLOPs of one example.

    Shapes are those of one example, the batch is implied. Biases that start
    at 0 and scales that start at 1 are left out. FLOPs count a multiplication
    and an addition as two.
    """
    from modelforge.cli.show import show

    say(show, conf, overrides or [], as_json=as_json)


@app.command()
def explain(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A parameter, a layer, or a glob: rnn.weight_hh_l0")],
    overrides: Overrides = None,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Why a parameter starts the way it does: every init block that speaks of it, with file and line."""
    from modelforge.cli.explain import explain

    say(explain, path, conf, overrides or [], as_json=as_json)


@app.command(name="list")
def list_(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="layers, inits or activations.")],
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="One of them in full, or a glob.")] = None,
    as_json: Json = False,
) -> None:
    """What there is to choose from; with NAME its fields, formula and source."""
    from modelforge.cli.list import catalogue

    say(catalogue, kind.value, name, as_json=as_json)


@app.command()
def diff(
    old: Annotated[
        str,
        typer.Argument(metavar="A", help="A config folder, an override set, a git revision, or a range: main...HEAD"),
    ],
    new: Annotated[
        str | None, typer.Argument(metavar="B", help="What to compare it with; default . (the working tree).")
    ] = None,
    overrides: Overrides = None,
    conf: Conf = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if there are differences.")] = False,
    as_json: Json = False,
) -> None:
    """What a change does: layers, shapes, parameters, how each of them starts, and every other value.

    A and B are each a config folder, an override set in one word
    ("model=lstm init.gain=2"), a git revision (with its folder, if that had
    another name: HEAD~1:configs), or . for the working tree. A...B is what B
    brought since it left A. OVERRIDES apply to both.

    Compared are the default and each option of each config group that reads
    a file that differs. The first lines say what that was, and what was not.

    Exit status: 0; 1 with --exit-code if anything differs but formatting,
    comments and the order of keys; 2 if a side cannot be read or composed.
    """
    from modelforge.cli.diff import compare

    _one_of("--markdown", markdown, as_json)
    options = {"markdown": markdown, "exit_code": exit_code}
    say(compare, old, new, conf, overrides or [], as_json=as_json, failure=2, **options)


@app.command()
def sweep(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a multirun, finished or not.")],
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="NAME", help="Sort by this one; default the optimized metric.")
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values, all metrics included.")] = False,
    as_json: Json = False,
) -> None:
    """The jobs of a multirun in one table, best first; exit status 1 if one ended before it finished."""
    from modelforge.cli.sweep import sweep

    _one_of("--csv", csv, as_json)
    say(sweep, folder, metric, csv=csv, as_json=as_json)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    ckpt: Annotated[
        str | None,
        typer.Option("--ckpt", metavar="FILE", help="best, last or a path: what training changed since the start."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Whether a run's start matches its ledger, parameter by parameter; exit status 1 if one differs.

    The model is built again from the run's config.yaml. With --ckpt the
    checkpoint is compared in its place, and differs by what training did.
    """
    from modelforge.cli.verify import verify

    say(verify, folder, ckpt, as_json=as_json)


@app.command()
def schema(
    kind: Annotated[
        File, typer.Argument(metavar="[model|init]", help="Files of conf/model, or of conf/init.")
    ] = File.model,
) -> None:
    """JSON Schema of a kind of file, for editors and check-jsonschema; with your own layers, if plugins bring them."""
    from modelforge.cli.schema import schema

    say(schema, kind.value)


@app.command()
def new(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where; it must be empty, or not be there yet.")],
    as_json: Json = False,
) -> None:
    """A starter project: all configs, a model of your own, train.py, a test, and a schema for your editor."""
    from modelforge.cli.new import new

    say(new, folder, as_json=as_json)
