"""The figures of a report; each function draws one, or none without data."""

from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np

from experiments.atari57 import aggregate, scoring
from experiments.atari57.aggregate import IntervalEstimate, Scores
from experiments.atari57.curves import Curve, Hyperparams
from experiments.atari57.reference_scores import MEDIANS, references
from learner.record.counted import counted

matplotlib.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

_COLUMNS = 8  # of the page of games


def medians(
    curves: Sequence[Curve], agents: Sequence[Scores], frames: np.ndarray
) -> Figure | None:
    """Median human-normalised return over frames, beside published medians."""
    if not any(scores.games for scores in agents):
        return None
    figure, axis = plt.subplots(figsize=(7.5, 5))
    for scores in agents:
        runs = [c for c in curves if c.agent == scores.agent]
        seeds = aggregate.median_curve(runs, scores.games, frames)
        if seeds.size:
            label = f"{scores.agent}, {counted(len(scores.games), 'game')}"
            _shade(axis, frames, seeds, label)
    # Medians over 57 games do not compare with those over some of them.
    whole = any(len(s.games) == len(references()) for s in agents)
    for row in MEDIANS if whole else ():
        axis.axhline(row.median, color="0.75", lw=0.8, zorder=0)
        axis.annotate(
            f"{row.name} {row.median:.0%}",
            (1.01, row.median),
            xycoords=axis.get_yaxis_transform(),
            fontsize=7,
            va="center",
            annotation_clip=False,
        )
    axis.set_ylabel("median human-normalised return")
    axis.set_xlim(0, frames[-1])
    return _finish(figure, [axis], percent=True)


def games(curves: Sequence[Curve], frames: np.ndarray) -> Figure | None:
    """Every game's returns over frames; human play dashed."""
    played = [g for g in references() if any(c.game == g for c in curves)]
    if not played:
        return None
    columns = min(_COLUMNS, len(played))
    rows = -(-len(played) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(2.1 * columns, 1.7 * rows + 0.6), squeeze=False
    )
    agents = list(dict.fromkeys(c.agent for c in curves))
    for axis in axes.flat[len(played) :]:
        axis.set_visible(False)
    for axis, game in zip(axes.flat, played, strict=False):
        axis.axhline(references()[game].human, color="0.6", ls="--", lw=0.8)
        for number, agent in enumerate(agents):
            runs = [c for c in curves if (c.agent, c.game) == (agent, game)]
            if runs:
                seeds = np.array([scoring.returns_at(c, frames) for c in runs])
                _shade(axis, frames, seeds, agent, color=f"C{number}")
        axis.set_title(game, fontsize=8)
        axis.tick_params(labelsize=6)
        axis.xaxis.set_major_formatter(EngFormatter())
        axis.yaxis.set_major_formatter(EngFormatter())
        axis.set_xlim(0, frames[-1])
    handles = [plt.Line2D([], [], color=f"C{i}") for i in range(len(agents))]
    figure.legend(handles, agents, loc="lower center", ncols=4, frameon=False)
    figure.tight_layout(rect=(0, 0.5 / figure.get_figheight(), 1, 1))
    return figure


def bars(
    estimates: Mapping[str, Mapping[str, IntervalEstimate]],
) -> Figure | None:
    """Every metric of every agent with its interval: the ablation's bars."""
    if not estimates:
        return None
    figure, axes = plt.subplots(
        1,
        len(aggregate.METRICS),
        figsize=(11, 1.2 + 0.4 * len(estimates)),
        sharey=True,
        squeeze=False,
    )
    for axis, metric in zip(axes[0], aggregate.METRICS, strict=True):
        for row, of in enumerate(estimates.values()):
            value, low, high = of[metric]
            axis.barh(row, value, color=f"C{row}", alpha=0.6)
            axis.plot([low, high], [row, row], color="0.2", lw=2)
        axis.set_title(metric, fontsize=10)
        axis.xaxis.set_major_locator(MaxNLocator(4))
        axis.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes[0][0].set_yticks(range(len(estimates)), estimates)
    axes[0][0].invert_yaxis()  # of all: they share it
    figure.tight_layout()
    return figure


def distribution(agents: Sequence[Scores]) -> Figure | None:
    """Over games: each agent's return as a share of the best agent's.

    Normalised per game, (score - random) / (best agent's score - random); games
    that all agents have.
    """
    shared = _shared_games(agents)
    if len(agents) < 2 or not shared:
        return None
    means = np.array(
        [
            [np.mean(s.normalised[:, s.games.index(g)]) for g in shared]
            for s in agents
        ]
    )
    best = np.max(means, axis=0)
    above = best > 0  # where no agent beats random play, shares mean nothing
    if not above.any():
        return None
    figure, axis = plt.subplots(figsize=(1.5 + 1.3 * len(agents), 4))
    shares = means[:, above] / best[above]
    axis.boxplot(shares.T, tick_labels=[s.agent for s in agents], whis=(5, 95))
    axis.set_ylabel(f"share of the best agent, {counted(above.sum(), 'game')}")
    return _finish(figure, [axis], frames=False, percent=True)


