"""From a name to one thing of a kind: lookups, aliases, redefinition, and names that are taken."""

from __future__ import annotations

import pytest

from modelforge.core.errors import ForgeError
from modelforge.core.registry import Absent, Registry


class Circle:
    """A shape."""


class Square:
    """Another."""


@pytest.fixture
def shapes() -> Registry[type]:
    registry = Registry[type]("a shape", code="MF013")
    registry.add("circle", Circle, aliases=("disc", "round"))
    registry.add("square", Square)
    return registry


def test_an_entry_is_found_by_its_name_and_its_aliases(shapes: Registry[type]):
    assert shapes.get("circle") is shapes.get("disc") is Circle
    assert "round" in shapes
    assert "cube" not in shapes
    assert shapes.names() == ("circle", "square")
    assert dict(shapes.aliases()) == {"disc": "circle", "round": "circle"}
    assert list(shapes.entries()) == [("circle", Circle), ("square", Square)]
    assert (shapes.name_of(Square), shapes.name_of(int)) == ("square", None)


def test_an_unknown_name_is_a_problem_with_a_suggestion(shapes: Registry[type]):
    with pytest.raises(Absent) as caught:
        shapes.get("circel")
    (problem,) = caught.value.problems
    assert (problem.code, problem.key, problem.message) == ("MF013", "circel", "unknown shape `circel`")
    assert problem.hint == shapes.suggest("circel") == "did you mean `circle`?"
    assert isinstance(caught.value, ForgeError)
    with pytest.raises(KeyError):
        Registry[type]("a shape").get("circle")


@pytest.mark.parametrize("name", ["circle", "disc"])
def test_a_name_belongs_to_one_entry(shapes: Registry[type], name: str):
    with pytest.raises(ValueError, match=rf"a shape `{name}` exists already: .*\.Circle"):
        shapes.add(name, int)
    with pytest.raises(ValueError, match="exists already"):
        shapes.add("new", int, aliases=(name,))
    assert "new" not in shapes


def test_a_class_that_is_defined_again_takes_the_place_of_the_old_one(shapes: Registry[type]):
    again = type("Circle", (), {"__module__": __name__})
    assert shapes.is_redefined(Circle, again)
    assert not shapes.is_redefined(Circle, Square)
    shapes.add("circle", again, aliases=("ring",))
    assert shapes.get("circle") is shapes.get("ring") is again
    assert "disc" not in shapes


def test_what_is_removed_leaves_its_names_free(shapes: Registry[type]):
    shapes.remove("circle")
    assert "disc" not in shapes
    shapes.add("disc", int)
    assert shapes.get("disc") is int
    with pytest.raises(KeyError):
        shapes.remove("circle")


def test_names_are_texts(shapes: Registry[type]):
    with pytest.raises(TypeError, match="a shape needs a name, but gets 3"):
        shapes.add(3, int)  # pyright: ignore[reportArgumentType]  # that is the point
    with pytest.raises(TypeError, match="`aliases` of a shape must be a tuple of names"):
        shapes.add("new", int, aliases="n")


def test_what_is_shipped_is_loaded_first_and_cannot_be_replaced():
    tasks = Registry[type]("a layer", package="tests.core.shipped")
    tasks._shipped = frozenset({"circle"})
    tasks._entries["circle"] = Circle
    with pytest.raises(ValueError, match="exists already"):
        tasks.add("circle", type("Circle", (), {"__module__": __name__}))
