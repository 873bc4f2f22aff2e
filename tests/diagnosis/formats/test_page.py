"""page: what the page of a diagnosis holds."""

from __future__ import annotations

import modelforge as mf
from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.formats.page import page
from tests.diagnosis.nets import deep, recurrent, renamed

HOSTILE = "<script>alert(1)</script>"


def test_the_cause_comes_first_and_everything_has_its_section():
    shown = page(diagnose(recurrent(), title="lstm"))
    parts = ("<h1>", 'class="verdict', "by depth", "<h3>Layers", "The network</summary>", "<h3>Over time")
    order = [shown.index(part) for part in parts]
    assert order == sorted(order)
    for part in ("Recurrent matrices", "Jacobian", "Histograms", "Findings", "The ledger"):
        assert part in shown


def test_names_of_layers_and_titles_are_inert():
    found = diagnose({"hidden": recurrent()}, title="hidden")
    shown = page(renamed(renamed(found, "hidden", HOSTILE), "rnn", HOSTILE))
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") > 10


def test_a_finding_links_to_its_line(monkeypatch):
    plan = mf.plan(mf.load("tests/cli/conf", overrides=["model=blocks", "init=constant"]))
    shown = page(diagnose(plan, measure=False))
    assert 'href="#line-1"' in shown
    assert 'id="line-1"' in shown
    assert "MW101" in shown
    assert "scheme: constant" in shown


def test_several_networks_have_common_charts():
    shown = page(diagnose({"init=xavier": deep("xavier"), "init=kaiming": deep("kaiming")}, measure=False))
    assert "Side by side" in shown
    assert 'href="#start-2"' in shown
    assert shown.count('<section aria-labelledby="start-') == 2


def test_ids_are_unique():
    shown = page(diagnose(recurrent()))
    ids = [part.split('"')[0] for part in shown.split(' id="')[1:]]
    assert len(ids) == len(set(ids))
