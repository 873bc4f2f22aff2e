"""Arrays that NumPy saved: of any shape, damaged, too large, or of what is not a number."""

from __future__ import annotations

import io
import struct
import zipfile
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

import modelforge as mf
from modelforge.train.data.read import read
from tests.train.tables import X, Y, npz, told

pytestmark = pytest.mark.usefixtures("here")
FILL = "fill it in, or leave the row out"


def test_arrays_of_any_shape(here: Path):
    np.savez(here / "arrays.npz", x=X, y=Y)
    examples = read(npz())
    assert examples.train.inputs.shape == (42, 2, 4)
    assert np.allclose(examples.train.inputs.mean(0), 0, atol=1e-6)
    np.savez(here / "arrays.npz", x=X, y=np.stack([Y, -Y], 1) / 2)
    assert read(npz(task="regression", num_outputs=2)).test.targets.shape == (9, 2)


@pytest.mark.parametrize("name", ["y", "ab"])  # shorter than the number of labels, and as long as it
def test_labels_in_one_array_are_called_by_their_number(here: Path, name: str):
    labels = np.stack([Y > 1, Y == 0], 1).astype(np.int64)
    np.savez(here / "arrays.npz", **{"x": X, name: labels})
    source = npz(task="multilabel_classification", num_outputs=2, target=name)
    examples = read(source)
    targets = torch.from_numpy(np.asarray(examples.test.targets))
    answers = source.task.answers(targets, examples.fitted)
    assert {key: column.tolist() for key, column in answers.items()} == {
        f"target_{label}": targets[:, label].tolist() for label in range(2)
    }
    predicted = source.task.predictions(targets - 0.5, examples.fitted)
    assert list(predicted) == ["0", "probability_0", "1", "probability_1"]


@pytest.mark.parametrize(
    ("arrays", "fields", "expected"),
    [
        (
            {"x": X, "y": Y * 2 - 1},
            {"num_outputs": 5},
            (
                "data.num_outputs",
                "the target of `arrays.npz` has 3 classes, but `num_outputs` is 5 (-1, 1 and 3)",
                "write `data.num_outputs=3`",
            ),
        ),
        (
            {"inputs": X, "y": Y},
            {},
            (
                "data.features",
                "`arrays.npz` has no array `x`",
                "known: `inputs`, `y`; if `inputs` holds the inputs: `data.features=inputs data.target=y`",
            ),
        ),
        (
            {"x": X[:, 0], "y": Y},
            {},
            (
                "data.input.shape",
                "an example of `arrays.npz` has shape (4,), but `shape` is (2, 4)",
                "write `'data.input.shape=[4]'`",
            ),
        ),
        ({"x": X, "y": Y[1:]}, {}, ("data.target", "`arrays.npz` has 60 examples, but 59 targets", "")),
        (
            {"x": X.astype(str), "y": Y},
            {},
            ("data.features", "array `x` of `arrays.npz` must hold numbers, but holds <U32", ""),
        ),
        (
            {"x": np.where(X == 17, np.nan, X), "y": Y},
            {},
            ("data.features", "array `x` of `arrays.npz` has a value that is not finite in row 3", FILL),
        ),
        (
            {"x": X, "y": np.stack([Y, Y], 1)},
            {},
            (
                "data.target",
                "a class is one value, but the target of `arrays.npz` has shape (60, 2)",
                "for numbers: `data.task=regression`",
            ),
        ),
        (
            {"x": X, "y": Y[:, None]},
            {},
            (
                "data.target",
                "a class is one value, but the target of `arrays.npz` has shape (60, 1)",
                "save them without the second dimension: `y[:, 0]`",
            ),
        ),
        (
            {"x": X, "y": np.eye(3)[Y]},
            {},
            (
                "data.target",
                "a class is one value, but the target of `arrays.npz` has shape (60, 3)",
                "each has one 1: save its place, `y.argmax(1)`",
            ),
        ),
        (
            {"x": X},
            {"target": None},
            ("data.target", "classification needs a target, but `target` is null", "write `data.target=...`"),
        ),
    ],
)  # fmt: skip
def test_arrays_that_do_not_fit(here: Path, arrays, fields, expected):
    np.savez(here / "arrays.npz", **arrays)
    assert told(npz(**fields)) == [expected]


def test_of_two_arrays_of_one_size_the_first_is_taken_for_the_inputs(here: Path):
    np.savez(here / "arrays.npz", inputs=np.array([{}] * 60, dtype=object), answers=np.array([{}] * 60, dtype=object))
    hint = told(npz())[0][2]
    assert hint.endswith("if `inputs` holds the inputs: `data.features=inputs data.target=answers`")


