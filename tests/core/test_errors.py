"""Problems as text: quoted, bounded, escaped, in groups, with the nearest known name."""

from __future__ import annotations

from typing import Any

from modelforge.core.errors import MAX_PROBLEMS, ForgeError, Place, Problem, Refusal, for_each, grouped, render


def problem(path: str, message: str = "`{}` is wrong", **more: Any) -> Problem:
    return Problem("MF014", path, message.format(path), **more)


def test_only_the_first_problems_are_kept_and_the_others_counted():
    error = ForgeError(problem(f"a{index}") for index in range(MAX_PROBLEMS + 5))
    assert len(error.problems) == MAX_PROBLEMS + 1
    assert error.problems[-1].num == 5
    assert error.problems[-1].code == "MF061"
    assert len(ForgeError(problem(f"a{index}") for index in range(MAX_PROBLEMS)).problems) == MAX_PROBLEMS


def test_problems_of_items_are_made_only_where_they_are_shown():
    made: list[int] = []
    found = list(for_each(range(10_000), lambda item: (made.append(item), problem(str(item)))[1]))
    assert len(made) == MAX_PROBLEMS
    assert found[-1].num == 10_000 - MAX_PROBLEMS


def test_problems_that_differ_in_the_number_of_a_copy_are_one_group():
    copies = [problem(f"blocks.{index}.norm") for index in range(5)]
    other = problem("head", "`{}` is another matter")
    assert grouped([copies[0], other, *copies[1:]]) == [tuple(copies), (other,)]
    assert grouped(copies[:3]) == [(one,) for one in copies[:3]]


def test_problems_that_differ_in_a_value_are_no_group():
    """What the first says must be true at every place that is listed below it."""
    values = ("must be 0 or more, but is -{}", "must be `{}` wide", "is 0.{}", "has `float{}`", "has `gain({})`")
    for said in values:
        problems = [problem(f"blocks.l{index}", "`{}` " + said.format(index)) for index in range(6)]
        assert grouped(problems) == [(one,) for one in problems]
    readers = [problem(f"blocks.{n}.fc{n}", f"`{{}}` reads `blocks.{n + 1}.fc{n + 1}`") for n in range(6)]
    assert grouped(readers) == [tuple(readers)]


def test_a_group_is_one_text_with_the_other_places():
    text = render(*(problem(f"blocks.{index}.norm") for index in range(6)))
    assert text.splitlines()[0] == "error[MF014]: `blocks.0.norm` is wrong"
    assert "6 times, also at `blocks.1.norm`, `blocks.2.norm`, `blocks.3.norm` and 2 more" in text


def test_carets_mark_the_value_in_its_line():
    place = Place("conf/a.yaml", 3, 7, 4, "gain: relu")
    assert render(problem("init.gain", place=place, hint="did you mean `ReLU`?")).splitlines() == [
        "error[MF014]: `init.gain` is wrong",
        "  --> conf/a.yaml:3:7",
        "   |",
        "3  | gain: relu",
        "   |       ^^^^ did you mean `ReLU`?",
        "   = override key: init.gain",
    ]


def test_of_a_long_line_only_what_is_around_the_mark_is_shown():
    text = render(problem("a", place=Place("a.yaml", 1, 501, 3, "x" * 500 + "ABC" + "y" * 500)))
    line, caret = text.splitlines()[3:5]
    assert len(line) < 200
    assert line[caret.index("^") :].startswith("ABC")
    assert caret.count("^") == 3


def test_a_refusal_has_its_reason_its_hint_and_its_code():
    refusal = Refusal("it is damaged", "save it again", "MF117")
    assert (str(refusal), refusal.reason, refusal.hint, refusal.code) == (
        "it is damaged",
        "it is damaged",
        "save it again",
        "MF117",
    )


def test_a_problem_as_data_leaves_out_what_it_has_not():
    data = problem("a", place=Place(override="a=1")).to_dict()
    assert data["place"] == {"override": "a=1"}
    assert (data["code"], data["path"], data["severity"]) == ("MF014", "a", "error")
