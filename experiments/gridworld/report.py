"""What came out: a table and the paper's figures, from the curves on disk."""

import csv
import dataclasses
import math
import pathlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import matplotlib
import numpy as np

from experiments.gridworld import curves
from experiments.gridworld.config import GridworldConfig
from experiments.gridworld.variants import Variant, expand
from experiments.study.interval import half_interval
from learner.record.counted import counted

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.ticker import EngFormatter

_CYCLES = 4  # task cycles shown of the learned schedule
_FEW = 5  # seeds
_PARTS = 40  # of a cycle, in the mean over cycles


class Row(NamedTuple):
    """One variant in the table; returns are sums over the whole lifetime."""

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
    reward: np.ndarray  # [seeds, N], mean per step over each row
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
            period = config.world.period
            _draw_schedule(
                folder / f"{agent}-schedule.png", _best(ours), period
            )
            _draw_cycle(folder / f"{agent}-cycle.png", _best(ours), period)
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
            float(half_interval(last)),
        )
        reward = np.stack([seed.reward for seed in seeds])
        yield Result(row, seeds[0].step, reward, returns, hyperparam)


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
    """Total return over steps."""
    figure, axis = plt.subplots(figsize=(6, 4.5))
    for result in results:
        _shade(axis, result.step, result.returns, _label(result.row))
    axis.set_xlabel("environment steps")
    axis.set_ylabel("total return")
    axis.yaxis.set_major_formatter(EngFormatter())
    _save(figure, [axis], path)


def _draw_schedule(
    path: pathlib.Path, results: Sequence[Result], period: int
) -> None:
    """The learned number and the reward over the last task cycles."""
    figure, axes = plt.subplots(2, 1, figsize=(8, 6), sharex=True)
    end = int(results[0].step[-1])
    for result in results:
        (shown,) = np.nonzero(result.step > end - _CYCLES * period)
        _shade_both(axes, result, result.step, list(shown[:, None]))
    for switch in range(period, end + 1, period):
        if switch > end - _CYCLES * period:
            for axis in axes:
                axis.axvline(switch, color="0.8", zorder=0)
    axes[1].set_xlabel("environment steps (lines: the colours swap)")
    _save(figure, axes, path)


def _draw_cycle(
    path: pathlib.Path, results: Sequence[Result], period: int
) -> None:
    """The same against the steps since the last switch: the mean over the
    cycles of the second half of the lifetime."""
    figure, axes = plt.subplots(2, 1, figsize=(6, 6), sharex=True)
    for result in results:
        # A row belongs to the cycle in which it ends.
        since = (result.step - 1) % period
        part = since * _PARTS // period
        late = result.step > result.step[-1] / 2
        groups = [np.nonzero(late & (part == i))[0] for i in range(_PARTS)]
        _shade_both(axes, result, since, [g for g in groups if len(g)])
    axes[1].set_xlabel("environment steps since the colours swapped")
    _save(figure, axes, path)


def _shade_both(
    axes: Sequence[plt.Axes],
    result: Result,
    x: np.ndarray,
    groups: Sequence[np.ndarray],
) -> None:
    """Reward per step above, the learned number below; each point is the mean
    over a group of rows."""

    def grouped(y: np.ndarray) -> np.ndarray:
        return np.stack([y[..., rows].mean(-1) for rows in groups], axis=-1)

    _shade(axes[0], grouped(x), grouped(result.reward), _label(result.row))
    survived = result.hyperparam[~np.isnan(result.hyperparam[:, -1])]
    _shade(axes[1], grouped(x), grouped(survived), _label(result.row))
    axes[0].set_ylabel("reward per step")
    agent = result.row.variant.agent
    axes[1].set_ylabel("entropy weight" if agent == "ac" else "epsilon")


def _draw_sweep(path: pathlib.Path, results: Sequence[Result]) -> None:
    """The return of the whole lifetime against L, one line per K and rate."""
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
    axis.yaxis.set_major_formatter(EngFormatter())
    _save(figure, [axis], path)


def _label(row: Row) -> str:
    """A variant as in the papers' figures."""
    variant = row.variant
    agent = {"ac": "AC", "q-lambda": "Q(λ)"}[variant.agent]
    seeds = counted(row.seeds, "seed")
    if variant.method == "fixed":
        return f"{agent}, fixed {variant.weight:g} ({seeds})"
    context = {"none": "no"}.get(variant.context, variant.context)
    label = f"{agent}-{variant.method.upper()}, {context} context"
    length = f", L = {variant.L}" if variant.method == "bmg" else ""
    return f"{label}, K = {variant.K}{length} ({seeds})"


def _shade(axis: plt.Axes, x: np.ndarray, y: np.ndarray, label: str) -> None:
    """The mean of `y` `[seeds, N]` with its 95 % interval, or with each seed
    where they are too few for one that says anything."""
    if not len(y):
        return
    (line,) = axis.plot(x, y.mean(0), label=label)
    color = line.get_color()
    if len(y) < _FEW:
        axis.plot(x, y.T, color=color, alpha=0.25, lw=0.8)
    else:
        low, high = y.mean(0) + np.array([[-1.0], [1.0]]) * half_interval(y)
        axis.fill_between(x, low, high, color=color, alpha=0.25, lw=0)


def _save(
    figure: plt.Figure, axes: Sequence[plt.Axes], path: pathlib.Path
) -> None:
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
        axis.grid(alpha=0.3)
        if axis.get_xlim()[1] > 1e4:
            axis.xaxis.set_major_formatter(EngFormatter())
    axes[0].legend(
        fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0.0, 1.0)
    )
    figure.tight_layout()
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
