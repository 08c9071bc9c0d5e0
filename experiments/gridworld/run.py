"""The command `bmg gridworld`: runs a study, then reports it."""

import math
import pathlib

from rich.console import Console
from rich.table import Table

from experiments.cluster import processes
from experiments.command import command_line
from experiments.gridworld.config import GridworldConfig
from experiments.gridworld.presets import PRESETS
from experiments.gridworld.variants import check
from experiments.study.progress_bar import study_bar, teller
from learner.config import ConfigError
from learner.record import config_file

# What may differ between a study and its continuation: it can grow.
_FREE = (
    *("out", "report_only", "seeds", "lanes", "platform", "devices"),
    *("agent", "method", "context"),
    *("ac.K", "ac.L", "ac.entropy", "ac.outer_entropy", "ac.meta_rate"),
    *("q.L", "q.epsilon", "q.meta_rate"),
)


def main(arguments: list[str]) -> int:
    """Runs what is not there yet of a study, writes its table and figures."""
    config = parse(arguments)
    check(config)
    processes.restart_with(
        processes.study_variables(config.platform, config.devices),
        "experiments.command.main",
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
    with study_bar(console, "steps") as bar:
        task = bar.add_task("compiling", total=todo, completed=done)
        study.run(config, teller(bar, task, "steps"))


def parse(arguments: list[str]) -> GridworldConfig:
    """The preset, then the file, then the flags; later ones win."""
    return command_line.parse(
        arguments,
        PRESETS,
        default="paper",
        command="bmg gridworld",
        what="The two-colour grid world.",
    )


def _table(rows) -> Table:
    table = Table(title="return over the whole lifetime, in millions")
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
            _millions(row.mean),
            _millions(row.deviation),
            _millions(row.interval, "± "),
        )
    return table


def _millions(value: float, sign: str = "") -> str:
    """One seed has no deviation."""
    return "" if math.isnan(value) else f"{sign}{value / 1e6:.3f}"
