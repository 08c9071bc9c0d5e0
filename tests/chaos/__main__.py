"""`make chaos`: each fault in a real run, and what came of it.

python -m tests.chaos --rounds 3 --out docs/results/reliability
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

from tests.chaos.faults import FAULTS, Fault
from tests.chaos.hosts import HostsTraining
from tests.chaos.scenario import finish, undergo
from tests.chaos.training import SMALL, FailedError, Training


@dataclasses.dataclass(frozen=True)
class ChaosConfig:
    """Which faults, and how often."""

    # Times that each fault is made.
    rounds: int = 3
    # Only faults whose name holds this.
    only: str = ""
    # Folder of faults.csv.
    out: str = "runs/chaos"


class Outcome(NamedTuple):
    """What came of one fault."""

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
            outcomes.append(_try(fault, number))
            console.print(_line(outcomes[-1]), soft_wrap=True)
            _write(pathlib.Path(config.out), outcomes)
    console.print(_table(outcomes))
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _try(fault: Fault, number: int) -> Outcome:
    if (fault.room or fault.hosts) and os.geteuid():
        note = "not run: only root may mount file systems and make hosts"
        return Outcome(fault.name, number, False, 0.0, 0, note)
    kind = HostsTraining if fault.hosts else Training
    with tempfile.TemporaryDirectory() as place:
        logs, disk = pathlib.Path(place), pathlib.Path(place, "disk")
        disk.mkdir()
        if fault.room:
            _mount(disk, fault.room)
        training = kind(disk / "run", (*SMALL, *fault.flags), logs)
        try:
            seconds, lost = _hurt(fault, training)
            return Outcome(fault.name, number, True, seconds, lost, "")
        except FailedError as error:
            note = str(error)
            return Outcome(fault.name, number, False, 0.0, 0, note)
        finally:
            training.end()
            if fault.room:
                subprocess.run(["umount", "-l", disk], check=False)


def _hurt(fault: Fault, training: Training) -> tuple[float, int]:
    """Seconds to recover, and frames that were learned and are lost."""
    training.start()
    training.until(training.checkpoints, 120, "a checkpoint")
    seconds, lost = undergo(fault, training)
    finish(training)
    return seconds, lost


def _mount(place: pathlib.Path, room: int) -> None:
    options = f"size={room}m"
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    subprocess.run(command, check=True)


def _write(folder: pathlib.Path, outcomes: list[Outcome]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "faults.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Outcome._fields)
        writer.writerows(o._replace(note=_last(o.note)) for o in outcomes)


def _last(note: str) -> str:
    return (note.strip().splitlines() or [""])[-1][:200]


def _line(outcome: Outcome) -> str:
    how = "held" if outcome.passed else f"FAILED {outcome.note}"
    return (
        f"round {outcome.round}  {outcome.fault:36} {how}  "
        f"{outcome.recovery_seconds:.1f} s, {outcome.frames_lost:,} frames lost"
    )


def _table(outcomes: list[Outcome]) -> Table:
    table = Table(title="faults")
    for name in ("fault", "held", "slowest recovery, s", "most frames lost"):
        table.add_column(name, justify="left" if name == "fault" else "right")
    for name in dict.fromkeys(outcome.fault for outcome in outcomes):
        of = [outcome for outcome in outcomes if outcome.fault == name]
        table.add_row(
            name,
            f"{sum(o.passed for o in of)} of {len(of)}",
            f"{max(o.recovery_seconds for o in of):.1f}",
            f"{max(o.frames_lost for o in of):,}",
        )
    return table


if __name__ == "__main__":
    sys.exit(main())
