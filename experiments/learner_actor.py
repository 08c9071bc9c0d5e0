"""A run's learner as a Ray actor, wherever it was asked for.

`bmg train` starts one, `bmg sweep` as many as its cluster holds.
"""

import functools
import logging
import os
import pathlib
from typing import Any

import ray
from ray.util.placement_group import PlacementGroup
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

from experiments import processes
from experiments.prometheus import Exporter
from learner.config import Config, ConfigError
from learner.progress import Progress, Result, RunError

Bundle = dict[str, float]


class LearnerActor:
    """The learner's process: a thin shell around `Run`."""

    def __init__(self, config: Config):
        from actors.pool import RayPool
        from learner.build import build_unroller, play_games
        from learner.train import Run

        actors = config.actors

        def make_pool() -> RayPool:
            return RayPool(
                lambda offset: build_unroller(config, offset),
                count=actors.count,
                cpus=actors.cpus,
                in_flight=actors.in_flight,
                timeout=actors.timeout,
                max_failures=actors.max_failures,
                env_vars=processes.actor_variables(),
            )

        def evaluate(params, count, seed):
            remote = ray.remote(play_games).options(
                num_cpus=actors.cpus,
                runtime_env={"env_vars": processes.actor_variables()},
            )
            return ray.get(remote.remote(config, params, count, seed))

        self._run = Run(config, make_pool, evaluate)
        self._exporter = Exporter(config.folder)

    def run(self) -> Result:
        return self._run.run()

    def progress(self) -> Progress:
        progress = self._run.progress()
        self._exporter.show(progress)  # the driver asks twice a second
        return progress

    def stop(self) -> None:
        self._run.stop()


def connect(address: str, object_store_memory: int) -> None:
    """Joins the cluster at an address (or `RAY_ADDRESS`), or starts one here.

    Args:
      address: Ray's; none starts a cluster of this machine's cores.
      object_store_memory: bytes of a cluster that is started.
    """
    # We set each actor's devices ourselves; Ray need not warn of it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = address or os.environ.get("RAY_ADDRESS", "")
    start = functools.partial(
        ray.init, logging_level=logging.ERROR, log_to_driver=False
    )
    if address:
        start(address=address)
        return
    start(
        # Else Ray joins a cluster that somebody started on this machine.
        address="local",
        num_cpus=os.cpu_count(),
        include_dashboard=False,
        object_store_memory=object_store_memory,
    )
    protect_token()


def protect_token() -> None:
    """Keeps other users of this machine from reading Ray's token.

    Who has it may run code as we do; Ray writes it readable for all.
    """
    token = pathlib.Path.home() / ".ray" / "auth_token"
    if token.exists():
        token.chmod(0o600)


def object_store_bytes(config: Config) -> int:
    """Room for every unroll in flight twice over, parameters, and slack."""
    step = 210 * 160 * 3 if config.environment.protocol == "bmg" else 84 * 84
    unroll = config.actors.columns * (config.learner.unroll_length + 4) * step
    in_flight = config.actors.count * config.actors.in_flight
    return 2 * in_flight * unroll + 256 * 2**20


def bundles(config: Config) -> list[Bundle]:
    """What a run reserves: its learner's share, each actor's, evaluation's."""
    options, actors = config.learner, config.actors
    wanted = [{"CPU": options.cpus, "GPU": options.gpus}]
    players = actors.count + (config.evaluation_frames > 0)
    wanted += [{"CPU": actors.cpus}] * players
    # Ray has no empty bundles.
    return [
        {name: amount for name, amount in bundle.items() if amount}
        or {"CPU": 0.001}
        for bundle in wanted
    ]


def start_learner(config: Config, place: PlacementGroup | None = None) -> Any:
    """Starts the run's learner, and with it the run's actors when it runs.

    Args:
      config: of the run.
      place: holds `bundles(config)`; the learner takes the first, its actors
        the others. None lets Ray choose.
    """
    strategy: Any = "DEFAULT"
    if place is not None:
        strategy = PlacementGroupSchedulingStrategy(
            place,
            placement_group_bundle_index=0,
            placement_group_capture_child_tasks=True,
        )
    remote = ray.remote(LearnerActor).options(
        scheduling_strategy=strategy,
        num_cpus=config.learner.cpus,
        num_gpus=config.learner.gpus,
        max_concurrency=4,  # progress and stop, while run works
        runtime_env={"env_vars": processes.learner_variables(config)},
    )
    return remote.remote(config)


def result_of(running: ray.ObjectRef) -> Result:
    """How a run ended; what is meant for the user is raised as it was."""
    try:
        return ray.get(running)
    except ray.exceptions.RayTaskError as error:
        # What is meant for the user comes without the remote traceback.
        if isinstance(error.cause, ConfigError | RunError | OSError):
            raise error.cause from None
        raise
