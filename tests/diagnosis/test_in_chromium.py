"""The page in a browser: it loads nothing, runs nothing, fits a phone; a checker of accessibility finds no fault."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import modelforge as mf
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.formats.page import page
from tests.chromium import Tab, check_accessible, check_alone, chromium, needs_chromium
from tests.diagnosis.nets import deep, recurrent, renamed

pytestmark = [pytest.mark.slow, needs_chromium]
HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title = 'taken'\">"
MAX_BYTES = 3_000_000


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A page of one network whose layers have hostile names, and one of several."""
    hostile = renamed(diagnose({"hidden": recurrent()}, title="hidden"), "hidden", HOSTILE)
    several = {"init=xavier": deep("xavier", depth=30), "init=kaiming": deep("kaiming", depth=30)}
    found = {"hostile": renamed(hostile, "rnn", HOSTILE), "several": diagnose(several, measure=False)}
    folder = tmp_path_factory.mktemp("pages")
    for name, diagnosis in found.items():
        (folder / f"{name}.html").write_text(page(diagnosis), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in found}


@pytest.mark.parametrize("name", ["hostile", "several"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_asked_for_and_nothing_runs(tab, pages, name, width):
    check_alone(tab, pages[name], width)
    assert tab.run("getComputedStyle(document.body).maxWidth") == "1216px", "the style is applied"


@pytest.mark.parametrize("name", ["hostile", "several"])
@pytest.mark.parametrize("dark", [False, True])
def test_a_checker_of_accessibility_finds_no_fault(tab, pages, name, dark):
    check_accessible(tab, pages[name], dark=dark)


def test_dark_and_light_differ(tab, pages):
    colours: set[str] = set()
    for dark in (False, True):
        tab.open(pages["several"], dark=dark)
        colours.add(tab.run("getComputedStyle(document.body).backgroundColor"))
    assert len(colours) == 2


def test_the_page_of_resnet_50_is_small():
    plan = mf.plan(mf.load("conf", overrides=["model=resnet", "model.size=50"]))
    assert len(page(diagnose(plan, measure=False)).encode()) < MAX_BYTES
