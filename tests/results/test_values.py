"""Short texts of swept values: no two alike, and each the nearest number of its digits."""

from __future__ import annotations

import pytest

from modelforge.results.values import as_number, in_order, shortened


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (["0.1", "0.10000012345"], ["0.1", "0.1000001"]),
        (["0.1000000", "0.10000000"], ["0.1000000", "0.10000000"]),  # one number, but two groups
        (["1.0000000000000002", "1.0000000000000004"], ["1.0000000000000002", "1.0000000000000004"]),
        (["12345678.5", "12345678"], ["12345678.5", "12345678"]),
        (["1.2345678e+30"], ["1.2346e+30"]),
        (["-0.0", "0.0"], ["-0.0", "0.0"]),
        (["conf/v1.25.yaml", "", "1e-3"], ["conf/v1.25.yaml", "", "1e-3"]),
    ],
)
def test_texts(values: list[str], texts: list[str]):
    found = shortened(values)
    assert [found[value] for value in values] == texts


@pytest.mark.parametrize("text", ["2024_01", "1_000", "1_0.5", "1e1_0"])
def test_a_value_with_an_underscore_is_a_name(text: str):
    assert as_number(text) is None
    assert in_order([text, "9", "10"]) == [text, "9", "10"]
