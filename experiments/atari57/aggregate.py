"""Human-normalised scores of each agent, and what they come to over games."""

import math
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.atari57 import scoring
from experiments.atari57.curves import Curve
from experiments.atari57.reference_scores import human_normalised, references
from learner.config import ConfigError
from learner.record.counted import counted

_RESAMPLES = 2_000


class Scores(NamedTuple):
    """One agent's scores; a game counts if it has as many seeds as any."""

    agent: str
    games: tuple[str, ...]  # G, that count
    raw: np.ndarray  # [S, G] unclipped returns
    normalised: np.ndarray  # [S, G] 0 is random play, 1 is human
    left_out: tuple[str, ...]  # what does not count, and why


class IntervalEstimate(NamedTuple):
    """A number and its 95 % interval; NaN bounds where there is none."""

    value: float
    low: float
    high: float


METRICS = ("median", "interquartile mean", "mean", "optimality gap")


def check_comparable(curves: Sequence[Curve]) -> None:
    """Refuses what cannot be in one report.

    Raises:
      ConfigError: for runs of different protocols or lengths.
    """
    for what, values in (
        ("protocols", {c.protocol: c.source for c in curves if c.protocol}),
        ("numbers of frames", {c.budget: c.source for c in curves}),
    ):
        if len(values) > 1:
            named = "; ".join(f"{key}: {run}" for key, run in values.items())
            raise ConfigError(
                f"runs of different {what} do not compare ({named}): report "
                "them one at a time"
            )


def scores(
    curves: Iterable[Curve],
    score: Callable[[Curve], float] = scoring.training,
) -> list[Scores]:
    """The scores of each agent by a protocol, agents in the order they come."""
    by_agent: dict[str, list[Curve]] = {}
    for curve in curves:
        by_agent.setdefault(curve.agent, []).append(curve)
    return [_scores(agent, group, score) for agent, group in by_agent.items()]


def _scores(
    agent: str, curves: Sequence[Curve], score_of: Callable[[Curve], float]
) -> Scores:
    by_game: dict[str, list[float]] = {}
    left_out = []
    for curve in sorted(curves, key=lambda c: (c.game, c.seed)):
        score = score_of(curve)
        if math.isnan(score):
            which = f"{agent}, {curve.game}, seed {curve.seed}"
            left_out.append(f"{which}: {_missing_reason(curve)}")
            continue
        by_game.setdefault(curve.game, []).append(score)
    seeds = max(map(len, by_game.values()), default=0)
    for game, values in by_game.items():
        if len(values) < seeds:
            left_out.append(
                f"{agent}, {game}: {len(values)} of {counted(seeds, 'seed')}"
            )
    games = tuple(g for g in references() if len(by_game.get(g, ())) == seeds)
    games = games if seeds else ()
    raw = np.array([by_game[game] for game in games]).reshape(-1, seeds).T
    normalised = [
        [human_normalised(game, x) for game, x in zip(games, row, strict=True)]
        for row in raw
    ]
    return Scores(
        agent,
        games,
        raw,
        np.array(normalised).reshape(raw.shape),
        tuple(left_out),
    )


def _missing_reason(curve: Curve) -> str:
    if math.isnan(scoring.training(curve)):
        return (
            "no episode ended in the last 5 % of its "
            f"{curve.budget:,} frames, the last one at {curve.frames[-1]:,.0f}"
        )
    return "no games of its final policy by this protocol"


def estimates(
    agents: Sequence[Scores],
) -> dict[str, dict[str, IntervalEstimate]]:
    """`METRICS` of each agent over its games, with 95 % intervals.

    Intervals are percentiles of a bootstrap that draws seeds anew within each
    game (stratified; Agarwal et al. 2021). One seed has none.
    """
    normalised = _normalised(agents)
    if not normalised:
        return {}
    from rliable import library, metrics

    def all_metrics(x: np.ndarray) -> np.ndarray:
        return np.array(
            [
                metrics.aggregate_median(x),
                metrics.aggregate_iqm(x),
                metrics.aggregate_mean(x),
                metrics.aggregate_optimality_gap(x),
            ]
        )

    with warnings.catch_warnings():
        # rliable hands on a RandomState in a way that arch gives up.
        warnings.simplefilter("ignore", FutureWarning)
        points, intervals = library.get_interval_estimates(
            normalised,
            all_metrics,
            reps=_RESAMPLES,
            random_state=np.random.RandomState(0),
        )
    return {
        agent: _named(
            points[agent], intervals[agent], len(normalised[agent]) > 1
        )
        for agent in normalised
    }


def _normalised(agents: Sequence[Scores]) -> dict[str, np.ndarray]:
    """`[S, G]` of each agent that has scores, as rliable takes them."""
    return {s.agent: s.normalised for s in agents if s.games}


def _named(
    points: np.ndarray, intervals: np.ndarray, several: bool
) -> dict[str, IntervalEstimate]:
    if not several:
        intervals = np.full_like(intervals, math.nan)
    return {
        name: IntervalEstimate(float(point), float(low), float(high))
        for name, point, low, high in zip(
            METRICS, points, *intervals, strict=True
        )
    }


def profile(
    agents: Sequence[Scores], thresholds: np.ndarray
) -> Mapping[str, tuple[np.ndarray, np.ndarray]]:
    """The share of runs above each threshold, and its 95 % interval `[2, N]`.

    A performance profile (Agarwal et al. 2021).
    """
    normalised = _normalised(agents)
    if not normalised:
        return {}
    from rliable import library

    shares, intervals = library.create_performance_profile(
        normalised, thresholds, reps=_RESAMPLES // 4
    )
    return {a: (shares[a], intervals[a]) for a in normalised}


def median_curve(
    curves: Sequence[Curve], games: Sequence[str], frames: np.ndarray
) -> np.ndarray:
    """The median over games of human-normalised returns, seed by seed.

    Args:
      curves: of one agent.
      games: that count; all seeds have them.
      frames: `[M]`.

    Returns:
      `[S, M]`, NaN where a game has no return yet or any more.
    """
    seeds: dict[int, list[np.ndarray]] = {}
    for curve in sorted(curves, key=lambda c: (c.game, c.seed)):
        if curve.game in games:
            row = human_normalised(
                curve.game, scoring.returns_at(curve, frames)
            )
            seeds.setdefault(curve.seed, []).append(row)
    whole = [rows for rows in seeds.values() if len(rows) == len(games)]
    # NaN in one game is NaN in the median: nothing is made up for it.
    return np.array([np.median(rows, axis=0) for rows in whole])
