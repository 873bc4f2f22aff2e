"""One config file: its syntax, its keys, and values that are not what they seem."""

from __future__ import annotations

import pytest

from modelforge.config.compose import compose
from modelforge.config.document import Document
from modelforge.core.errors import ForgeError

FILES = [
    (
        "syntax",
        {"config.yaml": "a: 1\nb: [1, 2\nc: 3\n"},
        """
        error[MF002]: expected ',' or ']', but got ':'
          --> conf/config.yaml:3:2
           |
        3  | c: 3
           |  ^ while parsing a flow sequence, which begins on line 2
        """,
    ),
    (
        "tab",
        {"config.yaml": "a:\n\tb: 1\n"},
        """
        error[MF002]: the line is indented by a tab
          --> conf/config.yaml:2:1
           |
        2  | \\tb: 1
           | ^^ YAML is indented by blanks
        """,
    ),
    (
        "merge conflict",
        {"config.yaml": "a: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> feature\n"},
        """
        error[MF002]: a merge conflict is not resolved
          --> conf/config.yaml:2:1
           |
        2  | <<<<<<< HEAD
           | ^ keep one side of it, and remove the lines `<<<<<<<`, `=======` and `>>>>>>>`
        """,
    ),
    (
        "two documents",
        {"config.yaml": "a: 1\n---\nb: 1\n"},
        """
        error[MF002]: expected a single document in the stream, but found another document
          --> conf/config.yaml:2:1
           |
        2  | ---
           | ^ expected a single document in the stream, which begins on line 1
        """,
    ),
    (
        "no blank behind a colon",
        {"config.yaml": "a: 1\nact:ReLU\nb: 2\n"},
        """
        error[MF002]: `act:` needs a blank behind its colon
          --> conf/config.yaml:2:1
           |
        2  | act:ReLU
           | ^^^^^^^^ write `act: ReLU`
        """,
    ),
    (
        "no blank behind the last colon",
        {"config.yaml": "a: 1\nact:ReLU\n"},
        """
        error[MF002]: `act:` needs a blank behind its colon
          --> conf/config.yaml:2:1
           |
        2  | act:ReLU
           | ^^^^^^^^ write `act: ReLU`
        """,
    ),
    (
        "duplicates",
        {"config.yaml": "defaults: [model: a]\n", "model/a.yaml": "x: 1\nlayers:\n  0: {a: 1, a: 2}\n  0: {}\nx: 2\n"},
        """
        error[MF002]: the key `x` is written twice
          --> conf/model/a.yaml:5:1
           |
        5  | x: 2
           | ^ the first is on line 1

        error[MF002]: the key `0` is written twice
          --> conf/model/a.yaml:4:3
           |
        4  |   0: {}
           |   ^ the first is on line 3

        error[MF002]: the key `a` is written twice
          --> conf/model/a.yaml:3:13
           |
        3  |   0: {a: 1, a: 2}
           |             ^ the first is on line 3
        """,
    ),
    (
        "not a mapping",
        {"config.yaml": "- 1\n- 2\n"},
        """
        error[MF002]: a config file holds a mapping, `key: value`
          --> conf/config.yaml:1:1
           |
        1  | - 1
           | ^^^
        """,
    ),
    (
        "a list for a key",
        {"config.yaml": "? [1, 2]\n: 3\n"},
        """
        error[MF002]: a key must be a name
          --> conf/config.yaml:1:3
           |
        1  | ? [1, 2]
           |   ^^^^^^
        """,
    ),
    (
        "a tag",
        {"config.yaml": "a: !!python/object/apply:os.system [ls]\n"},
        """
        error[MF002]: the tag `!!python/object/apply:os.system` means nothing in a config
          --> conf/config.yaml:1:4
           |
        1  | a: !!python/object/apply:os.system [ls]
           |    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ leave it out, or quote the text
        """,
    ),
    (
        "an alias of itself",
        {"config.yaml": "a: &a\n  b: *a\n"},
        """
        error[MF002]: an alias that contains itself
          --> conf/config.yaml:1:4
           |
        1  | a: &a
           |    ^^
        """,
    ),
    (
        "control character",
        {"config.yaml": "a: 1\nb: \x01\n"},
        """
        error[MF002]: a character that YAML does not allow
          --> conf/config.yaml:2:1
           |
        2  | b: \\x01
           | ^
        """,
    ),
    (
        "header",
        {"config.yaml": "# @package a b\nx: 1\n"},
        """
        error[MF002]: wrong header
          --> conf/config.yaml:1:1
           |
        1  | # @package a b
           | ^ write `# @package model` or `# @package _global_`
        """,
    ),
    (
        "broken interpolation",
        {"config.yaml": "a: 1\nb: [x, '${a']\n"},
        """
        error[MF003]: `${a` is not an interpolation
          --> conf/config.yaml:2:8
           |
        2  | b: [x, '${a']
           |        ^^^^^ write `${key.path}`; a literal `${` is written `\\${`
        """,
    ),
    (
        "an interpolation in braces",
        {"config.yaml": "a: {b: ${c}}\n"},
        """
        error[MF002]: expected ',' or '}', but got '{'
          --> conf/config.yaml:1:9
           |
        1  | a: {b: ${c}}
           |         ^ inside `{}` and `[]` an interpolation is quoted: `'${...}'`
        """,
    ),
    (
        "a mandatory value in braces",
        {"config.yaml": "a: {b: ???}\n"},
        """
        error[MF002]: expected the node content, but found '?'
          --> conf/config.yaml:1:8
           |
        1  | a: {b: ???}
           |        ^ inside `{}` and `[]` a mandatory value is quoted: `'???'`
        """,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "text"), [case[1:] for case in FILES], ids=[case[0] for case in FILES])
