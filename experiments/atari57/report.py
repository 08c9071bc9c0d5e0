"""`bmg report`: scores, tables and figures of runs, and one page with all."""

import csv
import dataclasses
import importlib.util
import math
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Literal

import numpy as np
import tyro
from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table

from experiments.atari57 import aggregate, curves, figures, protocols
from experiments.atari57.aggregate import Estimate, Scores
from experiments.atari57.curves import Curve
from experiments.atari57.scores import (
    MEDIANS,
    human_normalised,
    published,
    references,
)
from experiments.viewing import page
from learner.config import ConfigError
from learner.record.counted import counted


@dataclasses.dataclass(frozen=True)
class ReportConfig:
    """What is reported, and where."""

    # Folders of runs, at any depth, and CSV files game,seed,frames,return.
    runs: Annotated[tuple[str, ...], tyro.conf.Positional]
    # The report's folder.
    out: str = "runs/report"
    # What a score is. training: the mean return of training episodes in the
    # last 5 % of a run's frames (the paper's). no-op, sticky: of whole games of
    # the final policy, as `bmg train` and `bmg evaluate` wrote them.
    protocol: Literal["training", "no-op", "sticky"] = "training"
    # Points of each learning curve.
    points: int = 200
    # Of the page.
    title: str = "Atari"


def main(arguments: list[str]) -> int:
    """Reads runs, writes the report, prints what it comes to."""
    config = parse(arguments)
    _check(config)
    found, tuned = curves.find(config.runs)
    if not found:
        raise ConfigError("no episode has ended in any of these runs")
    aggregate.check(found)
    scored = aggregate.scores(found, protocols.SCORES[config.protocol])
    estimates = aggregate.estimates(scored)
    folder = pathlib.Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    kept = list(_draw(found, tuned, scored, estimates, config.points, folder))
    _write_csv(folder, scored, estimates)
    apart = [line for scores in scored for line in scores.apart]
    said = list(_summary(found, scored))
    first = _aggregate_table(scored, estimates, config.protocol)
    parts: list[page.Part] = [
        first,
        _published_table(),
        *kept,
        _game_table(scored),
    ]
    (folder / "report.html").write_text(
        page.write(config.title, said, apart, parts)
    )
    for _, figure in kept:
        plt.close(figure)
    _show(first, said, apart, folder)
    return 0


def parse(arguments: list[str]) -> ReportConfig:
    """Reads the flags."""
    return tyro.cli(
        ReportConfig,
        args=arguments,
        prog="bmg report",
        description=(
            "Human-normalised scores of runs, their curves, and what was "
            "published. Writes report.html, figures (PNG, PDF) and CSV."
        ),
    )


def _draw(
    found, tuned, scored, estimates, points: int, folder: pathlib.Path
) -> Iterable[page.Drawing]:
    """All figures that there are data for, saved."""
    frames = np.linspace(0, found[0].budget, points + 1)[1:]
    drawn = {
        "Median human-normalised return": figures.medians(
            found, scored, frames
        ),
        "Aggregates and 95 % intervals": figures.bars(estimates),
        "Performance profiles": figures.profiles(scored),
        "Returns as shares of the best agent's": figures.distribution(scored),
        "Scores over L": figures.by_lookahead(found, scored),
        "Self-tuned hyper-parameters": figures.hyperparams(tuned, frames),
        "Every game": figures.games(found, frames),
    }
    for name, figure in drawn.items():
        if figure:
            stem = re.sub(r"\W+", "-", name.lower())
            figure.savefig(folder / f"{stem}.png", dpi=120)
            figure.savefig(folder / f"{stem}.pdf")
            yield page.Drawing(name, figure)


def _check(config: ReportConfig) -> None:
    if not config.runs:
        raise ConfigError("name at least one run, folder of runs or CSV file")
    for path in config.runs:
        if not pathlib.Path(path).exists():
            raise ConfigError(f"{path}: there is no such file or folder")
    if config.points < 1:
        raise ConfigError(f"points = {config.points}: must be at least 1")
    if importlib.util.find_spec("rliable") is None:
        raise ConfigError("bmg report needs rliable: pip install 'bmg[report]'")