def test_pickled_arrays_are_not_read(here: Path):
    np.savez(here / "arrays.npz", x=np.array([{}] * 60, dtype=object), y=Y)
    ((path, message, hint),) = told(npz())
    assert path == "data.path"
    assert message.startswith("`arrays.npz` cannot be read: Object arrays cannot be loaded")
    assert hint == "examples of several lengths are an array of objects, which are code: pad them to one shape"
    (here / "arrays.npz").write_text("hello")
    assert told(npz())[0][1].startswith("`arrays.npz` cannot be read: ")


def archive(here: Path, shape: object, body: bytes, dtype: str = "<f8", **fields) -> None:
    """An `npz` whose `x` says that it has some shape."""
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    targets = io.BytesIO()
    np.save(targets, Y)
    with zipfile.ZipFile(here / "arrays.npz", "w", **fields) as file:
        file.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + body)
        file.writestr("y.npy", targets.getvalue())


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ((10**12, 8), "<f8", "array `x` says that it has shape (1000000000000, 8), but 100 bytes of float64 follow"),
        ((2, 4), "<f8", "array `x` says that it has shape (2, 4), but 100 bytes of float64 follow"),
        ((-1, -1), "<f8", "array `x` says that it has shape (-1, -1), but 100 bytes of float64 follow"),
        ((10**12,), "<U0", "array `x` says that it has shape (1000000000000,), but 100 bytes of <U0 follow"),
        ((3.5,), "<f8", "shape is not valid: (3.5,)"),
        ("abc", "<f8", "shape is not valid: 'abc'"),
        ((3,), "<q9", "descr is not a valid dtype descriptor: '<q9'"),
    ],
)  # fmt: skip
def test_arrays_that_lie_about_themselves(here: Path, shape, dtype: str, message: str):
    archive(here, shape, bytes(100), dtype)
    assert told(npz()) == [("data.path", f"`arrays.npz` cannot be read: {message}", "")]


def test_arrays_are_bounded_before_they_are_unpacked(here: Path):
    archive(here, (2**21, 2, 4), bytes(2**27), compression=zipfile.ZIP_DEFLATED)  # 128 MiB in 130 kB
    assert told(npz(max_bytes=10**8)) == [
        (
            "data.max_bytes",
            "unpacked, `arrays.npz` takes 134,218,208 bytes, but `max_bytes` is 100,000,000",
            "if memory holds them: `data.max_bytes=134218208`",
        )
    ]


@pytest.mark.parametrize(
    ("arrays", "fields", "expected"),
    [
        (
            {"x": X + 1j, "y": Y},
            {},
            (
                "data.features",
                "array `x` of `arrays.npz` must hold numbers, but holds complex numbers",
                "save real and imaginary parts as numbers of their own",
            ),
        ),
        (
            {"x": X, "y": Y + 1j},
            {"task": "regression", "num_outputs": 1},
            (
                "data.target",
                "array `y` of `arrays.npz` must hold numbers, but holds complex numbers",
                "save real and imaginary parts as numbers of their own",
            ),
        ),
        (
            {"x": X.astype("timedelta64[s]"), "y": Y},
            {},
            ("data.features", "array `x` of `arrays.npz` must hold numbers, but holds timedelta64[s]", ""),
        ),
        (
            {"x": np.float64(3), "y": Y},
            {},
            ("data.features", "array `x` of `arrays.npz` is one value, not an example a row", ""),
        ),
        ({"x": X[:0], "y": Y[:0]}, {}, ("data.features", "array `x` of `arrays.npz` has no rows", "")),
        ({"x": X, "y": np.int64(1)}, {}, ("data.target", "`arrays.npz` has 60 examples, but 1 target", "")),
    ],
    ids=range(6),
)
def test_arrays_of_what_is_no_number(here: Path, arrays, fields, expected):
    np.savez(here / "arrays.npz", **arrays)
    assert told(npz(**fields)) == [expected]


def test_an_array_without_a_name(here: Path):
    with (here / "arrays.npz").open("wb") as file:
        np.save(file, X)
    assert told(npz()) == [("data.path", "`arrays.npz` holds one array without a name", "save it with `numpy.savez`")]


def test_damaged_archives_are_reported(here: Path):
    np.savez_compressed(here / "arrays.npz", x=X, y=Y)
    whole = (here / "arrays.npz").read_bytes()
    for place in range(0, len(whole), 7):
        (here / "arrays.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 255]) + whole[place + 1 :])
        with suppress(mf.ForgeError):  # and nothing else
            read(npz())
