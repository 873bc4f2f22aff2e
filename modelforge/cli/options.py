"""Options that several commands have, and the names that they take: `modelforge --help` needs nothing else."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="OVERRIDES", help="Hydra overrides, such as model=lstm init.gain=0.5", show_default=False),
]
Conf = Annotated[
    Path | None,
    typer.Option("--conf", metavar="DIR", help="The config folder. Default: ./conf, else the configs of modelforge."),
]
OwnConf = Annotated[Path | None, typer.Option("--conf", metavar="DIR", help="The config folder. Default: ./conf.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]

ChangedOnly = Annotated[
    bool, typer.Option("--changed-only", help="Look only at configs that read a changed file; see --base-ref.")
]
BaseRef = Annotated[
    str | None,
    typer.Option(
        "--base-ref",
        metavar="REF",
        help="With --changed-only: since the commit where HEAD branched off REF. Default: HEAD.",
    ),
]


class Kind(StrEnum):
    """What `list` lists."""

    layers = "layers"
    inits = "inits"
    activations = "activations"
    callbacks = "callbacks"
    loggers = "loggers"
    tasks = "tasks"
    data = "data"
    checks = "checks"
    rules = "rules"


class Tunable(StrEnum):
    """What `tune` looks for."""

    lr = "lr"
    batch_size = "batch_size"


class Cluster(StrEnum):
    """What `sweep script` writes a script for."""

    slurm = "slurm"
    kubernetes = "kubernetes"
    ray = "ray"


class Direction(StrEnum):
    """What `solve` keeps the same."""

    forward = "forward"
    backward = "backward"
    both = "both"


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
    hydra = "hydra"
    config = "config"


class ReviewForm(StrEnum):
    """In which form `diff` prints a review."""

    text = "text"
    markdown = "markdown"
    json = "json"
    github = "github"
    gitlab = "gitlab"
    sarif = "sarif"
    junit = "junit"


class LeastSeverity(StrEnum):
    """Which findings give `lint` and `diagnose` the status 1."""

    note = "note"
    warning = "warning"
    error = "error"


class FindingsForm(StrEnum):
    """In which form `check` and `lint` print what they find."""

    text = "text"
    json = "json"
    github = "github"
    gitlab = "gitlab"
    sarif = "sarif"
    junit = "junit"


class DiagnosisForm(StrEnum):
    """In which form `diagnose` prints what it finds."""

    text = "text"
    html = "html"
    png = "png"
    markdown = "markdown"
    json = "json"


class GalleryForm(StrEnum):
    """In which form `gallery` prints its results."""

    text = "text"
    json = "json"
    html = "html"
    markdown = "markdown"


class SweepForm(StrEnum):
    """In which form `sweep` prints results."""

    text = "text"
    csv = "csv"
    json = "json"
    html = "html"
    parquet = "parquet"


class FailOn(StrEnum):
    """Which changes give `diff` the status 1."""

    none = "none"
    info = "info"
    warning = "warning"
    error = "error"
    changed_init = "changed-init"
    changed_training = "changed-training"


AS_FORM = typer.Option("--format", help="How to print it. Default: by FILE, else text.")
Report = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the result to a file, whole or not at all.")
]
