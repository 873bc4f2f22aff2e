"""`BreastCancer`: scikit-learn's table of 569 tumours, with 30 measurements of each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import ValidationError

from modelforge.train.data.parts import Arrays, Examples
from modelforge.train.data.registry import register_data
from modelforge.train.data.scale import Numbers
from modelforge.train.data.source import check, mistake
from modelforge.train.data.table import Table, encoded_arrays, examples


@register_data("breast_cancer")
class BreastCancer(Table):
    """Malignant is class 0, benign class 1."""

    target_kinds: ClassVar = ("class", "input")

    @check
    def _check_shape(self) -> Iterator[ValidationError]:
        if self.input.shape != (30,):
            yield mistake("input.shape", f"a tumour has 30 measurements, but `shape` is {self.input.shape}")
        if self.num_outputs != 2:
            yield mistake("num_outputs", f"breast_cancer has 2 classes, but `num_outputs` is {self.num_outputs}")

    def encode(self, raw: Any, fitted: Mapping[str, Any], *, labelled: bool = False) -> Arrays:
        """New tumours, 30 measurements each: an array, or with labels a pair of arrays; see `Source.encode`."""
        return encoded_arrays(self, raw, fitted, ("x", "y" if labelled else None))

    def read(self) -> Examples:
        """The examples; see `Source.read`."""
        from sklearn.datasets import load_breast_cancer

        table: Any = load_breast_cancer()
        measured = Numbers(table.data, tuple(map(str, table.feature_names)))
        return examples(self, measured, table.target, "breast_cancer")
