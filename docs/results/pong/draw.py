"""Draws curve.png from the raw data beside it: Pong on two CPU cores.

python docs/results/pong/draw.py
"""

import gzip
import json
import pathlib

import matplotlib
import numpy as np

from experiments.viewing.curve import running_mean
from learner.record.metrics import read_episodes

matplotlib.use("Agg")

from matplotlib import pyplot as plt

_HERE = pathlib.Path(__file__).parent
_RUNS = {  # label and colour, by folder
    "impala-24m": ("impala, 24M frames, stopped", "tab:orange"),
    "stacx-kl0": ("stacx, 16M frames, stopped", "tab:purple"),
    "bmg-16m": ("bmg, 16M frames", "tab:green"),
    "stacx": ("stacx with a KL, 20M frames, stopped", "tab:red"),
}
_SHOWN = "bmg-16m"  # whose hyper-parameters are drawn
_RANDOM = -20.7  # of Pong, DQN Zoo's table


def main() -> None:
    """Writes curve.png."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    for name, (label, color) in _RUNS.items():
        games = read_episodes(_HERE / name / "episodes.csv")
        frames = np.array([at for at, _ in games]) / 1e6
        returns = np.array([game.episode_return for _, game in games])
        left.plot(frames, returns, ".", ms=2, alpha=0.15, color=color)
        left.plot(frames, running_mean(returns), lw=2, color=color, label=label)
    left.axhline(18.0, color="grey", ls="--", lw=1, label="18")
    left.axhline(_RANDOM, color="grey", ls=":", label="random")
    left.set_ylabel("episode return (mean of 100)")
    left.set_xlabel("environment frames (millions)")
    left.set_title("Pong on two CPU cores, seed 1")
    left.legend(fontsize=8, loc="lower right")
    _draw_tuned(right)
    for axis in (left, right):
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(_HERE / "curve.png", dpi=120)


def _draw_tuned(axis) -> None:
    with gzip.open(_HERE / _SHOWN / "metrics.jsonl.gz", "rt") as file:
        lines = [json.loads(line) for line in file]
    frames = np.array([line["frames"] for line in lines]) / 1e6
    names = [
        name
        for name in lines[0]
        if name.startswith("hyperparams/") and name.endswith("_0")
    ]
    for name in names:
        values = np.array([line[name] for line in lines])
        label = name.removeprefix("hyperparams/").removesuffix("_0")
        axis.plot(frames, values / values[0], label=label)
    axis.set_title("what bmg tuned in 16M frames (head 0)")
    axis.set_ylabel("value / first value")
    axis.set_xlabel("environment frames (millions)")
    axis.legend(fontsize=8)


if __name__ == "__main__":
    main()
