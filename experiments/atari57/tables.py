"""The tables of a report: as shown, and as CSV files."""

import csv
import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from experiments.atari57 import scoring
from experiments.atari57.aggregate import METRICS, IntervalEstimate, Scores
from experiments.atari57.reference_scores import (
    MEDIANS,
    human_normalised,
    published,
    references,
)
from experiments.viewing.page import Table

Estimates = Mapping[str, Mapping[str, IntervalEstimate]]  # agent, metric


def aggregates(
    agents: Sequence[Scores], estimates: Estimates, protocol: str
) -> Table:
    """`METRICS` of each agent with their intervals."""
    rows = [
        [scores.agent, str(len(scores.games)), str(len(scores.raw))]
        + [_interval(estimates[scores.agent][m]) for m in METRICS]
        for scores in agents
        if scores.games
    ]
    return Table(
        "Human-normalised scores",
        ["agent", "games", "seeds", *METRICS],
        rows,
        f"{scoring.TITLES[protocol]}; 95 % intervals by stratified bootstrap "
        "over seeds.",
    )


def published_medians() -> Table:
    """Published medians of human-normalised scores, with their sources."""
    return Table(
        "Published medians",
        ["agent", "median", "source"],
        [[row.name, f"{row.median:.1%}", row.source] for row in MEDIANS],
        "Over 57 games, 200M frames, without sticky actions.",
    )


def games(agents: Sequence[Scores]) -> Table:
    """Every game that some agent has scores in, beside published scores."""
    played = [g for g in references() if any(g in s.games for s in agents)]
    others = published()
    rows = []
    for game in played:
        low, high = references()[game]
        cells = [game, f"{low:,.1f}", f"{high:,.1f}"]
        for scores in agents:
            cells += _cells(scores, game)
        cells += [f"{others[name][game]:,.1f}" for name in others]
        rows.append(cells)
    names = [(s.agent, f"{s.agent}, of human") for s in agents]
    return Table(
        "Scores in every game",
        ["game", "random", "human", *sum(names, ()), *others],
        rows,
        "Mean and deviation over seeds; the last columns are published.",
    )


def write_csv(
    folder: pathlib.Path, agents: Sequence[Scores], estimates: Estimates
) -> None:
    """Writes `scores.csv`, a row per seed, and `aggregates.csv`."""
    seeds = (
        (s.agent, game, number + 1, s.raw[number, at], s.normalised[number, at])
        for s in agents
        for at, game in enumerate(s.games)
        for number in range(len(s.raw))
    )
    header = ["agent", "game", "run", "return", "human_normalised"]
    _write(folder / "scores.csv", header, seeds)
    intervals = (
        (agent, metric, *estimate)
        for agent, metrics in estimates.items()
        for metric, estimate in metrics.items()
    )
    header = ["agent", "metric", "value", "low", "high"]
    _write(folder / "aggregates.csv", header, intervals)


def _cells(scores: Scores, game: str) -> list[str]:
    if game not in scores.games:
        return ["–", "–"]
    values = scores.raw[:, scores.games.index(game)]
    mean = float(np.mean(values))
    spread = f" ± {np.std(values, ddof=1):,.1f}" if len(values) > 1 else ""
    return [f"{mean:,.1f}{spread}", f"{human_normalised(game, mean):.1%}"]


def _interval(estimate: IntervalEstimate) -> str:
    if math.isnan(estimate.low):
        return f"{estimate.value:.1%}"
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"


def _write(path: pathlib.Path, header: list[str], rows: Iterable[tuple]):
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
