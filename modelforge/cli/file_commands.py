"""The commands about the files of a project; each is carried out in a module of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from modelforge.cli.front import answer, app
from modelforge.cli.options import File, Json, OwnConf


@app.command()
def schema(
    kind: Annotated[
        File, typer.Argument(metavar="KIND", help="The config group; config for primary configs and experiments.")
    ] = File.model,
    write: Annotated[bool, typer.Option("--write", help="Write the schemas of all kinds to CONF/.schema.")] = False,
    conf: OwnConf = None,
) -> None:
    """Print the JSON Schema of a kind of config file, for editors and check-jsonschema; it includes plugins' names.

    Kinds: model, init, weights, data, optimizer, scheduler, trainer,
    callbacks, logger, hydra, config.
    """
    if write:
        answer("schema:write_schemas", conf)
    else:
        answer("schema:schema", kind.value)


@app.command()
def fmt(
    paths: Annotated[
        list[Path] | None, typer.Argument(metavar="PATH", help="Files and folders. Default: the config folder.")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
    diff: Annotated[bool, typer.Option("--diff", help="Write nothing; print what would change.")] = False,
    conf: OwnConf = None,
    as_json: Json = False,
) -> None:
    """Format config files: canonical order and spacing, comments kept, the same values.

    `defaults`, `type` and `scheme` come first, the `init` of a layer last.
    Layers, and names of your own, stay in the order they have.
    """
    answer("fmt:fmt", paths or [], conf, check=check, diff=diff, as_json=as_json)


@app.command()
def upgrade(
    check: Annotated[bool, typer.Option("--check", help="Write nothing; exit with 1 if a file would change.")] = False,
    conf: OwnConf = None,
    as_json: Json = False,
) -> None:
    """Rewrite a config folder to the current version of the language, and set the version in its config.yaml."""
    answer("fmt:upgrade", conf, check=check, as_json=as_json)


@app.command()
def new(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="The folder to create, or one that is empty but for dotfiles.")
    ],
    as_json: Json = False,
) -> None:
    """Create a starter project: all configs, a model of your own, train.py, a test, JSON Schemas for your editor."""
    answer("new:new", folder, as_json=as_json, plugins=False)
