"""markdown: what a pull request shows of a diagnosis."""

from __future__ import annotations

from modelforge.diagnosis.diagnose import diagnose
from modelforge.diagnosis.formats.markdown import markdown
from tests.diagnosis.nets import deep, renamed


def test_one_network(snapshot):
    assert markdown(diagnose(deep("xavier"), title="deep", measure=False)) == snapshot


def test_nothing_in_a_name_formats():
    found = diagnose(deep("kaiming", depth=2), measure=False)
    shown = markdown(renamed(found, "hidden", "a|b`` @all <img>"))
    (row,) = [line for line in shown.splitlines() if "@" in line and line.startswith("|")]
    assert row.startswith("| ``` deep.*.a\\|b`` @\u200ball <img> ```")
    assert "@all" not in shown
