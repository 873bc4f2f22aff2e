"""A library: what configs of one command share, and that each of them comes out as if it were alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from modelforge.config.compose import Config, compose
from modelforge.config.composition import Library
from modelforge.config.document import Document
from modelforge.core.errors import ForgeError

FILES = {
    "config.yaml": """
        defaults:
          - _self_
          - model: mlp
          - init: zeros
          - optional extra: null
        seed: 0
        shared: {list: [1, 2], from_config: true}
    """,
    "model/mlp.yaml": "width: 64\ndepth: ${seed}\n",
    "model/cnn.yaml": "# @package _global_\nmodel: {width: 3}\nshared: {list: [3], from_model: true}\n",
    "model/both.yaml": "defaults: [mlp]\nwidth: null\n",
    "init/zeros.yaml": "scheme: zeros\n",
    "init/normal.yaml": "scheme: normal\nstd: ???\n",
    "extra/job.yaml": "# @package _global_\nhydra: {job: {name: extra}, mode: RUN}\nmodel: null\n",
    "extra/wrong.yaml": "# @package _global_\nhydra: {job: {chdir: [1]}}\n",
    "extra/broken.yaml": "a: [\n",
}
CHOICES: list[list[str]] = [
    [],
    ["model=cnn"],
    [],
    ["init=normal", "init.std=2"],
    ["model=both", "+shared.new=1"],
    ["model=cnn", "init=normal", "shared.list=[4]"],
    ["extra=job"],
    ["extra=wrong"],
    ["extra=broken"],
    ["model=none"],
    ["~init"],
    ["hydra/job_logging=disabled", "model=cnn"],
    ["extra=job", "model=cnn"],
    ["init=normal"],
    [],
]


def outcome(conf: Path, overrides: Sequence[str], library: Library | None) -> Config | str:
    """The config, or what is wrong with it."""
    try:
        return compose(conf, overrides, library=library)
    except ForgeError as error:
        return str(error)


@pytest.mark.parametrize("turn", range(3))
def test_each_config_comes_out_as_if_it_were_alone(write, turn):
    conf = write(FILES)
    library = Library()
    for overrides in CHOICES[turn:] + CHOICES[:turn]:
        shared, alone = (outcome(conf, overrides, one) for one in (library, None))
        assert repr(shared) == repr(alone), overrides
        if isinstance(shared, Config) and isinstance(alone, Config):
            assert repr(shared.values) == repr(alone.values)
            assert repr(shared.hydra) == repr(alone.hydra)
            keys = ["seed", "shared.list", "shared.from_model", "model.width", "init.scheme"]
            assert [shared.origins.place(key) for key in keys] == [alone.origins.place(key) for key in keys]


def test_a_file_is_read_once(write, monkeypatch):
    conf = write(FILES)
    read: list[str] = []
    load = Document.load
    monkeypatch.setattr(Document, "load", lambda self: read.append(self.file) or load(self))
    library = Library()
    for overrides in ([], ["model=cnn"], [], ["init=normal", "init.std=1"]):
        compose(conf, overrides, library=library)
    assert sorted(read) == sorted(set(read))


def test_without_a_library_a_file_that_changed_is_read_again(write):
    conf = write(FILES)
    assert compose(conf).values["init"] == {"scheme": "zeros"}
    (conf / "init" / "zeros.yaml").write_text("scheme: ones\n", encoding="utf-8")
    assert compose(conf).values["init"] == {"scheme": "ones"}


def test_folders_do_not_share(write, tmp_path):
    library = Library()
    first = compose(write(FILES), library=library)
    other = tmp_path / "other"
    (tmp_path / "conf").rename(other)
    (other / "init" / "zeros.yaml").write_text("scheme: ones\n", encoding="utf-8")
    second = compose(other, library=library)
    assert (first.values["init"], second.values["init"]) == ({"scheme": "zeros"}, {"scheme": "ones"})
