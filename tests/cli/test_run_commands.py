"""The commands about runs: options that do not go together."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("tune", "batch_size", "--min", "1e-3"), "--curve are for `tune lr`"),
        (("sweep", "work", "runs"), "give one of --index N and --any"),
        (("sweep", "work", "runs", "--index", "1", "--any"), "give one of --index N and --any"),
        (("sweep", "work", "runs", "--index", "1", "--retry-failed"), "--retry-failed goes with --any"),
        (("sweep",), "name a folder"),
        (("gallery", "--list", "--seed", "1"), "--list prints all claims"),
    ],
)
def test_options_that_do_not_go_together_are_refused(run, arguments, said):
    assert said in run(*arguments, status=2).stderr
