"""What is written from the code is up to date, and the README shows nothing that was not run."""

from __future__ import annotations

import importlib.util
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
import yaml

import modelforge as mf
from modelforge.config.compose import Config, compose
from modelforge.config.composition import Library
from modelforge.config.sweeps import compose_jobs, read_sweep
from modelforge.inits.defaults import ROLE_DEFAULTS
from modelforge.language.init import NAMED_ROLES
from modelforge.layers.register import unregister_layer
from modelforge.sweeps.selection import Candidate, select
from modelforge.train.prepare import prepare
from modelforge.train.schedulers.scheduler import parse_scheduler
from modelforge.train.settings import SweepSettings

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
README = (ROOT / "README.md").read_text(encoding="utf-8")
LIBRARY = Library()
"""What the shipped configs have in common is composed once."""


@pytest.fixture(scope="module")
def make() -> ModuleType:
    found = importlib.util.spec_from_file_location("make", ROOT / "docs" / "make.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def test_the_page_of_initializers_is_up_to_date(make: ModuleType) -> None:
    page = (ROOT / "docs" / "inits.md").read_text(encoding="utf-8")
    assert page == make.initializers(), "run `python docs/make.py`"


def test_the_page_of_models_is_up_to_date(make: ModuleType) -> None:
    assert (ROOT / "docs" / "models.md").read_text(encoding="utf-8") == make.models(), "run `python docs/make.py`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_shows_what_its_commands_print(page: Path, make: ModuleType) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.count("```console\n") == text.count("```console\n$ modelforge "), "others are not run"
    assert make.renewed(text) == text, "run `python docs/make.py`"


@pytest.mark.parametrize("page", ["README.md", "docs/gpt2.md"])
def test_pages_show_the_files_they_name(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    shown = re.findall(r"```yaml\n# (\S+)\n(.*?)```", text, flags=re.DOTALL)
    assert shown
    for name, text in shown:
        assert text in (ROOT / name).read_text(encoding="utf-8"), f"{name} has changed"


def shown_commands(text: str) -> Iterator[str]:
    """What follows `python train.py` in each command on a line of its own, or at the end of a comment."""
    for found in re.findall(r"^(?:\$ |#.*)?python train\.py (.*)$", text.replace("\\\n", " "), flags=re.MULTILINE):
        yield re.sub(r"\s+\(.*|, then .*", "", found)  # a remark


def selected(overrides: Sequence[str], settings: Sequence[str]) -> Sequence[Candidate]:
    """The jobs of a multirun that leaves combinations out."""

    def check(config: Config) -> tuple[Config, tuple[()]]:
        mf.parse(config)
        return config, ()

    conf = ROOT / "conf"
    section = SweepSettings(**compose(conf, settings).values["sweep"])
    return select(read_sweep(conf, overrides), section, conf, "config", check).jobs


def test_every_command_that_is_shown_can_be_composed() -> None:
    # These make configs of their own; tests of their names run their commands.
    own = {"extending.md", "tutorial-tables.md", "tutorial-pictures.md"}
    pages = [page for page in PAGES if page.name not in own] + sorted((ROOT / "conf").rglob("*.yaml"))
    commands = dict.fromkeys(one for page in pages for one in shown_commands(page.read_text(encoding="utf-8")))
    assert len(commands) > 100
    conf = ROOT / "conf"
    for command in commands:
        words = shlex.split(command, comments=True)
        if words[:1] == ["--from"]:  # names the folder of a run
            continue
        if "hydra/launcher=ray" in words and find_spec("ray") is None:
            continue
        if any(word.startswith("sweep.resume=") for word in words):  # names the folder of a multirun
            continue
        overrides = [word for word in words if word != "-m"]
        if settings := [word for word in overrides if word.startswith("sweep.")]:
            assert selected([word for word in overrides if word not in settings], settings)
            continue
        if "-m" in words:
            configs = compose_jobs(read_sweep(conf, overrides), conf, 2, LIBRARY)
        else:  # Hydra's own flags come last
            overrides = overrides[: words.index("--cfg")] if "--cfg" in words else overrides
            configs = [compose(conf, overrides, library=LIBRARY)]
        for config in configs:
            mf.parse(config)


TRAINING = shown_commands((ROOT / "docs" / "training.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("command", [one for one in TRAINING if "weights=" not in one])
def test_every_command_of_the_page_on_training_is_right(command: str) -> None:
    assert not prepare(compose(ROOT / "conf", shlex.split(command), library=LIBRARY)).plan.warnings


TRACKING = (ROOT / "docs" / "tracking.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("command", [*shown_commands(TRACKING)])
def test_every_command_of_the_page_on_tracking_is_right(command: str) -> None:
    if "mlflow" in command:
        pytest.importorskip("mlflow", reason="an extra installs it")
    prepare(compose(ROOT / "conf", shlex.split(command, comments=True), library=LIBRARY))


def test_every_tuning_of_the_page_on_tracking_is_right() -> None:
    tunings = re.findall(r"^\$ modelforge tune (\w+) (.*)$", TRACKING, flags=re.MULTILINE)
    assert {what for what, _ in tunings} == {"lr", "batch_size"}
    for _, overrides in tunings:
        mf.parse(compose(ROOT / "conf", shlex.split(overrides), library=LIBRARY))


def test_the_page_on_tracking_names_every_callback_and_logger_that_ships() -> None:
    named = set(re.findall(r"^\| `(\w+)` \|", TRACKING, flags=re.MULTILINE))
    assert {
        path.stem for group in ("callbacks", "logger") for path in (ROOT / "conf" / group).glob("*.yaml")
    } - named == {
        "default",
        "none",
    }


def test_the_python_of_the_page_on_training_runs() -> None:
    assert "optimizer" in run(ROOT / "docs" / "training.md")


def test_the_schedulers_of_the_page_on_training_are_right() -> None:
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert parse_scheduler(yaml.safe_load(shown)["scheduler"], {})[1] == []
    names = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`\w+`.*?) \|", text, flags=re.MULTILINE))))
    assert {path.stem for path in (ROOT / "conf" / "scheduler").glob("*.yaml")} <= names


INLINE = re.compile(r"`((?:optimizer|scheduler|trainer|freeze|dtype|seed|num_threads)[\w.]*=[^`\s]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_override_of_a_training_that_is_shown_can_be_composed(page: Path) -> None:
    for override in INLINE.findall(page.read_text(encoding="utf-8")):
        if "..." not in override and "…" not in override:
            compose(ROOT / "conf", [override], library=LIBRARY)


def prose(page: Path) -> str:
    return re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What `#...` may name on a page, as GitHub makes it from the headings."""
    headings = re.findall(r"^#+ (.*)$", prose(page), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"`[^`\n]*`(?!\]\()", "", prose(page))
    links = re.findall(r"\]\(<?([^)\s>]+)|(?:href|src)=\"([^\"]+)\"|^\[[^\]]+\]:\s*(\S+)", text, flags=re.MULTILINE)
    targets = [target for link in links for target in link if target and not re.match(r"[a-z]+:", target)]
    for target in targets:
        name, _, anchor = target.partition("#")
        there = page.parent / name if name else page
        assert there.exists(), f"{page.name} links to {target}, which is not there"
        assert not anchor or anchor in anchors(there), f"{page.name} links to {target}: there is no such heading"


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name}" not in index] == ["README.md"]


def test_the_readme_has_two_commands_that_set_up() -> None:
    commands = re.findall(r"^python3 -m venv .*$", README, flags=re.MULTILINE)
    assert len(commands) == 2


def test_the_examples_of_the_language_are_whole_configs() -> None:
    shown = re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / "language.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(shown) == 9
    for text in shown:
        plan = mf.plan(mf.parse(yaml.safe_load(text)))
        assert not plan.warnings
        assert mf.build(plan).ledger.ok


def test_the_python_of_the_page_on_init_blocks_runs() -> None:
    assert "ledger" in run(ROOT / "docs" / "init-block.md")


def test_the_page_on_init_blocks_lists_the_roles_and_their_defaults() -> None:
    text = (ROOT / "docs" / "init-block.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|$", text, flags=re.MULTILINE))
    assert rows.keys() == {"weight", *NAMED_ROLES}
    assert {role: dict(default) for role, default in ROLE_DEFAULTS.items()} == {
        "bias": {"scheme": "constant", "value": 0.0},
        "scale": {"scheme": "constant", "value": 1.0},
        "embedding": {"scheme": "normal", "mean": 0.0, "std": 0.02},
    }
    assert (rows["bias"], rows["scale"], rows["embedding"]) == ("0", "1", "N(0, 0.02²), the padding row 0")


def test_the_module_of_the_docs_is_the_config_beside_it() -> None:
    text = (ROOT / "docs" / "from_module.md").read_text(encoding="utf-8")
    namespace: dict[str, object] = {"__name__": "docs"}
    try:
        for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
            exec(block, namespace)
    finally:
        unregister_layer("Gate")
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    assert str(namespace["config"]) == shown


def run(page: Path, **namespace: object) -> dict[str, object]:
    """Runs the Python that a page shows, from its first line to its last."""
    there = {"__name__": page.stem, "mf": mf, "torch": torch, **namespace}
    for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(block, there)
    return there


def test_the_python_of_the_readme_runs() -> None:
    assert "ledger" in run(ROOT / "README.md")


def test_the_python_of_the_page_on_probing_shows_what_it_says() -> None:
    there: Any = run(ROOT / "docs" / "probe.md")
    assert there["energies"]["xavier"] < 1e-7
    assert 0.1 < there["energies"]["kaiming"] < 10
    assert there["steps"] == pytest.approx([1.0] * 100, rel=0.1)
    assert there["radius"] == pytest.approx(1.0)


@pytest.mark.slow
def test_the_project_of_the_page_on_python_runs(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    for name, content in re.findall(r"```(?:yaml|python)\n# (\S+)\n(.*?)```", text, flags=re.DOTALL):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    shown = [
        subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
        for words in (
            [sys.executable, "fit.py", "hydra.run.dir=run"],
            [sys.executable, "-m", "modelforge", "check", "--conf", "configs"],
        )
    ]
    spec = mf.load(tmp_path / "configs")
    assert shown[0] == f"{mf.digest(mf.build(spec))} 2\n"
    assert "1 checked: 1 ok" in shown[1]


def test_gpt2_in_plain_torch_is_the_config_beside_it() -> None:
    by_hand: Any = run(ROOT / "docs" / "gpt2.md")["GPT2"]
    by_hand = by_hand(256, 64, width=128, depth=3, heads=4).eval()
    model = mf.build(mf.load(ROOT / "conf", overrides=["model=gpt2"])).eval()
    names = {"norm1": "attention.norm", "norm2": "mlp.norm", "attend": "attention.attend"}
    names |= {"up": "mlp.up", "down": "mlp.down"}

    def there(name: str) -> str:
        parts = name.split(".")
        if parts[0] == "blocks":
            parts[1:3] = [parts[1], "block", names[parts[2]]]
        return ".".join(parts)

    model.load_state_dict({there(name): weight for name, weight in by_hand.state_dict().items()})
    tokens = torch.randint(256, (2, 64))
    assert torch.allclose(model(tokens), by_hand(tokens), atol=1e-5)


def test_the_examples_of_the_page_of_initializers_print_what_they_say(capsys: pytest.CaptureFixture[str]) -> None:
    examples = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "inits.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) == 2
    for code in examples:
        exec(compile(code, "docs/inits.md", "exec"), {})
        assert capsys.readouterr().out.strip() == code.strip().rpartition("# ")[2]
