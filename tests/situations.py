"""Mistakes that no model config makes alone: each function is one of them, and gives the text that its user reads.

`tests/test_errors.py` compares each text with the file of the function's name in `configs/situations`. A function gets
an empty folder, which is also the current directory; that folder's name is replaced by `<folder>` in the text.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn
from torch.nn.utils import parametrizations
from typer.testing import CliRunner

import modelforge as mf
from modelforge.cli.app import app
from modelforge.config.compose import compose
from modelforge.config.scan import scanned
from modelforge.config.sweeps import compose_jobs, read_sweep, unused_params
from modelforge.core import child, files, plugins
from modelforge.core.errors import MAX_PROBLEMS, Problem
from modelforge.gallery.claim import parse_claim
from modelforge.gallery.measure import measure
from modelforge.inits.base import Matrix, Matrixwise, Moments
from modelforge.inits.registry import register_initializer, unregister_initializer
from modelforge.language.registry import LAYERS
from modelforge.layers.register import unregister_layer
from modelforge.linting.lint import findings
from modelforge.runs.jobs import read_sweep_file
from modelforge.runs.status import check_idle
from modelforge.sweeps import optuna_settings
from modelforge.sweeps.freezing import Shared, busy, equal_jobs, frozen_jobs
from modelforge.sweeps.launchers import fit_to_cores
from modelforge.sweeps.optuna_space import read_space
from modelforge.sweeps.resume import check_resuming
from modelforge.sweeps.selection import Selection, select
from modelforge.train import check_command_line, named
from modelforge.train.examined import unscored
from modelforge.train.job import execute
from modelforge.train.parallel import workers
from modelforge.train.parallel.replicas import agreed_digest
from modelforge.train.parallel.world import RunSpec
from modelforge.train.prepare import prepare
from modelforge.train.repeat_run import repeat
from modelforge.train.settings import SweepSettings, parse_settings
from modelforge.train.trainer import check_trainer

CONF = Path(__file__).parents[1] / "conf"
DENSE = {"type": "Linear", "out_features": 16}
IMAGE = [3, 8, 8]
SMALL = ("model=mlp", "trainer.max_epochs=1", "logger=csv", "trainer.enable_progress_bar=false")
SITUATIONS: dict[str, Callable[[Path], str]] = {}


def situation(text_of: Callable[[Path], str]) -> Callable[[Path], str]:
    SITUATIONS[text_of.__name__] = text_of
    return text_of


# --- how a text is got ------------------------------------------------------------------------------------------------


def refused(call: Callable[[], object]) -> str:
    try:
        call()
    except mf.ForgeError as error:
        return str(error)
    raise AssertionError("nothing was refused")


def printed(problems: Iterable[Problem]) -> str:
    return "\n\n".join(map(str, problems))


def command(*arguments: str, status: int = 1) -> str:
    """The error output of `modelforge ...`."""
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "120"})
    assert result.exit_code == status, result.output
    return "\n".join(line.rstrip() for line in result.stderr.splitlines())


def train(folder: Path, *overrides: str) -> str:
    """What `train.py` prints of a run that does not go well, without the plan, the progress and the results."""
    every = [*SMALL, *overrides]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        execute(lambda: compose(CONF, every, shown_as="conf"), folder / "run", tuple(every), show_plan=False)
    said = re.findall(r"^warning(?:.*\n)(?: .*\n)*", out.getvalue(), re.MULTILINE)
    return re.sub(r"(?<=up to )[\d.e+]+", "<number>", "\n".join([*said, err.getvalue()]))


def repeated(*arguments: str) -> str:
    """The error output of `train.py --from ...`."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), contextlib.suppress(SystemExit):
        repeat(["--from", *arguments])
    return err.getvalue()


def write(text: str, path: str) -> Path:
    """Writes a file below the folder `conf`, and gives that folder."""
    root = Path("conf")
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text, encoding="utf-8")
    return root


def warned(layers: dict[str, Any], init: Any = "xavier", shape: list[int] | None = None) -> str:
    """What planning and lint say of a model."""
    plan = mf.plan(mf.parse({"input": {"shape": shape or [16]}, "layers": layers}, init=init))
    return printed(findings(plan))


# --- composition ------------------------------------------------------------------------------------------------------


@situation
def yaml_that_cannot_be_read(folder: Path) -> str:
    return refused(lambda: compose(write("model: [1, 2\nseed: 0\n", "config.yaml")))


@situation
def an_interpolation_that_leads_nowhere(folder: Path) -> str:
    return refused(lambda: compose(write("data: {bias: true}\nuse: ${data.bais}\n", "config.yaml")))


@situation
def a_search_path_outside(folder: Path) -> str:
    return refused(lambda: compose(write("hydra: {searchpath: [..]}\nx: 1\n", "config.yaml")))


@situation
def the_environment_in_a_file(folder: Path) -> str:
    return refused(lambda: compose(write("x: ${oc.env:TOKEN}\n", "config.yaml")))


@situation
def a_callback_in_a_file(folder: Path) -> str:
    write("# @package _global_\nhydra:\n  callbacks:\n    x: {_target_: package.run}\n", "m/a.yaml")
    return refused(lambda: compose(write("defaults: [m: a]\n", "config.yaml")))


@situation
def a_strangers_file_that_hides_something(folder: Path) -> str:
    write("# harmless \u202e }1{\nseed: 1\n", "config.yaml")
    write('input: {shape: [4]}\nlayers:\n  "li\\u200bnear": {_target_: os.system}\n', "model/a.yaml")
    return printed(scanned(Path("conf"), "conf"))


@situation
def a_strangers_folder_with_a_link(folder: Path) -> str:
    write("seed: 1\n", "config.yaml")
    Path("conf/model.yaml").symlink_to("/etc/passwd")
    Path("conf/data.yaml").symlink_to("config.yaml")
    return command("check", "--untrusted")


