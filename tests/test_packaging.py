"""What is shipped, and whether the lists that describe it agree with each other."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from modelforge._version import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
CUDA = re.compile(r"nvidia-|cuda-|triton$")
"""What torch itself pins exactly where it comes with CUDA."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return ZipFile(next(folder.glob("*.whl")))


EXTRAS = PROJECT["optional-dependencies"]


def requirements(extras: Iterable[str] = EXTRAS.keys()) -> list[Requirement]:
    lines = [*PROJECT["dependencies"], *(line for extra in sorted(extras) for line in EXTRAS[extra])]
    return [Requirement(line) for line in lines if not line.startswith("modelforge[")]


def pins() -> dict[str, Version]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {name: Version(version) for name, version in pairs}


def test_wheel_holds_the_package_and_the_configs(wheel: ZipFile) -> None:
    code = {f"modelforge/{path.relative_to(ROOT / 'modelforge')}" for path in (ROOT / "modelforge").rglob("*.py")}
    configs = {
        f"modelforge/conf/{path.relative_to(ROOT / 'conf')}"
        for pattern in ("*.yaml", ".schema/*.json")
        for path in (ROOT / "conf").rglob(pattern)
    }
    starter = {
        f"modelforge/{path.relative_to(ROOT / 'modelforge')}"
        for path in (ROOT / "modelforge" / "starter").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    pages = {
        f"modelforge/{path.relative_to(ROOT / 'modelforge')}"
        for pattern in ("*.html", "*.css", "templates/*")
        for path in (ROOT / "modelforge").rglob(pattern)
    }
    info = f"modelforge-{__version__}.dist-info/"
    assert "modelforge/conf/config.yaml" in configs
    assert "modelforge/conf/data/digits_rows.yaml" in configs
    assert {name for name in wheel.namelist() if not name.startswith(info)} == code | configs | starter | pages | {
        "modelforge/py.typed"
    }
    assert f"{info}licenses/LICENSE" in wheel.namelist()


def test_wheel_metadata_has_the_version_and_the_console_script(wheel: ZipFile) -> None:
    info = f"modelforge-{__version__}.dist-info"
    assert f"\nVersion: {__version__}\n" in wheel.read(f"{info}/METADATA").decode()
    assert "modelforge = modelforge.cli:main" in wheel.read(f"{info}/entry_points.txt").decode().splitlines()


HEAVY = {"torch", "lightning", "numpy"}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("modelforge", HEAVY | {"hydra", "omegaconf"}),
        ("modelforge.config.compose", HEAVY),
        ("modelforge.cli.revisions", HEAVY | {"hydra", "omegaconf"}),
    ],
)
def test_import_stays_light(module: str, heavy: set[str]) -> None:
    code = f"import sys, {module}; print(sorted({heavy} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_the_package_runs_as_the_command() -> None:
    found = subprocess.run([sys.executable, "-m", "modelforge", "--version"], cwd=ROOT, capture_output=True, text=True)
    assert (found.stdout, found.stderr) == (f"modelforge {__version__}\n", "")


def test_changelog_has_a_section_for_what_is_not_released() -> None:
    assert "\n## [Unreleased]\n" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


PINNED = [extra for extra in EXTRAS if extra != "vision"]
"""Extras that are installed for tests; torchvision's build must be of one kind with torch's."""


@pytest.mark.parametrize("requirement", requirements(PINNED), ids=lambda requirement: requirement.name)
def test_every_dependency_is_pinned_in_range(requirement: Requirement) -> None:
    pin = pins().get(canonicalize_name(requirement.name))
    assert pin is not None, f"{requirement.name} has no pin in constraints.txt"
    assert requirement.specifier.contains(pin), f"{requirement.name}=={pin} is outside {requirement.specifier}"


@pytest.mark.parametrize("requirement", requirements(EXTRAS), ids=lambda requirement: requirement.name)
def test_every_dependency_is_explained(requirement: Requirement) -> None:
    explained = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    assert f"| `{requirement.name}`" in explained, f"{requirement.name} is not in docs/dependencies.md"


def test_constraints_are_sorted_and_public() -> None:
    names = list(pins())
    assert names == sorted(names)
    assert [name for name, version in pins().items() if version.local] == []


def test_every_installed_dependency_of_a_dependency_is_pinned() -> None:
    pinned = pins()
    unpinned = {name for name in _installed_closure() if name not in pinned and not CUDA.match(name)}
    assert unpinned == set()


def _installed_closure() -> set[str]:
    """Names of all installed distributions that the requirements lead to, extras followed."""
    seen: set[tuple[str, frozenset[str]]] = set()
    todo = requirements(PINNED)
    while todo:
        requirement = todo.pop()
        key = (canonicalize_name(requirement.name), frozenset(requirement.extras))
        if key in seen:
            continue
        try:
            lines = metadata.requires(requirement.name) or []
        except metadata.PackageNotFoundError:
            continue
        seen.add(key)
        for child in map(Requirement, lines):
            extras = requirement.extras or {""}
            if child.marker is None or any(child.marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(child)
    return {name for name, _ in seen}
