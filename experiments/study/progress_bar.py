"""The bar that a study moves while its runs go on."""

import datetime
import time
from collections.abc import Callable

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

_LINE_SECONDS = 30.0  # between lines, where there is no terminal

# (done since the last call, what is running)
ReportProgress = Callable[[int, str], None]


def study_bar(console: Console, unit: str) -> Progress:
    """A bar that counts `unit`s."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn(f"{{task.completed:,.0f}} {unit}"),
        TimeRemainingColumn(),
        console=console,
        # Calls of some variants take longer than rich's half a minute.
        speed_estimate_period=600.0,
    )


def reporter(bar: Progress, task: TaskID, unit: str) -> ReportProgress:
    """Moves the bar; writes lines instead where nobody sees a bar move."""
    written = time.monotonic()

    def report(done: int, what: str) -> None:
        nonlocal written
        bar.update(task, advance=done, description=what)
        now = time.monotonic()
        if not bar.console.is_terminal and now - written >= _LINE_SECONDS:
            bar.console.print(_line(bar.tasks[task], unit), soft_wrap=True)
            written = now

    return report


def _line(task: Task, unit: str) -> str:
    left = "?"
    if task.time_remaining is not None:
        left = str(datetime.timedelta(seconds=int(task.time_remaining)))
    speed = task.speed or 0.0
    shown = f"{speed:,.0f}" if speed >= 10 else f"{speed:.2g}"
    return (
        f"{task.completed:>15,.0f} {unit} ({task.percentage:3.0f}%)  "
        f"{shown:>9} {unit}/s  left {left:>8}  {task.description}"
    )
