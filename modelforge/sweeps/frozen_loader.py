"""`FrozenLoader`: what a launcher asks for the config of a job, in its own process or another one; reads no conf/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from hydra.core.config_loader import ConfigLoader
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from modelforge.config.templates import is_template
from modelforge.runs.jobs import FrozenJob, read_job

MARK = "sweep.job="
"""The last override that a launcher gets for a job: its number."""


class FrozenLoader(ConfigLoader):
    """Gives launchers the frozen jobs of a sweep.

    Args:
        folder: The sweep's.
        inner: Hydra's own loader, for all that is not about a job.
    """

    def __init__(self, folder: Path, inner: ConfigLoader) -> None:
        self.folder = folder.absolute()
        self.inner = inner

    def load_sweep_config(self, master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        """The config of the job whose number is the last override, as it was when the sweep began."""
        job = read_job(self.folder, int(sweep_overrides[-1].removeprefix(MARK)))
        return job_config(master_config, job, self.folder)

    def load_configuration(self, *arguments: Any, **options: Any) -> DictConfig:
        return self.inner.load_configuration(*arguments, **options)

    def get_search_path(self) -> Any:
        return self.inner.get_search_path()

    def get_sources(self) -> list[Any]:
        return self.inner.get_sources()

    def list_groups(self, parent_name: str) -> list[str]:
        return self.inner.list_groups(parent_name)

    def get_group_options(self, *arguments: Any, **options: Any) -> list[str]:
        return self.inner.get_group_options(*arguments, **options)

    def compute_defaults_list(self, *arguments: Any, **options: Any) -> Any:
        return self.inner.compute_defaults_list(*arguments, **options)


def words_for(jobs: Sequence[Any]) -> list[list[str]]:
    """What a launcher is given for each job: its overrides, which it shows, and its number."""
    return [[*job.overrides, f"{MARK}{job.number}"] for job in jobs]


def job_config(master: DictConfig, job: FrozenJob, folder: Path) -> DictConfig:
    """A frozen job as the config that Hydra would compose for it."""
    where = {"folder": str(folder), "number": job.number}
    values = {**{name: _escaped(value) for name, value in job.config.items()}, "sweep": {"job": where}}
    hydra = deepcopy(master.hydra)
    with read_write(hydra), open_dict(hydra):
        hydra.overrides.task = [_escaped(word) for word in job.overrides]
        hydra.sweep.dir = _escaped(str(folder))
        hydra.sweep.subdir = _escaped(job.folder)
    config = OmegaConf.create(values)
    with open_dict(config):
        config.hydra = hydra
    OmegaConf.copy_cache(from_config=master, to_config=config)
    return config


def _escaped(value: Any) -> Any:
    """A final value as OmegaConf reads it: `${` begins a template of modelforge's, and nothing else."""
    if isinstance(value, Mapping):
        return {key: _escaped(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_escaped(item) for item in value]
    if isinstance(value, str) and "${" in value and not is_template(value):
        return value.replace("\\", "\\\\").replace("${", "\\${")
    return value