def test_files_that_are_no_config(write, fails, files, text):
    root = write(files)
    fails(lambda: compose(root), text)


def doubling(first: str, step: str, times: int = 40) -> str:
    return first + "\n" + "".join(step.format(new=new, old=new - 1) + "\n" for new in range(1, times))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (doubling("a0: &a0 [1, 1]", "a{new}: &a{new} [*a{old}, *a{old}]"), "hold more than 50,000 keys and values"),
        (doubling("a0: x", "a{new}: ${{a{old}}}${{a{old}}}"), "interpolations make more than 100,000"),
        (doubling("a0: 1", "a{new}: {{x: '${{a{old}}}', y: '${{a{old}}}'}}"), "interpolations make more than 100,000"),
        ("[" * 100_000, "the file is nested more than 50 levels deep"),
        ("{a: " * 100_000, "the file is nested more than 50 levels deep"),
    ],
    ids=["aliases", "texts", "mappings", "lists", "deep mappings"],
)  # fmt: skip
def test_explosions(write, text, message):
    root = write({"config.yaml": text})
    with pytest.raises(ForgeError, match=message) as caught:
        compose(root)
    assert caught.value.problems[0].code == "MF060"


def test_deep_files_are_fine(write):
    root = write({"config.yaml": "{a: " * 49 + "1" + "}" * 49})
    values = compose(root).values
    for _ in range(49):
        values = values["a"]
    assert values == 1


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("010", "`010` means 8 in YAML 1.1"),
        ("0b11", "`0b11` means 3 in YAML 1.1"),
        ("0o17", "`0o17` means 15 in YAML 1.2, and is a text in YAML 1.1"),
        ("12:30", "`12:30` means 750 in YAML 1.1"),
        ("1:30.5", "`1:30.5` means 90.5 in YAML 1.1"),
        ("0x_", "`0x_` is not a whole number"),
        ("9" * 400, "a whole number has at most 300 digits, and this has 400"),
        ("9" * 5_000, "a whole number has at most 300 digits, and this has 5,000"),
        ("!!int ''", "`` is not a whole number"),
        ("!!bool text", "`text` is not true or false"),
        ("!!float x", "`x` is not a number"),
        ("!!timestamp text", "the tag `!!timestamp` means nothing in a config"),
        ("!!set {a}", "the tag `!!set` means nothing in a config"),
        ("!own 3", "the tag `!own` means nothing in a config"),
        ('"\\ud800"', "a text holds a lone surrogate, `\\ud800`, which file names and terminals cannot hold"),
        ('"\\0"', "a text holds a null character, which file names and terminals cannot hold"),
        ("x" * 20_000, "a text has at most 10,000 characters, and this has 20,000"),
    ],
)
def test_values_that_are_not_what_they_seem(write, written, expected):
    write({"config.yaml": f"first: 1\na: {written}\n"})
    with pytest.raises(ForgeError) as caught:
        compose("conf")
    (problem,) = caught.value.problems
    assert problem.message == expected
    assert (problem.place.file, problem.place.line, problem.place.column) == ("conf/config.yaml", 2, 4)


