"""What a sweep tells: what it would do, how far it is, how it ended."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from experiments.atari57.estimate import Estimate
from experiments.atari57.ledger import Record
from experiments.atari57.study import Planned
from experiments.command.display import hours
from learner.record.counted import counted
from learner.record.progress import Progress


def lines(
    planned: Sequence[Planned],
    records: Mapping[str, Record],
    looks: Mapping[str, Progress],
    waiting: int,
) -> Iterator[str]:
    """The state of a study: one line for all, one for each run that runs."""
    states = [record.state for record in records.values()]
    rate = sum(look.frames_per_second for look in looks.values())
    frames = sum(
        run.config.frames
        for run in planned
        if records[run.name].state == "waiting"
    )
    frames -= sum(look.frames for look in looks.values())
    left = hours(frames / rate) if rate else "-"
    yield (
        f"runs: {states.count('done')} done, {len(looks)} running, {waiting} "
        f"waiting, {states.count('failed')} failed   {rate:,.0f} frames/s   "
        f"left {left}"
    )
    for name, look in looks.items():
        mean = "-" if look.mean_return is None else f"{look.mean_return:,.1f}"
        yield (
            f"  {name:<32} {look.frames:>13,} of {look.budget:,} frames  "
            f"return {mean}  {look.phase}"
        )


def show_plan(
    planned: Sequence[Planned],
    records: Mapping[str, Record],
    needed: Estimate,
    speed: float | None,
) -> None:
    """Lists the runs and what those that are left take."""
    console = Console(highlight=False)
    table = Table()
    for name in ("run", "frames", "state"):
        table.add_column(name, justify="right" if name == "frames" else "left")
    for run in planned:
        state = records[run.name].state
        table.add_row(run.name, f"{run.config.frames:,}", state)
    console.print(table)
    console.print(
        f"{needed.runs} of {counted(len(planned), 'run')} to do, "
        f"{needed.frames:,} "
        f"frames, up to {needed.disk / 2**30:,.1f} GiB on disk"
    )
    if needed.hours is None:
        console.print("hours: not known; give --frames-per-second of one run")
        return
    console.print(
        f"{needed.hours:,.1f} hours one after the other at {speed:,.0f} "
        f"frames/s, {needed.accelerator_hours:,.1f} accelerator-hours"
    )


def show_end(folder: pathlib.Path, records: Mapping[str, Record]) -> int:
    """Tells what failed, and where its log is; 1 if anything did."""
    console = Console(highlight=False)
    failed = {n: r for n, r in records.items() if r.state == "failed"}
    for name, record in failed.items():
        console.print(
            f"failed {name}: {record.error}\n       {folder / name}/error.log",
            soft_wrap=True,
        )
    done = sum(record.state == "done" for record in records.values())
    console.print(
        f"{done} of {counted(len(records), 'run')} done, {len(failed)} failed"
    )
    console.print(f"report  bmg report {folder}", soft_wrap=True)
    return 1 if failed else 0
