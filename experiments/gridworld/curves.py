"""The study's files: one CSV per variant and seed."""

import csv
import gzip
import pathlib
from typing import NamedTuple

import numpy as np

FIELDS = ("step", "reward", "hyperparam")


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
    return folder / "curves" / variant / f"seed-{seed:03d}.csv.gz"


def write(at: pathlib.Path, curve: Curve) -> None:
    """In one step: a curve is there whole or not at all."""
    at.parent.mkdir(parents=True, exist_ok=True)
    fresh = at.with_name(f"{at.name}.new")
    # No time in the header: the same curve makes the same file.
    with (
        fresh.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
    ):
        rows = [",".join(FIELDS)]
        rows += [
            f"{s:d},{r:.6g},{h:.6g}" for s, r, h in zip(*curve, strict=True)
        ]
        packed.write(("\n".join(rows) + "\n").encode())
    fresh.replace(at)


def read(at: pathlib.Path) -> Curve:
    """What `write` wrote."""
    with gzip.open(at, "rt", newline="") as file:
        rows = list(csv.DictReader(file))
    step = np.array([int(row["step"]) for row in rows])
    reward = np.array([float(row["reward"]) for row in rows])
    hyperparam = np.array([float(row["hyperparam"]) for row in rows])
    return Curve(step, reward, hyperparam)
