"""Wires one run: the bundles that it reserves, and the launch of its learner.

Actors are started by the learner, in the same placement group.
"""

import functools
from collections.abc import Callable, Mapping, Sequence

from experiments.atari57.run import launch_learner
from experiments.atari57.scheduler import QueuedRun
from experiments.atari57.variants import Run
from experiments.cluster import learner_actor
from learner.config import ConfigError


def build_run(run: Run, log: Callable[[str], None]) -> QueuedRun:
    """A run of the study as the scheduler takes it.

    Args:
      run: of the study.
      log: takes a line when the run is launched.
    """
    return QueuedRun(
        run.name,
        learner_actor.bundles(run.config),
        functools.partial(launch_learner, run, log),
    )


def check_fits(runs: Sequence[Run], resources: Mapping[str, float]) -> None:
    """Refuses a run that needs more than the whole cluster has.

    Args:
      runs: to be run, one at a time at least.
      resources: of all nodes together, free or not, by Ray's names.

    Raises:
      ConfigError: naming the run, what it needs and what there is.
    """
    for run in runs:
        bundles = learner_actor.bundles(run.config)
        for name in ("CPU", "GPU"):
            needed = sum(bundle.get(name, 0) for bundle in bundles)
            if needed > resources.get(name, 0):
                raise ConfigError(
                    f"{run.name} needs {needed:g} {name}s, the cluster has "
                    f"{resources.get(name, 0):g}"
                )
