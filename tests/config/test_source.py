"""Folders of configs: names of files as they are shown, links, encodings, and bounds."""

from __future__ import annotations

from modelforge.config.compose import compose


def test_not_utf8(write, fails):
    root = write({"config.yaml": ""})
    (root / "config.yaml").write_bytes(b"a: \xff\n")
    fails(
        lambda: compose(root),
        """
        error[MF002]: the file is not UTF-8
          --> conf/config.yaml:1
        """,
    )
