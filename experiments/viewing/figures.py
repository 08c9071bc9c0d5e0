"""Figures of runs, over environment frames."""

from collections.abc import Sequence

import matplotlib
import numpy as np

from experiments.viewing.curve import running_mean
from experiments.viewing.run_record import RunRecord
from learner.record.metrics import acting_hyperparams

matplotlib.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_POINTS = 1_000  # more cannot be distinguished


def returns(runs: Sequence[RunRecord], names: Sequence[str]) -> Figure:
    """Means of the last 100 games of each run; of one run, each game too."""
    figure, axis = _axes("episode return (mean of 100)")
    for run, name in zip(runs, names, strict=True):
        if not run.games:
            continue
        frames = np.array([at for at, _ in run.games])
        values = np.array([game.episode_return for _, game in run.games])
        if len(runs) == 1:
            at = _thin(len(values), 5 * _POINTS)
            axis.plot(frames[at], values[at], ".", ms=2, alpha=0.25)
        at = _thin(len(values), _POINTS)
        axis.plot(frames[at], running_mean(values)[at], lw=2, label=name)
    if len(runs) > 1 and axis.lines:
        axis.legend(fontsize=8)
    return figure


def tuned(run: RunRecord) -> Figure:
    """What the acting head's self-tuned hyper-parameters were."""
    values = acting_hyperparams(run.lines)
    frames = np.array([line["frames"] for line in run.lines])
    rows = max(len(values), 1)
    figure = _figure(1.6 * rows)
    axes = np.atleast_1d(figure.subplots(rows, sharex=True))
    for axis, (name, value) in zip(axes, values.items(), strict=False):
        axis.plot(frames, value, lw=1.5)
        axis.set_title(name, loc="left", fontsize=9)
        axis.ticklabel_format(axis="y", useOffset=False)
        _clean(axis)
    axes[-1].set_xlabel("environment frames")
    return figure


def of_lines(run: RunRecord, label: str, names: Sequence[str]) -> Figure:
    """Some metrics of a run in one figure."""
    figure, axis = _axes(label)
    frames = np.array([line["frames"] for line in run.lines])
    for name in names:
        # A metric that an older version did not write is a gap.
        values = np.array([line.get(name) for line in run.lines], float)
        axis.plot(frames, values, lw=1.5, label=name)
    if len(names) > 1:
        axis.legend(fontsize=8)
    return figure


def _axes(label: str) -> tuple[Figure, Axes]:
    figure = _figure(4.0)
    axis = figure.subplots()
    axis.set_xlabel("environment frames")
    axis.set_ylabel(label)
    _clean(axis)
    return figure, axis


def _figure(height: float) -> Figure:
    """Nine inches wide. Margins are given: to look for tight ones takes as
    long as drawing."""
    figure = Figure(figsize=(9, height))
    figure.subplots_adjust(
        left=0.12,
        right=0.98,
        bottom=0.55 / height,
        top=1 - 0.35 / height,
        hspace=0.5,
    )
    return figure


def _clean(axis: Axes) -> None:
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)


def _thin(count: int, most: int) -> np.ndarray:
    """Up to `most` indices, evenly spaced, the last one among them."""
    if count <= most:
        return np.arange(count)
    return np.linspace(0, count - 1, most).astype(int)
