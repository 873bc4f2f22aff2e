"""main: the command line. Each command is declared here and carried out in a module of its own, imported when called:
`modelforge --help` needs no torch.
"""

from __future__ import annotations

import atexit
import gc
import signal
import sys
from enum import StrEnum
from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any, NoReturn

import typer

from modelforge._version import __version__
from modelforge.cli.answer import say
from modelforge.core.plugins import installed_alone
from modelforge.report.screen import removed_folder

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="OVERRIDES", help="Hydra overrides, such as model=lstm init.gain=0.5", show_default=False),
]
Conf = Annotated[
    Path | None,
    typer.Option("--conf", metavar="DIR", help="The config folder. Default: ./conf, else the configs of modelforge."),
]
Json = Annotated[bool, typer.Option("--json", help="Print data instead of text.")]


class Kind(StrEnum):
    """What `list` lists."""

    layers = "layers"
    inits = "inits"
    activations = "activations"
    callbacks = "callbacks"
    loggers = "loggers"
    tasks = "tasks"
    data = "data"


class Tunable(StrEnum):
    """What `tune` looks for."""

    lr = "lr"
    batch_size = "batch_size"


class File(StrEnum):
    """What `schema` has a schema for."""

    model = "model"
    init = "init"
    weights = "weights"
    data = "data"
    optimizer = "optimizer"
    scheduler = "scheduler"
    trainer = "trainer"
    callbacks = "callbacks"
    logger = "logger"
    config = "config"


app = typer.Typer(
    name="modelforge",
    help="Neural networks and their initial values, declared layer by layer in Hydra YAML.",
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
    gc.set_threshold(500_000, 20, 20)  # what is imported stays: looking for garbage in it takes a tenth of a command
    atexit.register(gc.freeze)  # and as long again when Python ends
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


def _answer(command: str, *arguments: Any, **options: Any) -> NoReturn:
    """Carries out a command, whose module is imported now, prints its answer and exits; see `say`."""
    say(resolve_name(f"modelforge.cli.{command}"), *arguments, **options)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"modelforge {__version__}")
        raise typer.Exit


def _one_of(option: str, given: bool, as_json: bool) -> None:
    """Refuses two forms of output at the same time."""
    if given and as_json:
        raise typer.BadParameter(f"choose one of {option} and --json")


