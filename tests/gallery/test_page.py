"""The pages of the gallery, as Markdown with pictures beside it and as one HTML file."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from modelforge.gallery.claim import names
from modelforge.gallery.document import markdown
from modelforge.gallery.page import html
from modelforge.gallery.pictures import file_names, write_pictures
from tests.chromium import check_accessible, check_alone, chromium, needs_chromium
from tests.gallery.results import result

ROOT = Path(__file__).parents[2]


def test_a_page_has_questions_numbers_pictures_and_commands(tmp_path):
    found = (result(0.6, 0.9, 0.5),)
    folder = tmp_path / "images"
    folder.mkdir()
    write_pictures(found, folder)
    (name, _), *others = file_names(found[0])
    assert not others
    assert (folder / name).stat().st_size < 60_000
    page = markdown(found, folder, tmp_path / "gallery.md")
    assert f"![val/loss by epoch](images/{name})" in page
    assert "- [Why √2?](#why-2)" in page
    assert "| test accuracy (a\\|b) | ≥ 0.5 | 0.6 (0.5 to 0.9) | ✓ | by hand |" in page
    assert "```sh\nmodelforge gallery why\n```" in page


class Tags(HTMLParser):
    """Counts the elements of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


def test_the_html_page_shows_numbers_and_a_line_for_each_seed():
    page = html((result(0.6, 0.9, 0.5), replace(result(0.1, 0.9, 0.5), name="why_not")))
    tags = Tags()
    tags.feed(page)
    assert tags.found.count("section") == tags.found.count("figure") == 2
    assert page.count('class="line c0" d="M') == 2 * (3 + 1)  # three lines and their key
    assert "Why √2?" in page
    assert "0.6 (0.5 to 0.9)" in page
    assert page.count("does not hold") == 1


def test_names_are_no_markup_and_a_number_that_is_not_finite_is_a_gap():
    shown = result(float("inf"), 0.5, 0.7)
    claim = shown.claim.model_copy(update={"says": "<script>alert(1)</script>"})
    page = html((replace(shown, claim=claim),))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.slow
@needs_chromium
def test_the_html_page_in_a_browser(tmp_path):
    path = tmp_path / "gallery.html"
    other = result(0.1, 0.9, 0.5)
    other = replace(other, name="why_not", claim=other.claim.model_copy(update={"question": "Why not 2?"}))
    path.write_text(html((result(0.6, 0.9, 0.5), other)), encoding="utf-8")
    with chromium(tmp_path / "profile") as tab:
        for width in (390, 1280):
            check_alone(tab, path, width)
        for dark in (False, True):
            check_accessible(tab, path, dark=dark)


def test_the_chapter_shows_claims_that_hold_with_their_pictures():
    page = (ROOT / "docs" / "gallery.md").read_text(encoding="utf-8")
    shown = re.findall(r"^modelforge gallery (\w+)$", page, re.MULTILINE)
    assert set(shown) == set(names(ROOT / "conf"))
    pictures = [ROOT / "docs" / name for name in re.findall(r"!\[.*\]\((images/gallery_.*)\)", page)]
    assert {picture.name.removeprefix("gallery_").rpartition("_")[0] for picture in pictures} == set(shown)
    assert max(picture.stat().st_size for picture in pictures) < 60_000
    assert "✗" not in page
