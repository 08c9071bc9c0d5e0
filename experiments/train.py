"""`bmg train`: the driver of a run, and its learner as a Ray actor.

The driver holds no JAX: it starts the learner, draws progress, and hands
signals on.
"""

import pathlib
import threading
from typing import Any

import ray
from rich.console import Console

from experiments import hosts, processes
from experiments.display import Display, make_display, returns_table
from experiments.learner_actor import (
    connect,
    object_store_bytes,
    result_of,
    start_learner,
)
from experiments.signals import stop_on_signals
from learner.config import Config, ConfigError
from learner.progress import HostLostError, Result, RunError

_POLL_SECONDS = 0.5


def train(config: Config) -> int:
    """Trains, and reports; returns the exit code."""
    stop = threading.Event()
    display = make_display(config)
    try:
        start = _train_here if config.actors.in_process else _train_on_ray
        result = start(config, display, stop)
    finally:
        display.close()
    _report(config, result)
    return 0 if result.finished else 130


# -- In this process --------------------------------------------------------


def _train_here(
    config: Config, display: Display, stop: threading.Event
) -> Result:
    """Everything in one process, in a fixed order."""
    processes.restart_with(
        processes.learner_variables(config), "experiments.main"
    )
    stop_on_signals(stop)
    from actors.pool import LocalPool
    from learner.build import build_unroller, play_games
    from learner.train import Run

    run = Run(
        config,
        make_pool=lambda: LocalPool(lambda n: build_unroller(config, n)),
        evaluate=lambda params, count, seed: play_games(
            config, params, count, seed
        ),
    )
    outcome: list[Any] = []

    def work() -> None:
        try:
            outcome.append(run.run())
        except BaseException as error:  # raised again by the main thread
            outcome.append(error)

    worker = threading.Thread(target=work, name="learner")
    worker.start()
    while worker.is_alive():
        worker.join(_POLL_SECONDS)
        display.show(run.progress())
        if stop.is_set():
            run.stop()
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


# -- On Ray -----------------------------------------------------------------


def _train_on_ray(
    config: Config, display: Display, stop: threading.Event
) -> Result:
    connect(config.address, object_store_bytes(config))
    stop_on_signals(stop)  # after Ray has set a handler of its own
    try:
        _check_cluster(config)
        place = hosts.reserve(config)
        restarts = 0
        while True:
            learner = start_learner(config, place)
            try:
                return _watch(learner, display, stop)
            except (ray.exceptions.RayActorError, HostLostError) as error:
                ray.kill(learner)
                restarts += 1
                if restarts > config.learner.max_restarts:
                    raise RunError(
                        f"the learner died {restarts} times: {error}\ngo on "
                        "from its last checkpoint with\n  bmg train --config "
                        f"{config.folder}/config.yaml"
                    ) from error
                print(
                    f"the learner died; starting it again ({restarts} of "
                    f"{config.learner.max_restarts}) from its checkpoint",
                    flush=True,
                )
    finally:
        ray.shutdown()


def _check_cluster(config: Config) -> None:
    resources = ray.cluster_resources()
    cores, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    actors, learner = config.actors, config.learner
    name, count = "count", actors.count
    if actors.min:
        name, count = "min", actors.min
    evaluating = config.evaluation_frames > 0
    learners = learner.hosts * learner.cpus
    needed = (count + evaluating) * actors.cpus + learners
    if needed > cores:
        most = int((cores - learners) / (actors.cpus or 1)) - evaluating
        raise ConfigError(
            f"actors.{name} = {count} with actors.cpus = "
            f"{actors.cpus:g} and learner.cpus = {learner.cpus:g} "
            f"{f'on learner.hosts = {learner.hosts} ' * (learner.hosts > 1)}"
            f"{'and evaluation beside training ' * evaluating}needs "
            f"{needed:g} cores, the cluster has {cores:g}: take "
            f"--actors.{name} {max(most, 1)}, or fewer --actors.cpus"
        )
    if learner.hosts * learner.gpus > gpus:
        raise ConfigError(
            f"learner.gpus = {learner.gpus:g} on learner.hosts = "
            f"{learner.hosts}, the cluster has {gpus:g}: take --learner.gpus "
            f"{gpus // learner.hosts:g}"
        )


def _watch(learner: Any, display: Display, stop: threading.Event) -> Result:
    running = learner.run.remote()
    stopped = False
    while True:
        ready, _ = ray.wait([running], timeout=_POLL_SECONDS)
        display.show(ray.get(learner.progress.remote()))
        if ready:
            return result_of(running)
        if stop.is_set() and not stopped:
            learner.stop.remote()
            stopped = True


# -- At the end -------------------------------------------------------------


def _report(config: Config, result: Result) -> None:
    from experiments.curve import draw_curve

    folder = pathlib.Path(result.folder)
    title = f"{config.algorithm} on {config.task}, seed {config.seed}"
    curve = draw_curve(folder, title)
    console = Console(highlight=False)
    if result.evaluation:
        returns = [game.episode_return for game in result.evaluation]
        title = f"after {result.frames:,} frames"
        console.print(returns_table(title, returns))
    if curve:
        console.print(f"curve   {curve}", soft_wrap=True)
    console.print(f"run     {folder}", soft_wrap=True)
    if not result.finished:
        console.print(
            f"saved at {result.frames:,} frames; go on with\n"
            f"  bmg train --config {folder}/config.yaml",
            soft_wrap=True,
        )
