"""`bmg sweep`: a study's runs on a Ray cluster, interrupted at will."""

import dataclasses
import pathlib
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import ray
import tyro
from rich.console import Console

from experiments.atari57 import ledger, scheduler, status
from experiments.atari57.estimate import (
    check_disk,
    estimate,
    measured_speed,
)
from experiments.atari57.ledger import Record
from experiments.atari57.scheduler import Job, Launched
from experiments.atari57.study import STUDIES, Planned, expand, find
from experiments.cluster import connection, learner_actor
from experiments.command.signals import stop_on_signals
from learner.config import ConfigError
from learner.record.counted import counted
from learner.record.lock import Lock
from learner.record.progress import Progress

_TELL_SECONDS = 10.0


@dataclasses.dataclass(frozen=True)
class SweepConfig:
    """Which study, where, and how it is run."""

    # atari57, ablation, pacman-L, smoke, or a .yaml file of the same fields:
    # games, seeds, base (a preset), variants.
    study: str = "smoke"
    # The study's folder; runs/STUDY if empty. Go on with the same one.
    out: str = ""
    # Ray cluster to join: auto, or an address; a local one is started if empty.
    address: str = ""
    # Only these games of the study; all if none.
    games: tuple[str, ...] = ()
    # Only so many seeds; 0 for the study's.
    seeds: int = 0
    # Times that a run which failed is tried again.
    retries: int = 2
    # List the runs and what they take; run nothing.
    dry_run: bool = False
    # Of one run, for the estimate; 0 takes what the study's runs measured.
    frames_per_second: float = 0.0


def main(arguments: list[str]) -> int:
    """Runs what is left of a study; 1 if runs failed, 130 if it was stopped."""
    options = parse(arguments)
    folder, planned = _plan(options)
    records = {run.name: ledger.read(folder / run.name) for run in planned}
    left = [r for r in planned if _left(records[r.name], options.retries)]
    if options.dry_run:
        # All metrics of the study are read: only where they are asked for.
        speed = options.frames_per_second or measured_speed(planned)
        status.show_plan(planned, records, estimate(left, speed), speed)
        return 0
    check_disk(estimate(left, None).disk, folder)
    if left:
        folder.mkdir(parents=True, exist_ok=True)
        lock = Lock(folder, "the study")
        connection.connect(
            options.address,
            # As many as this machine's cores could run at a time.
            4 * learner_actor.object_store_bytes(left[0].config),
        )
        try:
            _check_room(left)
            stopped = Sweep(folder, planned, records, options.retries).run(left)
        finally:
            ray.shutdown()
            lock.close()
        if stopped:
            return 130
    return status.show_end(folder, records)


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


def _plan(options: SweepConfig) -> tuple[pathlib.Path, list[Planned]]:
    study = find(options.study)
    if options.retries < 0 or options.seeds < 0:
        raise ConfigError("--retries and --seeds must be 0 or more")
    if options.games:
        study = dataclasses.replace(study, games=options.games)
    if options.seeds:
        study = dataclasses.replace(study, seeds=options.seeds)
    name = pathlib.Path(options.study).stem
    folder = pathlib.Path(options.out or f"runs/{name}")
    return folder, expand(study, folder)


def _left(record: Record, retries: int) -> bool:
    return record.state != "done" and record.failures <= retries


def _check_room(left: Sequence[Planned]) -> None:
    """No run may need more than the whole cluster has."""
    there = ray.cluster_resources()
    for run in left:
        for name in ("CPU", "GPU"):
            needed = sum(
                b.get(name, 0) for b in learner_actor.bundles(run.config)
            )
            if needed > there.get(name, 0):
                raise ConfigError(
                    f"{run.name} needs {needed:g} {name}s, the cluster has "
                    f"{there.get(name, 0):g}"
                )


@dataclasses.dataclass
class _Learner:
    """A run's learner, as the scheduler knows it."""

    actor: Any
    ended: ray.ObjectRef
    asked: ray.ObjectRef
    progress: Progress = dataclasses.field(default_factory=Progress)

    def stop(self) -> None:
        self.actor.stop.remote()

    def look(self) -> Progress:
        """The newest progress that has arrived; never waits."""
        ready, _ = ray.wait([self.asked], timeout=0)
        if ready:
            try:
                self.progress = ray.get(self.asked)
                self.asked = self.actor.progress.remote()
            except ray.exceptions.RayError:
                pass  # Its end is told by `ended`.
        return self.progress


class Sweep:
    """The state of a study while it runs."""

    def __init__(
        self,
        folder: pathlib.Path,
        planned: Sequence[Planned],
        records: dict[str, Record],  # kept up to date
        retries: int,
    ):
        self._folder = folder
        self._runs = {run.name: run for run in planned}
        self._records = records
        self._retries = retries
        self._stop = threading.Event()
        self._console = Console(highlight=False)
        self._told = 0.0

    def run(self, left: Sequence[Planned]) -> bool:
        """Works through what is left; whether it was stopped before the end."""
        stop_on_signals(self._stop)
        scheduler.run(
            [self._job(run) for run in left],
            ended=self._ended,
            show=self._show,
            stopping=self._stop.is_set,
        )
        return self._stop.is_set()

    def _job(self, run: Planned) -> Job:
        def launch(place: Any) -> Launched:
            folder = self._folder / run.name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "variant").write_text(run.variant + "\n")
            actor = learner_actor.start_learner(run.config, place)
            nodes = scheduler.placement(place, run.config.learner.hosts)
            self._say(f"start  {run.name}{nodes and f'  {nodes}'}")
            return _Learner(actor, actor.run.remote(), actor.progress.remote())

        return Job(run.name, learner_actor.bundles(run.config), launch)

    def _ended(self, job: Job, ref: ray.ObjectRef) -> bool:
        folder = self._folder / job.name
        try:
            result = learner_actor.result_of(ref)
        except Exception as error:
            return self._failed(job, folder, error)
        if result.finished:
            self._write(job, self._records[job.name]._replace(state="done"))
            self._say(f"done   {job.name}")
        return False

    def _failed(self, job: Job, folder: pathlib.Path, error: Exception) -> bool:
        """Notes the failure; whether the run is to be tried again."""
        with (folder / "error.log").open("a") as log:
            log.write("".join(traceback.format_exception(error)) + "\n")
        failures = self._records[job.name].failures + 1
        # A configuration that is refused will be refused again.
        again = failures <= self._retries and not isinstance(error, ConfigError)
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        state: ledger.State = "waiting" if again else "failed"
        self._write(job, Record(state, failures, reason))
        self._say(f"failed {job.name} ({counted(failures, 'time')}): {reason}")
        return again

    def _write(self, job: Job, record: Record) -> None:
        self._records[job.name] = record
        ledger.write(self._folder / job.name, record)

    def _say(self, line: str) -> None:
        self._console.print(line, soft_wrap=True)

    def _show(self, running: Mapping[str, Launched], waiting: int) -> None:
        looks = {name: run.look() for name, run in running.items()}  # type: ignore[attr-defined]
        if time.monotonic() - self._told < _TELL_SECONDS:
            return
        self._told = time.monotonic()
        runs = list(self._runs.values())
        for line in status.lines(runs, self._records, looks, waiting):
            self._say(line)
