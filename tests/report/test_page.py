"""page: one file, that loads nothing and runs nothing."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from modelforge.report.charts import Chart, Series
from modelforge.report.page import STYLE, render


@pytest.fixture
def template(tmp_path):
    path = tmp_path / "own.html"
    path.write_text(
        '{% extends "shell.html" %}{% block title %}{{ title }}{% endblock %}'
        "{% block main %}<p>{{ title }}</p>{{ chart }}{{ title | coded }}{% endblock %}",
        encoding="utf-8",
    )
    return path


def test_names_are_escaped_everywhere(template):
    name = "<script>x</script>`<b>`\u202e"
    shown = render(template, title=name, chart=Chart(name, "x", "y", [Series(name, [(0, 1.0)])]))
    assert "<script" not in shown
    assert "<b>" not in shown
    assert "\u202e" not in shown
    assert "<svg" in shown


def test_the_policy_lets_nothing_load_but_the_style_of_the_page(template):
    shown = render(template, title="t", chart="")
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]+)"', shown)
    (style,) = re.findall(r"<style>(.*?)</style>", shown, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    assert " style=" not in shown


def test_the_style_names_no_address():
    assert "url(" not in STYLE.read_text(encoding="utf-8")
    assert "@import" not in STYLE.read_text(encoding="utf-8")


def test_a_value_that_is_missing_is_an_error(template):
    with pytest.raises(UndefinedError):
        render(template, title="t")


def test_every_element_is_closed(template):
    open_ones: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag != "meta":
                open_ones.append(tag)

        def handle_endtag(self, tag):
            assert open_ones.pop() == tag

    Reader().feed(render(template, title="t", chart=Chart("t", "x", "y", [Series("a", [(0, 1.0), (1, 2.0)])])))
    assert not open_ones
