"""What runs the jobs of a multirun: options of `hydra/launcher` and `hydra/sweeper`, and the extra that each needs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

from hydra.core.config_store import ConfigStore

EXTRAS: Mapping[str, str] = MappingProxyType(
    {
        "hydra/launcher/joblib": "joblib",
        "hydra/launcher/submitit_local": "submitit",
        "hydra/launcher/submitit_slurm": "submitit",
        "hydra/launcher/ray": "ray",
        "hydra/sweeper/optuna": "optuna",
    }
)
"""Options that come with an extra of modelforge."""
PLUGINS = "hydra_plugins.modelforge."
"""What the names of our plugins begin with: Hydra takes classes of this package only."""
NONE = f"{PLUGINS}launchers.NoLauncher"
"""What `hydra/launcher=none` stands for."""
SEARCH = f"{PLUGINS}optuna_sweeper.OptunaSweeper"
"""What `hydra/sweeper=optuna` stands for."""
RAY: Mapping[str, Any] = MappingProxyType(
    {
        "address": None,  # of a cluster; null: one on this machine, which ends with the multirun
        "total_cpus": None,  # of a cluster on this machine; null: its cores
        "num_cpus": None,  # of a job; null: its `num_threads`
        "num_gpus": 0,
        "max_retries": 3,  # of a job whose worker was lost
    }
)
"""The settings of `hydra/launcher=ray`."""
OPTUNA: Mapping[str, Any] = MappingProxyType(
    {
        "params": None,
        "n_trials": 20,
        "n_jobs": 1,
        "timeout": None,
        "direction": None,
        "sampler": {
            "name": "tpe",
            "seed": 0,
            "n_startup_trials": 10,
            "multivariate": False,
            "constant_liar": True,
        },
    }
)
"""The settings of `hydra/sweeper=optuna`; `modelforge.sweeps.optuna_settings` says what each is for."""


def extra_hint(group: str, option: str) -> str:
    """How to install what an option needs; empty where no extra has it.

    Example:
        >>> extra_hint("hydra/launcher", "submitit_slurm")
        "pip install 'modelforge[submitit]'"
    """
    extra = EXTRAS.get(f"{group}/{option}")
    return f"pip install 'modelforge[{extra}]'" if extra else ""


def store_engines() -> None:
    """Makes our own options known to Hydra, as far as what they need is installed; `none` needs nothing."""
    ours = {
        "ray": ("hydra/launcher", f"{PLUGINS}launchers.RayLauncher", RAY),
        "optuna": ("hydra/sweeper", SEARCH, OPTUNA),
    }
    ConfigStore.instance().store("none", {"_target_": NONE}, "hydra/launcher")
    for name, (group, target, settings) in ours.items():
        if find_spec(name) is not None:
            ConfigStore.instance().store(name, {"_target_": target, **settings}, group)
