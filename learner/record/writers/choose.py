"""Writers by name."""

import functools
import importlib.util
import pathlib
from collections.abc import Callable, Sequence

from learner.config import ConfigError
from learner.record.writers.mlflow import MLflow
from learner.record.writers.queued import QueuedWriter
from learner.record.writers.tensorboard import TensorBoard
from learner.record.writers.wandb import WeightsAndBiases
from learner.record.writers.writer import CompositeWriter, Writer

# By name: the package that it needs, and how it is opened at some frames.
_WRITERS: dict[str, tuple[str, Callable[[pathlib.Path, int], Writer]]] = {
    "tensorboard": ("tensorboardX", TensorBoard),
    "wandb": ("wandb", lambda folder, frames: WeightsAndBiases(folder)),
    "mlflow": ("mlflow", lambda folder, frames: MLflow(folder)),
}


def open_writers(
    names: Sequence[str],
    folder: pathlib.Path,
    frames: int,
    report: Callable[[str], None],
) -> Writer:
    """Those writers of a run, each in a thread of its own.

    Args:
      names: of `learner.config.WRITERS`.
      folder: of the run.
      frames: the run goes on from here.
      report: takes messages for the user, from any thread.
    """
    return CompositeWriter(
        [
            QueuedWriter(
                name,
                functools.partial(_WRITERS[name][1], folder, frames),
                report,
            )
            for name in names
        ]
    )


def check_installed(names: Sequence[str]) -> None:
    """Raises `ConfigError` for a writer whose package is not there."""
    for name in names:
        found = importlib.util.find_spec(_WRITERS[name][0])
        # A folder of that name, which its runs may leave, is no package.
        if found is None or found.origin is None:
            raise ConfigError(
                f"--writers {name} needs a package: pip install 'bmg[{name}]'"
            )