@situation
def a_stranger_where_no_process_can_be_bounded(folder: Path) -> str:
    write("seed: 1\n", "config.yaml")
    with patch.object(child, "can_confine", return_value=False):
        return command("check", "--untrusted")


def swept() -> Path:
    for key in ("size", "seed"):
        text = f"# @package _global_\nhydra:\n  sweeper:\n    params:\n      {key}: 1,2\n"
        write(text, f"experiment/{key}s.yaml")
    return write("defaults: [_self_, experiment: null]\nsize: 1\nseed: 0\n", "config.yaml")


@situation
def two_sweep_files_at_once(folder: Path) -> str:
    overrides = ["experiment=sizes,seeds"]
    return refused(lambda: [*compose_jobs(read_sweep(swept(), overrides), Path("conf"), 4)])


@situation
def a_single_run_of_a_sweep_file(folder: Path) -> str:
    overrides = ["experiment=sizes"]
    return printed(unused_params(compose(swept(), overrides), overrides))


@situation
def fields_that_stay_when_the_scheme_changes(folder: Path) -> str:
    plan = mf.plan(mf.load(CONF, overrides=["model=mlp", "init=kaiming_normal", "init.scheme=xavier"]))
    return printed(warning for warning in plan.warnings if warning.code == "MW110")


@situation
def more_problems_than_are_shown(folder: Path) -> str:
    layers = {f"l{index}": {"type": f"Linaer{index}"} for index in range(MAX_PROBLEMS + 7)}
    return refused(lambda: mf.parse({"input": {"shape": [2]}, "layers": layers})).rpartition("\n\n")[2]


# --- planning and lint ------------------------------------------------------------------------------------------------


@situation
def gelu_at_depth_50(folder: Path) -> str:
    return warned(
        {f"{part}{index}": layer for index in range(50) for part, layer in (("dense", DENSE), ("act", "GELU"))},
        {"scheme": "kaiming", "gain": "auto"},
    )


@situation
def projections_that_start_apart(folder: Path) -> str:
    return warned(
        {"mix": {"type": "MultiheadAttention", "num_heads": 2}, "head": DENSE},
        {"scheme": "xavier", "types": {"MultiheadAttention": "mimetic", "Linear": "kaiming"}},
        [3, 8],
    )


@situation
def a_layer_that_no_layer_reads(folder: Path) -> str:
    return warned({"main": DENSE, "aside": DENSE, "head": DENSE | {"inputs": "main"}})


@situation
def infinities_where_negative_values_arrive(folder: Path) -> str:
    return warned({"pool": {"type": "LPPool2d", "norm_type": 1.5, "kernel_size": 2}}, shape=IMAGE)


@situation
def batch_statistics_in_evaluation(folder: Path) -> str:
    return warned({"norm": {"type": "BatchNorm1d", "track_running_stats": False}})


@situation
def a_layer_that_a_scheme_cannot_see_into(folder: Path) -> str:
    class Mixer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = nn.Linear(16, 32), nn.Linear(32, 16)

        def forward(self, x: Tensor) -> Tensor:
            return self.down(self.up(x).relu())

    mf.register_layer(Mixer)
    try:
        return warned({"block": {"type": "Residual", "layers": {"mix": "Mixer"}}}, "gpt2")
    finally:
        unregister_layer("Mixer")


@situation
def a_rule_for_ends_of_branches_that_fills_none(folder: Path) -> str:
    block = {"type": "Residual", "layers": {"norm": "LayerNorm", "dense": DENSE}}
    return warned({"block": block}, {"scheme": "normal", "std": 0.1, "scale": "zero_gamma"})


@situation
def a_rule_that_others_go_before(folder: Path) -> str:
    layers = {"a": {**DENSE, "init": "xavier"}, "b": {**DENSE, "init": "lecun"}}
    init = {"scheme": "kaiming", "bias": "ones"}
    return printed(mf.plan(mf.parse({"input": {"shape": [16]}, "layers": layers, "init": init})).warnings)


class Attention(nn.Module):
    """A `forward` that leaves open what the rows of `qkv` are."""

    def __init__(self) -> None:
        super().__init__()
        self.qkv, self.num_heads = nn.Linear(16, 48), 2

    def forward(self, x: Tensor) -> Tensor:
        return x + self.qkv(x).sum(-1, keepdim=True)


@situation
def a_parameter_that_may_be_several_matrices(folder: Path) -> str:
    return printed(mf.initialize(Attention(), {"scheme": "xavier", "bias": "zeros"}).warnings)


# --- modules that exist -----------------------------------------------------------------------------------------------


@situation
def a_module_that_is_frozen_as_a_whole(folder: Path) -> str:
    return refused(lambda: mf.initialize(nn.Linear(3, 3).requires_grad_(False), "xavier"))


@situation
def a_parametrisation_that_undoes_a_scheme(folder: Path) -> str:
    return refused(lambda: mf.initialize(parametrizations.weight_norm(nn.Linear(4, 4)), "zeros"))


@situation
def a_ledger_that_is_no_json(folder: Path) -> str:
    (folder / "ledger.json").write_text("{")
    return refused(lambda: mf.Ledger.load(folder / "ledger.json"))


@situation
def a_model_with_another_parameter_than_its_ledger(folder: Path) -> str:
    net = nn.Sequential(nn.Linear(3, 3))
    ledger = mf.initialize(net, {"scheme": "xavier", "bias": "zeros"})
    net[0].bias = None
    net.append(nn.PReLU())
    return printed(mf.verify(net, ledger).problems)


@situation
def a_run_without_a_config(folder: Path) -> str:
    (folder / "run").mkdir()
    ledger = mf.initialize(nn.Linear(3, 3, bias=False), "xavier")
    (folder / "run" / "ledger.json").write_text(json.dumps(ledger.to_dict()))
    return command("verify", str(folder / "run"))


@situation
def an_unknown_calibration(folder: Path) -> str:
    return refused(lambda: mf.calibrate(nn.Linear(3, 2), torch.ones(5, 3), "lsvu"))


