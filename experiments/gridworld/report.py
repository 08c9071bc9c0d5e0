"""What came out: a table and the paper's figures, from the curves on disk."""

import csv
import dataclasses
import math
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np
import scipy.stats

from experiments.gridworld import curves
from experiments.gridworld.config import GridworldConfig
from experiments.gridworld.variants import Variant, expand

matplotlib.use("Agg")

from matplotlib import pyplot as plt

_CYCLES = 4  # task cycles shown of the learned schedule


class Row(NamedTuple):
    """One variant in the table; returns are sums over the whole life."""

    variant: Variant
    seeds: int
    diverged: int  # of them
    mean: float
    deviation: float  # of the seeds
    interval: float  # half the width of the mean's 95 % interval (Student's t)


class Result(NamedTuple):
    """One variant and all its seeds."""

    row: Row
    step: np.ndarray  # [N]
    returns: np.ndarray  # [seeds, N], summed up to each step
    hyperparam: np.ndarray  # [seeds, N]


def report(config: GridworldConfig) -> list[Row]:
    """Writes `summary.csv` and the figures; returns the table's rows."""
    folder = pathlib.Path(config.folder)
    results = list(_results(config, folder))
    rows = [result.row for result in results]
    _write_summary(folder / "summary.csv", rows)
    for agent in config.agent:
        ours = [r for r in results if r.row.variant.agent == agent]
        if ours:
            _draw_returns(folder / f"{agent}-return.png", _best(ours))
            _draw_schedule(
                folder / f"{agent}-schedule.png", _best(ours), config
            )
            _draw_sweep(folder / f"{agent}-sweep.png", ours)
    return rows


def _results(config: GridworldConfig, folder: pathlib.Path) -> Iterable[Result]:
    for variant in expand(config):
        paths = sorted((folder / "curves" / variant.name).glob("seed-*.csv.gz"))
        if not paths:
            continue
        seeds = [curves.read(path) for path in paths]
        returns = np.stack([seed.returns for seed in seeds])
        last = returns[:, -1]
        several = len(last) > 1
        hyperparam = np.stack([seed.hyperparam for seed in seeds])
        row = Row(
            variant,
            len(last),
            int(np.sum(np.isnan(hyperparam[:, -1]))),
            float(np.mean(last)),
            float(np.std(last, ddof=1)) if several else math.nan,
            float(_half_interval(last)) if several else math.nan,
        )
        yield Result(row, seeds[0].step, returns, hyperparam)


def _best(results: Sequence[Result]) -> list[Result]:
    """Of each family the variant with the highest mean return."""
    best: dict[str, Result] = {}
    for result in results:
        family = result.row.variant.family
        if family not in best or result.row.mean > best[family].row.mean:
            best[family] = result
    return list(best.values())


def _write_summary(path: pathlib.Path, rows: Sequence[Row]) -> None:
    names = [field.name for field in dataclasses.fields(Variant)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["name", *names, *Row._fields[1:]])
        for row in rows:
            values = dataclasses.astuple(row.variant)
            writer.writerow([row.variant.name, *values, *row[1:]])


def _draw_returns(path: pathlib.Path, results: Sequence[Result]) -> None:
    """Total return over steps; shaded: the middle 95 % of the mean."""
    figure, axis = plt.subplots(figsize=(6, 4.5))
    for result in results:
        _shade(axis, result.step, result.returns, result.row.variant.name)
    axis.set_xlabel("environment steps")
    axis.set_ylabel("total return")
    axis.set_title(f"mean of {results[0].row.seeds} seeds, 95 % interval")
    _save(figure, [axis], path)


def _draw_schedule(
    path: pathlib.Path, results: Sequence[Result], config: GridworldConfig
) -> None:
    """The learned number and the reward over the last task cycles."""
    figure, (top, bottom) = plt.subplots(2, 1, figsize=(8, 6), sharex=True)
    period = config.world.period
    for result in results:
        end = result.step[-1]
        shown = result.step > end - _CYCLES * period
        step, name = result.step[shown], result.row.variant.name
        reward = np.diff(result.returns, prepend=0.0)[:, shown]
        width = np.diff(result.step, prepend=0)[shown]
        _shade(top, step, reward / width, name)
        survived = ~np.isnan(result.hyperparam[:, -1])
        _shade(bottom, step, result.hyperparam[survived][:, shown], name)
        for switch in range(0, int(end) + 1, period):
            if switch >= step[0]:
                top.axvline(switch, color="0.8", zorder=0)
                bottom.axvline(switch, color="0.8", zorder=0)
    top.set_ylabel("reward per step")
    agent = results[0].row.variant.agent
    bottom.set_ylabel("entropy weight" if agent == "ac" else "epsilon")
    bottom.set_xlabel("environment steps (lines: the colours swap)")
    _save(figure, [top, bottom], path)


def _draw_sweep(path: pathlib.Path, results: Sequence[Result]) -> None:
    """The return of the whole life against L, one line per K and rate."""
    lines: dict[str, list[Row]] = {}
    for result in results:
        variant = result.row.variant
        if variant.method == "bmg":
            name = f"{variant.context}, K = {variant.K}, {variant.meta_rate:g}"
            lines.setdefault(name, []).append(result.row)
    if not any(len(rows) > 1 for rows in lines.values()):
        return
    figure, axis = plt.subplots(figsize=(6, 4.5))
    for name, rows in lines.items():
        axis.errorbar(
            [row.variant.L for row in rows],
            [row.mean for row in rows],
            [row.interval for row in rows],
            marker="o",
            capsize=3,
            label=name,
        )
    axis.set_xlabel("L, bootstrap updates")
    axis.set_ylabel("total return")
    _save(figure, [axis], path)


def _shade(axis: plt.Axes, x: np.ndarray, y: np.ndarray, label: str) -> None:
    """The mean of `y` `[seeds, N]` and its 95 % interval."""
    if not len(y):
        return
    mean = y.mean(0)
    (line,) = axis.plot(x, mean, label=label)
    if len(y) > 1:
        half = _half_interval(y)
        axis.fill_between(
            x,
            mean - half,
            mean + half,
            color=line.get_color(),
            alpha=0.25,
            lw=0,
        )


def _half_interval(y: np.ndarray) -> np.ndarray:
    """Half the 95 % interval of the mean over the first axis, at least two."""
    quantile = scipy.stats.t.ppf(0.975, len(y) - 1)
    return quantile * y.std(0, ddof=1) / math.sqrt(len(y))


def _save(
    figure: plt.Figure, axes: Sequence[plt.Axes], path: pathlib.Path
) -> None:
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=8, frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    plt.close(figure)
