"""What a `weights` section cannot say."""

from __future__ import annotations

import pytest

import modelforge as mf

MODEL = {
    "input": {"shape": [4]},
    "init": {"bias": {"scheme": "constant", "value": 3.0}},
    "layers": {
        "body": {"type": "Linear", "out_features": 6, "init": {"scheme": "orthogonal", "bias": "ones"}},
        "norm": "BatchNorm1d",
        "head": {"type": "Linear", "out_features": 2, "init": "ones"},
    },
}


@pytest.mark.parametrize(
    ("section", "code", "path", "message"),
    [
        ("w.safetensors", "MF014", "weights", "`weights` must be a mapping, but is 'w.safetensors'"),
        ({}, "MF090", "weights", "`weights` needs the key `path`"),
        ({"path": "w", "skp": []}, "MF015", "weights.skp", "`weights` has no key `skp`"),
        ({"path": "w", "scheme": "ones"}, "MF015", "weights.scheme", "`weights` has no key `scheme`"),
        ({"path": "w", "skip": 3}, "MF014", "weights.skip", "`skip` must be a list of globs, but is 3"),
        (
            {"path": "w", "rename": {"a.{n}": "b.{m}"}},
            "MF022",
            "weights.rename",
            "`rename` must have the number `{m}` on the left of `a.{n}: b.{m}` too",
        ),
        (
            {"path": "w", "rename": {"*****": None}},
            "MF022",
            "weights.rename",
            "`rename` must have the same number of `*`, 4 at most, on both sides of `*****: *****`",
        ),
        (
            {"path": "w", "rename": {"{n}.{n}": "b"}},
            "MF022",
            "weights.rename",
            "`rename` must have each number once, and as it is, on the left of `{n}.{n}: b`",
        ),
    ],
)
def test_what_a_section_cannot_say(section, code, path, message):
    with pytest.raises(mf.ForgeError) as caught:
        mf.parse(MODEL, init="xavier", weights=section)
    (problem,) = caught.value.problems
    assert (problem.code, problem.key, problem.message) == (code, path, message)
