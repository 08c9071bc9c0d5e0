"""What a sweep prints: what it would do, how far it is, how it ended."""

import pathlib
from collections.abc import Iterator, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from experiments.atari57.estimate import Estimate
from experiments.atari57.ledger import Entry
from experiments.atari57.variants import Run
from experiments.command.display import hours
from learner.record.counted import counted
from learner.record.progress import Progress


def lines(
    runs: Sequence[Run],
    entries: Mapping[str, Entry],
    progress: Mapping[str, Progress],
    waiting: int,
) -> Iterator[str]:
    """The state of a study: one line for all, one for each active run.

    Args:
      runs: all of the study.
      entries: the ledger, by the runs' names.
      progress: of active runs, by their names.
      waiting: how many wait.
    """
    states = [entry.state for entry in entries.values()]
    rate = sum(each.frames_per_second for each in progress.values())
    frames = sum(
        run.config.frames
        for run in runs
        if entries[run.name].state == "waiting"
    )
    frames -= sum(each.frames for each in progress.values())
    remaining = hours(frames / rate) if rate else "-"
    yield (
        f"runs: {states.count('done')} done, {len(progress)} running, "
        f"{waiting} waiting, {states.count('failed')} failed   "
        f"{rate:,.0f} frames/s   left {remaining}"
    )
    for name, each in progress.items():
        mean = "-" if each.mean_return is None else f"{each.mean_return:,.1f}"
        yield (
            f"  {name:<32} {each.frames:>13,} of {each.budget:,} frames  "
            f"return {mean}  {each.phase}"
        )


def show_plan(
    runs: Sequence[Run],
    entries: Mapping[str, Entry],
    needed: Estimate,
    speed: float | None,
) -> None:
    """Lists the runs and what those that are left take."""
    console = Console(highlight=False)
    table = Table()
    for name in ("run", "frames", "state"):
        table.add_column(name, justify="right" if name == "frames" else "left")
    for run in runs:
        state = entries[run.name].state
        table.add_row(run.name, f"{run.config.frames:,}", state)
    console.print(table)
    console.print(
        f"{needed.runs} of {counted(len(runs), 'run')} to do, "
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


def show_end(folder: pathlib.Path, entries: Mapping[str, Entry]) -> int:
    """Prints what failed, and where its log is; 1 if anything did."""
    console = Console(highlight=False)
    failed = {n: e for n, e in entries.items() if e.state == "failed"}
    for name, entry in failed.items():
        console.print(
            f"failed {name}: {entry.error}\n       {folder / name}/error.log",
            soft_wrap=True,
        )
    done = sum(entry.state == "done" for entry in entries.values())
    console.print(
        f"{done} of {counted(len(entries), 'run')} done, {len(failed)} failed"
    )
    console.print(f"report  bmg report {folder}", soft_wrap=True)
    return 1 if failed else 0
