"""Other options of a composition's groups: the same as from Hydra, which is asked only where they may reach further."""

from __future__ import annotations

import pytest

from modelforge.config.compose import compose
from modelforge.config.composition import Library
from modelforge.config.loader import Loader
from modelforge.core.errors import ForgeError

FILES = {
    "config.yaml": """
        defaults:
          - _self_
          - init: normal
          - model: mlp
          - optional other: null
        seed: 0
        noted: ${init.scheme}
    """,
    "model/mlp.yaml": "width: 64\nname: mlp\n",
    "model/lstm.yaml": "width: ${seed}\nlayers: [1, {on: '???'}]\n",
    "model/chooses.yaml": "defaults: [mlp, override /init@_global_.init: zeros]\n",
    "init/normal.yaml": "scheme: normal\nstd: ${seed}\n",
    "init/zeros.yaml": "scheme: zeros\n",
    "init/empty.yaml": "# nothing\n",
    "init/elsewhere.yaml": "# @package model\nscheme: ones\n",
    "init/more.yaml": "defaults: [zeros]\ngain: 2\n",
    "init/broken.yaml": "scheme: [\n",
    "init/outward.yaml": "scheme: ${oc.env:HOME}\n",
    "other/init.yaml": "# @package _global_\ninit: {gain: 3}\n",
    "other/below.yaml": "# @package init.bias\ngain: 3\n",
    "other/alias.yaml": "# @package _global_\nalias: ${init}\n",
    "other/names.yaml": "# @package _global_\nhydra: {job: {config: {override_dirname: {kv_sep: '${seed}'}}}}\n",
    "other/run.yaml": "# @package _global_\nhydra: {run: {dir: '${hydra:runtime.choices.model}'}}\n",
}
QUIET = {**FILES, "config.yaml": FILES["config.yaml"].replace("        noted: ${init.scheme}\n", "")}
"""Nothing in the primary config reads a group."""


@pytest.fixture
def composed_by_hydra(monkeypatch) -> list[str]:
    """The overrides that Hydra is asked to compose."""
    asked: list[str] = []
    load = Loader.compose

    def noted(self, name, overrides, *rest):
        asked.append(" ".join(one.input_line for one in overrides))
        return load(self, name, overrides, *rest)

    monkeypatch.setattr(Loader, "compose", noted)
    return asked


def outcome(conf, overrides, library):
    """All that is known of a config, or what is wrong with it."""
    try:
        config = compose(conf, overrides, library=library)
    except ForgeError as error:
        return str(error)
    keys = ["seed", "model", "model.width", "init", "init.scheme", "init.gain", "alias.std"]
    places = [config.origins.place(key) for key in keys]
    return repr((config.values, config.hydra, config.choices, config.overrides, places, config.origins.declared))


def differs(files, write, first, second, asked):
    """Whether Hydra is asked for the second; both must be what they are alone."""
    conf, library = write(files), Library()
    together = [outcome(conf, overrides, library) for overrides in (first, second)]
    again = len(asked)
    assert together == [outcome(conf, overrides, None) for overrides in (first, second)]
    return again > 1


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["init=normal"], ["init=zeros"]),
        (["init=zeros"], ["init=empty"]),
        (["model=mlp", "init=normal"], ["model=lstm", "init=zeros"]),
        (["model=chooses", "init=normal"], ["model=chooses", "init=zeros"]),
        (["init=normal", "model.width=3", "seed=1"], ["init=zeros", "model.width=3", "seed=1"]),
        (["init=normal", "other=run"], ["init=zeros", "other=run"]),
        (["init=normal", "hydra.job.name=x"], ["init=zeros", "hydra.job.name=x"]),
        (["init=normal", "seed=1"], ["init=normal", "seed=2"]),
        (["init=normal", "seed=1"], ["init=normal", "seed='a b'"]),
        (["init=normal", "init.std=1"], ["init=normal", "init.std=2.5"]),
        (["init=normal", "++init.std=1", "seed=1"], ["init=normal", "++init.std=null", "seed=2"]),
        (["init=normal", "seed=1"], ["init=zeros", "seed=2"]),
    ],
)
def test_options_that_reach_no_further(write, composed_by_hydra, first, second):
    assert not differs(QUIET, write, first, second, composed_by_hydra)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (["init=normal"], ["init=elsewhere"]),
        (["init=elsewhere"], ["init=normal"]),
        (["init=normal"], ["init=more"]),
        (["init=more"], ["init=normal"]),
        (["init=normal"], ["init=broken"]),
        (["init=normal"], ["init=outward"]),
        (["init=normal"], ["~init"]),
        (["init=normal"], ["model=lstm"]),
        (["init=normal"], ["init=zeros", "model=lstm"]),
        (["init=normal", "init.std=2"], ["init=zeros", "init.std=2"]),
        (["init=normal", "+init.gain=2"], ["init=zeros", "+init.gain=2"]),
        (["init=normal", "hydra.job.name=x"], ["init=normal", "hydra.job.name=y"]),
        (["init=normal", "init.std=1"], ["init=normal", "init.std=[1]"]),
        (["init=normal", "init.std=1", "init={std: 3}"], ["init=normal", "init.std=2", "init={std: 3}"]),
        (["init=normal", "other=init"], ["init=zeros", "other=init"]),
        (["init=normal", "other=below"], ["init=zeros", "other=below"]),
        (["init=normal", "other=alias", "alias.std=3"], ["init=zeros", "other=alias", "alias.std=3"]),
        (["init=normal", "+alias=${init}"], ["init=zeros", "+alias=${init}"]),
        (["init=normal", "other=names"], ["init=zeros", "other=names"]),
        (["model=mlp"], ["model=chooses"]),
    ],
)
def test_options_that_may_reach_further(write, composed_by_hydra, first, second):
    assert differs(QUIET, write, first, second, composed_by_hydra)


def test_a_value_that_is_read_elsewhere(write, composed_by_hydra):
    assert differs(FILES, write, ["init=normal"], ["init=zeros"], composed_by_hydra)
