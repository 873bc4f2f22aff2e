"""Ledgers in files: whatever takes the place of a part of one is refused with its place, or is another ledger."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import modelforge as mf
from modelforge.building import ledger as ledger_file
from modelforge.building.ledger import Ledger
from modelforge.building.verify import ROWS, UNPLANNED, VALUES, compare_rows, verify
from modelforge.core.errors import Problem

INIT = {"scheme": "orthogonal", "bias": {"scheme": "normal", "std": 0.1}}
Location = tuple[int | str, ...]


def module() -> nn.Module:
    net = nn.Sequential(nn.Linear(6, 6), nn.LSTM(6, 6), nn.Linear(6, 6, bias=False))
    net[2].weight = net[0].weight
    return net


def written() -> Any:
    net = module()
    return json.loads(json.dumps(mf.initialize(net, INIT).to_dict()))


WRITTEN = written()


def nodes(value: Any, at: Location = ()) -> Iterator[Location]:
    yield at
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from nodes(item, (*at, name))


def replaced(at: Location, value: Any) -> Any:
    data = copy.deepcopy(WRITTEN)
    if not at:
        return value
    parent = data
    for name in at[:-1]:
        parent = parent[name]
    parent[at[-1]] = value
    return data


# The first row, one with gates, and what is around the rows.
LOCATIONS = [at for at in nodes(WRITTEN) if at[:1] != ("parameters",) or len(at) < 2 or at[1] in (0, 2)]
OTHERS: list[Any] = [None, [], "x", 1.5, {}, -1, 10**400, True, float("nan"), float("inf"), [None], {"x": {}}, "0" * 16]


def loaded(path: Path) -> tuple[Ledger | None, tuple[Problem, ...]]:
    try:
        return Ledger.load(path), ()
    except mf.ForgeError as error:
        return None, error.problems


@pytest.mark.parametrize("other", OTHERS, ids=lambda value: repr(value)[:20])
def test_what_takes_the_place_of_a_part(other: Any, tmp_path: Path):
    net = module()
    built = Ledger.from_dict(mf.initialize(net, INIT).to_dict())
    path = tmp_path / "ledger.json"
    for at in LOCATIONS:
        data = replaced(at, other)
        if repr(data) == repr(WRITTEN):
            continue
        path.write_text(json.dumps(data))
        read, problems = loaded(path)
        for problem in problems:
            assert problem.code in ("MF066", "MF061")
            assert "cannot be read as a ledger: " in problem.message
            assert not {"indices", "attribute", "NoneType", "unhashable"} & set(problem.message.split())
        if problems and len(at) == 3:
            assert any(f"parameters[{at[1]}]" in problem.message for problem in problems), at
        if read is None:
            continue
        if {*at} & {"versions", "warnings", *UNPLANNED}:
            assert read != built
            continue
        found = compare_rows(verify(net, read), read, built)
        assert not found.ok, f"{at} = {other!r} passes"


def test_what_is_missing_or_too_much():
    for at in LOCATIONS:
        parent = WRITTEN
        for name in at[:-1]:
            parent = parent[name]
        if not at or not isinstance(at[-1], str) or "numbers" in at[:-1] or at[0] in ("versions", "buffers"):
            continue
        data = replaced(at, None)
        place = data
        for name in at[:-1]:
            place = place[name]
        del place[at[-1]]
        place["extra"] = place.pop("digest", 1)
        with pytest.raises(ValueError, match=r"this is not a ledger: `[a-z_\[\]0-9.]*` is (missing|not part)"):
            Ledger.from_dict(data)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda data: data["parameters"].append(data["parameters"][0]), "names `0.weight`, and 2 places do"),
        (lambda data: data["parameters"][1].update(path="0.weight"), "names `0.weight`, and 2 places do"),
        (lambda data: data["parameters"][1].update(aliases=["2.weight"]), "names `2.weight`, and 2 places do"),
        (lambda data: data["parameters"][0].update(aliases=["0.weight"]), "names `0.weight`, and 2 places do"),
        (lambda data: data.update(ok=False), "`ok` is false, but 0 of its parameters failed"),
        (lambda data: data["parameters"][1].update(verdict="fail"), "`ok` is true, but 1 of its parameters failed"),
        (lambda data: data["parameters"][1].update(digest="g" * 16), r"`parameters\[1\].digest` must be"),
        (lambda data: data["parameters"][1].update(shape=[-6]), r"`parameters\[1\].shape\[0\]` must be at least"),
        (lambda data: data["parameters"][1].update(place={"x": 1}), r"`parameters\[1\].place.x` is not part of a"),
        (lambda data: data["parameters"][1].update(x=1), r"`parameters\[1\].x` is not part of a ledger"),
        (lambda data: data.update(seed="0"), "`seed` must be a whole number, but is '0'"),
        (lambda data: data.update(seed={1, 2}), "JSON cannot hold it: "),
        (lambda data: data.update(seed=10**5000), "JSON cannot hold it: "),
    ],
    ids=map(str, range(13)),
)
def test_what_contradicts_itself(edit, message: str):
    data = copy.deepcopy(WRITTEN)
    edit(data)
    with pytest.raises(ValueError, match=f"this is not a ledger: .*{message}"):
        Ledger.from_dict(data)


def test_a_name_twice_in_one_mapping(tmp_path: Path):
    path = tmp_path / "ledger.json"
    path.write_text(json.dumps(WRITTEN).replace('"role": "weight"', '"role": "bias", "role": "weight"', 1))
    with pytest.raises(mf.ForgeError, match="`role` is written twice in one mapping"):
        Ledger.load(path)


def test_all_faults_at_once(tmp_path: Path):
    data = copy.deepcopy(WRITTEN)
    for row in data["parameters"]:
        row["shape"] = None
    path = tmp_path / "ledger.json"
    path.write_text(json.dumps(data))
    with pytest.raises(mf.ForgeError) as caught:
        Ledger.load(path)
    assert len(caught.value.problems) == len(data["parameters"])
    assert caught.value.problems[0].key == "parameters[0].shape"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path, monkeypatch):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    large = tmp_path / "large"
    large.write_bytes(b" " * 2000)
    monkeypatch.setattr(ledger_file, "MAX_LEDGER_BYTES", 1000)
    whats = {
        pipe: "it is a named pipe, not a file",
        Path("/dev/zero"): "it is a device, not a file",
        tmp_path: "it is a folder, not a file",
        large: "it holds more than 1,000 bytes",
    }
    for path, what in whats.items():
        with pytest.raises(mf.ForgeError) as caught:
            Ledger.load(path)
        assert caught.value.problems[0].message == f"`{path}` cannot be read as a ledger: {what}"


def test_each_part_of_a_row_is_compared_or_said_not_to_be():
    assert {*ROWS, *UNPLANNED} == {*ledger_file.LedgerEntry.__dataclass_fields__}
    assert {*VALUES} <= {*ROWS}


def test_what_failed_comes_back(tmp_path: Path):
    data = copy.deepcopy(WRITTEN)
    data["parameters"][0].update(verdict="fail", measured_mean=float("nan"), reason="values that are not finite")
    data["ok"] = False
    path = tmp_path / "ledger.json"
    path.write_text(json.dumps(data))
    assert not Ledger.load(path).ok
