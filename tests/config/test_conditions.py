"""Conditions on composed configs: what they can say, and what they refuse."""

from __future__ import annotations

import pytest

from modelforge.config.conditions import Absent, Condition, Subject
from modelforge.core.errors import Refusal

SUBJECT = Subject(
    {
        "init": {"gain": 2, "mode": "fan_in"},
        "model": {"layers": {"rnn": {"hidden_size": 64, "kernel": [3, 5]}}},
        "seed": 1,
        "on": True,
        "none": None,
    },
    {"init": "orthogonal", "model": "lstm"},
)


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("init.gain < 2", False),
        ("init.gain <= 2", True),
        ("init != orthogonal or init.gain <= 1", False),
        ("init == orthogonal and init.gain > 1", True),
        ("orthogonal == init", True),
        ("init == 'orthogonal'", True),
        ("init in (orthogonal, xavier_normal)", True),
        ("init not in [xavier_normal]", True),
        ("not (init == orthogonal and model == lstm)", False),
        ("model.layers.rnn.hidden_size * init.gain == 128", True),
        ("model.layers.rnn.kernel[1] - model.layers.rnn.kernel[0] == 2", True),
        ("1 < init.gain < 3", True),
        ("init.mode == 'fan_in'", True),
        ("on == true and none == null", True),
        ("on", True),
        ("not on", False),
        ("-seed < 0", True),
        ("seed % 2 == 1", True),
        ("seed == 0 or init.gain / seed > 1", True),
        ("init == xavier_normal and init.absent < 1", False),
    ],
)
def test_a_condition_holds_or_not(text: str, holds: bool):
    assert Condition.read(text).holds(SUBJECT) is holds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("init.gain = 2", "is not a condition"),
        ("", "is not a condition"),
        ("init.gain", "`init.gain` is 2, which is neither true nor false"),
        ("init", "`init` is 'orthogonal', which is neither true nor false"),
        ("not seed", "`seed` is 1, which is neither true nor false"),
        ("none or on", "`none` is null, which is neither true nor false"),
        ("init == orthogonal and 'lstm'", "`'lstm'` compares nothing"),
        ("on or (1, 2)", "compares nothing"),
        ("on and seed - 1", "`seed - 1` compares nothing"),
        ("not -seed", "`-seed` compares nothing"),
        ("2 + 2", "compares nothing"),
        ("__import__('os').system('ls')", "may not stand in a condition"),
        ("init.gain.__class__.__name__ == 'x'", "there is no key `init.gain.__class__.__name__`"),
        ("[x for x in y] == 1", "may not stand in a condition"),
        ("(lambda: 1)() == 1", "may not stand in a condition"),
        ("init.gain ** 99999 > 1", "may not stand in a condition"),
        ("f'{seed}' == '1'", "may not stand in a condition"),
        ("seed := 1", "is not a condition"),
        ("x" * 2_000, "may have"),
        ("(" * 400 + "1" + ")" * 400 + " < 2", "is not a condition"),
        ("seed < 'a'", "`<` does not compare 1 with 'a'"),
        ("seed / 0 > 1", "`seed / 0` divides by zero"),
        ("on + 1 == 2", "calculates with numbers"),
        ("'a' * 1000000000 == 'b'", "calculates with numbers"),
        ("none < 1", "`<` does not compare"),
    ],
)
def test_what_is_no_condition_is_refused(text: str, message: str):
    with pytest.raises(Refusal, match=message):
        Condition.read(text).holds(SUBJECT)


@pytest.mark.parametrize("option", ["kaiming_normal", "'kaiming_normal'"])
def test_options_after_or_are_a_list(option: str):
    with pytest.raises(Refusal) as caught:
        Condition.read(f"init == xavier_normal or {option}").holds(SUBJECT)
    assert caught.value.hint == f"`init in (xavier_normal, {option})`"
    assert not Condition.read(caught.value.hint.strip("`")).holds(SUBJECT)


def test_a_key_that_is_absent_has_a_hint():
    for text, hint in (("init.gian < 2", "did you mean `gain`?"), ("sed == 1", "did you mean `seed`?")):
        with pytest.raises(Absent, match="there is no key") as caught:
            Condition.read(text).holds(SUBJECT)
        assert caught.value.hint == hint


def test_names_of_options_are_found():
    found = {*Condition.read("init in (orthogonal, 'xavier') and seed < 3 or model == lstm").options()}
    assert found == {("init", "orthogonal"), ("init", "xavier"), ("model", "lstm"), ("lstm", "model")}
