"""Progress on the terminal: a live panel, or plain lines in a file."""

import sys
import time
from collections.abc import Sequence
from typing import Protocol

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from learner.config import Config
from learner.record.counted import counted
from learner.record.progress import Progress

_PLAIN_SECONDS = 10.0


class Display(Protocol):
    """Shows a run's progress again and again."""

    def show(self, progress: Progress) -> None: ...

    def close(self) -> None: ...


def make_display(config: Config) -> Display:
    """A live panel on a terminal, else plain lines."""
    if sys.stdout.isatty():
        return LiveDisplay(config)
    return PlainDisplay(config)


class LiveDisplay:
    """Redraws a panel in place."""

    def __init__(self, config: Config):
        self._config = config
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False)
        self._live.start()
        self._printed = 0

    def show(self, progress: Progress) -> None:
        """Draws the newest state; messages scroll above."""
        for message in progress.messages[self._printed :]:
            self._live.console.print(f"[yellow]{message}[/]")
        self._printed = len(progress.messages)
        self._live.update(_panel(self._config, progress), refresh=True)

    def close(self) -> None:
        """Leaves the last panel on the screen."""
        self._live.stop()


class PlainDisplay:
    """Prints a line every ten seconds, and every change of phase."""

    def __init__(self, config: Config):
        del config
        self._last = 0.0
        self._frames = 0
        self._phase = ""
        self._printed = 0

    def show(self, progress: Progress) -> None:
        """Prints a line if one is due."""
        for message in progress.messages[self._printed :]:
            print(message, flush=True)
        self._printed = len(progress.messages)
        changed = progress.phase != self._phase
        due = time.monotonic() - self._last >= _PLAIN_SECONDS
        advanced = (
            progress.frames > self._frames and progress.frames_per_second > 0
        )
        if advanced and (due or changed):
            print(plain_line(progress), flush=True)
            self._last, self._frames = time.monotonic(), progress.frames
        if changed and progress.phase != "training":
            print(progress.phase, flush=True)
        self._phase = progress.phase

    def close(self) -> None:
        """Nothing to leave."""


def plain_line(progress: Progress) -> str:
    """The state of a run in one line."""
    share = progress.frames / max(progress.budget, 1)
    return (
        f"{progress.frames:>11,} frames ({share:4.0%})  "
        f"{progress.frames_per_second:>8,.0f} frames/s  "
        f"left {time_left(progress):>8}  "
        f"return {_return(progress):>8} "
        f"({counted(progress.episodes, 'episode')})  "
        f"update {progress.updates:,}  lag {progress.lag:.1f}  "
        f"actors {_actors(progress)}"
    )


def time_left(progress: Progress) -> str:
    """Hours, minutes and seconds to the end of the budget at this speed."""
    if not progress.frames_per_second:
        return "-"
    left = max(progress.budget - progress.frames, 0)
    return hours(left / progress.frames_per_second)


def hours(seconds: float) -> str:
    """Hours, minutes and seconds."""
    whole, rest = divmod(int(seconds), 3600)
    return f"{whole}:{rest // 60:02d}:{rest % 60:02d}"


def _actors(progress: Progress) -> str:
    waiting = f"{progress.starting} starting, " if progress.starting else ""
    return f"{progress.actors} ({waiting}{progress.replaced} replaced)"


def _return(progress: Progress) -> str:
    if progress.mean_return is None:
        return "-"
    return f"{progress.mean_return:.2f}"


def _panel(config: Config, progress: Progress) -> Group:
    title = f"{config.algorithm} on {config.task}: {progress.phase}"
    bar = ProgressBar(total=progress.budget, completed=progress.frames)
    # What follows fits into 80 columns, whatever the numbers.
    facts = Table(
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
        show_header=False,
        title=title,
    )
    for _ in range(4):
        facts.add_column(no_wrap=True)
    share = progress.frames / max(progress.budget, 1)
    last = min(progress.episodes, 100)
    facts.add_row(
        "frames",
        f"{progress.frames:,} ({share:.0%})",
        "frames/s",
        f"{progress.frames_per_second:,.0f}",
    )
    facts.add_row(
        "return",
        f"{_return(progress)} (last {last} of {progress.episodes:,})",
        "time left",
        time_left(progress),
    )
    facts.add_row(
        "updates",
        f"{progress.updates:,} ({progress.skipped} skipped)",
        "lag",
        f"{progress.lag:.1f} updates, max {progress.lag_max}",
    )
    facts.add_row(
        "actors",
        _actors(progress),
        "learner waits",
        f"{progress.wait_share:.0%}, ready: {progress.waiting}",
    )
    return Group(facts, bar, _hyperparams(progress))


def _hyperparams(progress: Progress) -> Table:
    table = Table(box=box.SIMPLE)
    if not progress.hyperparams:
        return table
    heads = len(next(iter(progress.hyperparams.values())))
    table.add_column("hyper-parameter")
    for head in range(heads):
        table.add_column(f"head {head}", justify="right")
    for name, values in progress.hyperparams.items():
        table.add_row(name, *(f"{value:.4f}" for value in values))
    return table


def returns_table(title: str, returns: Sequence[float], **more: str) -> Table:
    """Whole games in one row, with further columns by name."""
    row = {
        "games": str(len(returns)),
        "mean return": f"{sum(returns) / len(returns):.2f}",
        "lowest": f"{min(returns):.2f}",
        "highest": f"{max(returns):.2f}",
    } | {name.replace("_", " "): cell for name, cell in more.items()}
    table = Table(title=title)
    for name in row:
        table.add_column(name, justify="right")
    table.add_row(*row.values())
    return table
