"""`hydra/launcher=ray`: the jobs of a multirun as tasks of a Ray cluster, or of one that lasts as long as the multirun.

A job whose worker is killed runs again; one that cannot be run ends alone.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from modelforge.core.errors import ForgeError, Problem
from modelforge.core.quoting import sentence
from modelforge.sweeps.resume import way_on

ray: Any = import_module("ray")  # of an extra that few environments have, type checkers' among them
RayError: type[Exception] = import_module("ray.exceptions").RayError
NO_REPORTS = "RAY_USAGE_STATS_ENABLED"
"""The variable by which Ray is kept from reporting its use over the network."""


def launch(
    context: HydraContext,
    task: TaskFunction,
    config: DictConfig,
    jobs: Sequence[tuple[int, Sequence[str]]],
    settings: Mapping[str, Any],
) -> list[JobReturn]:
    """Runs jobs, each in a process of Ray's, and waits for all of them.

    Args:
        context: Hydra's; its config loader gives the config of each job.
        task: What a job does.
        config: Of the multirun.
        jobs: The number and the overrides of each.
        settings: Of `hydra.launcher`.
    """
    is_ours = not ray.is_initialized()
    if is_ours:
        _start(settings, Path(str(config.hydra.sweep.dir)))
    try:
        options = {"num_cpus": settings["num_cpus"], "num_gpus": settings["num_gpus"]}
        remote = ray.remote(max_retries=settings["max_retries"], **options)(run_one)
        shared = ray.put((context, task, config, Singleton.get_state(), Path.cwd()))
        return [_ended(found) for found in [remote.remote(shared, number, list(words)) for number, words in jobs]]
    finally:
        if is_ours:
            ray.shutdown()


def run_one(shared: tuple[Any, ...], number: int, overrides: list[str]) -> JobReturn:
    """One job, in the process of a worker."""
    context, task, config, singletons, folder = shared
    if folder.is_dir():
        os.chdir(folder)
    setup_globals()
    Singleton.set_state(singletons)
    job: Any = context.config_loader.load_sweep_config(config, overrides)
    with open_dict(job):
        job.hydra.job.id = f"{job.hydra.job.name}_{number}"
        job.hydra.job.num = number
    return run_job(task, job, "hydra.sweep.dir", "hydra.sweep.subdir", context)


def _start(settings: Mapping[str, Any], folder: Path) -> None:
    os.environ.setdefault(NO_REPORTS, "0")
    address = settings["address"]
    own = {"num_cpus": settings["total_cpus"], "include_dashboard": False} if address is None else {}
    try:
        ray.init(address=address, logging_level="error", **own)
    except Exception as error:  # of many kinds, the plain one among them
        where = "on this machine" if address is None else f"at `{address}`"
        hint = f"go on with `{way_on(folder)}`, perhaps with another launcher"
        raise ForgeError(
            [Problem("MF077", "hydra/launcher", f"no Ray cluster {where}: {sentence(error)}", hint)]
        ) from error


def _ended(found: Any) -> JobReturn:
    """What a job returned; of one that was lost with its worker, the reason."""
    try:
        return ray.get(found)
    except RayError as error:
        lost = JobReturn(status=JobStatus.FAILED)
        lost.return_value = error
        return lost
