"""`bmg train`: the driver of a run, and its learner as a Ray actor.

The driver holds no JAX: it starts the learner, draws progress, and hands
signals on.
"""

import dataclasses
import pathlib
import threading
from typing import Any

import ray
from rich.console import Console

from experiments.cluster import (
    capacity,
    connection,
    learner_hosts,
    processes,
    user_code,
)
from experiments.cluster.learner_actor import (
    object_store_bytes,
    result_of,
    start_learner,
)
from experiments.command.display import Display, make_display, returns_table
from experiments.command.page_process import PageDisplay
from experiments.command.signals import stop_on_signals
from learner.config import Config
from learner.record.counted import counted
from learner.record.progress import HostLostError, Progress, Result, RunError
from learner.record.remote import Folder, absolute
from learner.record.writers.choose import check_installed

_POLL_SECONDS = 0.5


def train(config: Config) -> int:
    """Trains, and reports; returns the exit code."""
    check_installed(config.writers)
    stop = threading.Event()
    display = PageDisplay(
        make_display(config), config.folder, config.page_minutes
    )
    try:
        start = _train_in_process if config.actors.in_process else _train_on_ray
        result = start(config, display, stop)
    finally:
        display.close()
    _report(config, result)
    return 0 if result.finished else 130


# -- In this process --------------------------------------------------------


def _train_in_process(
    config: Config, display: Display, stop: threading.Event
) -> Result:
    """Everything in one process, in a fixed order."""
    processes.restart_with(
        processes.learner_variables(config), "experiments.command.main"
    )
    stop_on_signals(stop)
    from actors.local_pool import LocalPool
    from learner.build_acting import build_unroller, play_games
    from learner.train import Run

    folder = Folder(config.folder)
    run = Run(
        dataclasses.replace(config, out=str(folder.path)),
        make_pool=lambda: LocalPool(lambda n: build_unroller(config, n)),
        evaluate=lambda params, count, seed: play_games(
            config, params, count, seed
        ),
    )
    outcome: list[Any] = []

    def work() -> None:
        try:
            with folder.synchronised():
                outcome.append(run.run()._replace(folder=config.folder))
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
    connection.connect(config.address, object_store_bytes(config), config.task)
    # The learner's process starts in another folder than this one.
    config = dataclasses.replace(config, out=absolute(config.folder))
    stop_on_signals(stop)  # after Ray has set a handler of its own
    try:
        joined = connection.resolve_address(config.address)
        capacity.wait_for_capacity(
            config, config.actors.patience if joined else 0.0
        )
        placement = learner_hosts.reserve(config)
        restarts = 0
        while True:
            learner = start_learner(config, placement)
            try:
                return _watch(config, learner, display, stop)
            except (ray.exceptions.RayActorError, HostLostError) as error:
                ray.kill(learner)
                restarts += 1
                if restarts > config.learner.max_restarts:
                    raise RunError(
                        f"the learner died {counted(restarts, 'time')}: "
                        f"{error}\ngo on from its last checkpoint with\n"
                        f"{_resume_command(config, config.folder)}"
                    ) from error
                print(
                    f"the learner died; starting it again ({restarts} of "
                    f"{config.learner.max_restarts}) from its checkpoint",
                    flush=True,
                )
    finally:
        ray.shutdown()


def _watch(
    config: Config, learner: Any, display: Display, stop: threading.Event
) -> Result:
    waiting = capacity.WaitReporter(config)
    running, asked = learner.run.remote(), learner.progress.remote()
    progress, stopped = Progress(), False
    while True:
        ready, _ = ray.wait([running], timeout=_POLL_SECONDS)
        if ready:
            asked = learner.progress.remote()  # with its last messages
        # A learner that waits for resources does not answer.
        if ready or ray.wait([asked], timeout=0)[0]:
            progress = ray.get(asked)
            asked = learner.progress.remote()
        display.show(waiting.add_message(progress))
        if ready:
            return result_of(running)
        if stop.is_set() and not stopped:
            learner.stop.remote()
            stopped = True


# -- At the end -------------------------------------------------------------


def _report(config: Config, result: Result) -> None:
    console = Console(highlight=False)
    if result.finished:
        _draw(config, result, console)
    console.print(f"run     {result.folder}", soft_wrap=True)
    if not result.finished:
        # No figures: the sender of the signal may not wait for them.
        console.print(
            f"saved at {result.frames:,} frames; go on with\n"
            f"{_resume_command(config, result.folder)}\n"
            f"see it with\n  bmg page {result.folder}",
            soft_wrap=True,
        )


def _draw(config: Config, result: Result, console: Console) -> None:
    """Games of the final policy, curve and page."""
    from experiments.viewing import run_page, run_record
    from experiments.viewing.curve import draw_curve

    title = f"{config.algorithm} on {config.task}, seed {config.seed}"
    # The driver need not be able to read a bucket.
    folder = pathlib.Path(result.folder)
    curve = draw_curve(folder, title)
    if result.evaluation:
        returns = [game.episode_return for game in result.evaluation]
        title = f"after {result.frames:,} frames"
        console.print(returns_table(title, returns))
    if curve:
        page = run_page.write(run_record.read(folder), folder / "page.html")
        console.print(f"curve   {curve}\npage    {page}", soft_wrap=True)


def _resume_command(config: Config, folder: str) -> str:
    """The command that goes on with a run."""
    more = user_code.task_flag(config.task)
    return f"  bmg train --config {folder}/config.yaml{more}"
