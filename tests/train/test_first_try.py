"""A user with data of their own: the first run fails and names every setting, the second one reads."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import modelforge as mf
from modelforge.train.data.read import read
from modelforge.train.settings import parse_settings

pytestmark = pytest.mark.usefixtures("here")


def write_all(here: Path) -> None:
    """Data of every kind, none of it as the shipped configs declare."""
    image = pytest.importorskip("PIL.Image", reason="the extra `train`")
    random = np.random.default_rng(0)
    rows = [f"{row},{row % 5},{row / 7:.3f},{'AB'[row % 2]},{row % 3}" for row in range(90)]
    (here / "table.csv").write_text("id,rooms,2nd floor,the city,stars\n" + "\n".join(rows))
    (here / "prices.csv").write_text("city;area;price\n" + "".join(f"x;{row};{row * 1.5}\n" for row in range(90)))
    (here / "tabs.tsv").write_text("a\tb\n" + "".join(f"{row}\t{row % 3}\n" for row in range(90)))
    np.savez(here / "x_y.npz", x=random.normal(size=(90, 4)), y=np.arange(90) % 3)
    np.savez(here / "named.npz", labels=np.array(["a", "b", "c"] * 30), pictures=random.normal(size=(90, 1, 8, 8)))
    for name in "abc":
        (here / "pictures" / name).mkdir(parents=True)
        for number in range(8):
            image.new("RGB", (20, 16), (number, 7, 9)).save(here / "pictures" / name / f"{number}.png")
    (here / "a.txt").write_text("What is here is read. " * 400)


FIRST_TRIES = [
    ["data=csv", "data.path=table.csv"],
    ["data=csv", "data.path=table.csv", "data.target=stars"],
    ["data=csv", "data.path=table.csv", "data.target=the city"],
    ["data=csv", "data.path=table.csv", "data.target=2nd floor", "data.task=regression"],
    ["data=csv", "data.path=table.csv", "data.target=[id,rooms]", "data.task=regression", "data.num_features=4"],
    ["data=csv", "data.path=table.csv", "data.target=stars", "data.features=[id,rooms,the city]"],
    ["data=csv", "data.path=prices.csv", "data.delimiter=';'"],
    ["data=csv", "data.path=prices.csv"],
    ["data=csv", "data.path=prices.csv", "data.target=area"],
    ["data=csv", "data.path=tabs.tsv", "data.target=b"],
    ["data=npz", "data.path=x_y.npz"],
    ["data=npz", "data.path=x_y.npz", "data.task=regression"],
    ["data=npz", "data.path=named.npz"],
    ["data=npz", "data.path=named.npz", "data.features=pictures", "data.target=labels"],
    ["data=image_folder", "data.path=pictures", "data.size=8"],
    ["data=text", "data.files='*.txt'", "data.level=characters"],
]


@pytest.mark.parametrize("overrides", FIRST_TRIES, ids=" ".join)
def test_the_second_try_reads(here: Path, config, overrides: list[str]):
    write_all(here)
    settings, _ = parse_settings(config(*overrides).values)
    with pytest.raises(mf.ForgeError) as caught:
        read(settings.data)
    (line,) = {re.findall("`([^`]*data[.][^`]*)`", problem.hint)[-1] for problem in caught.value.problems}
    settings, _ = parse_settings(config(*overrides, *shlex.split(line)).values)
    assert len(read(settings.data).train)


def test_a_quantity_has_two_ways_out(here: Path, config):
    write_all(here)
    overrides = ["data=csv", "data.path=prices.csv", "data.delimiter=';'", "data.target=price"]
    settings, _ = parse_settings(config(*overrides).values)
    with pytest.raises(mf.ForgeError) as caught:
        read(settings.data)
    assert caught.value.problems[-1].hint == (
        "to predict a class, write `'data.ignore=[city]' data.num_outputs=90`; "
        "to predict a number, write `data.target=price data.task=regression 'data.ignore=[city]' data.num_outputs=1`"
    )
