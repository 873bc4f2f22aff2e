"""The data section as all sources share it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from modelforge.train.data.registry import parse_source
from modelforge.train.settings import parse_settings

pytestmark = pytest.mark.usefixtures("here")


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        ({"delimiter": '"'}, "data.delimiter", "`delimiter` and `quote` are both '\"'"),
        ({"delimiter": "\n"}, "data.delimiter", "`delimiter` cannot be '\\n'"),
        ({"type": {"csv": 1}}, "data.type", "`type` must be the name of a source, but is {'csv': 1}"),
        ({"type": ["csv"]}, "data.type", "`type` must be the name of a source, but is ['csv']"),
        ({"type": None}, "data.type", "`type` must be the name of a source, but is null"),
        (
            {"input": {"shape": [3], "dtype": "int64"}},
            "data.input.dtype",
            "a table holds numbers: `dtype` must be 'float32', not 'int64'",
        ),
    ],
)  # fmt: skip
def test_sections_that_are_wrong(fields, path: str, message: str):
    raw = {"type": "csv", "path": "flowers.csv", "target": "kind", "task": "classification", "num_features": 3}
    _, (problem,) = parse_settings({"data": {**raw, "num_outputs": 3, "input": {"shape": [3]}, **fields}})
    assert (problem.code, problem.key, problem.message) == ("MF051", path, message)


def test_all_that_is_wrong_with_a_section_is_said_at_once():
    section = {"type": "csv", "task": "classification", "num_outputs": 2, "num_classes": 3, "num_features": 2}
    section |= {"input": {"shape": [3], "dtype": "int64"}, "delimiter": ".", "val_fraction": 0.6, "test_fraction": 0.6}
    section |= {"impute": {"a": "mode", "b": "medium"}, "group": "g", "time": "t"}
    with pytest.raises(ValidationError) as caught:
        parse_source(section)
    assert [".".join(map(str, error["loc"])) for error in caught.value.errors()] == [
        "num_outputs",
        "val_fraction",
        "input.dtype",
        "input.shape",
        "time",
        "impute.a",
        "impute.b",
        "delimiter",
    ]
