"""The command `bmg gridworld`: runs a study, then reports it."""

import datetime
import pathlib
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
from rich.table import Table

from experiments import command_line, processes
from experiments.gridworld.config import GridworldConfig
from experiments.gridworld.presets import PRESETS
from experiments.gridworld.variants import check
from learner import config_file
from learner.config import ConfigError

# What may differ between a study and its continuation: it can grow.
_FREE = (
    *("out", "report_only", "seeds", "lanes", "platform", "devices"),
    *("agent", "method", "context"),
    *("ac.K", "ac.L", "ac.entropy", "ac.outer_entropy", "ac.meta_rate"),
    *("q.L", "q.epsilon", "q.meta_rate"),
)
_LINE_SECONDS = 30.0  # between lines, where there is no terminal


def main(arguments: list[str]) -> int:
    """Runs what is not there yet of a study, writes its table and figures."""
    config = parse(arguments)
    check(config)
    processes.restart_with(
        processes.study_variables(config.platform, config.devices),
        "experiments.main",
    )
    folder = pathlib.Path(config.folder)
    if config.report_only and not (folder / "curves").is_dir():
        raise ConfigError(f"--out {folder}: no study is there to report")
    config_file.claim(
        folder, config, GridworldConfig(), free=_FREE, command="bmg gridworld"
    )
    console = Console()
    if not config.report_only:
        _run(config, console)
    from experiments.gridworld import report

    console.print(_table(report.report(config)))
    console.print(f"study   {folder}", soft_wrap=True)
    return 0


def _run(config: GridworldConfig, console: Console) -> None:
    # JAX reads its environment variables when it is imported.
    from experiments.gridworld import study

    todo, done = study.planned_steps(config)
    with _bar(console) as bar:
        task = bar.add_task("compiling", total=todo, completed=done)
        study.run(config, _teller(bar, task))


def parse(arguments: list[str]) -> GridworldConfig:
    """The preset, then the file, then the flags; later ones win."""
    return command_line.parse(
        arguments,
        PRESETS,
        default="paper",
        command="bmg gridworld",
        what="The two-colour grid world.",
    )


def _teller(bar: Progress, task: TaskID) -> Callable[[int, str], None]:
    """Moves the bar; writes lines instead where nobody sees a bar move."""
    told = time.monotonic()

    def tell(steps: int, what: str) -> None:
        nonlocal told
        bar.update(task, advance=steps, description=what)
        now = time.monotonic()
        if not bar.console.is_terminal and now - told >= _LINE_SECONDS:
            bar.console.print(_line(bar.tasks[task]), soft_wrap=True)
            told = now

    return tell


def _line(task: Task) -> str:
    left = "?"
    if task.time_remaining is not None:
        left = str(datetime.timedelta(seconds=int(task.time_remaining)))
    return (
        f"{task.completed:>15,.0f} steps ({task.percentage:3.0f}%)  "
        f"{task.speed or 0:>9,.0f} steps/s  left {left:>8}  {task.description}"
    )


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} steps"),
        TimeRemainingColumn(),
        console=console,
        # Calls of some variants take longer than rich's half a minute.
        speed_estimate_period=600.0,
    )


def _table(rows) -> Table:
    table = Table(title="return over the whole life, in millions")
    columns = "seeds", "diverged", "mean", "deviation", "95 % interval"
    for column in ("variant", *columns):
        table.add_column(
            column,
            justify="left" if column == "variant" else "right",
            overflow="fold",
        )
    for row in rows:
        table.add_row(
            row.variant.name,
            str(row.seeds),
            str(row.diverged),
            f"{row.mean / 1e6:.3f}",
            f"{row.deviation / 1e6:.3f}",
            f"± {row.interval / 1e6:.3f}",
        )
    return table
