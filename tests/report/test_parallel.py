"""Parallel coordinates as SVG."""

from __future__ import annotations

import re

from modelforge.report.parallel import Axis, Parallel, Strand


def drawn(**names: str) -> str:
    axes = [Axis(names.get("axis", "a"), [(0.0, "1"), (1.0, names.get("mark", "2"))]), Axis("b", [(0.0, "x")])]
    strands = [Strand([0.0, 1.0], 5, "first"), Strand([1.0, None], 0, names.get("strand", "second"))]
    return str(Parallel("title", axes, strands, [(0, "best")]).__html__())


def test_a_line_goes_through_the_places_of_its_axes():
    paths = re.findall(r'class="strand c(\d)" d="M([^"]+)"', drawn())
    assert paths == [("5", "55 288.0L185 34.0"), ("0", "55 34.0")]


def test_names_are_text():
    text = drawn(axis="<script>", mark="<b>", strand='"><img src=x>')
    assert "<script" not in text
    assert "<img" not in text
    assert "&lt;script&gt;" in text


def test_labels_that_would_overlap_are_left_out():
    marks = [(index / 100, str(index)) for index in range(101)]
    text = str(Parallel("t", [Axis("a", marks)], []).__html__())
    labels = re.findall(r'class="halo"[^>]*>(\d+)<', text)
    assert labels[0] == "100"
    assert len(labels) < 25
