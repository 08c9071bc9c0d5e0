"""What came out: the table, from the curves on disk; and the figures."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
from rich.table import Table

from experiments.gridworld import curves, figures
from experiments.gridworld.config import GridworldConfig
from experiments.gridworld.figures import Result, Row
from experiments.gridworld.variants import expand
from experiments.study import files, summary
from experiments.study.interval import half_interval


def report(config: GridworldConfig) -> list[Row]:
    """Writes `summary.csv` and the figures; returns the table's rows."""
    results = list(_results(config))
    rows = [result.row for result in results]
    if not rows:
        return rows
    summary.write(config.study_folder / "summary.csv", rows)
    for agent in config.agent:
        swept = [r for r in results if r.row.variant.agent == agent]
        if swept:
            best = summary.best_of_families(
                swept, lambda r: r.row.variant.family, lambda r: r.row.mean
            )
            figures.draw(config, agent, swept, best)
    return rows


def table(rows: Sequence[Row]) -> Table:
    """The same rows for the terminal."""
    return summary.table(
        "return over the whole lifetime, in millions",
        ("seeds", "diverged", "mean", "deviation", "95 % interval"),
        [
            (
                row.variant.name,
                str(row.seeds),
                str(row.diverged),
                _millions(row.mean),
                _millions(row.deviation),
                _millions(row.interval, "± "),
            )
            for row in rows
        ],
    )


def _results(config: GridworldConfig) -> Iterable[Result]:
    for variant in expand(config):
        paths = files.written(config.study_folder, "curves", variant.name)
        if not paths:
            continue
        seeds = [curves.read(path) for path in paths.values()]
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


def _millions(value: float, sign: str = "") -> str:
    """One seed has no deviation."""
    return "" if math.isnan(value) else f"{sign}{value / 1e6:.3f}"
