"""A short run of the fuzzer, the same every time, and the faults that longer runs found."""

from __future__ import annotations

import pytest

from modelforge.core.errors import ForgeError, Problem
from tests.fuzz.cases import KINDS, Case, Cases
from tests.fuzz.oracle import judge

NUMBER = 200


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return Cases(tmp_path_factory.mktemp("fuzz"), seed=2)


def test_hostile_inputs_get_an_answer_or_problems(cases):
    verdicts = [judge(cases.case(number)) for number in range(NUMBER)]
    finds = [verdict.find for verdict in verdicts if verdict.find is not None]
    assert not finds, "\n\n".join(f"{find.kind}\n{find.case.text[:2_000]}\n{find.detail}" for find in finds)
    told = sum(bool(verdict.codes) for verdict in verdicts)
    # Near to good ones: some are good, most are not.
    assert NUMBER / 2 < told < NUMBER


def test_a_case_is_the_same_every_time(cases):
    assert [cases.case(number).text for number in range(40)] == [cases.case(number).text for number in range(40)]
    assert {cases.case(number).kind for number in range(40)} == {*KINDS}


def fails(error: Exception):
    def run():
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (KeyError("a"), "KeyError at "),
        (ForgeError([Problem("MF999", "a", "wrong")]), "no such code: MF999"),
        (ForgeError([Problem("MF014", "a", " ")]), "no message: MF014"),
        (ForgeError([Problem("MF001", "a", "wrong")]), "no line: MF001 'wrong'"),
        (UserWarning("careful"), "UserWarning at "),
    ],
)
def test_the_oracle_sees_faults(error, kind):
    find = judge(Case("file", 0, "", fails(error))).find
    assert find is not None
    assert find.kind.startswith(kind)


def test_the_oracle_sees_what_takes_too_long():
    def run():
        while True:
            pass

    find = judge(Case("dict", 0, "", run), seconds=0.1).find
    assert find is not None
    assert find.kind == "slow: more than 0.1 s in a dict"
