"""schema: a kind of file → its JSON Schema; or the schemas of all kinds, into the config folder."""

from __future__ import annotations

import json
from pathlib import Path

from modelforge.cli.answer import Answer
from modelforge.config.folder import check_conf, own_conf
from modelforge.core.files import write_atomically
from modelforge.core.words import plural
from modelforge.train.schema import KINDS
from modelforge.train.schema import schema as schema_of

FOLDER = ".schema"
"""Where the first line of each config looks for its schema, below the config folder."""


def schema(kind: str) -> Answer:
    """The schema, as JSON either way."""
    found = schema_of(kind)
    return Answer(found, f"{json.dumps(found, indent=2)}\n")


def write_schemas(conf: Path | None) -> Answer:
    """Writes the schema of each kind of file into the config folder, for editors.

    Args:
        conf: The config folder; None for the default one.

    Raises:
        ForgeError: there is no such folder, or it cannot be written to.
    """
    folder = conf or own_conf()
    check_conf(folder, "config")
    paths = [folder / FOLDER / f"{kind}.json" for kind in KINDS]
    for kind, path in zip(KINDS, paths, strict=True):
        write_atomically(path, f"{json.dumps(schema_of(kind))}\n", str(path))
    return Answer([path.as_posix() for path in paths], f"wrote {plural(len(paths), 'schema')} to {folder / FOLDER}\n")