@pytest.mark.parametrize(
    ("written", "value"),
    [("0x1F", 31), ("-7", -7), ("1_000", 1000), ("0", 0), ("08", "08"), ("'010'", "010"), ("!!str 3", "3"), ("9", 9)],
)
def test_numbers_that_every_reader_takes_for_the_same(write, written, value):
    write({"config.yaml": f"a: {written}\n"})
    assert compose("conf").values == {"a": value}


def test_a_file_that_is_too_long_is_not_read(write):
    write({"config.yaml": "a: 1\n" * 300_000})
    with pytest.raises(ForgeError) as caught:
        compose("conf")
    (problem,) = caught.value.problems
    assert (problem.code, str(problem.place)) == ("MF060", "conf/config.yaml:1")
    assert problem.message == "a config file has at most 1,000,000 characters, and this has 1,500,000"


@pytest.mark.parametrize(
    "text", ["a: {<<: text}", "<<: text", "<<: [text]", "a: {<<: [{b: 1}, [c]]}", "<<:", "<<: &a [*a]"]
)
def test_what_cannot_be_merged(text: str):
    with pytest.raises(ForgeError) as caught:
        Document("a.yaml", f"{text}\n").check()
    assert caught.value.problems[0].code == "MF002"
    assert "merging" in caught.value.problems[0].message or "contains itself" in caught.value.problems[0].message


@pytest.mark.parametrize(
    "text",
    [
        "${a:" * 200 + "}" * 200,
        "${" * 900 + "a" + "}" * 900,
        "${oc.create:" + "[" * 400 + "]" * 400 + "}",
        "${a}" * 101,
    ],
    ids=["resolvers", "names", "brackets", "many"],
)
def test_interpolations_that_would_take_too_long(text: str):
    with pytest.raises(ForgeError, match="a text has at most 100 interpolations"):
        Document("a.yaml", f"a: '{text}'\n").load()


def test_as_many_interpolations_as_may_be():
    assert Document("a.yaml", f"a: 1\nb: '{'${a}' * 100}'\n").load().b == "1" * 100


@pytest.mark.parametrize(
    ("text", "package"),
    [
        ("# @package _global_\na: 1\n", "_global_"),
        ("\n#@package model\n# about\na: 1\n", "model"),
        ("# @package: model\na: 1\n", "model"),
        ("# @hydra x\n# @package model\na: 1\n", "model"),
        ("a: 1\n# @package model\n", ""),
        ("# about\na: 1\n", ""),
        ("", ""),
    ],
)
def test_the_package_that_a_header_names(text: str, package: str):
    document = Document("a.yaml", text)
    document.load()
    assert document.package == package


def test_a_package_below_another_comment_is_refused():
    """Hydra would read none, and put the values elsewhere without a word."""
    with pytest.raises(ForgeError) as caught:
        Document("a.yaml", "# yaml-language-server: $schema=a.json\n# @package _global_\na: 1\n").load()
    (problem,) = caught.value.problems
    assert problem.code == "MF002"
    assert problem.place is not None
    assert (problem.place.line, problem.hint) == (2, "make it the first line of the file")