def _summary(found: Sequence[Curve], scored: Sequence[Scores]) -> Iterable[str]:
    """What the report is of; a partial study is called one."""
    budget = found[0].budget
    for scores in scored:
        ours = [c for c in found if c.agent == scores.agent]
        frames = sum(min(c.frames[-1], budget) for c in ours)
        whole = len(scores.games) == len(references())
        yield (
            f"{scores.agent}: {len(scores.games)} of {len(references())} games"
            f" x {counted(len(scores.raw), 'seed')}, {budget:,} frames each"
            f"{'' if whole else ' (partial: aggregates are over these games)'}"
            f"; {counted(len(ours), 'run')}, {frames:,.0f} frames of whole "
            "episodes."
        )


def _aggregate_table(
    scored: Sequence[Scores], estimates, protocol: str
) -> page.Table:
    rows = [
        [scores.agent, str(len(scores.games)), str(len(scores.raw))]
        + [_interval(estimates[scores.agent][m]) for m in aggregate.METRICS]
        for scores in scored
        if scores.games
    ]
    return page.Table(
        "Human-normalised scores",
        ["agent", "games", "seeds", *aggregate.METRICS],
        rows,
        f"{protocols.TITLES[protocol]}; 95 % intervals by stratified bootstrap "
        "over seeds.",
    )


def _published_table() -> page.Table:
    return page.Table(
        "Published medians",
        ["agent", "median", "source"],
        [[row.name, f"{row.median:.1%}", row.source] for row in MEDIANS],
        "Over 57 games, 200M frames, without sticky actions.",
    )


def _game_table(scored: Sequence[Scores]) -> page.Table:
    games = [g for g in references() if any(g in s.games for s in scored)]
    others = published()
    rows = []
    for game in games:
        low, high = references()[game]
        cells = [game, f"{low:,.1f}", f"{high:,.1f}"]
        for scores in scored:
            cells += _cells(scores, game)
        cells += [f"{others[name][game]:,.1f}" for name in others]
        rows.append(cells)
    agents = [(s.agent, f"{s.agent}, of human") for s in scored]
    return page.Table(
        "Scores in every game",
        ["game", "random", "human", *sum(agents, ()), *others],
        rows,
        "Mean and deviation over seeds; the last columns are published.",
    )


def _cells(scores: Scores, game: str) -> list[str]:
    if game not in scores.games:
        return ["–", "–"]
    values = scores.raw[:, scores.games.index(game)]
    mean = float(np.mean(values))
    spread = f" ± {np.std(values, ddof=1):,.1f}" if len(values) > 1 else ""
    return [f"{mean:,.1f}{spread}", f"{human_normalised(game, mean):.1%}"]


def _interval(estimate: Estimate) -> str:
    if math.isnan(estimate.low):
        return f"{estimate.value:.1%}"
    return f"{estimate.value:.1%} ({estimate.low:.1%} to {estimate.high:.1%})"


def _write_csv(folder: pathlib.Path, scored: Sequence[Scores], estimates):
    seeds = (
        (s.agent, game, number + 1, s.raw[number, at], s.normalised[number, at])
        for s in scored
        for at, game in enumerate(s.games)
        for number in range(len(s.raw))
    )
    header = ["agent", "game", "run", "return", "human_normalised"]
    _write(folder / "scores.csv", header, seeds)
    numbers = (
        (agent, metric, *estimate)
        for agent, of in estimates.items()
        for metric, estimate in of.items()
    )
    header = ["agent", "metric", "value", "low", "high"]
    _write(folder / "aggregates.csv", header, numbers)


def _write(path: pathlib.Path, header: list[str], rows: Iterable[tuple]):
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _show(
    table: page.Table,
    said: Sequence[str],
    apart: Sequence[str],
    folder: pathlib.Path,
) -> None:
    console = Console(highlight=False)
    shown = Table(title=table.title)
    for number, name in enumerate(table.columns):
        shown.add_column(
            name, justify="right" if number else "left", overflow="fold"
        )
    for row in table.rows:
        shown.add_row(*row)
    console.print(shown)
    for text in said:
        console.print(text)
    for text in apart:
        console.print(f"left out: {text}", style="yellow")
    console.print(f"report  {folder}/report.html", soft_wrap=True)
