"""`bmg sweep`: a study's runs on a Ray cluster, interrupted at will."""

import dataclasses
import pathlib
import threading
import time
from collections.abc import Mapping, Sequence

import ray
import tyro
from rich.console import Console

from experiments.atari57 import ledger, scheduler, status
from experiments.atari57.build import build_run, check_fits
from experiments.atari57.config import SweepConfig
from experiments.atari57.estimate import (
    check_disk,
    estimate,
    measured_speed,
)
from experiments.atari57.ledger import Entry
from experiments.atari57.run import record_end
from experiments.atari57.scheduler import QueuedRun, RunHandle
from experiments.atari57.variants import STUDIES, Run, expand, find
from experiments.cluster import connection, learner_actor
from experiments.command.signals import stop_on_signals
from learner.config import ConfigError
from learner.record.counted import counted
from learner.record.lock import Lock

_STATUS_SECONDS = 10.0


def main(arguments: list[str]) -> int:
    """Runs what is left of a study; 1 if runs failed, 130 if it was stopped."""
    config = parse(arguments)
    folder, runs = _plan(config)
    entries = {run.name: ledger.read(folder / run.name) for run in runs}
    todo = [r for r in runs if _is_todo(entries[r.name], config.retries)]
    if config.dry_run:
        # All metrics of the study are read: only where they are asked for.
        speed = config.frames_per_second or measured_speed(runs)
        status.show_plan(runs, entries, estimate(todo, speed), speed)
        return 0
    check_disk(estimate(todo, None).disk, folder)
    if todo:
        sweep = Sweep(runs, entries, config.retries)
        if _run_on_cluster(sweep, todo, folder, config.address):
            return 130
    return status.show_end(folder, entries)


def parse(arguments: list[str]) -> SweepConfig:
    """Reads the flags."""
    return tyro.cli(
        SweepConfig,
        args=arguments,
        prog="bmg sweep",
        description=(
            f"Runs a study ({', '.join(STUDIES)}, or a file) on a Ray cluster. "
            "Killed and started again it goes on."
        ),
    )


def _plan(config: SweepConfig) -> tuple[pathlib.Path, list[Run]]:
    """The study's folder, and all its runs."""
    study = find(config.study)
    if config.retries < 0 or config.seeds < 0:
        raise ConfigError("--retries and --seeds must be 0 or more")
    if config.games:
        study = dataclasses.replace(study, games=config.games)
    if config.seeds:
        study = dataclasses.replace(study, seeds=config.seeds)
    name = pathlib.Path(config.study).stem
    folder = pathlib.Path(config.out or f"runs/{name}")
    return folder, expand(study, folder)


def _is_todo(entry: Entry, retries: int) -> bool:
    return entry.state != "done" and entry.failures <= retries


class Sweep:
    """The state of a study while it runs.

    Args:
      runs: all of the study.
      entries: the ledger, by the runs' names; kept up to date.
      retries: times that a run which failed is tried again.
    """

    def __init__(
        self, runs: Sequence[Run], entries: dict[str, Entry], retries: int
    ):
        self._runs = {run.name: run for run in runs}
        self._entries = entries
        self._retries = retries
        self._stop = threading.Event()
        self._console = Console(highlight=False)
        self._status_time = 0.0

    def run(self, todo: Sequence[Run]) -> bool:
        """Works through `todo`; whether it was stopped before the end."""
        stop_on_signals(self._stop)
        scheduler.run(
            [build_run(run, self._print) for run in todo],
            on_end=self._on_end,
            on_poll=self._on_poll,
            stopping=self._stop.is_set,
        )
        return self._stop.is_set()

    def _on_end(self, queued: QueuedRun, ended: ray.ObjectRef) -> bool:
        """Updates the ledger; whether the run is to be tried again."""
        name = queued.name
        before = self._entries[name]
        after = record_end(self._runs[name], before, ended, self._retries)
        self._entries[name] = after
        if after.state == "done":
            self._print(f"done   {name}")
        if after.failures == before.failures:
            return False
        times = counted(after.failures, "time")
        self._print(f"failed {name} ({times}): {after.error}")
        return after.state == "waiting"

    def _on_poll(self, active: Mapping[str, RunHandle], waiting: int) -> None:
        progress = {
            name: handle.latest_progress()  # type: ignore[attr-defined]
            for name, handle in active.items()
        }
        if time.monotonic() - self._status_time < _STATUS_SECONDS:
            return
        self._status_time = time.monotonic()
        runs = list(self._runs.values())
        for line in status.lines(runs, self._entries, progress, waiting):
            self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)


def _run_on_cluster(
    sweep: Sweep, todo: Sequence[Run], folder: pathlib.Path, address: str
) -> bool:
    """Locks the study's folder, joins a cluster or starts one, runs what is to
    do; whether it was stopped before the end."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = Lock(folder, "the study")
    connection.connect(
        address,
        # As many as this machine's cores could run at a time.
        4 * learner_actor.object_store_bytes(todo[0].config),
    )
    try:
        check_fits(todo, ray.cluster_resources())
        return sweep.run(todo)
    finally:
        ray.shutdown()
        lock.close()
