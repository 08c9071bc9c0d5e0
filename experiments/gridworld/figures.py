"""The figures of a study: return, schedule, mean cycle, sweep over L."""

import pathlib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from experiments.gridworld.config import AgentName, GridworldConfig
from experiments.gridworld.variants import Variant
from experiments.study import figure as style
from experiments.study.figure import plt
from learner.record.counted import counted

_CYCLES = 4  # task cycles shown of the learned schedule
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


def draw(
    config: GridworldConfig,
    agent: AgentName,
    swept: Sequence[Result],
    best: Sequence[Result],
) -> None:
    """Every figure of one agent.

    Args:
      config: the study.
      agent: its name.
      swept: all variants.
      best: of each family.
    """
    folder, period = config.study_folder, config.world.period
    _draw_returns(folder / f"{agent}-return.png", best)
    _draw_schedule(folder / f"{agent}-schedule.png", best, period)
    _draw_cycle(folder / f"{agent}-cycle.png", best, period)
    _draw_sweep(folder / f"{agent}-sweep.png", swept)


def _draw_returns(path: pathlib.Path, results: Sequence[Result]) -> None:
    """Total return over steps."""
    figure, axis = plt.subplots(figsize=(6, 4.5))
    for result in results:
        style.shade(axis, result.step, result.returns, _label(result.row))
    axis.set_xlabel("environment steps")
    axis.set_ylabel("total return")
    style.thousands(axis)
    style.save(figure, [axis], path)


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
    style.save(figure, axes, path)


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
    style.save(figure, axes, path)


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

    label, at = _label(result.row), grouped(x)
    style.shade(axes[0], at, grouped(result.reward), label)
    survived = result.hyperparam[~np.isnan(result.hyperparam[:, -1])]
    style.shade(axes[1], at, grouped(survived), label)
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
        style.bars(
            axis,
            [row.variant.L for row in rows],
            [row.mean for row in rows],
            [row.interval for row in rows],
            label=name,
        )
    axis.set_xlabel("L, bootstrap updates")
    axis.set_ylabel("total return")
    style.thousands(axis)
    style.save(figure, [axis], path)


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
