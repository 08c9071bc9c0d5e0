"""Chaos tests: each fault in a real `bmg train`, and how it recovers.

    python -m tests.chaos --rounds 3 --out docs/results/reliability
    python -m tests.chaos --rounds 1 --only "actor killed"

Every fault of `faults.py` is made in a small run of its own that trains and
has a checkpoint. The run must then learn on, or end with a message and learn
on when it is started again; count every frame once; leave no half-written line
and no process. Faults of disks mount file systems, those of networks make
hosts of network namespaces: both need root, and are not run without.

Beside it:

    python -m tests.chaos.random_faults    many faults in one run, half an hour
    python -m tests.chaos.soak             memory and files of an hour's run

How it works: `training.py` starts and watches the run (`cluster.py`: over
three hosts), `injections.py` does things to it, some of them from inside
(`patches/`), `recovery.py` says when it has recovered, `scenario.py` puts them
together. `chaos_test.py` and `soak_test.py` test this harness itself.
"""

import csv
import dataclasses
import os
import pathlib
import subprocess
import sys
import tempfile
from typing import NamedTuple

import tyro
from rich.console import Console
from rich.table import Table

from tests.chaos import scenario
from tests.chaos.cluster import ClusterTraining
from tests.chaos.faults import FAULTS, Fault
from tests.chaos.training import SMALL_RUN, FailedError, Training


@dataclasses.dataclass(frozen=True)
class ChaosConfig:
    """Which faults, and how often."""

    # Times that each fault is made.
    rounds: int = 3
    # Only faults whose name contains this.
    only: str = ""
    # Folder of faults.csv.
    out: str = "runs/chaos"


class Outcome(NamedTuple):
    """What came of one fault; a row of faults.csv."""

    fault: str
    round: int
    passed: bool
    recovery_seconds: float  # from the fault, or the new start, to learning
    frames_lost: int
    note: str


def main() -> int:
    """Makes the faults one after another; 1 if something did not hold."""
    config = tyro.cli(ChaosConfig, prog="python -m tests.chaos")
    console = Console(highlight=False)
    chosen = [fault for fault in FAULTS if config.only in fault.name]
    outcomes = []
    for number in range(1, config.rounds + 1):
        for fault in chosen:
            outcomes.append(_outcome(fault, number))
            console.print(_line(outcomes[-1]), soft_wrap=True)
            _write(pathlib.Path(config.out), outcomes)
    console.print(_table(outcomes))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _outcome(fault: Fault, number: int) -> Outcome:
    if fault.needs_root and os.geteuid():
        note = "not run: only root may mount file systems and make hosts"
        return Outcome(fault.name, number, False, 0.0, 0, note)
    make_training = ClusterTraining if fault.cluster else Training
    with tempfile.TemporaryDirectory() as folder:
        logs, disk = pathlib.Path(folder), pathlib.Path(folder, "disk")
        disk.mkdir()
        if fault.disk_mib:
            _mount(disk, fault.disk_mib)
        flags = (*SMALL_RUN, *fault.flags)
        training = make_training(disk / "run", flags, logs)
        try:
            seconds, lost = _run(fault, training)
            return Outcome(fault.name, number, True, seconds, lost, "")
        except FailedError as error:
            note = str(error)
            return Outcome(fault.name, number, False, 0.0, 0, note)
        finally:
            training.kill_all()
            if fault.disk_mib:
                subprocess.run(["umount", "-l", disk], check=False)


def _run(fault: Fault, training: Training) -> tuple[float, int]:
    """Seconds to recover, and frames that were learned from and are lost."""
    training.start()
    training.wait_until(training.checkpoints, 120, "a checkpoint")
    seconds, lost = scenario.run(fault, training)
    scenario.finish(training)
    return seconds, lost


def _mount(folder: pathlib.Path, mib: int) -> None:
    options = f"size={mib}m"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    subprocess.run(command, check=True)


def _write(folder: pathlib.Path, outcomes: list[Outcome]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "faults.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Outcome._fields)
        writer.writerows(o._replace(note=_last_line(o.note)) for o in outcomes)


def _last_line(note: str) -> str:
    return (note.strip().splitlines() or [""])[-1][:200]


def _line(outcome: Outcome) -> str:
    result = "passed" if outcome.passed else f"FAILED {outcome.note}"
    return (
        f"round {outcome.round}  {outcome.fault:36} {result}  "
        f"{outcome.recovery_seconds:.1f} s, {outcome.frames_lost:,} frames lost"
    )


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(title="faults")
    columns = "fault", "passed", "slowest recovery, s", "most frames lost"
    for name in columns:
        table.add_column(name, justify="left" if name == "fault" else "right")
    for name in dict.fromkeys(outcome.fault for outcome in outcomes):
        rounds = [outcome for outcome in outcomes if outcome.fault == name]
        table.add_row(
            name,
            f"{sum(o.passed for o in rounds)} of {len(rounds)}",
            f"{max(o.recovery_seconds for o in rounds):.1f}",
            f"{max(o.frames_lost for o in rounds):,}",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
