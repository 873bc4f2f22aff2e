"""A model whose ledger is not in order is not trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from modelforge.config.compose import Config
from modelforge.config.origins import Origins
from modelforge.inits.base import Matrix, Matrixwise, Moments
from modelforge.inits.registry import register_initializer, unregister_initializer
from modelforge.train.fit import run_spec
from modelforge.train.job import Result
from modelforge.train.prepare import prepare

HEAD = ("model=mlp", "+model.layers.head.init.scheme=lying")


@pytest.fixture
def lying() -> Iterator[Callable[[float], None]]:
    """Registers a scheme that promises N(0, 0.1²), and fills with one value."""

    def register(value: float) -> None:
        @register_initializer("lying")
        class Lying(Matrixwise):
            """Not what it says."""

            def moments(self, matrix: Matrix) -> Moments:
                return Moments(mean=0.0, std=0.1)

            def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
                out.fill_(value)

    yield register
    unregister_initializer("lying")


def test_a_broken_promise_stops_the_run(train: Callable[..., Result], lying, tmp_path: Path, capsys):
    lying(0.5)
    result = train(*HEAD)
    assert result.exit_code == 1
    assert result.status.state == "failed"
    (problem,) = result.status.error
    assert problem["code"] == "MF028"
    assert problem["path"] == "model.layers.head.init"
    run = tmp_path / "run"
    assert json.loads((run / "status.json").read_text())["error"] == [problem]
    assert not (run / "checkpoints").exists()
    assert json.loads((run / "ledger.json").read_text())["ok"] is False
    assert capsys.readouterr().err == (
        "error[MF028]: `head.weight` has mean 0.5 and std 0, but `lying` promises mean 0 ± 0.018 and std 0.1 ± 0.014\n"
        "  --> override +model.layers.head.init.scheme=lying\n"
        "   = help: change the fields of `lying`, correct its code, or choose another scheme\n"
    )


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite(train: Callable[..., Result], lying, value: float):
    lying(value)
    (problem,) = train(*HEAD).status.error
    assert problem["message"] == "`head.weight` holds values that are not finite"


def test_all_broken_promises_at_once(train: Callable[..., Result], lying):
    lying(0.5)
    result = train("model=mlp", "+model.init={scheme: lying, bias: {scheme: lying}}")
    paths = [problem["message"].split("`")[1] for problem in result.status.error]
    assert {"hidden1.weight", "hidden1.bias", "head.bias"} <= set(paths)
    assert {problem["code"] for problem in result.status.error} == {"MF028"}


def test_one_block_of_several(train: Callable[..., Result], lying):
    """The whole may look right where the parts do not."""
    lying(0.0)
    result = train("model=lstm", "+model.layers.rnn.init.scheme=lying")
    whole = "`rnn.weight_{}_l0` has mean 0 and std 0, but `lying` promises mean 0 and std 0.1, in each of its matrices"
    assert [problem["message"] for problem in result.status.error] == [whole.format("ih"), whole.format("hh")]


def test_workers_leave_out_what_the_first_process_leaves_out(config: Callable[..., Config], tmp_path: Path):
    """Of another optimizer, by where it was written, which they do not know."""
    composed = config("model=mlp", "data=digits", "optimizer.type=SGD")
    assert [problem.code for problem in prepare(composed).warnings] == ["MW212"]
    values = run_spec(composed, tmp_path).values
    assert prepare(Config(values, Origins.empty(), (), {})).optimizer.kind is torch.optim.SGD
