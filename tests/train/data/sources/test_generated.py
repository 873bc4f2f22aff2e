"""Generated sequences: sums, copies and reversals, a function of their seed."""

from __future__ import annotations

import numpy as np
import pytest

from modelforge.train.data.sources.generated import Adding, Copy
from modelforge.train.settings import parse_settings
from tests.train.tables import reverse


def adding(**fields) -> Adding:
    raw = {"type": "adding", "task": "regression", "num_outputs": 1, "num_steps": 11, "num_train": 500, **fields}
    return Adding.model_validate({**raw, "input": {"shape": [raw["num_steps"], 2]}})


def copy(**fields) -> Copy:
    raw = {"type": "copy", "task": "classification", "num_outputs": 5, "num_classes": 5, "num_steps": 20, "length": 4}
    return Copy.model_validate({**raw, "input": {"shape": [20, 6]}, **fields})


def test_the_adding_problem():
    train = adding().read().train
    numbers, marks = train.inputs[..., 0], train.inputs[..., 1]
    assert numbers.min() >= 0
    assert numbers.max() < 1
    assert (marks[:, :5].sum(1) == 1).all()
    assert (marks[:, 5:].sum(1) == 1).all()
    assert np.allclose(train.targets[:, 0], (numbers * marks).sum(1))
    # the variance of a sum of two uniform numbers is 1/6; that of its estimate is below 0.02²
    assert ((train.targets - 1) ** 2).mean() == pytest.approx(1 / 6, abs=0.06)


def test_the_copying_problem():
    train = copy().read().train
    steps = train.inputs.argmax(2)
    assert (train.inputs.sum(2) == 1).all()
    assert np.array_equal(steps[:, :4], train.targets[:, -4:])
    assert set(np.unique(steps[:, :4])) == {1, 2, 3, 4}
    assert (steps[:, 15] == 5).all()
    assert not steps[:, 4:15].any()
    assert not steps[:, 16:].any()
    assert not train.targets[:, :-4].any()


def test_sequences_to_be_reversed():
    train = reverse().read().train
    source, target = train.inputs
    assert np.array_equal(train.targets, source[:, ::-1])
    assert np.array_equal(target[:, 1:], train.targets[:, :-1])
    assert not target[:, 0].any()
    assert set(np.unique(source)) == {1, 2, 3, 4}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"source": {"shap": [6]}}, "`data.input.source` has no key `shap`: did you mean `shape`?"),
        ({"sourc": {}}, "`data.input` has no key `sourc`: did you mean `source`?"),
    ],
)
def test_wrong_keys_of_several_inputs(given, told: str):
    problems = parse_settings({"data": {"type": "reverse", "input": given}})[1]
    assert told in [f"{problem.message}: {problem.hint}" for problem in problems]


def test_examples_are_a_function_of_their_seed():
    first, again, other = adding().read(), adding().read(), adding(split_seed=1).read()
    assert np.array_equal(first.test.inputs, again.test.inputs)
    assert not np.array_equal(first.test.inputs, other.test.inputs)
    assert not np.array_equal(first.test.inputs[:100], first.val.inputs[:100])
