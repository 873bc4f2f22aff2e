"""The page of a sweep: the answer first, links to runs, names inert; and in a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from markupsafe import escape

from modelforge.results import collect
from modelforge.results.grouping import group
from modelforge.results.page import MAX_JOBS, page
from modelforge.results.significance import contrasts
from tests.chromium import Tab, check_accessible, check_alone, chromium, needs_chromium
from tests.results.sweeps import gains, swept
from tests.runs.jobs import job

HOSTILE = "<script>document.title = 'taken'</script>"
MAX_BYTES = 1_500_000


def made(folder: Path, at: Path | None = None) -> str:
    grouped = group(collect(folder))
    return page(grouped, contrasts(grouped), at or folder)


def test_the_answer_comes_first(tmp_path: Path):
    text = made(gains(tmp_path))
    answer = "<code>init=xavier init.gain=1</code> gives the best val/accuracy: 0.912 ± 0.01 over 3 repetitions (seed)."
    assert answer in text
    assert (
        "1 other is within the spread of it, <code>init=orthogonal init.gain=1</code> first; 3 are worse by more."
        in text
    )
    assert text.index("13 finished, 5 diverged") < text.index("<h2")
    assert "An exploding gradient was predicted of 5 of the 5 jobs that diverged" in text


def test_links_lead_from_the_page_to_runs(tmp_path: Path):
    folder = gains(tmp_path / "a sweep")
    (folder / "0,init=orthogonal,init.gain=0.5,seed=0" / "diagnosis.html").touch()
    for at, way in ((folder, ""), (tmp_path, "a%20sweep/")):
        links = re.findall(r'<a href="([^#"]+)"', made(folder, at))
        assert f"{way}0%2Cinit%3Dorthogonal%2Cinit.gain%3D0.5%2Cseed%3D0/diagnosis.html" in links
        assert f"{way}1%2Cinit%3Dorthogonal%2Cinit.gain%3D0.5%2Cseed%3D1/" in links
        assert len(links) == 18


def test_names_are_inert(tmp_path: Path):
    text = made(hostile(tmp_path))
    assert "<script" not in text
    assert str(escape(HOSTILE)) in text


def test_a_half_dead_sweep_has_a_page(sweep: Path):
    text = made(sweep)
    assert "3 finished, 1 running, 1 interrupted, 1 diverged, 1 failed, 1 killed, 1 broken, 1 missing" in text
    assert "no number; second" in text


def test_many_jobs_make_no_large_page(tmp_path: Path):
    results = {(f"scheme{gain % 7}", str(gain), seed): gain / 500 for gain in range(1, 200) for seed in range(3)}
    text = made(swept(tmp_path, results))
    assert len(text.encode()) < MAX_BYTES
    assert text.count('<td class="state') == MAX_JOBS


def test_long_values_make_no_large_page(tmp_path: Path):
    long = "[" + ",".join(map(str, range(20_000))) + "]"
    for index in range(30):
        job(tmp_path / str(index), overrides=[f"a={index}{long}", f"seed={index % 2}"], metrics={"val/accuracy": 0.5})
    assert len(made(tmp_path).encode()) < MAX_BYTES


def test_a_shortened_value_is_whole_in_its_title(tmp_path: Path):
    for index, gain in enumerate(("0.99583998250", "0.99584112250")):
        job(tmp_path / str(index), overrides=[f"init.gain={gain}"], metrics={"val/accuracy": 0.9 - 0.1 * index})
    text = made(tmp_path)
    for short, whole in (("0.99584", "0.99583998250"), ("0.995841", "0.99584112250")):
        assert text.count(f'<td><span title="{whole}">{short}</span></td>') == 2, "in the groups and in the jobs"


def hostile(folder: Path) -> Path:
    for index, name in enumerate((HOSTILE, "javascript:alert(1)", "‮evil")):
        overrides = [f"init={name}", f"init.gain={index}", f"seed={index % 2}", f"third={index}"]
        run = folder / f"{index},{name.replace('/', '_')}"
        job(run, "failed" if index == 2 else "finished", overrides, metrics={"val/accuracy": 0.1 * index},
            error=[{"message": HOSTILE}])  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with chromium(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {"gains": gains(tmp_path_factory.mktemp("gains")), "hostile": hostile(tmp_path_factory.mktemp("hostile"))}
    for folder in folders.values():
        (folder / "sweep.html").write_text(made(folder), encoding="utf-8")
    return {name: folder / "sweep.html" for name, folder in folders.items()}


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("name", ["gains", "hostile"])
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_asked_for_and_nothing_runs(tab, pages, name, width):
    check_alone(tab, pages[name], width)


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("name", ["gains", "hostile"])
@pytest.mark.parametrize("dark", [False, True])
def test_a_checker_of_accessibility_finds_no_fault(tab, pages, name, dark):
    check_accessible(tab, pages[name], dark=dark)
