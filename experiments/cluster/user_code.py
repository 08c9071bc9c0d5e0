"""Tasks that are code: a command line has it imported, a file alone never."""

import os
import shlex
import sys
from collections.abc import Iterable

from actors.custom import is_custom
from learner.config import ConfigError


def permit_import(task: str, arguments: Iterable[str]) -> None:
    """Lets a task `package.module:make` be imported, from the folder here too.

    Args:
      task: of the configuration; EnvPool's need no permission.
      arguments: of the command line.

    Raises:
      ConfigError: if the command line does not name the task: a configuration
        may be anybody's, and importing runs code.
    """
    if not is_custom(task):
        return
    if task not in {argument.removeprefix("--task=") for argument in arguments}:
        raise ConfigError(
            f"task = {task!r} is code to import, which the command line has to "
            f"name: if you trust it, add --task {task}"
        )
    # `bmg` is a script, for which Python does not look here.
    sys.path.append(os.getcwd())


def task_flag(task: str) -> str:
    """What a command that goes on with a run of `task` has to add."""
    return f" --task {shlex.quote(task)}" if is_custom(task) else ""
