"""The command `bmg gridworld`: runs a study, then reports it."""

import pathlib

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

from experiments import command_line, processes
from experiments.gridworld.config import (
    PRESETS,
    GridworldConfig,
    check,
)
from learner import config_file

# What may differ between a study and its continuation.
_FREE = ("out", "seeds", "lanes", "platform", "devices")


def main(arguments: list[str]) -> int:
    """Runs what is not there yet of a study, writes its table and figures."""
    config = parse(arguments)
    check(config)
    processes.restart_with(
        processes.study_variables(config.platform, config.devices),
        "experiments.main",
    )
    folder = pathlib.Path(config.folder)
    config_file.claim(
        folder, config, GridworldConfig(), free=_FREE, command="bmg gridworld"
    )
    # JAX reads its environment variables when it is imported.
    from experiments.gridworld import report, study

    console = Console()
    todo, done = study.planned_steps(config)
    with _bar(console) as bar:
        task = bar.add_task("compiling", total=todo, completed=done)

        def tell(steps: int, what: str) -> None:
            bar.update(task, advance=steps, description=what)

        study.run(config, tell)
    rows = report.report(config)
    console.print(_table(rows))
    console.print(f"study   {folder}", soft_wrap=True)
    return 0


def parse(arguments: list[str]) -> GridworldConfig:
    """The preset, then the file, then the flags; later ones win."""
    return command_line.parse(
        arguments,
        PRESETS,
        default="paper",
        command="bmg gridworld",
        what="The two-colour grid world.",
    )


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.completed:,.0f} steps"),
        TimeRemainingColumn(),
        console=console,
    )


def _table(rows) -> Table:
    table = Table(title="return over the whole life, in millions")
    for column in ("variant", "seeds", "mean", "deviation", "95 % interval"):
        table.add_column(
            column, justify="left" if column == "variant" else "right"
        )
    for row in rows:
        table.add_row(
            row.variant.name,
            str(row.seeds),
            f"{row.mean / 1e6:.3f}",
            f"{row.deviation / 1e6:.3f}",
            f"± {row.interval / 1e6:.3f}",
        )
    return table