@situation
def a_calibration_with_wrong_settings(folder: Path) -> str:
    method = {"method": "lsuv", "tolerence": 0.1, "max_passes": "ten"}
    return refused(lambda: mf.calibrate(nn.Linear(3, 2), torch.ones(5, 3), method))


@situation
def nothing_to_calibrate(folder: Path) -> str:
    return refused(lambda: mf.calibrate(nn.LSTM(4, 4), torch.ones(3, 2, 4), "lsuv"))


@situation
def an_output_that_does_not_vary(folder: Path) -> str:
    net = nn.Sequential(nn.Linear(8, 8, bias=False))
    mf.initialize(net, "orthogonal")
    return refused(lambda: mf.calibrate(net, torch.zeros(5, 8), "lsuv"))


# --- a config of a network that exists --------------------------------------------------------------------------------


class Net(nn.Module):
    """A network whose `forward` is a function."""

    def __init__(self, run: Callable[[Any, Tensor], Tensor], **layers: nn.Module) -> None:
        super().__init__()
        self.run = run
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


class Doubled(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def traced(net: nn.Module, *inputs: Tensor) -> str:
    return refused(lambda: mf.from_module(net, *(inputs or (torch.ones(2, 4),))))


@situation
def a_class_that_is_no_layer(folder: Path) -> str:
    return traced(nn.Sequential(Doubled(4, 4)))


@situation
def a_decision_by_values(folder: Path) -> str:
    return traced(Net(lambda net, x: net.a(x) if x.sum() > 0 else x, a=nn.Linear(4, 4)))


@situation
def a_hook_that_a_config_cannot_say(folder: Path) -> str:
    net = nn.Sequential(nn.Linear(4, 4))
    net[0].register_forward_hook(lambda module, inputs, output: output + 1)
    return traced(net)


@situation
def a_layer_that_runs_twice(folder: Path) -> str:
    return traced(Net(lambda net, x: net.a(net.a(x)), a=nn.Linear(4, 4)))


@situation
def examples_of_two_batch_sizes(folder: Path) -> str:
    return traced(nn.Sequential(nn.Linear(4, 4)), torch.zeros(2, 4), torch.zeros(3, 4))


@situation
def a_network_that_depends_on_its_batch_size(folder: Path) -> str:
    return traced(Net(lambda net, x: net.a(x) * x.shape[0], a=nn.Linear(4, 4)))


# --- commands ---------------------------------------------------------------------------------------------------------


@situation
def a_diff_with_a_side_that_is_nothing(folder: Path) -> str:
    write("x: 1\n", "config.yaml")
    return command("diff", "nowhere", "model=mlp", status=2)


@situation
def an_acceptance_that_fits_no_change(folder: Path) -> str:
    model = "{input: {shape: [4]}, layers: {a: {type: Linear, out_features: 2}}}"
    for side in ("old", "new"):
        (folder / side).mkdir()
        (folder / side / "config.yaml").write_text(f"model: {model}\ninit: xavier\n")
    (folder / "new/review.yaml").write_text("accept:\n  - {fingerprint: 64be8300ea6d, reason: agreed, author: Ada}\n")
    return command("diff", "old", "new", status=2)


@situation
def a_sweep_folder_without_runs(folder: Path) -> str:
    return command("sweep", str(folder / "none"))


@situation
def more_jobs_at_once_than_the_cores_can_run(folder: Path) -> str:
    target = "hydra_plugins.hydra_joblib_launcher.joblib_launcher.JoblibLauncher"
    config = OmegaConf.create({"hydra": {"launcher": {"_target_": target, "n_jobs": 4}}})
    with patch("modelforge.sweeps.launchers.num_cores", lambda: 4):
        (warning,) = fit_to_cores(config, 2, 100)
    return str(warning)


@situation
def a_search_over_what_is_no_space(folder: Path) -> str:
    words = ["init.gain=interval(2, 1)", "seed=1,interval(2, 3)", "optimizer.lr=tag(log, interval(0, 1))"]
    return refused(lambda: read_space(words))


@situation
def a_search_with_wrong_settings(folder: Path) -> str:
    settings = {"n_trials": 0, "n_trails": 3, "sampler": {"name": "cmaes"}}
    return refused(lambda: optuna_settings.parse_settings(settings))


@situation
def a_script_for_no_sweep(folder: Path) -> str:
    return command("sweep", "script", "slurm", str(folder / "none"))


@situation
def a_sweep_whose_list_of_jobs_is_damaged(folder: Path) -> str:
    Path("sweep.json").write_text('{"format_version": "1.0", "jobs": [')
    return refused(lambda: read_sweep_file(Path()))


@situation
def a_value_for_a_sweep_that_goes_on(folder: Path) -> str:
    return refused(lambda: check_resuming(["sweep.resume=runs/sweeps/a", "hydra/launcher=joblib", "seed=1"]))


@situation
def a_sweep_that_another_process_runs(folder: Path) -> str:
    return printed([busy(Path("runs/sweeps/a"))])


def chosen(*overrides: str, **settings: Any) -> Selection:
    sweep = read_sweep(swept(), ["seed=1,2", *overrides])
    return select(sweep, SweepSettings(**settings), Path("conf"), "config", lambda config: (config, ()), Shared().kept)


@situation
def keys_that_cannot_go_together(folder: Path) -> str:
    return refused(lambda: chosen("size=1,2,3", zip=(("size", "seed"), ("sed",))))


@situation
def a_condition_that_holds_for_no_job(folder: Path) -> str:
    return refused(lambda: chosen(where=("seed > 1 and sed < 2", "seed > 2")))


@situation
def combinations_that_make_the_same_config(folder: Path) -> str:
    return printed(equal_jobs(frozen_jobs(chosen("+tags=[a],[b]").jobs)[1]))


@situation
def combinations_that_are_left_out(folder: Path) -> str:
    return printed(chosen("size=1,${nowhere}", skip_invalid=True).warnings)


@situation
def a_project_in_a_folder_that_holds_files(folder: Path) -> str:
    write("x: 1\n", "config.yaml")
    return command("new", str(folder))


@situation
def a_parameter_that_is_none(folder: Path) -> str:
    return command("explain", "hidden3.weight", "model=mlp", "--conf", str(CONF))


@situation
def a_plugin_that_cannot_be_imported(folder: Path) -> str:
    class Broken:
        name, value, dist = "mine", "my_layers.broken", SimpleNamespace(name="my-layers")

        def load(self) -> None:
            raise ImportError("no module named my_layers")

    def offered(group: str) -> list[Broken]:
        return [Broken()] if group == "modelforge.layers" else []

    with patch.object(plugins, "_loaded", set[str]()), patch.object(plugins, "_offered", offered):
        return command("show", "model=mlp", "--conf", str(CONF))


# --- plugins of a project ---------------------------------------------------------------------------------------------

LAYER = """
import torch
import modelforge as mf

@mf.register_layer(axes="...")
class Gate(torch.nn.Module):
    "Passes what is positive."
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.clamp(min=0)
"""


def with_plugins(plugins: str, *arguments: str, status: int = 1, **modules: str) -> str:
    """The error output of a command in a project whose `plugins` are this TOML."""
    Path("pyproject.toml").write_text(f"[tool.modelforge]\nplugins = {plugins}\n")
    Path("my_project").mkdir()
    for name, code in {"__init__": "", **modules}.items():
        Path("my_project", f"{name}.py").write_text(code)
    path, loaded = [*sys.path], {*sys.modules}
    try:
        return command(*(arguments or ("show", "model=mlp", "--conf", str(CONF))), status=status)
    finally:
        sys.path[:] = path
        for name in {name for name in sys.modules if name.startswith("my_project")} - loaded:
            del sys.modules[name]
        if "Gate" in LAYERS:
            unregister_layer("Gate")


@situation
def a_plugin_that_is_not_there(folder: Path) -> str:
    return with_plugins('["my_projct", "my_project.layer", "elsewhere"]', layers="")


@situation
def a_plugin_that_raises(folder: Path) -> str:
    return with_plugins('["my_project.layers", "my_project.inits"]', layers="\nnn.Linear\n", inits="import timmm")


@situation
def a_plugin_that_is_no_python(folder: Path) -> str:
    return with_plugins('["my_project.layers"]', layers="class Gate(nn.Module)\n    pass\n")


@situation
def a_plugin_that_ends_the_process(folder: Path) -> str:
    return with_plugins('["my_project.layers"]', layers="import sys\nsys.exit('no licence')\n")


@situation
def two_plugins_that_register_one_name(folder: Path) -> str:
    return with_plugins('["my_project.a", "my_project.b"]', a=LAYER, b=LAYER)


@situation
def a_plugin_that_takes_a_name_of_torch(folder: Path) -> str:
    return with_plugins('["my_project.a"]', a=LAYER.replace("Gate", "Linear"))


@situation
def plugins_that_are_no_list(folder: Path) -> str:
    return with_plugins('"my_project"')


@situation
def plugins_that_are_no_modules(folder: Path) -> str:
    return with_plugins('["my_project/layers.py", 3, "my-project", "a b"]\npluginns = []')


@situation
def a_project_file_that_is_no_toml(folder: Path) -> str:
    return with_plugins('["my_project"')


@situation
def two_revisions_with_a_layer_of_ones_own(folder: Path) -> str:
    write("model: {input: {shape: [4]}, layers: {gate: Gate}}\n", "config.yaml")
    (folder / "pyproject.toml").touch()
    who = ("-c", "user.name=tester", "-c", "user.email=tester@example.com")
    for arguments in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message=one")):
        subprocess.run(["git", *who, *arguments], check=True)
    return with_plugins('["my_project.layers"]', "diff", "HEAD..HEAD", status=2, layers=LAYER)


# --- training ---------------------------------------------------------------------------------------------------------

TABLE = "width,height,kind\n" + "".join(f"{row / 2},{row % 7},{'abc'[row % 3]}\n" for row in range(60))


def table(text: str, *overrides: str) -> tuple[str, ...]:
    Path("flowers.csv").write_text(text, encoding="utf-8")
    return ("data=csv", "data.path=flowers.csv", "data.target=kind", "data.task=classification", *overrides)


@situation
def training_settings_of_a_wrong_type(folder: Path) -> str:
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        check_command_line(CONF, ["optimizer.lr=abc", "trainer.max_epochs=x"])
    return said.getvalue()


@situation
def task_settings_and_metrics_that_are_wrong(folder: Path) -> str:
    task = "data.task={type: classification, label_smoothing: 1.5, smoothing: 0.1}"
    return "\n".join(
        [
            train(folder / "task", task),
            train(folder / "weights", "data.task={type: classification, class_weights: [1, 2]}"),
            train(folder / "metrics", "metrics={f1: F1Skore, top: {type: Accuracy, topk: 3}, loss: F1Score}"),
        ]
    )


@situation
def new_data_that_a_run_cannot_predict_from(folder: Path) -> str:
    train(folder)
    np.save("new.npy", np.zeros((3, 9, 9)))
    commands = [
        ("predict", "run", "new.npy"),
        ("predict", "run", "old.npy"),
        ("predict", "run", "new.npy", "--output", "new.xls"),
        ("evaluate", "run", "data.task=regression"),
    ]
    return "\n".join(command(*words) for words in commands)


@situation
def a_folder_that_is_no_run(folder: Path) -> str:
    (folder / "runs" / "0").mkdir(parents=True)
    (folder / "runs" / "0" / "config.yaml").write_text("{}")
    return "\n".join(command("predict", name, "new.npy") for name in ("none", "runs", "runs/0"))


@situation
def a_model_that_does_not_fit_its_data(folder: Path) -> str:
    return train(folder, "model.layers.head.out_features=9")


@situation
def an_interval_between_checkpoints_of_no_steps(folder: Path) -> str:
    return train(folder, "checkpoint.every_n_steps=0", "+checkpoint.every_steps=5")


@situation
def weights_of_a_run_for_another_head(folder: Path) -> str:
    assert not train(folder)
    return train(folder / "next", "weights=run", f"weights.path={folder}/run", "data.num_classes=9")


@situation
def weights_of_a_run_without_a_checkpoint(folder: Path) -> str:
    assert not train(folder, "+trainer.fast_dev_run=true")
    return train(folder / "next", "weights=run", f"weights.path={folder}/run")


@situation
def a_run_that_cannot_be_repeated(folder: Path) -> str:
    return "\n".join((repeated(), repeated("runs/none"), repeated("runs/none", "-m")))


@situation
def an_unfinished_run_that_is_repeated(folder: Path) -> str:
    train(folder, "optimizer.lr=1e30")
    return repeated("run")


@situation
def an_option_for_a_repeated_run(folder: Path) -> str:
    train(folder)
    return repeated("run", "model=lstm")


@situation
def a_repeated_run_with_other_numbers(folder: Path) -> str:
    train(folder)
    for name, number in (
        ("status.json", r'(?<="test/accuracy": )[\d.]+'),
        ("environment.json", r'(?<="torch": ")[^"]+'),
    ):
        path = folder / "run" / name
        path.write_text(re.sub(number, "0.25", path.read_text()))
    text = re.sub(r"(?<=→ ')[^']+", "<version>", repeated("run", "hydra.run.dir=again"))
    return re.sub(r"(?<=and is )[\d.]+", "<number>", text)


@situation
def a_folder_that_a_run_elsewhere_writes_to(folder: Path) -> str:
    train(folder)
    path = folder / "run" / "status.json"
    status = json.loads(path.read_text()) | {"state": "running", "machine": "another one", "host": "node7"}
    path.write_text(json.dumps(status))
    return refused(lambda: check_idle(folder / "run"))


@situation
def a_training_that_diverges(folder: Path) -> str:
    return train(folder, "optimizer.lr=1e30")


@situation
def a_target_column_that_is_missing(folder: Path) -> str:
    return train(folder, *table(TABLE, "data.target=sort", "data.num_features=2", "data.num_outputs=3"))


PEOPLE = "name,sex,age,when,lived\n" + "".join(
    f"Person {row},{'mf'[row % 2]},{'' if row % 5 == 0 else row},2020-01-{1 + row % 28:02},{'yn'[row // 2 % 2]}\n"
    for row in range(60)
)


def people(text: str, *overrides: str) -> tuple[str, ...]:
    Path("people.csv").write_text(text, encoding="utf-8")
    return ("data=csv", "data.path=people.csv", "data.target=lived", *overrides)


@situation
def a_table_of_texts_dates_and_missing_values(folder: Path) -> str:
    return train(folder, *people(PEOPLE))


@situation
def settings_of_a_table_that_contradict_each_other(folder: Path) -> str:
    wrong = ("data.impute={sex: mean, age: medain}", "data.categorical=[sex]", "data.dates=[sex]", "data.decimal=','")
    return train(folder, *people(PEOPLE, *wrong, "data.embed={name: 1}", "data.unseen=zero", "data.date_parts=[yaer]"))


@situation
def a_table_that_is_split_in_two_ways(folder: Path) -> str:
    return train(folder, *people(PEOPLE, "data.group=name", "data.time=when", "data.encoding=utf-9"))


@situation
def a_fill_that_a_column_cannot_have(folder: Path) -> str:
    fills = ("{age: medain}", "{sex: mean}", "{lived: most_frequent}", "medain")
    said = [train(folder / fill, *people(PEOPLE, f"data.impute={fill}", "data.categorical=[sex]")) for fill in fills]
    return "\n".join(said)


@situation
def a_table_on_a_disk_that_is_not_there(folder: Path) -> str:
    said = [train(folder / key, *people(PEOPLE, "data.on_disk=nowhere", f"data.num_workers={key}")) for key in "02"]
    return "\n".join(said)


@situation
def columns_of_a_split_that_are_not_there(folder: Path) -> str:
    return train(folder, *people(PEOPLE, "data.group=nmae", "data.test_path=test.csv"))


@situation
def a_column_that_names_no_parts(folder: Path) -> str:
    rest = ("data.ignore=[name,when]", "data.impute={age: 0}", "data.num_features=1")
    return train(folder, *people(PEOPLE, "data.split_column=sex", *rest))


@situation
def quotes_that_take_rows_with_them(folder: Path) -> str:
    return train(folder, *people(PEOPLE.replace("Person 7", '"Person 7').replace("Person 9", '7" tall')))


@situation
def rows_of_a_table_that_are_too_short(folder: Path) -> str:
    return train(folder, *people(PEOPLE.replace("Person 7,", "").replace("Person 9", "Person, 9")))


@situation
def new_rows_that_are_not_as_in_training(folder: Path) -> str:
    rest = ("data.ignore=[name]", "data.categorical=[sex]", "data.unseen=error", "data.impute={age: median}")
    train(folder, *people(PEOPLE, *rest, "data.dates=[when]", "data.num_features=7"))
    Path("new.csv").write_text("sex,when,age\nx,2020-13-01,old\nm,2020-01-01,3\n")
    Path("less.csv").write_text("sex,wehn\nm,2020-01-01\n")
    said = [command("predict", str(folder / "run"), name) for name in ("new.csv", "less.csv")]
    return "\n\n".join(said)


@situation
def new_rows_with_categories_in_another_encoding(folder: Path) -> str:
    colours = PEOPLE.replace(",m,", ",männlich,").replace(",f,", ",weiblich,")
    rest = ("data.ignore=[name,age,when]", "data.categorical=[sex]", "data.num_features=2", "data.encoding=cp1252")
    settings = people(colours, *rest)
    Path("people.csv").write_text(colours, encoding="cp1252")
    train(folder, *settings)
    Path("new.csv").write_text("sex\nmännlich\nweiblich\n", encoding="utf-8")
    return command("predict", str(folder / "run"), "new.csv", "--output", "predicted.csv", status=0)


@situation
def a_dry_run_on_one_example(folder: Path) -> str:
    dry = ("data.num_train=2", "data.batch_size=1", "+trainer.fast_dev_run=true")
    return train(folder, "model=lstm", "data=adding", *dry)


@situation
def a_training_without_steps(folder: Path) -> str:
    return train(folder, "trainer.max_epochs=0")


@situation
def a_class_that_is_missing_from_a_part(folder: Path) -> str:
    rows = TABLE + "3,4,rare\n"
    return train(folder, *table(rows, "data.num_features=2", "data.num_outputs=4"))


@situation
def a_column_that_is_constant(folder: Path) -> str:
    rows = "width,height,kind\n" + "".join(f"{row},7,{'abc'[row % 3]}\n" for row in range(60))
    return train(folder, *table(rows, "data.num_features=2", "data.num_outputs=3"))


@situation
def classes_that_look_equal(folder: Path) -> str:
    rows = "width,kind\n" + "".join(f"{row},cat\n{row},cat\u00a0\n" for row in range(30))
    return train(folder, *table(rows, "data.num_features=1", "data.num_outputs=2"))


@situation
def a_scheduler_that_does_not_get_to_its_end(folder: Path) -> str:
    return train(folder, "+scheduler={type: CosineAnnealingLR, T_max: 31}")


def refused_settings(*overrides: str) -> str:
    """What is wrong with the settings of a training."""
    return refused(lambda: prepare(compose(CONF, ["model=mlp", *overrides], shown_as="conf")))


@situation
def an_optimizer_whose_type_alone_is_changed(folder: Path) -> str:
    overrides = ["model=mlp", "optimizer.type=SGD", "scheduler=cosine", "scheduler.type=PolynomialLR"]
    return printed(prepare(compose(CONF, overrides, shown_as="conf")).warnings)


@situation
def arguments_for_another_optimizer(folder: Path) -> str:
    return refused_settings("optimizer.type=SGD", "optimizer.betas=[0.9,0.99]", "+optimizer.momentun=0.9")


@situation
def groups_of_parameters_that_do_not_fit(folder: Path) -> str:
    return refused_settings("optimizer.groups={hidden1.*: {lr: 1}, bias: {lr: 1}, haed.*: {lr: 1}, scale: {lr: 1}}")


@situation
def settings_of_groups_that_are_wrong(folder: Path) -> str:
    groups = "optimizer.groups={head.*: {lr: -1}, bias: {lrr: 1}, weight: 3}"
    return refused_settings(
        groups, "optimizer.no_decay=[bais,norm]", "optimizer.layer_decay=1.5", "optimizer.mup=maybe"
    )


@situation
def a_scheduler_with_wrong_settings(folder: Path) -> str:
    return refused_settings("scheduler=cosine", "scheduler.warmup=1.5", "scheduler.final=-1", "+scheduler.T_max=3")


@situation
def schedulers_in_a_row_that_are_wrong(folder: Path) -> str:
    parts = "[{type: LinearLR}, {type: StepLR}, {type: ReduceLROnPlateau}, {type: Cosine}]"
    return refused_settings(f"+scheduler={{type: SequentialLR, milestones: [5, 4], schedulers: {parts}}}")


@situation
def a_scheduler_of_a_training_without_end(folder: Path) -> str:
    return refused_settings("scheduler=cosine", "trainer.max_epochs=-1")


@situation
def a_scheduler_that_cannot_be_lengthened(folder: Path) -> str:
    train(folder, "scheduler=onecycle")
    ckpt = (folder / "run" / "checkpoints" / "last.ckpt").rename(folder / "moved.ckpt")
    return train(folder, "scheduler=onecycle", "trainer.max_epochs=2", f"ckpt={ckpt}")


@situation
def globs_that_freeze_nothing(folder: Path) -> str:
    return refused_settings("freeze={stem.*: 3, hidden1.*: 0, *.bias: 2, hidden2.*: 3}")


@situation
def a_model_that_is_frozen_as_a_whole(folder: Path) -> str:
    return refused_settings("freeze=[*]")


@situation
def a_thaw_after_the_end(folder: Path) -> str:
    return train(folder, "freeze={hidden1.*: 3}")


@situation
def an_unknown_dtype(folder: Path) -> str:
    return refused_settings("dtype=bf16")


@situation
def an_initializer_that_does_not_keep_its_promise(folder: Path) -> str:
    @register_initializer("lying")
    class Lying(Matrixwise):
        """Promises what it does not do."""

        def moments(self, matrix: Matrix) -> Moments:
            return Moments(mean=0.0, std=0.1)

        def fill(self, out: Tensor, matrix: Matrix, generator: torch.Generator) -> None:
            out.fill_(0.5)

    try:
        return train(folder, "+model.layers.head.init.scheme=lying")
    finally:
        unregister_initializer("lying")


@situation
def a_disk_that_is_full(folder: Path) -> str:
    def full(*arguments: object, **keywords: object) -> None:
        raise OSError(28, "No space left on device")

    with patch.object(files.os, "replace", full):
        return train(folder)


@situation
def a_best_epoch_that_is_lost(folder: Path) -> str:
    train(folder)
    moved = (folder / "run" / "checkpoints" / "last.ckpt").rename(folder / "moved.ckpt")
    state = torch.load(moved, weights_only=True)
    state["callbacks"]["Checkpoints"]["best_step"] = 1
    torch.save(state, moved)
    return train(folder, f"ckpt={moved}", "trainer.max_epochs=2")


@situation
def pictures_that_cannot_be_read(folder: Path) -> str:
    from PIL import Image

    for kind in ("cat", "dog"):
        (folder / "pictures" / kind).mkdir(parents=True)
        for number in range(10):
            Image.new("L", (8, 8), number * 20).save(folder / "pictures" / kind / f"{number}.png")
    (folder / "pictures" / "cat" / "0.png").write_bytes(b"no picture")
    return train(folder, "data=image_folder", f"data.path={folder}/pictures", "data.size=8", "data.num_classes=2")


@situation
def a_test_of_which_some_outputs_are_not_finite(folder: Path) -> str:
    return printed(unscored(2, {}, 18))


# --- pictures and text ------------------------------------------------------------------------------------------------

PICTURES = ("data=image_folder", "data.path=pictures", "data.size=8", "data.channels=1", "model=mlp")


def draw_pictures(*places: str) -> None:
    from PIL import Image

    for place in places:
        Path("pictures", place).mkdir(parents=True)
        for number in range(5):
            Image.new("L", (8, 8), number * 20).save(Path("pictures", place, f"{number}.png"))


@situation
def folders_of_parts_that_are_read_as_classes(folder: Path) -> str:
    draw_pictures("train/cat", "train/dog", "val/cat", "val/dog")
    return train(folder, *PICTURES)


@situation
def parts_that_are_none_or_lack_classes(folder: Path) -> str:
    draw_pictures("train/cat", "train/dog", "vall/cat", "testing/cat", "test/cat")
    return train(folder, *PICTURES, "data.split=folders")


@situation
def classes_without_pictures_to_train_on(folder: Path) -> str:
    draw_pictures("train/cat", "train/dog", *(f"test/breed{number}" for number in range(5)))
    return train(folder, *PICTURES, "data.split=folders")


@situation
def settings_of_pictures_of_a_wrong_kind(folder: Path) -> str:
    wrong = ("split=thirds", "resize=cut", "interpolation=cubic", "mean=imagnet", "cache=3", "channels=2", "augment=3")
    return train(folder, *PICTURES[:3], *(f"data.{one}" for one in wrong))


@situation
def scales_that_do_not_fit_the_channels(folder: Path) -> str:
    return train(folder, *PICTURES, "data.mean=imagenet")


@situation
def more_pictures_than_memory_may_hold(folder: Path) -> str:
    draw_pictures("cat", "dog")
    return train(folder, *PICTURES, "data.max_bytes=100")


@situation
def an_augmentation_without_its_package(folder: Path) -> str:
    def missing(name: str) -> None:
        raise ModuleNotFoundError("none", name="torchvision")

    with patch("modelforge.train.data.files.import_module", missing):
        return train(folder, *PICTURES, "+data.augment.flip=RandomHorizontalFlip")


def section(*overrides: str) -> Any:
    """The data of a config."""
    settings, problems = parse_settings(compose(CONF, list(overrides)).values)
    assert settings is not None, problems
    return settings.data


@situation
def new_pictures_that_cannot_be_encoded(folder: Path) -> str:
    draw_pictures("cat", "dog", "bird")
    source, fitted = section(*PICTURES), {"classes": ["cat", "dog"], "inputs": {"mean": [0], "std": [1]}}
    raw = source.raw(Path("pictures"))
    strangers = refused(lambda: source.encode(raw, fitted, labelled=True))
    Path("pictures/bird/0.png").write_bytes(b"no picture")
    return "\n\n".join([strangers, refused(lambda: source.encode(raw, fitted))])


@situation
def settings_of_text_of_a_wrong_kind(folder: Path) -> str:
    wrong = ("level=words", "tokenizer=3", "vocab_size=0", "context=-1", "temperature=hot")
    return train(folder, "model=char_lstm", *(f"data.{one}" for one in wrong))


@situation
def a_tokenizer_that_is_none(folder: Path) -> str:
    Path("tokenizer.json").write_text("{}")
    written = ("data.level=tokens", "data.tokenizer=tokenizer.json", "data.vocab_size=300")
    return re.sub(r"(?<=holds no tokenizer: ).*", "<reason>", train(folder, "model=char_lstm", *written))


@situation
def new_text_with_an_unknown_character(folder: Path) -> str:
    source = section("model=char_lstm", "data.level=characters", "data.vocab_size=2")
    return refused(lambda: source.encode("abba!" * 99, {"alphabet": ["a", "b"]}))


@situation
def texts_without_their_columns(folder: Path) -> str:
    Path("reviews.csv").write_text("review,stars\nfine,5\n")
    return train(folder, "model=bag_of_words", "data.path=reviews.csv")


@situation
def settings_of_texts_of_a_wrong_kind(folder: Path) -> str:
    wrong = ("level=letters", "padding=middle", "padding_id=-1", "split=3", "context=0", "vocab_size=many")
    return train(folder, "model=bag_of_words", *(f"data.{one}" for one in wrong))


@situation
def a_text_that_formatting_would_change(folder: Path) -> str:
    write("note: |\n  two blanks  \n  at the end\n", "local/default.yaml")
    write("seed: 0\n", "config.yaml")
    return command("fmt", "conf")


@situation
def configs_of_another_version(folder: Path) -> str:
    write("modelforge: 3\n", "config.yaml")
    later = command("upgrade")
    write("modelforge: newest\n", "config.yaml")
    return f"{later}\n{command('upgrade')}"


@situation
def callbacks_that_contradict_the_config(folder: Path) -> str:
    chosen = ("callbacks=[early_stopping,ema,swa]", "scheduler=cosine", "trainer.max_epochs=-1", "+trainer.max_steps=5")
    wrong = ("callbacks.early_stopping.monitor=val/los", "callbacks.swa.lr=0.1")
    return train(folder, *chosen, *wrong)


@situation
def callbacks_with_wrong_settings(folder: Path) -> str:
    wrong = ("callbacks.ema.decay=2", "+callbacks.ema.dekay=0.9", "callbacks.early_stopping.patience=0")
    others = ("+callbacks.emma.decay=0.9", "+callbacks.swa=3", "+callbacks.gradient_norm.by=layers")
    return train(folder, "callbacks=[early_stopping,ema]", *wrong, *others)


@situation
def loggers_with_wrong_settings(folder: Path) -> str:
    wrong = ("logger.wandb.mode=ofline", "+logger.mlflow.uri=here", "+logger.tensorbord={}", "+logger.csv.path=x")
    return train(folder, "logger=[csv,wandb,mlflow]", *wrong)


@situation
def a_tracker_that_is_not_installed(folder: Path) -> str:
    with patch.object(named, "find_spec", lambda package: None):
        return train(folder, "logger=[csv,wandb,mlflow]")


@situation
def trainer_keys_with_wrong_values(folder: Path) -> str:
    wrong = ("trainer.precision=bf16_mixed", "trainer.compile=1", "trainer.accumulate_grad_batches=0")
    others = ("trainer.gradient_clip_algorithm=norms", "trainer.gradient_clip_val=-1", "trainer.log_every_n_steps=-5")
    return train(folder, *wrong, *others)


WRONG_CLAIM = """\
claim:
  question: ""
  says: ReLU halves energies.
  sauce: He 2015
  variants:
    he: {override: [init=kaiming_normal]}
  seeds: [0, one]
  expect:
    - {of: she, quantity: {type: forward, at: act}, expected: 1.0, factor: 2, reason: by hand}
    - {of: he, quantity: {type: foreward, at: act}, at_most: 1.0, reason: by hand}
    - {of: he, quantity: {type: forward}, expected: 1.0, reason: by hand}
    - {of: he, quantity: result, at_least: 0.5}
    - {of: he, quantity: result, reason: by hand}
    - {of: he, quantity: result, expected: 1.0, reason: by hand}
    - {of: he, quantity: result, at_least: 0.5, factor: 2, reason: by hand}
    - {of: he, quantity: result, at_least: 0.5, expected: 1, reason: by hand}
  pictures: [los]
"""


@situation
def a_claim_with_wrong_fields(folder: Path) -> str:
    return refused(lambda: parse_claim(compose(write(WRONG_CLAIM, "config.yaml"))))


@situation
def a_claim_of_variants_that_are_not_there(folder: Path) -> str:
    text = """\
    claim:
      question: Why?
      says: Because.
      source: He 2015
      variants: {he: {overrides: [init=kaiming_normal]}}
      expect:
        - {of: she, over: they, quantity: result, expected: 1.0, factor: 2, reason: by hand}
        - {of: he, quantity: result, expected: 1.0, factor: 2, reason: by hand}
      pictures: [{type: loss, of: [he, him]}]
    """
    return refused(lambda: parse_claim(compose(write(dedent(text), "config.yaml"))))


@situation
def an_experiment_without_a_claim(folder: Path) -> str:
    return refused(lambda: parse_claim(compose(CONF)))


@situation
def a_claim_that_is_not_in_the_gallery(folder: Path) -> str:
    return command("gallery", "relu_dept", "--conf", str(CONF))


CLAIM = """\
defaults: [_self_, experiment: null]
input: {shape: [4], dtype: float32}
model:
  input: ${input}
  layers: {linear: {type: Linear, out_features: 2}, act: ReLU}
data: {type: npz, path: data.npz, task: regression, input: "${input}", num_outputs: 2}
optimizer: {type: SGD, lr: 0.1}
init: {scheme: %s}
"""
EXPERIMENT = """\
# @package _global_
claim:
  question: Why?
  says: Because.
  source: He 2015
  variants: {here: {overrides: []}}
  seeds: [0]
  expect: [{of: here, quantity: %s, expected: 1.0, spreads: 2, reason: by hand}]
"""


@situation
def a_claim_about_what_the_network_does_not_have(folder: Path) -> str:
    asked = ["{type: forward, at: akt}", "{type: correlation_depth, at: linear}", "{type: mean, at: act}"]
    texts: list[str] = []
    for quantity in asked:
        write(CLAIM % "xavier", "config.yaml")
        conf = write(EXPERIMENT % quantity, "experiment/gallery/small.yaml")
        texts.append(refused(partial(measure, "small", conf)))
    return "\n\n".join(texts)


@situation
def a_sharded_training_of_what_needs_the_whole_model(folder: Path) -> str:
    settings = ("trainer=fsdp", "trainer.precision=64-true", "trainer.compile=true", "callbacks=ema")
    found = ("optimizer=sgd", "optimizer.type=LBFGS"), ("+optimizer.capturable=true",)
    return "\n\n".join(refused_settings(*settings, *one) for one in found)


@situation
def a_strategy_that_copies_processes(folder: Path) -> str:
    return refused_settings("trainer=ddp", "trainer.strategy=ddp_spawn")


@situation
def more_processes_than_the_trainer_says(folder: Path) -> str:
    started = {"RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "here", "MASTER_PORT": "1"}
    with patch.dict(os.environ, started):
        return "\n".join(map(str, check_trainer({"accelerator": "cpu", "devices": 2})))


@situation
def a_multirun_under_torchrun(folder: Path) -> str:
    started = {"RANK": "0", "WORLD_SIZE": "4", "MASTER_ADDR": "here", "MASTER_PORT": "1"}
    said = io.StringIO()
    with patch.dict(os.environ, started), contextlib.redirect_stderr(said), contextlib.suppress(SystemExit):
        check_command_line(CONF, ["-m", "seed=0,1"])
    return said.getvalue()


@situation
def a_process_that_is_killed(folder: Path) -> str:
    kills_itself = [sys.executable, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"]
    with patch.object(workers, "_command", lambda place: kills_itself):
        return refused(_lost)


def _lost() -> None:
    with workers.run_workers(RunSpec({}, "run"), 2) as (_, others):
        others.started[1][0].wait()
        others.check()


@situation
def processes_that_start_with_other_values(folder: Path) -> str:
    def gather(own: list[list[float]]) -> list[list[list[float]]]:
        return [own, [own[0], [one + 1 for one in own[1]]]]

    world: Any = SimpleNamespace(size=2, gather=gather)
    return refused(lambda: agreed_digest(nn.Linear(2, 3), world, 2))
