"""The study's files: per variant and seed a curve, and the final test."""

import csv
import gzip
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Curve(NamedTuple):
    """One seed of one variant, row by row."""

    step: np.ndarray  # [N] meta-batches by the end of the row
    seconds: np.ndarray  # [N] spent on them, without tests and compilation
    cpu_seconds: np.ndarray  # [N] of this process's cores, for the same
    loss: np.ndarray  # [N] mean over the row of what the meta-step descends
    score: np.ndarray  # [N] mean over the validation tasks


def path(folder: pathlib.Path, variant: str, seed: int) -> pathlib.Path:
    """Of one seed's curve."""
    return folder / "curves" / variant / f"seed-{seed:03d}.csv"


def test_path(folder: pathlib.Path, variant: str, seed: int) -> pathlib.Path:
    """Of one seed's scores on the test tasks; it is written last."""
    return folder / "tests" / variant / f"seed-{seed:03d}.csv.gz"


def write(at: pathlib.Path, curve: Curve) -> None:
    """In one step: a curve is there whole or not at all."""
    rows = [",".join(Curve._fields)]
    rows += [
        f"{n:.0f},{s:.3f},{c:.3f},{loss:.6g},{score:.6g}"
        for n, s, c, loss, score in zip(*curve, strict=True)
    ]
    _write(at, "\n".join(rows).encode() + b"\n")


def read(at: pathlib.Path) -> Curve:
    """What `write` wrote."""
    with at.open(newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [np.array([float(r[name]) for r in rows]) for name in rows[0]]
    return Curve(*columns)._replace(step=columns[0].astype(int))


def write_test(at: pathlib.Path, scores: np.ndarray) -> None:
    """Scores `[tasks, 1 + updates]`, before the first update and after each."""
    updates = range(scores.shape[1])
    rows = [",".join(f"after_{update}" for update in updates)]
    rows += [",".join(f"{score:.6g}" for score in task) for task in scores]
    # No time in the header: the same scores make the same file.
    _write(at, gzip.compress("\n".join(rows).encode() + b"\n", mtime=0))


def read_test(at: pathlib.Path) -> np.ndarray:
    """What `write_test` wrote, `[tasks, 1 + updates]`."""
    with gzip.open(at, "rt") as file:
        _, *rows = file.read().splitlines()
    return np.array([_numbers(row.split(",")) for row in rows])


def _numbers(texts: Iterable[str]) -> list[float]:
    return [float(text) for text in texts]


def _write(at: pathlib.Path, content: bytes) -> None:
    at.parent.mkdir(parents=True, exist_ok=True)
    fresh = at.with_name(f"{at.name}.new")
    fresh.write_bytes(content)
    fresh.replace(at)
