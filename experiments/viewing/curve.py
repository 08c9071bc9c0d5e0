"""The learning curve of one run, from its CSV to a PNG."""

import pathlib

import matplotlib
import numpy as np

from learner.record.metrics import acting_hyperparams, read_episodes, read_lines

matplotlib.use("Agg")

from matplotlib import pyplot as plt

_WINDOW = 100  # episodes


def draw_curve(folder: pathlib.Path, title: str) -> pathlib.Path | None:
    """Draws returns, and the self-tuned hyper-parameters, over frames.

    Returns:
      The path of `curve.png`, or None where no episode has ended yet.
    """
    games = read_episodes(folder / "episodes.csv")
    if not games:
        return None
    frames = np.array([at for at, _ in games])
    returns = np.array([game.episode_return for _, game in games])
    figure, (top, bottom) = plt.subplots(
        2, 1, figsize=(8, 7), sharex=True, height_ratios=(3, 2)
    )
    top.plot(frames, returns, ".", ms=2, alpha=0.25, color="tab:blue")
    top.plot(frames, running_mean(returns), color="tab:blue", lw=2)
    top.set_ylabel(f"episode return (mean of {_WINDOW})")
    top.set_title(title)
    _draw_hyperparams(bottom, read_lines(folder / "metrics.jsonl"))
    bottom.set_xlabel("environment frames")
    for axis in (top, bottom):
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
    path = folder / "curve.png"
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    plt.close(figure)
    return path


def running_mean(x: np.ndarray) -> np.ndarray:
    """The mean of the last 100 values, of fewer at the start."""
    total = np.cumsum(np.insert(x, 0, 0.0))
    ends = np.arange(1, len(x) + 1)
    starts = np.maximum(ends - _WINDOW, 0)
    return (total[ends] - total[starts]) / (ends - starts)


def _draw_hyperparams(axis: plt.Axes, lines: list[dict]) -> None:
    """Head 0's self-tuned hyper-parameters, relative to where they began."""
    tuned = acting_hyperparams(lines)
    frames = [line["frames"] for line in lines]
    for label, values in tuned.items():
        axis.plot(frames, values / max(abs(values[0]), 1e-12), label=label)
    axis.set_ylabel("hyper-parameter / first value")
    if tuned:
        axis.legend(fontsize=8, ncols=2)
