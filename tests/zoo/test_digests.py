"""Every initial value of `conf/`, as one digest for each model with each init: a change of values is always deliberate.

`python -m tests.zoo.test_digests` makes them all and says what differs from the table (ten minutes); with `--write`
it writes the table. The tests take each model as it starts by default, small ones with every init, where bits are equal
on every machine: a factorisation (`orthogonal`) has the last digits of the machine's own linear algebra.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

import modelforge as mf
from modelforge import inits
from modelforge.config.compose import compose as composed
from modelforge.config.composition import Library
from modelforge.config.folder import options

ROOT = Path(__file__).parents[2]
TABLE = Path(__file__).with_name("digests.json")
GOLDEN: dict[str, dict[str, str]] = json.loads(TABLE.read_text(encoding="utf-8")) if TABLE.exists() else {}
LIBRARY = Library()
SMALL, FEW = 300_000, 12
"""Values and parameters of a model that the tests make with every init; larger ones are made with their own."""


def compose(model: str, init: str) -> mf.ModelSpec:
    """The model with an init of `conf/`, or with its own where that is empty."""
    words = [f"model={model}", *([f"init={init}"] if init else [])]
    return mf.parse(composed(ROOT / "conf", words, library=LIBRARY))


def planned(model: str, init: str) -> mf.Plan | str:
    """The plan, or the codes of what planning refuses."""
    try:
        return mf.plan(compose(model, init))
    except mf.ForgeError as error:
        return " ".join(sorted({problem.code for problem in error.problems}))


def digest(plan: mf.Plan | str) -> str:
    return plan if isinstance(plan, str) else mf.digest(mf.build(plan))


def is_portable(plan: mf.Plan) -> bool:
    """Whether all that is drawn is drawn value by value."""
    return all(issubclass(inits.get(row.scheme), inits.Elementwise) for row in plan.parameters)


@pytest.mark.parametrize("model", options(ROOT / "conf", "model"))
def test_every_initial_value_is_what_it_was(model: str):
    own = mf.plan(compose(model, ""))
    small = own.num_parameters <= SMALL and len(own.parameters) <= FEW
    for init in ("", *options(ROOT / "conf", "init")) if small else ("",):
        plan = planned(model, init) if init else own
        if isinstance(plan, str) or is_portable(plan):
            assert digest(plan) == GOLDEN[model][init], f"other values: model={model} init={init}"
        else:
            assert len(GOLDEN[model][init]) == 64, f"refused before: model={model} init={init}"


def test_the_table_is_complete():
    assert set(GOLDEN) == set(options(ROOT / "conf", "model"))
    assert {init for row in GOLDEN.values() for init in row} == {"", *options(ROOT / "conf", "init")}


def main() -> None:
    """Makes every model with every init, and compares or writes the table."""
    names = ("", *options(ROOT / "conf", "init"))
    found = {model: {init: digest(planned(model, init)) for init in names} for model in options(ROOT / "conf", "model")}
    differing = [
        f"model={model} init={init}: {GOLDEN.get(model, {}).get(init, 'not in the table')} -> {value}"
        for model, row in found.items()
        for init, value in row.items()
        if GOLDEN.get(model, {}).get(init) != value
    ]
    print(*differing, f"{len(differing)} of {sum(map(len, found.values()))} differ", sep="\n")
    if "--write" in sys.argv:
        TABLE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
