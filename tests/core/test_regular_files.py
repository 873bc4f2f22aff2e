"""The one reader of files: what is not a regular file is never opened, and no more is read than may be."""

import os
import socket
from pathlib import Path

import pytest

from modelforge.core.regular_files import NotRegular, TooLarge, check_regular, open_regular, read_bytes, read_text


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkdir, "a folder"),
        (os.mkfifo, "a named pipe"),
        (make_socket, "a socket"),
        (lambda path: path.symlink_to("/dev/zero"), "a device"),
    ],
)
@pytest.mark.parametrize("function", [check_regular, open_regular, lambda path: read_bytes(path, 10)])
def test_what_is_no_regular_file(tmp_path: Path, monkeypatch, make, kind, function):
    monkeypatch.chdir(tmp_path)  # the name of a socket is short
    make(Path("it"))
    with pytest.raises(NotRegular) as caught:
        function("it")
    assert (caught.value.kind, caught.value.strerror, caught.value.filename) == (
        kind,
        f"it is {kind}, not a file",
        "it",
    )


def test_a_file_is_read_as_far_as_its_bound(tmp_path: Path):
    path = tmp_path / "it"
    path.write_bytes("ä\r\n".encode())
    assert (check_regular(path), read_bytes(path, 4), read_text(path, 4)) == (4, b"\xc3\xa4\r\n", "ä\r\n")
    with pytest.raises(TooLarge) as caught:
        read_bytes(path, 3)
    assert caught.value.strerror == "it holds more than 3 bytes"


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path):
    (tmp_path / "it").symlink_to("it")
    with pytest.raises(OSError, match="symbolic links"):
        open_regular(tmp_path / "it")
