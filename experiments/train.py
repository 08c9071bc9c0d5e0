"""`bmg train`: the driver of a run, and its learner as a Ray actor.

The driver holds no JAX: it starts the learner, draws progress, and hands
signals on.
"""

import functools
import logging
import os
import pathlib
import signal
import threading
from typing import Any

import ray
from rich.console import Console
from rich.table import Table

from experiments import processes
from experiments.display import Display, make_display
from learner.config import Config, ConfigError
from learner.progress import Progress, Result, RunError

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


def _stop_on_signals(stop: threading.Event) -> None:
    def handle(signum: int, frame: Any) -> None:
        del frame
        if stop.is_set():
            raise KeyboardInterrupt  # The second time: at once.
        print(f"\n{signal.Signals(signum).name}: saving …", flush=True)
        stop.set()

    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, handle)


# -- In this process --------------------------------------------------------


def _train_here(
    config: Config, display: Display, stop: threading.Event
) -> Result:
    """Everything in one process, in a fixed order."""
    processes.restart_with(
        processes.learner_variables(config), "experiments.main"
    )
    _stop_on_signals(stop)
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

    def run(self) -> Result:
        return self._run.run()

    def progress(self) -> Progress:
        return self._run.progress()

    def stop(self) -> None:
        self._run.stop()


def _train_on_ray(
    config: Config, display: Display, stop: threading.Event
) -> Result:
    _connect(config)
    _stop_on_signals(stop)  # after Ray has set a handler of its own
    try:
        _check_cluster(config)
        restarts = 0
        while True:
            try:
                return _watch(_start_learner(config), display, stop)
            except ray.exceptions.RayActorError as error:
                restarts += 1
                if restarts > config.learner.max_restarts:
                    raise RunError(
                        f"the learner died {restarts} times: {error}"
                    ) from error
                print(
                    f"the learner died; starting it again ({restarts} of "
                    f"{config.learner.max_restarts}) from its checkpoint",
                    flush=True,
                )
    finally:
        ray.shutdown()


def _connect(config: Config) -> None:
    # We set each actor's devices ourselves; Ray need not warn of it.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    address = config.address or os.environ.get("RAY_ADDRESS")
    connect = functools.partial(
        ray.init, logging_level=logging.ERROR, log_to_driver=False
    )
    if address:
        connect(address=address)
        return
    connect(
        num_cpus=os.cpu_count(),
        include_dashboard=False,
        object_store_memory=_object_store_bytes(config),
    )


def _object_store_bytes(config: Config) -> int:
    """Room for every unroll in flight twice over, parameters, and slack."""
    step = 210 * 160 * 3 if config.environment.protocol == "bmg" else 84 * 84
    unroll = config.actors.columns * (config.learner.unroll_length + 4) * step
    in_flight = config.actors.count * config.actors.in_flight
    return 2 * in_flight * unroll + 256 * 2**20


def _check_cluster(config: Config) -> None:
    resources = ray.cluster_resources()
    cores, gpus = resources.get("CPU", 0.0), resources.get("GPU", 0.0)
    actors, learner = config.actors, config.learner
    needed = actors.count * actors.cpus + learner.cpus
    if needed > cores:
        most = int((cores - learner.cpus) / actors.cpus) if actors.cpus else 0
        raise ConfigError(
            f"actors.count = {actors.count} with actors.cpus = "
            f"{actors.cpus:g} and learner.cpus = {learner.cpus:g} needs "
            f"{needed:g} cores, the cluster has {cores:g}: take "
            f"--actors.count {max(most, 1)}, or fewer --actors.cpus"
        )
    if learner.gpus > gpus:
        raise ConfigError(
            f"learner.gpus = {learner.gpus:g}, the cluster has {gpus:g}: take "
            f"--learner.gpus {gpus:g}"
        )


def _start_learner(config: Config) -> Any:
    remote = ray.remote(LearnerActor).options(
        num_cpus=config.learner.cpus,
        num_gpus=config.learner.gpus,
        max_concurrency=4,  # progress and stop, while run works
        runtime_env={"env_vars": processes.learner_variables(config)},
    )
    return remote.remote(config)


def _watch(learner: Any, display: Display, stop: threading.Event) -> Result:
    running = learner.run.remote()
    stopped = False
    while True:
        ready, _ = ray.wait([running], timeout=_POLL_SECONDS)
        display.show(ray.get(learner.progress.remote()))
        if ready:
            return _result(running)
        if stop.is_set() and not stopped:
            learner.stop.remote()
            stopped = True


def _result(running: ray.ObjectRef) -> Result:
    try:
        return ray.get(running)
    except ray.exceptions.RayTaskError as error:
        # What is meant for the user comes without the remote traceback.
        if isinstance(error.cause, ConfigError | RunError | OSError):
            raise error.cause from None
        raise


# -- At the end -------------------------------------------------------------


def _report(config: Config, result: Result) -> None:
    from experiments.curve import draw_curve

    folder = pathlib.Path(result.folder)
    title = f"{config.algorithm} on {config.task}, seed {config.seed}"
    curve = draw_curve(folder, title)
    console = Console(highlight=False)
    if result.evaluation:
        console.print(_evaluation_table(result))
    if curve:
        console.print(f"curve   {curve}", soft_wrap=True)
    console.print(f"run     {folder}", soft_wrap=True)
    if not result.finished:
        console.print(
            f"saved at {result.frames:,} frames; go on with\n"
            f"  bmg train --config {folder}/config.yaml",
            soft_wrap=True,
        )


def _evaluation_table(result: Result) -> Table:
    returns = [game.episode_return for game in result.evaluation]
    table = Table(title=f"after {result.frames:,} frames")
    for name in ("games", "mean return", "lowest", "highest"):
        table.add_column(name, justify="right")
    table.add_row(
        str(len(returns)),
        f"{sum(returns) / len(returns):.2f}",
        f"{min(returns):.2f}",
        f"{max(returns):.2f}",
    )
    return table
