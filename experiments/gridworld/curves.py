"""A seed's curve: its columns, and its file."""

import pathlib
from typing import NamedTuple

import numpy as np

from experiments.study import csv_file, files
from experiments.study.csv_file import COUNT, Column

_COLUMNS = (
    Column("step", COUNT, "environment steps"),
    Column("reward", unit="per step"),
    Column("hyperparam"),
)


class Curve(NamedTuple):
    """One seed of one variant, row by row."""

    step: np.ndarray  # [N] steps taken by the end of the row
    reward: np.ndarray  # [N] mean per step over the row
    hyperparam: np.ndarray  # [N] mean entropy weight or epsilon over the row

    @property
    def returns(self) -> np.ndarray:
        """The sum of all rewards so far, `[N]`."""
        return np.cumsum(self.reward * np.diff(self.step, prepend=0))


def path(folder: pathlib.Path, variant: str, seed: int) -> pathlib.Path:
    """Of one seed's curve."""
    return files.seed_path(folder, "curves", variant, seed)


def write(at: pathlib.Path, curve: Curve) -> None:
    """In one step: a curve is there whole or not at all."""
    csv_file.write(at, _COLUMNS, curve)


def read(at: pathlib.Path) -> Curve:
    """What `write` wrote, also an older version's."""
    return Curve(*csv_file.read(at, _COLUMNS))
