"""The configuration of a run that has trained, for playing on CPUs here."""

import dataclasses
import pathlib

from experiments.cluster import processes, user_code
from experiments.viewing import run_record
from learner.config import Config, ConfigError


def load_config(folder: pathlib.Path, task: str) -> Config:
    """The run's configuration for this process, which may be started anew.

    Args:
      folder: of the run.
      task: that the command line names, if any.

    Raises:
      ConfigError: where there is no run, or one of another task, or one whose
        task is code that the command line does not name.
    """
    config = run_record.config_of(folder)
    if task not in ("", config.task):
        raise ConfigError(
            f"--task {task}: the run in {folder} is of {config.task}"
        )
    user_code.permit_import(config.task, [task])
    on_cpus = dataclasses.replace(config.learner, gpus=0.0, tpus=0.0, devices=1)
    config = dataclasses.replace(config, out=str(folder), learner=on_cpus)
    # glibc's and XLA's variables have to be there when a process starts.
    processes.restart_with(
        processes.learner_variables(config), "experiments.command.main"
    )
    return config
