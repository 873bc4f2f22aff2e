"""What wrong fields of a scheme get: what must be, what is, and the way out."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from modelforge import inits
from modelforge.core.complaints import Owner, problems
from modelforge.core.docstrings import field_docs
from modelforge.train.tasks.classification import Classification
from tests.inits.catalogue import CASES

ACTIVATION = "must be a positive number, `auto` or an activation's name, but is"
EXCHANGE = "swap them, or choose `constant` for one value everywhere"
TRUNCATED = "values are truncated at this many sigma from the mean: at 0, nothing would be left"
TABLE: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("normal", {"std": 1, "stdd": 1}, "stdd", "scheme `normal` has no field `stdd`", "did you mean `std`?"),
    (
        "zeros",
        {"value": 1.0},
        "value",
        "scheme `zeros` has no field `value`",
        "`zeros` has no fields: give a `scheme` here",
    ),
    ("normal", {}, "std", "scheme `normal` needs the field `std`", "add `std: ...`\n`std`: Standard deviation"),
    ("normal", {"std": -1.0}, "std", "must be at least 0, but is -1.0", ""),
    ("normal", {"std": float("nan")}, "std", "must be a finite number, but is nan", ""),
    ("normal", {"std": float("inf")}, "std", "must be a finite number, but is inf", ""),
    ("normal", {"std": "abc"}, "std", "must be a number, but is 'abc'", ""),
    ("normal", {"std": True}, "std", "must be a number, but is True", ""),
    ("normal", {"std": None}, "std", "must be a number, but is None", ""),
    ("normal", {"std": 1.0, "mean": 1e300}, "mean", "must be at most 1e+37, but is 1e+300", ""),
    ("constant", {"value": "{x}"}, "value", "must be a number, but is '{x}'", ""),
    ("constant", {"value": -1e38}, "value", "must be at least -1e+37, but is -1e+38", ""),
    ("uniform", {"low": 1, "high": 0}, "high", "must be greater than `low` (1.0), but is 0.0", EXCHANGE),
    ("uniform", {"low": 1, "high": 1}, "high", "must be greater than `low` (1.0), but is 1.0", EXCHANGE),
    ("truncated_normal", {"std": 1, "truncate": 0}, "truncate", "must be greater than 0, but is 0", TRUNCATED),
    ("sparse", {"sparsity": 1.0}, "sparsity", "must be less than 1, but is 1.0", ""),
    ("sparse", {"sparsity": -0.1}, "sparsity", "must be at least 0, but is -0.1", ""),
    (
        "sparse",
        {"sparsity": 0.5, "axis": "fanin"},
        "axis",
        "must be 'fan_in' or 'fan_out', but is 'fanin'",
        "did you mean `fan_in`?",
    ),
    ("xavier", {"gain": "rellu"}, "gain", f"{ACTIVATION} 'rellu'", "did you mean `ReLU` or `RReLU`?"),
    ("xavier", {"gain": "?"}, "gain", f"{ACTIVATION} '?'", "see `modelforge list activations`"),
    ("xavier", {"gain": 0}, "gain", f"{ACTIVATION} 0", "zero weights have a scheme of their own: `zeros`"),
    ("xavier", {"gain": -1}, "gain", f"{ACTIVATION} -1", ""),
    ("xavier", {"gain": [1]}, "gain", f"{ACTIVATION} [1]", ""),
    ("xavier", {"gain": True}, "gain", f"{ACTIVATION} True", ""),
    ("xavier", {"gain": False}, "gain", f"{ACTIVATION} False", ""),
    ("orthogonal", {"gain": float("nan")}, "gain", f"{ACTIVATION} nan", ""),
    ("orthogonal", {"method": "lu"}, "method", "must be 'qr' or 'svd', but is 'lu'", ""),
    (
        "he",
        {"mode": 1},
        "mode",
        "must be 'fan_in', 'fan_out', 'fan_avg' or 'fan_geo', but is 1",
        "",
    ),
    (
        "xavier",
        {"truncate": 3.0},
        "truncate",
        "must be left out, as `distribution` is `uniform`",
        "only `distribution: truncated_normal` uses it; if it is inherited, give a `scheme` here",
    ),
    ("gates", {"forget": "one"}, "forget", "must be a number, but is 'one'", ""),
    ("siren", {"first": 3}, "first", "must be 'auto' or true or false, but is 3", ""),
    ("deepnorm", {"branches": "x"}, "branches", "must be 'auto' or a whole number, but is 'x'", ""),
    ("deepnorm", {"branches": -1}, "branches", "must be 'auto' or greater than 0, but is -1", ""),
    ("layerscale", {"value": "y"}, "value", "must be 'auto' or a number, but is 'y'", ""),
    ("keep", {"gain": 1.0}, "gain", "scheme `keep` has no field `gain`", "`keep` has no fields: give a `scheme` here"),
]


@pytest.mark.parametrize(("scheme", "fields", "field", "message", "hint"), TABLE)
def test_one_wrong_field(scheme: str, fields: dict[str, Any], field: str, message: str, hint: str):
    with pytest.raises(ValidationError) as caught:
        inits.get(scheme).model_validate(fields)
    (problem,) = problems(caught.value, "init", inits.registry.owner(scheme))
    # Where nothing better is known, the field's own words.
    meaning = " ".join(field_docs(inits.get(scheme)).get(field, "").split()) if not hint else ""
    said = f"`{field}` {message}" if message.startswith("must ") else message
    key = "init" if message.endswith(f"needs the field `{field}`") else f"init.{field}"
    assert (problem.key, problem.message) == (key, said)
    assert problem.hint == (hint or f"`{field}`: {meaning.removesuffix('.')}")


def test_all_wrong_fields_are_reported_at_once():
    with pytest.raises(ValidationError) as caught:
        inits.get("truncated_normal").model_validate({"std": -1, "truncate": "two", "sigma": 3})
    assert [error["loc"] for error in caught.value.errors()] == [("std",), ("truncate",), ("sigma",)]


def test_whole_numbers_are_numbers():
    assert inits.create({"scheme": "uniform", "low": -1, "high": 1}).model_dump() == {"low": -1.0, "high": 1.0}


@pytest.mark.parametrize("name", inits.names())
def test_schemes_are_frozen_and_survive_a_round_trip(name: str):
    cls = inits.get(name)
    more: list[dict[str, Any]] = [{"scheme": "pretrained", "path": "weights.safetensors"}]
    configs = [*(case.config for case in CASES), *more]
    examples = (config for config in configs if inits.get(config["scheme"]) is cls)
    fields = {field: value for field, value in next(examples, {}).items() if field != "scheme"}
    made = cls.model_validate(fields)
    assert cls.model_validate(made.model_dump(exclude_unset=True)) == made
    for field in cls.model_fields:
        with pytest.raises(ValidationError, match="Instance is frozen"):
            setattr(made, field, 1.0)


@pytest.mark.parametrize(
    ("weights", "path", "message"),
    [
        ("foo", "task.class_weights", "`class_weights` must be 'balanced' or a list, but is 'foo'"),
        ([1, 0], "task.class_weights.1", "`class_weights[1]` must be greater than 0, but is 0"),
        ([1, "x"], "task.class_weights.1", "`class_weights[1]` must be a number, but is 'x'"),
    ],
)
def test_below_an_alternative_only_what_lies_there_is_named(weights: Any, path: str, message: str):
    with pytest.raises(ValidationError) as caught:
        Classification.model_validate({"class_weights": weights})
    (problem,) = problems(caught.value, "task", Owner("task", model=Classification))
    assert (problem.key, problem.message) == (path, message)
