"""Draws curve.png from the raw data beside it: three algorithms on Catch.

python docs/results/catch/draw.py
"""

import pathlib

import matplotlib
import numpy as np

from learner.record.metrics import read_lines

matplotlib.use("Agg")

from matplotlib import pyplot as plt

_HERE = pathlib.Path(__file__).parent
_COLORS = {"impala": "tab:orange", "stacx": "tab:green", "bmg": "tab:blue"}
_SEEDS = (1, 2, 3)


def main() -> None:
    """Writes curve.png."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    grid = np.linspace(2_000, 150_000, 149)
    for name, color in _COLORS.items():
        runs = [_lines(name, seed) for seed in _SEEDS]
        returns = np.array([_on(grid, run, "mean_return") for run in runs])
        x = grid / 1e3
        left.plot(x, returns.mean(0), lw=2, color=color, label=name)
        left.fill_between(
            x, returns.min(0), returns.max(0), color=color, alpha=0.15, lw=0
        )
        if name == "impala":
            continue
        for run in runs:
            discount = _on(grid, run, "hyperparams/discount_0")
            right.plot(x, discount, color=color)
    left.set_title("Catch: mean return of 100 episodes")
    left.set_ylabel("mean of 3 seeds, lowest to highest shaded")
    left.legend()
    right.set_title("discount of head 0, as tuned (one line a seed)")
    for axis in (left, right):
        axis.set_xlabel("environment frames (thousands)")
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(_HERE / "curve.png", dpi=120)


def _lines(name: str, seed: int) -> list[dict]:
    return read_lines(_HERE / f"{name}-{seed}" / "metrics.jsonl")


def _on(grid: np.ndarray, lines: list[dict], field: str) -> np.ndarray:
    frames = [line["frames"] for line in lines]
    return np.interp(grid, frames, [line[field] for line in lines])


if __name__ == "__main__":
    main()
