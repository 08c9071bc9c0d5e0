"""`bmg runs`: which runs there are, and how they go."""

import dataclasses
import pathlib
from typing import Annotated

import tyro
from rich import box
from rich.console import Console
from rich.table import Table

from experiments.viewing import run_record
from experiments.viewing.run_record import RunRecord
from learner.config import ConfigError


@dataclasses.dataclass(frozen=True)
class RunsConfig:
    """Where to look."""

    # Folder that holds runs, at any depth.
    folder: Annotated[str, tyro.conf.Positional] = "runs"


def main(arguments: list[str]) -> int:
    """Prints a table with a row per run."""
    options = parse(arguments)
    folder = pathlib.Path(options.folder)
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder")
    console = Console(highlight=False)
    paths = run_record.find(folder)
    if not paths:
        raise ConfigError(f"no run below {folder}; bmg train makes one")
    table, notes = _table(folder), []
    for path in paths:
        try:
            run = run_record.read(path)
        except (ConfigError, OSError) as error:
            notes.append(f"left out: {error}")
            continue
        notes += run.damage
        table.add_row(str(path.relative_to(folder)), *_cells(run))
    console.print(table)
    for note in notes:
        console.print(note, soft_wrap=True)
    return 0


def parse(arguments: list[str]) -> RunsConfig:
    """Reads the flags."""
    return tyro.cli(
        RunsConfig,
        args=arguments,
        prog="bmg runs",
        description=(
            "Lists the runs below a folder: state, frames, return of the last "
            "100 games, share of human, speed."
        ),
    )


def _table(folder: pathlib.Path) -> Table:
    table = Table(
        title=str(folder.resolve()),
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    # What may be folded where columns are few, but not to nothing.
    table.add_column("run", overflow="fold", min_width=12)
    table.add_column("task, algorithm", overflow="fold", min_width=12)
    table.add_column("state", no_wrap=True)
    for name in ("frames", "of all", "return", "human", "frames/s"):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _cells(run: RunRecord) -> list[str]:
    return [
        f"{run.config.task} {run.config.algorithm}",
        run.state,
        f"{run.frames:,}",
        f"{run.frames / run.config.frames:.0%}",
        _number(run.mean_return, ".2f"),
        _number(run.of_human, ".1%"),
        _number(run.speed, ",.0f"),
    ]


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
