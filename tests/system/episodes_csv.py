"""The file of a run's training games."""

import csv
import pathlib
from collections.abc import Callable
from typing import Any


def read_column(
    folder: pathlib.Path, name: str, parse: Callable[[str], Any] = float
) -> list[Any]:
    """One column of the run's `episodes.csv`."""
    with (folder / "episodes.csv").open() as file:
        return [parse(row[name]) for row in csv.DictReader(file)]
