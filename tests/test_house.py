"""The house: where modules lie, that arrows between them point one way, and why some imports wait for their function.

Import contracts in pyproject.toml say which room knows which; here is what they cannot say.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FILES = sorted((ROOT / "modelforge").rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in FILES}

HELP = "`modelforge --help` and shell completion need neither torch nor what prints the answer"
EARLY = "`--help`, `--cfg job` and a refused command line need no torch"
TRAIN = "the `train` extra may be missing, and takes seconds"
APART = "two revisions are compared by another process, and this one needs no torch"
FSDP = "FSDP2 imports `sympy`, and few runs are sharded"
HEAVY = "a package of which only this function has need"
WAITING = {
    "modelforge.building.shards.shard_of": HEAVY,
    "modelforge.cli.main": "Ctrl-C ends the command while the rest of it is imported",
    **dict.fromkeys((f"modelforge.cli.answer.{name}" for name in ("progress", "_say_json")), HELP),
    "modelforge.cli.check._with_settings": TRAIN,
    **dict.fromkeys((f"modelforge.cli.diff.{name}" for name in ("_compared", "_failure")), APART),
    **dict.fromkeys((f"modelforge.cli.git_diff_driver.{name}" for name in ("_compared", "_values")), APART),
    "modelforge.cli.predict._write": TRAIN,
    "modelforge.inits.laws.drawing.expect": "the `fast` extra may be missing, and loading it takes a part of a second",
    "modelforge.language.registry.reserved_names": "a schema of a config needs no torch until a name is checked",
    "modelforge.report.figures._canvas": "the `plots` extra may be missing",
    "modelforge.results.export.to_parquet": TRAIN,
    "modelforge.results.significance._two_sided": TRAIN,
    "modelforge.runs.liveness._is_held": "there is no such module on Windows",
    "modelforge.runs.liveness.claimed": TRAIN,
    "modelforge.train.callbacks.weight_averages.make": TRAIN,
    "modelforge.sweeps.launchers.launch": "the `ray` extra may be missing",
    **dict.fromkeys(
        (f"modelforge.sweeps.launchers.{name}" for name in ("make_launcher", "start_early")),
        "the extra of an engine may be missing",
    ),
    "modelforge.sweeps.sweeper.sweep": "the workers of joblib import torch at the same time",
    "modelforge.sweeps.optuna_sweeper.sweep": "the `optuna` extra may be missing",
    "modelforge.train.callbacks.early_stopping.make": TRAIN,
    "modelforge.train.callbacks.pruning.make": TRAIN,
    "modelforge.train.callbacks.monitors.make": TRAIN,
    "modelforge.train.command_line.check_config": EARLY,
    "modelforge.train.frozen_job._last_checkpoint": EARLY,
    "modelforge.train.data.sources.breast_cancer.read": TRAIN,
    "modelforge.train.metrics._parse": TRAIN,
    "modelforge.train.data.pictures.__call__": TRAIN,
    "modelforge.train.data.pictures._decoded": TRAIN,
    "modelforge.train.data.pictures._square": TRAIN,
    "modelforge.train.data.pictures.decoded": TRAIN,
    "modelforge.train.data.pictures.image_of_bytes": TRAIN,
    "modelforge.train.data.column_source.all_settings": TRAIN,
    "modelforge.train.data.column_source.encode": TRAIN,
    "modelforge.train.data.column_source.read": TRAIN,
    "modelforge.train.data.sources.digits.read": TRAIN,
    "modelforge.train.data.split.by_groups": TRAIN,
    "modelforge.train.data.sources.text._written": HEAVY,
    **dict.fromkeys(("modelforge.train.fit._build", "modelforge.train.trainer._sharded"), FSDP),
    "modelforge.train.job.train": EARLY,
    "modelforge.train.metrics.known_metrics": TRAIN,
    "modelforge.train.metrics.mean_loss": TRAIN,
    "modelforge.train.loggers.files.make": TRAIN,
    "modelforge.train.loggers.trackers.make": "a tracker may be missing, and takes seconds",
    "modelforge.train.repeat_run.repeat": EARLY,
    "modelforge.train.tasks.classification.meter": TRAIN,
    "modelforge.train.tasks.language_modelling.meter": TRAIN,
    "modelforge.train.tasks.multilabel.meter": TRAIN,
    "modelforge.train.tasks.regression.meter": TRAIN,
    "modelforge.train.text.bigram._count": TRAIN,
    "modelforge.train.tasks.report.of_classes": TRAIN,
    "modelforge.train.tasks.report.of_labels": TRAIN,
}
"""Functions that import something, each with the reason why it is not imported above."""


def targets(node: ast.Import | ast.ImportFrom) -> Iterator[str]:
    """The modules of ours that an import names."""
    if isinstance(node, ast.Import):
        named = [alias.name for alias in node.names]
    else:
        named = [f"{node.module}.{alias.name}" for alias in node.names]
        named = [name if name in MODULES else str(node.module) for name in named]
    yield from (name for name in named if name in MODULES)


def imports(path: Path) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import of a file, for types and inside functions too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node


def circle() -> list[str]:
    """Modules that import each other, the first of them twice; empty where there is no circle."""
    graph = {
        name: {target for node in imports(path) for target in targets(node)} - {name}
        for name, path in MODULES.items()
        if name != "modelforge"  # the front door names all, and nothing imports it
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return []


def test_there_is_no_circle_not_even_for_types_or_inside_a_function():
    found = circle()
    print("circles: 0" if not found else " -> ".join(found))
    assert not found


def test_nothing_imports_the_front_door():
    doors = {
        name
        for name, path in MODULES.items()
        for node in imports(path)
        if name != "modelforge" and "modelforge" in targets(node)
    }
    assert not doors


def test_every_module_lies_in_a_room():
    loose = {path.name for path in (ROOT / "modelforge").glob("*.py")}
    assert loose == {"__init__.py", "__main__.py", "_version.py"}


def test_imports_inside_functions_have_a_reason():
    found = {
        f"{name}.{function.name}"
        for name, path in MODULES.items()
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        and any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function))
    }
    assert found == set(WAITING)


LONG = 100
"""Lines above which a file has tests of its own name."""


def has_tests(path: Path) -> bool:
    """Whether a file has tests of its name: in its room, or where it lies in the room. A package has its folder's."""
    folder = path.parent.relative_to(ROOT / "modelforge")
    name = f"test_{path.parent.name if path.stem == '__init__' else path.stem}.py"
    places = (ROOT / "tests" / place / name for place in (folder, folder.parts[0]))
    return any(place.exists() and "def test_" in place.read_text(encoding="utf-8") for place in places)


def test_every_long_file_has_tests_of_its_name():
    rooms = [path for path in FILES if path.parent != ROOT / "modelforge"]
    long = [path for path in rooms if len(path.read_text(encoding="utf-8").splitlines()) > LONG]
    without = {path.relative_to(ROOT / "modelforge").as_posix() for path in long if not has_tests(path)}
    assert not without


IGNORED = re.compile(r"# (?:pyright: ignore|type: ignore|noqa)(?:: ?[A-Z]+\d+|\[[\w, ]+\])?(.*)")
"""What silences a checker, and the rest of its line."""


def test_every_ignore_has_its_reason_beside_it():
    files = [*FILES, *sorted((ROOT / "tests").rglob("*.py"))]
    lines = [(path.name, line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    silenced = [(name, line, found[1]) for name, line in lines if (found := IGNORED.search(line))]
    assert len(silenced) > 50
    assert [(name, line) for name, line, reason in silenced if not re.match(r"  # \S", reason)] == []
