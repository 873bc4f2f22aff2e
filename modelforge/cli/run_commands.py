"""The commands about runs; each is carried out in a module of its own."""

from __future__ import annotations

from pathlib import Path
from pkgutil import resolve_name
from typing import Annotated, Any

import typer

from modelforge.cli.front import answer, app, named_form
from modelforge.cli.options import AS_FORM, Cluster, Conf, GalleryForm, Json, Overrides, Report, SweepForm, Tunable


@app.command()
def tune(
    kind: Annotated[Tunable, typer.Argument(metavar="lr|batch_size", help="What to look for.")],
    overrides: Overrides = None,
    lowest: Annotated[float | None, typer.Option("--min", help="The first learning rate. Default: 1e-6.")] = None,
    highest: Annotated[float | None, typer.Option("--max", help="The last learning rate. Default: 1.")] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=20, help="Steps from the first to the last. Default: 100.")
    ] = None,
    curve: Annotated[
        Path | None, typer.Option("--curve", metavar="FILE", help="Write learning rates and losses as CSV.")
    ] = None,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Try learning rates or batch sizes on a config, and print an override to begin with; no config is changed.

    The model starts with the initial values, and reads the batches in the
    order, of `train.py` with the same overrides. `lr` raises the learning
    rate from step to step and finds where the loss falls most steeply; all
    options but --conf and --json are for it. `batch_size` doubles the batch until memory is short.
    """
    if kind == Tunable.batch_size:
        if (lowest, highest, steps, curve) != (None,) * 4:
            raise typer.BadParameter("--min, --max, --steps and --curve are for `tune lr`")
        answer("tune:tune_batch_size", conf, overrides or [], as_json=as_json)
    options: dict[str, Any] = {"lowest": lowest, "highest": highest, "num_steps": steps}
    given = {name: value for name, value in options.items() if value is not None}
    answer("tune:tune_rate", conf, overrides or [], curve, as_json=as_json, **given)


@app.command("tune-gain")
def tune_gain(
    overrides: Overrides = None,
    key: Annotated[
        str, typer.Option("--key", metavar="KEY", help="The number to search: a gain, or a std.")
    ] = "init.gain",
    budget: Annotated[int, typer.Option("--budget", min=1, metavar="N", help="Trainings at most.")] = 24,
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="Seeds for a gain that counts.")] = 4,
    minutes: Annotated[
        float | None, typer.Option("--minutes", min=0, metavar="M", help="Begin no training after this time.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="For the trainings; that of a search that was stopped."),
    ] = None,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Search the gain that trains best, from the predicted one outwards, and print it as an override with evidence.

    Each gain is a whole training of `train.py` with the same overrides, so
    shorten it: trainer.max_epochs=5. Gains are a factor of 2 apart first,
    and closer around the best. The first seed chooses one of them; it and
    the config's own are then trained with the other seeds, which are the
    evidence: a t-test, in which chance recommends a gain that is no better
    in one search of 20 at most.
    """
    options: dict[str, Any] = {"key": key, "budget": budget, "seeds": seeds, "minutes": minutes, "folder": folder}
    answer("tune_gain:tune_gain", conf, overrides or [], as_json=as_json, **options)


@app.command()
def sweep(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR...", help="The folders of multiruns, finished or not.", show_default=False),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", metavar="NAME", help="Sort by this metric. Default: the one that the runs optimize."),
    ] = None,
    over: Annotated[
        list[str] | None,
        typer.Option("--group", metavar="KEY", help="Mean and spread over this key, such as seed; repeatable."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            "--baseline", metavar="KEY=VALUE", help="Compare with these jobs, such as init=torch. Default: the best."
        ),
    ] = None,
    form: Annotated[SweepForm | None, AS_FORM] = None,
    output: Report = None,
    every: Annotated[bool, typer.Option("--all", help="List all jobs, however many there are.")] = False,
    live: Annotated[bool, typer.Option("--watch", help="Show the sweep until it ends, then the table.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print comma-separated values, with all metrics.")] = False,
    schema: Annotated[bool, typer.Option("--schema", help="Print the JSON Schema of --format json, and exit.")] = False,
    as_json: Json = False,
) -> None:
    """Print the jobs of multiruns as a table, best first; exit status 1 if a job has no result.

    With --group seed, one line for all seeds of a config: mean, spread, and
    whether the difference to the best one, or to --baseline, is beyond it.
    """
    name = named_form(form, csv=csv, json=as_json)
    if schema:
        answer("sweep:print_schema", as_json=True, plugins=False)
    if not folders:
        raise typer.BadParameter("name a folder: runs/sweeps/...", param_hint="DIR")
    options: dict[str, Any] = {"over": over or [], "baseline": baseline or [], "form": name, "output": output}
    is_json = name == "json" and output is None
    answer("sweep:sweep", folders, metric, every=every, live=live, as_json=is_json, plugins=False, **options)


