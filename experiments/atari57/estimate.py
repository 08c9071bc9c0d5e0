"""What a study takes: frames, hours, and room on the disk."""

import pathlib
import shutil
import statistics
from collections.abc import Sequence
from typing import NamedTuple

from experiments.atari57.variants import Run
from learner.config import Config, ConfigError
from learner.record.metrics import read_lines

# Sizes of the parameters in a checkpoint, with the optimisers' moments.
_PARAMETERS = 4
_METRICS = 64 * 2**20  # bytes of curves and TensorBoard of a run, at most


class Estimate(NamedTuple):
    """Of the runs that are still to be done."""

    runs: int
    frames: int
    hours: float | None  # of one run after the other; None: speed not known
    accelerator_hours: float | None
    disk: float  # bytes at the end


def estimate(runs: Sequence[Run], speed: float | None) -> Estimate:
    """Adds up what is left of some runs.

    Args:
      runs: runs to do.
      speed: frames per second of one run.
    """
    frames = sum(run.config.frames for run in runs)
    hours = frames / speed / 3600 if speed else None
    gpus = sum(r.config.frames * r.config.learner.gpus for r in runs)
    accelerator = gpus / speed / 3600 if speed else None
    sizes: dict[Config, float] = {}
    disk = 0.0
    for run in runs:
        alike = Config(
            task=run.config.task,
            environment=run.config.environment,
            network=run.config.network,
            loss=run.config.loss,
            algorithm=run.config.algorithm,
        )
        if alike not in sizes:
            sizes[alike] = _checkpoint_bytes(run.config)
        options = run.config.checkpoint
        disk += sizes[alike] * (options.keep + options.milestones) + _METRICS
    return Estimate(len(runs), frames, hours, accelerator, disk)


def measured_speed(runs: Sequence[Run]) -> float | None:
    """Frames per second of the study's runs so far; None where none has run."""
    rates = [
        line["frames_per_second"]
        for run in runs
        for line in read_lines(
            pathlib.Path(run.config.folder) / "metrics.jsonl"
        )[-20:]
        if line.get("frames_per_second")
    ]
    return statistics.median(rates) if rates else None


def check_disk(needed: float, folder: pathlib.Path) -> None:
    """Raises `ConfigError` with both numbers where the disk is too small."""
    parent = folder
    while not parent.exists():
        parent = parent.parent
    free = shutil.disk_usage(parent).free
    if needed > free:
        raise ConfigError(
            f"the study needs up to {needed / 2**30:,.1f} GiB for checkpoints "
            f"and curves, {folder} has {free / 2**30:,.1f} GiB free: take "
            "another --out, fewer --seeds or --games, or a smaller "
            "checkpoint.keep or checkpoint.milestones in a study of your own"
        )


def _checkpoint_bytes(config: Config) -> float:
    """Shapes alone: nothing is computed, no device is touched."""
    import jax

    from actors.environment import spec
    from learner import build_acting

    task = spec(config.task, config.environment.protocol)
    agent = build_acting.build_agent(config, task)
    shapes = jax.eval_shape(lambda: agent.init(jax.random.key(0)))
    return _PARAMETERS * sum(x.size * 4 for x in jax.tree.leaves(shapes))
