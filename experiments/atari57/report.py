"""`bmg report`: scores, tables and figures of runs, and one page with all."""

import importlib.util
import pathlib
import re
from collections.abc import Iterable, Sequence

import numpy as np
import tyro
from matplotlib import pyplot as plt
from rich.console import Console
from rich.table import Table

from experiments.atari57 import aggregate, curves, figures, scoring, tables
from experiments.atari57.aggregate import Scores
from experiments.atari57.config import ReportConfig
from experiments.atari57.curves import Curve, Hyperparams
from experiments.atari57.reference_scores import references
from experiments.viewing import page
from learner.config import ConfigError
from learner.record.counted import counted


def main(arguments: list[str]) -> int:
    """Reads runs, writes the report, prints what it comes to."""
    config = parse(arguments)
    _check(config)
    runs, tuned = curves.find(config.runs)
    if not runs:
        raise ConfigError("no episode has ended in any of these runs")
    aggregate.check_comparable(runs)
    agents = aggregate.scores(runs, scoring.SCORES[config.protocol])
    estimates = aggregate.estimates(agents)
    folder = pathlib.Path(config.out)
    folder.mkdir(parents=True, exist_ok=True)
    frames = np.linspace(0, runs[0].budget, config.points + 1)[1:]
    drawings = list(_draw(runs, tuned, agents, estimates, frames, folder))
    tables.write_csv(folder, agents, estimates)
    left_out = [line for scores in agents for line in scores.left_out]
    summary = list(_summary(runs, agents))
    first = tables.aggregates(agents, estimates, config.protocol)
    sections: list[page.Section] = [
        first,
        tables.published_medians(),
        *drawings,
        tables.games(agents),
    ]
    (folder / "report.html").write_text(
        page.render(config.title, summary, left_out, sections)
    )
    for _, figure in drawings:
        plt.close(figure)
    _print(first, summary, left_out, folder)
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


def _draw(
    runs: Sequence[Curve],
    tuned: Sequence[Hyperparams],
    agents: Sequence[Scores],
    estimates: tables.Estimates,
    frames: np.ndarray,
    folder: pathlib.Path,
) -> Iterable[page.Drawing]:
    """All figures that there are data for, saved."""
    drawn = {
        "Median human-normalised return": figures.medians(runs, agents, frames),
        "Aggregates and 95 % intervals": figures.bars(estimates),
        "Performance profiles": figures.profiles(agents),
        "Returns as shares of the best agent's": figures.distribution(agents),
        "Scores over L": figures.by_lookahead(runs, agents),
        "Self-tuned hyper-parameters": figures.hyperparams(tuned, frames),
        "Every game": figures.games(runs, frames),
    }
    for name, figure in drawn.items():
        if figure:
            stem = re.sub(r"\W+", "-", name.lower())
            figure.savefig(folder / f"{stem}.png", dpi=120)
            figure.savefig(folder / f"{stem}.pdf")
            yield page.Drawing(name, figure)


def _summary(runs: Sequence[Curve], agents: Sequence[Scores]) -> Iterable[str]:
    """What the report is of; a partial study is called one."""
    budget = runs[0].budget
    for scores in agents:
        own = [run for run in runs if run.agent == scores.agent]
        frames = sum(min(run.frames[-1], budget) for run in own)
        whole = len(scores.games) == len(references())
        yield (
            f"{scores.agent}: {len(scores.games)} of {len(references())} games"
            f" x {counted(len(scores.raw), 'seed')}, {budget:,} frames each"
            f"{'' if whole else ' (partial: aggregates are over these games)'}"
            f"; {counted(len(own), 'run')}, {frames:,.0f} frames of whole "
            "episodes."
        )


def _print(
    table: page.Table,
    summary: Sequence[str],
    left_out: Sequence[str],
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
    for text in summary:
        console.print(text)
    for text in left_out:
        console.print(f"left out: {text}", style="yellow")
    console.print(f"report  {folder}/report.html", soft_wrap=True)