@app.command("sweep work")
def sweep_work(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a multirun.")],
    index: Annotated[
        int | None, typer.Option("--index", metavar="N", min=0, help="Run the job of this number.")
    ] = None,
    take_any: Annotated[bool, typer.Option("--any", help="Run all jobs that no other process runs.")] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="With --any: run jobs that failed before once more.")
    ] = False,
) -> None:
    """Run frozen jobs of a multirun, for schedulers that start the processes; a job with a result is left alone.

    A job that was interrupted or killed goes on from its last checkpoint.
    Exit status: 0 the job has a result (finished, or diverged, which a
    second run would not change), 1 it failed, or another process runs it,
    2 there is no such job, 128 + n after signal n.
    """
    if (index is None) != take_any:
        raise typer.BadParameter("give one of --index N and --any")
    if retry_failed and not take_any:
        raise typer.BadParameter("--retry-failed goes with --any: a job of a given --index is run again anyway")
    resolve_name("modelforge.cli.sweep_work:sweep_work")(folder, index, retry_failed=retry_failed)


@app.command("sweep script")
def sweep_script(
    kind: Annotated[Cluster, typer.Argument(metavar="slurm|kubernetes|ray", help="What runs the jobs.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="The folder of a multirun.")],
    parallel: Annotated[int | None, typer.Option("--parallel", min=1, help="Run at most so many jobs at once.")] = None,
    as_json: Json = False,
) -> None:
    """Print a script that runs the frozen jobs of a multirun on a cluster; nothing is submitted.

    Each job is run by `modelforge sweep work`. The script asks for an hour
    and 8 GB a job, and may be edited.
    """
    answer("sweep_script:sweep_script", kind.value, folder, parallel=parallel, as_json=as_json, plugins=False)


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
    answer("verify:verify", folder, ckpt, as_json=as_json)


@app.command()
def predict(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="New data: a table, pictures, a text, or arrays.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="A .csv, .json or .parquet file to write.")
    ] = None,
    keep: Annotated[
        list[str] | None, typer.Option("--keep", metavar="COLUMN", help="Copy this column of the new data; repeatable.")
    ] = None,
    device: Annotated[str, typer.Option("--device", help="Where the model runs, such as cuda.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Predict from new data with the best checkpoint of a run: classes with their names, numbers in their units.

    The run's preprocessing is applied: columns are found by name, scaled and
    encoded as in training. Targets are not needed.
    """
    answer("predict:predict", run, file, output, keep or [], device, as_json=as_json)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The folder of a run.")],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="DATA", help="Other data, such as data.path=new.csv: the whole file is evaluated."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The folder of tables and figures. Default: RUN/evaluation."
        ),
    ] = None,
    plots: Annotated[bool, typer.Option("--plots/--no-plots", help="Whether to draw figures.")] = True,
    device: Annotated[str, typer.Option("--device", help="Where the model runs, such as cuda.")] = "cpu",
    as_json: Json = False,
) -> None:
    """Evaluate a run on its test part, or on other data: metrics, and tables and figures of its task.

    Writes tables (CSV) and figures (PNG), such as a confusion matrix, to
    RUN/evaluation. Exit status 1 if a metric of the test part differs from
    what the run reported.
    """
    answer("evaluate:evaluate", run, overrides or [], output, device, plots=plots, as_json=as_json)


@app.command()
def gallery(
    claims: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Claims. Default: all.")] = None,
    listing: Annotated[bool, typer.Option("--list", help="List the claims, and measure nothing.")] = False,
    seeds: Annotated[
        list[int] | None,
        typer.Option("--seed", metavar="N", help="Measure with this seed instead of those of the claim; repeatable."),
    ] = None,
    form: Annotated[GalleryForm | None, AS_FORM] = None,
    output: Report = None,
    pictures: Annotated[
        Path | None, typer.Option("--pictures", metavar="DIR", help="Draw pictures (SVG) into this folder.")
    ] = None,
    conf: Conf = None,
    as_json: Json = False,
) -> None:
    """Measure published claims about initial values on small networks; exit status 1 if a number does not hold.

    A claim is a `claim` block in an experiment of conf/experiment/gallery/,
    which `train.py experiment=gallery/NAME` trains too.
    """
    name = named_form(form, json=as_json)
    if listing:
        if claims or seeds or output or pictures or name in ("html", "markdown"):
            message = "--list prints all claims as text or JSON: leave NAME, --seed, --output and --pictures out"
            raise typer.BadParameter(message)
        answer("gallery:listing", conf, as_json=name == "json")
    options: dict[str, Any] = {"form": name, "output": output, "pictures": pictures}
    answer("gallery:gallery", conf, claims or [], seeds or [], as_json=name == "json" and output is None, **options)
