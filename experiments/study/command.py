"""The command of a study: runs what is not there yet, then reports it."""

import contextlib
import pathlib
from collections.abc import Callable, Collection, Sequence
from typing import Generic, NamedTuple, Protocol, TypeVar

from rich.console import Console
from rich.table import Table

from experiments.cluster import processes
from experiments.study.progress_bar import (
    ReportProgress,
    reporter,
    study_bar,
)
from learner.config import ConfigError
from learner.record import config_file
from learner.record.lock import Lock

# What may differ between any study and its continuation.
_FREE = ("out", "report_only", "seeds", "platform", "devices")


class StudyConfig(Protocol):
    """What the configuration of every study has."""

    @property
    def report_only(self) -> bool:
        """Run nothing."""

    @property
    def platform(self) -> str:
        """`cpu`, `gpu` or `tpu`."""

    @property
    def devices(self) -> int:
        """Virtual devices on CPUs; 0 makes one per core."""

    @property
    def study_folder(self) -> pathlib.Path:
        """Where its files lie."""


C = TypeVar("C", bound=StudyConfig)


class Work(NamedTuple):
    """A study that is ready to run.

    progress: `() -> (planned, done)`, by what is on disk.
    run: runs what is not done.
    """

    progress: Callable[[], tuple[int, int]]
    run: Callable[[ReportProgress], None]


class Report(NamedTuple):
    """What the command ends with."""

    table: Table
    notes: Sequence[str] = ()


class Study(NamedTuple, Generic[C]):
    """What a study adds to its command."""

    command: str  # as it is typed
    default: C  # for fields that an older file lacks
    free: Collection[str]  # further fields that may differ: it can grow
    unit: str  # of progress
    check: Callable[[C], None]  # raises ConfigError for what cannot run
    # Both import JAX or matplotlib, only when they are called. The first raises
    # ConfigError for data that are missing, before a folder is made.
    prepare: Callable[[C], Work]
    report: Callable[[C], Report]


def run(study: Study[C], config: C) -> int:
    """Runs what is not there yet of a study, writes its table and figures.

    Returns:
      The exit code.

    Raises:
      ConfigError: for what cannot run, or a folder of another study.
      RunError: where another process writes the folder.
    """
    study.check(config)
    # JAX reads its environment variables when it is imported.
    processes.restart_with(
        processes.study_variables(config.platform, config.devices),
        "experiments.command.main",
    )
    folder = config.study_folder
    if config.report_only and not (folder / "curves").is_dir():
        raise ConfigError(f"--out {folder}: no study is there to report")
    console = Console()
    if config.report_only:
        claim(study, config)
    else:
        _run(study, config, console)
    table, notes = study.report(config)
    console.print(table)
    for line in (*notes, f"study   {folder}"):
        console.print(line, soft_wrap=True)
    return 0


def _run(study: Study[C], config: C, console: Console) -> None:
    work = study.prepare(config)
    claim(study, config)
    with (
        contextlib.closing(Lock(config.study_folder, "the study")),
        study_bar(console, study.unit) as bar,
    ):
        planned, done = work.progress()
        task = bar.add_task("compiling", total=planned, completed=done)
        work.run(reporter(bar, task, study.unit))


def claim(study: Study[C], config: C) -> None:
    """Makes the folder of a study, or refuses one that holds another."""
    config_file.claim(
        config.study_folder,
        config,
        study.default,
        free=(*_FREE, *study.free),
        command=study.command,
    )