def profiles(agents: Sequence[Scores]) -> Figure | None:
    """The share of runs above each human-normalised score."""
    highest = max((s.normalised.max() for s in agents if s.games), default=1.0)
    # Human play at least, and not so far that a single game fills the axis.
    thresholds = np.linspace(0.0, min(max(highest, 1.0), 8.0), 81)
    shares = aggregate.profile(agents, thresholds)
    if not shares:
        return None
    figure, axis = plt.subplots(figsize=(6.5, 4))
    for agent, (share, (low, high)) in shares.items():
        (line,) = axis.plot(thresholds, share, label=agent)
        axis.fill_between(
            thresholds, low, high, color=line.get_color(), alpha=0.2, lw=0
        )
    axis.set_xlabel("human-normalised score")
    axis.set_ylabel("share of runs above it")
    axis.xaxis.set_major_formatter(PercentFormatter(1.0))
    return _finish(figure, [axis], frames=False, percent=True)


def by_lookahead(
    curves: Sequence[Curve], agents: Sequence[Scores]
) -> Figure | None:
    """Scores over L, on games that agents of several L played."""
    lengths = {c.agent: c.lookahead for c in curves if c.lookahead}
    swept = [s for s in agents if s.agent in lengths and s.games]
    shared = _shared_games(swept)
    if len({lengths[s.agent] for s in swept}) < 2 or not shared:
        return None
    swept.sort(key=lambda s: lengths[s.agent])
    figure, axis = plt.subplots(figsize=(5.5, 4))
    for game in shared[:6]:
        scores = [s.raw[:, s.games.index(game)] for s in swept]
        axis.errorbar(
            [lengths[s.agent] for s in swept],
            [np.mean(x) for x in scores],
            [np.std(x, ddof=1) if len(x) > 1 else 0 for x in scores],
            marker="o",
            capsize=3,
            label=game,
        )
    axis.set_xscale("log", base=2)
    axis.set_xticks(sorted(set(lengths.values())))
    axis.xaxis.set_major_formatter("{x:g}")
    axis.set_xlabel("L, bootstrap updates")
    axis.set_ylabel("score (bars: deviation over seeds)")
    return _finish(figure, [axis], frames=False)


def hyperparams(
    tuned: Sequence[Hyperparams], frames: np.ndarray
) -> Figure | None:
    """The acting head's self-tuned hyper-parameters, the mean over runs."""
    names = list(dict.fromkeys(name for t in tuned for name in t.values))
    if not names:
        return None
    agents = list(dict.fromkeys(t.agent for t in tuned))
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(
        rows, columns, figsize=(3 * columns, 2.3 * rows), squeeze=False
    )
    for axis in axes.flat[len(names) :]:
        axis.set_visible(False)
    for axis, name in zip(axes.flat, names, strict=False):
        for agent in agents:
            runs = [t for t in tuned if t.agent == agent and name in t.values]
            values = [
                np.interp(frames, t.frames, t.values[name], right=np.nan)
                for t in runs
            ]
            if values:
                _shade(axis, frames, np.array(values), agent)
        axis.set_title(name, fontsize=9)
    return _finish(figure, [a for a in axes.flat if a.get_visible()])


def _shared_games(agents: Sequence[Scores]) -> list[str]:
    return [
        g for g in references() if agents and all(g in s.games for s in agents)
    ]


def _shade(axis, x, seeds: np.ndarray, label: str, color=None) -> None:
    """The mean of the seeds, and one standard deviation around it."""
    known = ~np.isnan(seeds).any(axis=0)
    mean, spread = seeds[:, known].mean(0), seeds[:, known].std(0)
    (line,) = axis.plot(x[known], mean, lw=1.3, label=label, color=color)
    axis.fill_between(
        x[known],
        mean - spread,
        mean + spread,
        color=line.get_color(),
        alpha=0.2,
        lw=0,
    )


def _finish(figure, axes, *, frames: bool = True, percent: bool = False):
    for axis in axes:
        axis.grid(alpha=0.3)
        axis.spines[["top", "right"]].set_visible(False)
        if frames:
            axis.set_xlabel("environment frames")
            axis.xaxis.set_major_formatter(EngFormatter())
        if percent:
            axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    handles, _ = axes[0].get_legend_handles_labels()
    if handles:
        axes[0].legend(fontsize=8, frameon=False)
    figure.tight_layout()
    return figure