@app.callback()
def _options(  # pyright: ignore[reportUnusedFunction]  # typer calls it
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version


@app.command()
def check(
    overrides: Overrides = None,
    every: Annotated[
        bool,
        typer.Option(
            "--all", help="Check every model with every init, and every experiment. The default without overrides."
        ),
    ] = False,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Check one config, or every config in conf/, and print problems and warnings."""
    _answer("check:check", conf, overrides or [], every=every or not overrides, as_json=as_json)


@app.command()
def show(overrides: Overrides = None, conf: Conf = None, as_json: Json = False) -> None:
    """Print the model as a tree: layers, output shapes, parameters, initial values, FLOPs.

    Shapes and FLOPs are those of one example. Biases that start at 0 and
    scales that start at 1 are left out. A multiplication and an addition
    count as two FLOPs.
    """
    _answer("show:show", conf, overrides or [], as_json=as_json)


@app.command()
def explain(
    path: Annotated[
        str, typer.Argument(metavar="PATH", help="A parameter, a layer or a glob, such as rnn.weight_hh_l0")
    ],
    overrides: Overrides = None,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Explain the initial values of a parameter: every init block that applies to it, with file and line."""
    _answer("explain:explain", path, conf, overrides or [], as_json=as_json)


@app.command(name="list")
def list_(
    kind: Annotated[Kind, typer.Argument(metavar="KIND", help="What to list.")],
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only this one, with all details; or a glob.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what a config can name; with NAME, the fields and documentation of one."""
    _answer("list:catalogue", kind.value, name, as_json=as_json)


@app.command()
def diff(
    old: Annotated[
        str,
        typer.Argument(metavar="A", help="A config folder, overrides, a git revision, or a range: main...HEAD"),
    ],
    new: Annotated[
        str | None, typer.Argument(metavar="B", help="What to compare A with. Default: . (the working tree).")
    ] = None,
    overrides: Overrides = None,
    conf: Conf = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown, for a pull request.")] = False,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 1 if there are differences.")] = False,
    as_json: Json = False,
) -> None:
    """Compare two versions of the configs: layers, shapes, parameters, initial values, all other values.

    A and B are each a config folder, overrides in one word ("model=lstm
    init.gain=2"), a git revision (with the config folder if it had another
    name then: HEAD~1:configs), or . for the working tree. A...B compares B
    with the commit where it branched off A. OVERRIDES apply to both.

    Compared are the default config, and each option of a config group that
    reads a changed file. The first lines list what was compared, and what
    was not.

    Exit status: 0; 1 with --exit-code if there are differences other than
    formatting, comments and the order of keys; 2 if A or B cannot be read
    or composed.
    """
    _one_of("--markdown", markdown, as_json)
    options = {"markdown": markdown, "exit_code": exit_code}
    _answer("diff:compare", old, new, conf, overrides or [], as_json=as_json, failure=2, plugins=False, **options)


@app.command()
def tune(
    kind: Annotated[Tunable, typer.Argument(metavar="lr|batch_size", help="What to look for.")],
    overrides: Overrides = None,
    lowest: Annotated[float, typer.Option("--min", help="The first learning rate.")] = 1e-6,
    highest: Annotated[float, typer.Option("--max", help="The last learning rate.")] = 1.0,
    steps: Annotated[int, typer.Option("--steps", min=20, help="Steps from the first to the last.")] = 100,
    curve: Annotated[
        Path | None, typer.Option("--curve", metavar="FILE", help="Write learning rates and losses as CSV.")
    ] = None,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Try learning rates or batch sizes on a config, and print an override to begin with; no config is changed.

    The model starts with the initial values, and reads the batches in the
    order, of `train.py` with the same overrides. `lr` raises the learning
    rate from step to step and finds where the loss falls most steeply;
    `batch_size` doubles the batch until memory is short.
    """
    options: dict[str, Any] = {"lowest": lowest, "highest": highest, "num_steps": steps, "curve": curve}
    _answer("tune:tune", kind.value, conf, overrides or [], as_json=as_json, **options)


@app.command()
def sweep(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a multirun, finished or not.")],
    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="NAME", help="Sort by this metric. Default: the one that the runs optimize."),
    ] = None,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values, with all metrics.")] = False,
    as_json: Json = False,
) -> None:
    """Print the jobs of a multirun as a table, best first; exit status 1 if a job ended before it finished."""
    _one_of("--csv", csv, as_json)
    _answer("sweep:sweep", folder, metric, csv=csv, as_json=as_json, plugins=False)


@app.command()
def verify(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    ckpt: Annotated[
        str | None,
        typer.Option("--ckpt", metavar="FILE", help="Compare this checkpoint instead: best, last or a path."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Check that a run's initial values match its ledger; exit status 1 if a parameter differs.

    The model is built again from the run's config.yaml. With --ckpt, a
    checkpoint is compared instead, which shows what training changed.
    """
    _answer("verify:verify", folder, ckpt, as_json=as_json)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="New data: a table, pictures, a text, or arrays.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A .csv, .json or .parquet file to write.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", metavar="COLUMN", help="A column of the new data to keep; repeatable.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Where the model runs, such as cuda.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Predict from new data with the best checkpoint of a run: classes with their names, numbers in their units.

    The run's preprocessing is applied: columns are found by name, scaled and
    encoded as in training. Targets are not needed.
    """
    _answer("predict:predict", run, file, output, keep or [], device, as_json=as_json)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[DATA...]", help="Other data, such as data.path=new.csv: the whole file is evaluated."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="Where tables and figures go.")
    ] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Whether to draw figures.")] = True,
    device: Annotated[str, typer.Option("--device", help="Where the model runs, such as cuda.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Evaluate a run: metrics and the task's report, of its test part or of other data.

    Writes tables (CSV) and figures (PNG), such as a confusion matrix, to
    RUN/evaluation. Exit status 1 if the test part gives another metric than
    the run reported.
    """
    _answer("evaluate:evaluate", run, overrides or [], output, device, plots=plots, as_json=as_json)


@app.command()
def schema(
    kind: Annotated[
        File, typer.Argument(metavar="KIND", help="The group of the file, or config: a primary config, an experiment.")
    ] = File.model,
    write: Annotated[bool, typer.Option("--write", help="Write the schemas of all kinds to CONF/.schema.")] = False,
    conf: Conf = None,
) -> None:
    """Print the JSON Schema of a kind of config file, for editors and check-jsonschema; it includes plugins' names.

    Kinds: model, init, weights, data, optimizer, scheduler, trainer,
    callbacks, logger, config.
    """
    if write:
        _answer("schema:write_schemas", conf)
    else:
        _answer("schema:schema", kind.value)


@app.command()
def fmt(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="[PATH...]", help="Files and folders. Default: the config folder.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; print what would change.")] = False,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Format config files: canonical order and spacing, comments kept, the same values.

    `defaults`, `type` and `scheme` come first, the `init` of a layer last.
    Layers, and names of your own, stay in the order they have.
    """
    _answer("fmt:fmt", paths or [], conf, check=check, diff=diff, as_json=as_json)


@app.command()
def upgrade(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Bring a config folder to the present version of the language, and note the version in its config.yaml."""
    _answer("fmt:upgrade", conf, check=check, as_json=as_json)


@app.command()
def new(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to create, or one that is empty but for dotfiles.")
    ],
    as_json: Json = False,
) -> None:
    """Create a starter project: all configs, a model of your own, train.py, a test, a schema for your editor."""
    _answer("new:new", folder, as_json=as_json, plugins=False)
