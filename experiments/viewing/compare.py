"""`bmg compare`: curves of runs in one figure."""

import dataclasses
import os
import pathlib
from typing import Annotated

import tyro
from rich.console import Console

from experiments.viewing import figures, run_record
from learner.config import ConfigError


@dataclasses.dataclass(frozen=True)
class CompareConfig:
    """Which runs, and where to."""

    # Folders of runs of `bmg train`.
    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    # The figure; its ending decides on the format.
    out: str = "compare.png"


def main(arguments: list[str]) -> int:
    """Draws the overlay."""
    options = parse(arguments)
    if len(options.runs) < 2:
        raise ConfigError("name two runs or more: bmg compare RUN RUN …")
    runs = [run_record.read(pathlib.Path(path)) for path in options.runs]
    console = Console(highlight=False)
    for run in runs:
        for note in run.damage:
            console.print(note, soft_wrap=True)
        if not run.games:
            console.print(f"{run.folder}: no game has ended", soft_wrap=True)
    if not any(run.games for run in runs):
        raise ConfigError("no game has ended in any of these runs")
    figure = figures.returns(runs, _names(options.runs))
    try:
        figure.savefig(options.out, dpi=120)
    except ValueError as error:
        raise ConfigError(f"out = {options.out!r}: {error}") from error
    console.print(f"compare {options.out}", soft_wrap=True)
    return 0


def parse(arguments: list[str]) -> CompareConfig:
    """Reads the flags."""
    return tyro.cli(
        CompareConfig,
        args=arguments,
        prog="bmg compare",
        description="Overlays the returns of runs over frames.",
    )


def _names(paths: tuple[str, ...]) -> list[str]:
    """Each path without what all have in common."""
    shared = os.path.commonpath([os.path.abspath(path) for path in paths])
    return [os.path.relpath(path, shared) for path in paths]
