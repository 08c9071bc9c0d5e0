"""A run's learner as a Ray actor.

`bmg train` starts one, `bmg sweep` as many as its cluster holds.
"""

import dataclasses
import functools
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup

from experiments.cluster import learner_hosts
from experiments.cluster.prometheus import Exporter
from learner.config import Config, ConfigError
from learner.record.progress import Progress, Result, RunError
from learner.record.remote import Folder


class LearnerActor:
    """A run's first learner host: it starts and ends the others."""

    def __init__(self, config: Config, placement: PlacementGroup | None = None):
        from learner.multihost import HostBarrier

        self._count = config.learner.hosts
        self._barrier = HostBarrier(self._count)
        self._remote = config.folder
        self._folder = Folder(config.folder)
        self._run = learner_hosts.make_run(
            dataclasses.replace(config, out=str(self._folder.path)),
            0,
            functools.partial(self._barrier.all_gather, 0),
        )
        self._exporter = Exporter(config.folder)
        first = ray.get_runtime_context().current_actor
        self._others = [
            learner_hosts.start(
                learner_hosts.OtherHost, config, placement, index
            )(config, index, first)
            for index in range(1, self._count)
        ]

    def run(self) -> Result:
        """Ends with the first host that fails: the others would wait for it."""
        from learner.multihost import join

        address = learner_hosts.free_address()

        def work() -> Result:
            ray.get([other.started.remote() for other in self._others])
            join(address, 0, self._count)
            with self._folder.synchronised():
                result = self._run.run()
            return result._replace(folder=self._remote)

        try:
            return learner_hosts.run_together(
                work, [other.run.remote(address) for other in self._others]
            )
        finally:
            for other in self._others:
                ray.kill(other)

    def all_gather(self, index: int, message: Any) -> Any:
        return self._barrier.all_gather(index, message)

    def progress(self) -> Progress:
        progress = self._run.progress()
        self._exporter.show(progress)  # the driver asks twice a second
        return progress

    def stop(self) -> None:
        self._run.stop()
        for other in self._others:
            other.stop.remote()


def object_store_bytes(config: Config) -> int:
    """Every unroll in flight twice over, parameters, and slack."""
    step = 210 * 160 * 3 if config.environment.protocol == "bmg" else 84 * 84
    unroll = (
        config.actors.trajectories * (config.learner.unroll_length + 4) * step
    )
    in_flight = config.actors.count * config.actors.in_flight
    return 2 * in_flight * unroll + 256 * 2**20


def bundles(config: Config) -> list[learner_hosts.Bundle]:
    """What a run reserves: each learner host's share, each actor's, and
    evaluation's."""
    players = config.actors.count + (config.evaluation_frames > 0)
    return learner_hosts.without_zeros(
        [learner_hosts.bundle(config)] * config.learner.hosts
        + [{"CPU": config.actors.cpus}] * players
    )


def start_learner(
    config: Config, placement: PlacementGroup | None = None
) -> Any:
    """Starts the run's learner, and with it the run's actors when it runs.

    Args:
      config: of the run.
      placement: holds `bundles(config)`, the learner's hosts first, or the
        hosts alone. None lets Ray choose.
    """
    return learner_hosts.start(LearnerActor, config, placement, 0)(
        config, placement
    )


def result_of(running: ray.ObjectRef) -> Result:
    """How a run ended; what is meant for the user is raised as it was."""
    try:
        return ray.get(running)
    except ray.exceptions.RayTaskError as error:
        # What is meant for the user comes without the remote traceback.
        if isinstance(error.cause, ConfigError | RunError | OSError):
            raise error.cause from None
        raise
