"""Files of weights that are made to cost more than they are worth."""

from __future__ import annotations

import json
import os
import struct
import zipfile
from pathlib import Path
from time import process_time

import pytest
import torch

from modelforge.core.errors import Refusal
from modelforge.core.tensor_file import opened
from modelforge.inits.schemes.pretrained import Pretrained


def nested(levels, *, twice=False):
    value = {"w": torch.zeros(2)}
    for _ in range(levels):
        value = {"a": value, "b": value} if twice else {"a": value}
    return value


def shared(path):
    torch.save(nested(60, twice=True), path)


def deep(path):
    torch.save(nested(60), path)


def long_name(path):
    torch.save({"a" * 1_000: torch.zeros(2)}, path)


def packed(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("archive/data.pkl", b"\0" * 50_000_000)


TOO_MUCH = "it holds more than 200,000 values, or mappings more than 50 deep"


@pytest.mark.parametrize(
    ("make", "code", "reason"),
    [
        (shared, "MF060", TOO_MUCH),
        (deep, "MF060", TOO_MUCH),
        (long_name, "MF060", "a name in it has 1,000 characters, and 500 is the most"),
        (packed, "", "it is packed, and would be 50,000,000 bytes"),
        (os.mkfifo, "", "it is a named pipe, not a file"),
        (os.mkdir, "", "it is a folder, not a file"),
    ],
)
def test_files_that_are_too_much(tmp_path, make, code, reason):
    make(tmp_path / "file.pt")
    start = process_time()
    with pytest.raises(Refusal) as caught, opened(str(tmp_path / "file.pt")):
        pass
    assert (caught.value.code, str(caught.value)) == (code, reason)
    assert process_time() - start < 10


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("a" * 300, "it cannot be read: File name too long"),
        ("a" * 300 + ".index.json", "it cannot be read: File name too long"),
        ("a/" * 3_000, "it cannot be read: File name too long"),
        ("/dev/zero", "it is a device, not a file"),
        ("/dev/null/weights.pt", "there is no such file"),
    ],
)
def test_paths_that_name_no_file(path, reason):
    with pytest.raises(Refusal) as caught, opened(path):
        pass
    assert str(caught.value) == reason


def test_a_rename_takes_no_choice_back():
    scheme = Pretrained(path="w", rename={"*a*a*a*b": "*c*c*c*d"})
    start = process_time()
    assert scheme.renamed("a" * 5_000).names == ("a" * 5_000,)
    assert process_time() - start < 1


@pytest.mark.parametrize(
    ("old", "new", "name", "renamed"),
    [
        ("*.*.weight", "*|*.w", "a.b.c.weight", "a.b|c.w"),
        ("*a*", "*-*", "xaya", "xay-"),
        ("h.{n}.*", "l.{n+1}.*", "h.12.a.b", "l.13.a.b"),
        ("*.{n}.*", "*:{n}:*", "a.1.b.2.c", "a.1.b:2:c"),
        ("{n}*", "*{n}", "12ab", "ab12"),
    ],
)
def test_the_first_star_takes_as_much_as_it_can(old, new, name, renamed):
    assert Pretrained(path="w", rename={old: new}).renamed(name).names == (renamed,)


@pytest.mark.parametrize("shape", [[2, 2], [4], []])
def test_numbers_that_are_packed_several_to_a_byte(tmp_path: Path, shape: list[int]):
    header = json.dumps({"head.weight": {"dtype": "F4", "shape": shape, "data_offsets": [0, 2]}}).encode()
    path = tmp_path / "w.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + bytes(2))
    with pytest.raises(Refusal) as caught, opened(str(path)) as file:
        assert file.headers
    assert caught.value.code == ""  # for who asked to say
