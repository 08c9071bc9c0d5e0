"""The figures of all studies look alike: axes, intervals, legend, file."""

import pathlib
from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np

from experiments.study.interval import half_interval

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import EngFormatter

_FEW = 5  # seeds


def shade(
    axis: plt.Axes, x: np.ndarray, y: np.ndarray, label: str, **style: Any
) -> None:
    """The mean of `y` `[seeds, N]` with its 95 % interval, or with each seed
    where they are too few for an interval that means anything."""
    if not len(y):
        return
    (line,) = axis.plot(x, y.mean(0), label=label, **style)
    color = line.get_color()
    if len(y) < _FEW:
        axis.plot(x, y.T, color=color, alpha=0.25, lw=0.8)
    else:
        low, high = y.mean(0) + np.array([[-1.0], [1.0]]) * half_interval(y)
        axis.fill_between(x, low, high, color=color, alpha=0.25, lw=0)


def bars(
    axis: plt.Axes,
    x: Sequence[float],
    mean: Sequence[float],
    half: Sequence[float],
    **style: Any,
) -> None:
    """A line through means, each with its interval."""
    axis.errorbar(x, mean, half, marker="o", capsize=3, **style)


def thousands(axis: plt.Axes) -> None:
    """Large returns as `1.5 M`."""
    axis.yaxis.set_major_formatter(EngFormatter())


def save(
    figure: plt.Figure, axes: Sequence[plt.Axes], path: pathlib.Path
) -> None:
    """Finishes these axes, the legend above the first, and writes the PNG."""
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3, which="both")
        if axis.get_xlim()[1] > 1e4:
            axis.xaxis.set_major_formatter(EngFormatter())
    axes[0].legend(
        fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0)
    )
    figure.tight_layout()
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
