"""The jobs of a multirun: Hydra's own list of them, and every way in which it would differ from what is written."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from modelforge.config.compose import compose
from modelforge.config.folder_name import folder_name
from modelforge.config.sweeps import MAX_JOBS, compose_jobs, read_sweep, unused_params
from modelforge.core.errors import ForgeError

BASE = "defaults:\n  - _self_\n  - init: a\n  - experiment: null\nseed: 0\nsize: 1\n"
EXPERIMENT = "# @package _global_\nhydra:\n  sweeper:\n    params:\n      {}\n"
FILES = {
    "config.yaml": BASE,
    "init/a.yaml": "gain: 1\n",
    "init/ab.yaml": "gain: 1\n",
    "init/b.yaml": "gain: 2\n",
    "experiment/gains.yaml": EXPERIMENT.format("init.gain: 0.5,1"),
    "experiment/sizes.yaml": EXPERIMENT.format("size: 1,2"),
    "experiment/misspelt.yaml": EXPERIMENT.format("init.gian: 0.5,1"),
    "experiment/nested.yaml": EXPERIMENT.format("init: {gain: '0.5,1'}"),
    "experiment/interval.yaml": EXPERIMENT.format("init.gain: interval(0,1)"),
    "experiment/multirun.yaml": EXPERIMENT.format("seed: 1,2") + "  mode: MULTIRUN\n",
}


@pytest.fixture
def folder(write) -> Path:
    return write(FILES)


def jobs(folder: Path, *overrides: str) -> list[str]:
    return [" ".join(job) for job in read_sweep(folder, overrides).jobs()]


def test_jobs_are_a_product_of_what_files_and_the_command_line_name(folder: Path) -> None:
    assert jobs(folder, "experiment=gains", "seed=0,1") == [
        f"init.gain={gain} experiment=gains seed={seed}" for gain in ("0.5", "1") for seed in (0, 1)
    ]


def test_the_command_line_replaces_the_values_of_a_file(folder: Path) -> None:
    assert jobs(folder, "experiment=gains", "init.gain=3") == ["init.gain=3 experiment=gains"]


def test_globs_and_ranges_are_spelt_out(folder: Path) -> None:
    assert jobs(folder, "init=glob(a*)", "seed=range(0,3)") == [
        f"init={option} seed={seed}" for option in ("a", "ab") for seed in range(3)
    ]


def test_a_list_may_hold_one_value(folder: Path) -> None:
    sweep = read_sweep(folder, ["init=glob(ab)", "seed=range(3,4)"])
    assert sweep.sample(9) == [*sweep.jobs()] == [("init=ab", "seed=3")]
    assert [config.choices["init"] for config in compose_jobs(sweep, folder, 9)] == ["ab"]


def test_a_config_may_ask_for_a_multirun_itself(folder: Path) -> None:
    assert read_sweep(folder, ["experiment=multirun"]).multirun
    assert not read_sweep(folder, ["experiment=gains"]).multirun


def test_jobs_as_hydra_itself_makes_them(folder: Path) -> None:
    from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
    from hydra.core.override_parser.overrides_parser import OverridesParser

    words = ["seed=choice(1,2)", "init=b", "size=range(1,4)", "~experiment", "+note='a, b'", "+list=[1,2],[3]"]
    (batch,) = BasicSweeper.split_arguments(OverridesParser.create().parse_overrides(words), None)
    assert [*read_sweep(folder, words).jobs()] == [tuple(job) for job in batch]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ["experiment=gains,sizes"],
            """
            error[MF082]: `init.gain: 0.5,1` has no effect: its file is itself one of several that are swept over
              --> conf/experiment/gains.yaml:5:18
               |
            5  |       init.gain: 0.5,1
               |                  ^^^^^ choose that file alone, or give the values as an override: `init.gain=0.5,1`
               = override key: hydra.sweeper.params.init.gain

            error[MF082]: `size: 1,2` has no effect: its file is itself one of several that are swept over
              --> conf/experiment/sizes.yaml:5:13
               |
            5  |       size: 1,2
               |             ^^^ choose that file alone, or give the values as an override: `size=1,2`
               = override key: hydra.sweeper.params.size
            """,
        ),
        (
            ["experiment=misspelt"],
            """
            error[MF001]: `init` has no key `gian`
              --> conf/experiment/misspelt.yaml:5:18
               |
            5  |       init.gian: 0.5,1
               |                  ^^^^^ did you mean `gain`? A new key needs a `+`: `+init.gian: 0.5,1`
               = override key: init.gian
            """,
        ),
        (
            ["experiment=nested"],
            """
            error[MF001]: `hydra.sweeper.params` names each key in full
              --> conf/experiment/nested.yaml:5:13
               |
            5  |       init: {gain: '0.5,1'}
               |             ^^^^^^^^^^^^^^^ write `init.gain: 0.5,1`
               = override key: hydra.sweeper.params.init
            """,
        ),
        (
            ["experiment=interval"],
            """
            error[MF001]: `init.gain=interval(0,1)` names no single values
              --> conf/experiment/interval.yaml:5:18
               |
            5  |       init.gain: interval(0,1)
               |                  ^^^^^^^^^^^^^ write the values, `init.gain=0.1,0.2`, or `range(0, 1, 0.1)`
               = override key: init.gain
            """,
        ),
        (
            ["init.gain=interval(0,1)"],
            """
            error[MF001]: `init.gain=interval(0,1)` names no single values
              --> override init.gain=interval(0,1)
               = help: write the values, `init.gain=0.1,0.2`, or `range(0, 1, 0.1)`
            """,
        ),
        (
            ["init=glob(aa*)"],
            """
            error[MF001]: `init` has no option like `aa*`
              --> override init=glob(aa*)
               = help: did you mean `a`?
            """,
        ),
        (
            ["seed=range(3,3)"],
            """
            error[MF001]: `seed=range(3,3)` stands for no value
              --> override seed=range(3,3)
            """,
        ),
        (
            ["seed=range(0,3,0)"],
            """
            error[MF001]: `seed=range(0,3,0)` cannot be counted: range() arg 3 must not be zero
              --> override seed=range(0,3,0)
            """,
        ),
        (
            ["seed=1,2,1"],
            """
            error[MF082]: `seed=1` is there twice: two jobs would be equal
              --> override seed=1,2,1
            """,
        ),
        (
            ["init.gain=1,2,3", "seed=0,1", "++init.gain=4"],
            """
            error[MF082]: `init.gain` is set again, so that `init.gain=1,2,3` has no effect
              --> override ++init.gain=4
               = help: leave one out, or write both keys alike: the later one counts
            """,
        ),
        (
            ["init=a,b,ab"],
            """
            error[MF082]: `init=a` and `init=ab` make the same config: two jobs would be equal
              --> override init=ab
               = help: leave one of them out
            """,
        ),
        (
            ["init.gain=2,2.0", "seed=0,1"],
            """
            error[MF082]: `init.gain=2` and `init.gain=2.0` make the same config: two jobs would be equal
              --> override init.gain=2.0
               = help: leave one of them out
            """,
        ),
        (
            ["hydra.sweep.dir=a,b"],
            """
            error[MF001]: `hydra.sweep.dir` is a setting of the whole multirun, and takes one value
              --> override hydra.sweep.dir=a,b
            """,
        ),
        (
            ["sweep.skip_invalid=true,false"],
            """
            error[MF001]: `sweep.skip_invalid` is a setting of the whole multirun, and takes one value
              --> override sweep.skip_invalid=true,false
            """,
        ),
        (
            ["init=a,c", "init.gian=1,2"],
            """
            error[MF001]: `init` has no key `gian`
              --> override init.gian=1,2
               = help: did you mean `gain`? A new key needs a `+`: `+init.gian=1,2`

            error[MF001]: `init` has no option `c`
              --> override init=a,c
               = help: known: `a`, `ab`, `b`. For a scheme without a file: `'init={scheme: c}'`
            """,
        ),
    ],
)
def test_what_cannot_be_swept_is_refused_where_it_is_written(folder: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(ForgeError) as caught:
        compose_jobs(read_sweep(folder, overrides), folder, 32)
    assert str(caught.value) == dedent(said).strip()


@pytest.mark.parametrize("values", ["seed=range(0,1000000000)", "seed=range(0,1000) size=range(0,1000)"])
def test_a_multirun_has_a_bound(folder: Path, values: str) -> None:
    with pytest.raises(ForgeError, match=f"{MAX_JOBS:,}") as caught:
        read_sweep(folder, values.split())
    assert [problem.code for problem in caught.value.problems] == ["MF060"]


def test_a_large_sweep_is_sampled_along_each_key(folder: Path) -> None:
    sweep = read_sweep(folder, ["seed=1,2,3", "size=1,2,3"])
    assert sweep.sample(9) == [*sweep.jobs()]
    assert sweep.sample(8) == [
        (f"seed={seed}", f"size={size}") for seed, size in [(1, 1), (2, 1), (1, 2), (3, 1), (1, 3)]
    ]


def test_a_key_of_many_values_leaves_room_for_those_of_others(folder: Path) -> None:
    sweep = read_sweep(folder, ["seed=range(0,40)", "init=a,b", "size=1,2,3"])
    sample = sweep.sample(8)
    assert len({*sample}) == 8
    assert {word for job in sample for word in job} >= {"init=a", "init=b", "size=1", "size=2", "size=3"}


def test_a_single_run_of_a_sweep_file_is_a_warning(folder: Path) -> None:
    overrides = ["experiment=gains"]
    (warning,) = unused_params(compose(folder, overrides), overrides)
    assert str(warning) == dedent(
        """\
        warning[MW220]: `init.gain: 0.5,1` has no effect on a single run
          --> conf/experiment/gains.yaml:5:18
           |
        5  |       init.gain: 0.5,1
           |                  ^^^^^ add `-m` for a multirun, or give one value: `init.gain=...`
           = override key: hydra.sweeper.params.init.gain"""
    )
    overrides = ["experiment=gains", "init.gain=2"]
    assert [*unused_params(compose(folder, overrides), overrides)] == []


def test_names_of_folders_are_short_stay_below_their_sweep_and_are_unique() -> None:
    long = ",".join(f"model.layers.hidden{index}.out_features=16" for index in range(20))
    names = [
        folder_name(0, long),
        folder_name(0, long + "0"),
        folder_name(0, "data.path=../../x"),
        folder_name(0, "é" * 200),
    ]
    assert len({*names}) == len(names)
    assert all(len(name.encode()) <= 255 and "/" not in name for name in names)
    assert folder_name(0, "") == "0"
