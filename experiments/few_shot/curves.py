"""A seed's curve and its final test: their columns, and their files."""

import pathlib
from typing import NamedTuple

import numpy as np

from experiments.study import csv_file, files
from experiments.study.csv_file import COUNT, Column

_COLUMNS = (
    Column("step", COUNT, "meta-batches"),
    Column("seconds", ".3f", "s"),
    Column("cpu_seconds", ".3f", "s"),
    Column("loss"),
    Column("score"),
)


class Curve(NamedTuple):
    """One seed of one variant, row by row."""

    step: np.ndarray  # [N] meta-batches by the end of the row
    seconds: np.ndarray  # [N] spent on them, without tests and compilation
    cpu_seconds: np.ndarray  # [N] of this process's cores, for the same
    loss: np.ndarray  # [N] mean over the row of what the meta-step descends
    score: np.ndarray  # [N] mean over the validation tasks


def path(folder: pathlib.Path, variant: str, seed: int) -> pathlib.Path:
    """Of one seed's curve."""
    return files.seed_path(folder, "curves", variant, seed)


def test_path(folder: pathlib.Path, variant: str, seed: int) -> pathlib.Path:
    """Of one seed's scores on the test tasks; it is written last."""
    return files.seed_path(folder, "tests", variant, seed)


def write(at: pathlib.Path, curve: Curve) -> None:
    """In one step: a curve is there whole or not at all."""
    csv_file.write(at, _COLUMNS, curve)


def read(at: pathlib.Path) -> Curve:
    """What `write` wrote, also an older version's."""
    return Curve(*csv_file.read(at, _COLUMNS))


def write_test(at: pathlib.Path, scores: np.ndarray) -> None:
    """Scores `[tasks, 1 + updates]`, before the first update and after each."""
    columns = [Column(f"after_{update}") for update in range(scores.shape[1])]
    csv_file.write(at, columns, scores.T)


def read_test(at: pathlib.Path) -> np.ndarray:
    """What `write_test` wrote, `[tasks, 1 + updates]`."""
    return np.stack(list(csv_file.read_all(at).values()), axis=1)
