"""Names of options in overrides and in defaults lists, by those of the other side."""

from __future__ import annotations

from typing import Any

import pytest

from modelforge.review.option_names import choice_of, follows_renames

NAMES = {"model/a.yaml": "model/b.yaml", "init/a.yaml": "init/c.yaml", "model/sub/a.yaml": "model/sub/d.yaml"}


@pytest.mark.parametrize(
    ("override", "text", "key"),
    [
        ("model=a", "model=b", "model"),
        ("+init@model.init=a", "+init@model.init=c", "init@model.init"),
        ("model=[sub/a,x]", "model=[sub/d,x]", "model"),
        ("~model=a", "~model=b", "model"),
        ("++model='a'", "++model=b", "model"),
        ("data=a", "data=a", "data"),
    ],
)
def test_a_choice_has_the_name_of_the_other_side(override: str, text: str, key: str):
    choice = choice_of(override)
    assert choice is not None
    assert (choice.called(NAMES).text, choice.key) == (text, key)


@pytest.mark.parametrize("override", ["model", "model=null", "model={a: 1}", "model=[]", "model=[[a]]", "model='a"])
def test_what_chooses_no_option_is_no_choice(override: str):
    assert choice_of(override) is None


@pytest.mark.parametrize(
    ("path", "old", "new", "follows"),
    [
        ("config.yaml", [{"model": "a"}, {"init": "a"}], [{"model": "b"}, {"init": "c"}], True),
        ("config.yaml", [{"model": "a"}, {"init": "a"}], [{"model": "b"}, {"init": "b"}], False),
        ("config.yaml", [{"model": "a"}], [{"model": "c"}], False),
        ("config.yaml", [{"model": "sub/a"}], [{"model": "sub/d"}], True),
        ("config.yaml", [{"optional model@x": ["a", "e"]}], [{"optional model@x": ["b", "e"]}], True),
        ("config.yaml", ["_self_", "model/a@x"], ["_self_", "model/b@x"], True),
        ("model/x.yaml", ["a", "sub/a"], ["b", "sub/d"], True),
        ("init/x.yaml", ["a"], ["c"], True),
        ("init/x.yaml", ["a"], ["b"], False),
        ("init/x.yaml", ["/model/a"], ["/model/b"], True),
        ("experiment/x.yaml", [{"override /model": "a"}], [{"override /model": "b"}], True),
        ("experiment/x.yaml", [{"model": "a"}], [{"model": "b"}], False),  # an option of experiment/model
        ("config.yaml", ["model/a"], ["model/b", "init/a"], False),
        ("config.yaml", None, ["model/b"], False),
    ],
)
def test_a_defaults_list_follows_the_new_names_of_its_own_groups(path: str, old: Any, new: Any, follows: bool):
    assert follows_renames(path, old, new, NAMES) is follows
