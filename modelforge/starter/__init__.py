"""A starter project: the configs that come with modelforge, a model of one's own, and what runs and tests them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from modelforge.config import shipped
from modelforge.core.errors import ForgeError, Problem

HERE = Path(__file__).parent
FILES: Mapping[str, str] = MappingProxyType(
    {
        "my_model.yaml": "conf/model/my_model.yaml",
        "train.py.txt": "train.py",
        "test_models.py.txt": "tests/test_models.py",
        "README.md": "README.md",
        "gitignore.txt": ".gitignore",
    }
)
"""Where each file of this folder goes."""
SCHEMA_LINE = "# yaml-language-server: $schema=../../schema/{kind}.json\n"
"""By it, editors know what may stand in a file."""


def create(folder: Path) -> list[Path]:
    """Makes a project that runs at once.

    Args:
        folder: Where; it must be empty, or not be there yet.

    Returns:
        The files, relative to the folder.

    Raises:
        ForgeError: something is there already, or cannot be written. Nothing is left half done.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise _refusal(folder, "it is a file", "choose another name")
        if folder.exists() and any(folder.iterdir()):
            raise _refusal(folder, "it is not empty", "choose a new folder: nothing is overwritten")
        made = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        try:
            found = _fill(folder)
        except BaseException:
            if made:
                folder.rmdir()
            raise
    except OSError as error:
        raise _refusal(folder, (error.strerror or str(error)).lower(), "choose another place") from error
    return found


def _fill(folder: Path) -> list[Path]:
    """Writes the project beside its place, inside the folder, and moves it there when it is whole."""
    with TemporaryDirectory(dir=folder, prefix=".new-") as draft:
        project = Path(draft) / "project"
        _write(project, folder.resolve().name)
        found = sorted(path.relative_to(project) for path in project.rglob("*") if path.is_file())
        for path in sorted(project.iterdir()):
            path.rename(folder / path.name)
    return found


def _write(project: Path, name: str) -> None:
    conf = shipped()
    assert conf is not None, "wheels and checkouts have it"
    shutil.copytree(conf, project / "conf", ignore=shutil.ignore_patterns("local"))
    for source, target in FILES.items():
        path = project / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((HERE / source).read_text(encoding="utf-8").replace("{name}", name), encoding="utf-8")
    config = project / "conf" / "config.yaml"
    config.write_text(
        config.read_text(encoding="utf-8").replace("- model: mlp ", "- model: my_model "), encoding="utf-8"
    )
    _write_schemas(project)


def _write_schemas(project: Path) -> None:
    from modelforge.language.schema import KINDS, schema

    (project / "schema").mkdir()
    for kind in KINDS:
        (project / "schema" / f"{kind}.json").write_text(json.dumps(schema(kind)) + "\n", encoding="utf-8")
        for path in (project / "conf" / kind).glob("*.yaml"):
            path.write_text(SCHEMA_LINE.format(kind=kind) + path.read_text(encoding="utf-8"), encoding="utf-8")


def _refusal(folder: Path, reason: str, hint: str) -> ForgeError:
    return ForgeError([Problem("MF072", str(folder), f"no project can be made in `{folder}`: {reason}", hint)])
