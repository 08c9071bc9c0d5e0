"""`bmg page`: a run as one HTML file that needs nothing else."""

import base64
import dataclasses
import importlib.metadata
import os
import pathlib
import platform
import statistics
from collections.abc import Iterator
from typing import Annotated

import tyro
from rich.console import Console

from experiments.viewing import figures, page, run_record
from experiments.viewing.run_record import RunRecord
from learner.record import config_file, evaluations

_FILM = "play.gif"  # what `bmg play` leaves in a run's folder
_MOST = 3_000_000  # bytes of a film that is put into the page
_PACKAGES = ("ray", "jax", "dm-haiku", "rlax", "optax", "envpool")


@dataclasses.dataclass(frozen=True)
class PageConfig:
    """Which run, and where to."""

    # Folder of a run of `bmg train`; it may still be training.
    run: Annotated[str, tyro.conf.Positional]
    # The page; RUN/page.html if empty.
    out: str = ""


def main(arguments: list[str]) -> int:
    """Writes the page."""
    options = parse(arguments)
    run = run_record.read(pathlib.Path(options.run))
    out = write(run, pathlib.Path(options.out or run.folder / "page.html"))
    Console(highlight=False).print(f"page    {out}", soft_wrap=True)
    return 0


def parse(arguments: list[str]) -> PageConfig:
    """Reads the flags."""
    return tyro.cli(
        PageConfig,
        args=arguments,
        prog="bmg page",
        description=(
            "Writes a page of a run: curves, self-tuned hyper-parameters, "
            "speed, faults, evaluations, configuration, and the film that bmg "
            "play left there."
        ),
    )


def write(run: RunRecord, out: pathlib.Path) -> pathlib.Path:
    """Writes the page; a reader sees the old one or the new one.

    Another process may be writing it too, into a file of its own.
    """
    fresh = out.with_name(f"{out.name}.{os.getpid()}.new")
    fresh.write_text(text(run))
    return fresh.replace(out)


def text(run: RunRecord) -> str:
    """The page's HTML."""
    config = run.config
    returns = "no game has ended yet"
    if run.mean_return is not None:
        returns = f"mean return of the last 100 games {run.mean_return:.2f}"
    if run.of_human is not None:
        returns += f", {run.of_human:.1%} of human"
    summary = [
        f"{config.algorithm}, seed {config.seed}: {run.state} at "
        f"{run.frames:,} of {config.frames:,} frames; {returns}.",
        str(run.folder.resolve()),
    ]
    title = f"{config.task}, {config.algorithm}"
    return page.render(title, summary, run.damage, _sections(run))


def _sections(run: RunRecord) -> Iterator[page.Section]:
    film = run.folder / _FILM
    if film.exists() and film.stat().st_size <= _MOST:
        data = base64.b64encode(film.read_bytes()).decode()
        yield page.Film("A game", f"data:image/gif;base64,{data}")
    if run.games:
        yield page.Drawing("Return", figures.returns([run], [""]))
    if run.lines:
        yield from _drawings(run)
        yield _faults(run)
    played = evaluations.read(run.folder)
    if played:
        yield _evaluations(played)
    yield page.Table(
        "Configuration",
        ("setting", "value"),
        sorted(
            (name, str(value))
            for name, value in config_file.flat(run.config).items()
        ),
    )
    yield page.Table(
        "Versions, where this page was written",
        ("package", "version"),
        _versions(),
    )


def _drawings(run: RunRecord) -> Iterator[page.Drawing]:
    if any(name.startswith("hyperparams/") for name in run.lines[0]):
        yield page.Drawing("Self-tuned hyper-parameters", figures.tuned(run))
    for title, label, names in (
        ("Speed", "frames per second", ["frames_per_second"]),
        ("Learner waits", "share of time", ["wait_share"]),
        ("Lag", "updates", ["lag", "lag_max"]),
        ("Meta-gradient", "norm", ["meta/gradient_norm"]),
        ("Successive meta-gradients", "cosine", ["meta/gradient_cosine"]),
        ("Matching", "loss", ["meta/loss"]),
        ("Distance to the bootstrap", "l2 norm", ["bootstrap/distance"]),
        ("Gradient", "norm", ["inner/gradient_norm"]),
    ):
        present = [name for name in names if name in run.lines[-1]]
        if present:
            figure = figures.of_lines(run, label, present)
            yield page.Drawing(title, figure)


def _faults(run: RunRecord) -> page.Table:
    last = run.lines[-1]
    rows = [
        ("actors that play", f"{last.get('actors', '–')}"),
        ("actors replaced", f"{last.get('replaced', '–')}"),
        ("updates skipped", f"{last.get('skipped', '–')}"),
        ("updates", f"{last.get('updates', 0):,}"),
    ]
    return page.Table("At the newest line", ("what", "count"), rows)


def _evaluations(played: list[evaluations.Played]) -> page.Table:
    groups: dict[tuple[str, int], list[float]] = {}
    for row in played:
        key = row.protocol, row.frames
        groups.setdefault(key, []).append(row.game.episode_return)
    rows = [
        (
            f"{frames:,}",
            protocol,
            str(len(scores)),
            f"{statistics.fmean(scores):.2f}",
            f"{min(scores):.2f}",
            f"{max(scores):.2f}",
        )
        for (protocol, frames), scores in groups.items()
    ]
    columns = (
        "frames",
        "protocol",
        "games",
        "mean return",
        "lowest",
        "highest",
    )
    return page.Table("Games of fixed policies", columns, rows)


def _versions() -> list[tuple[str, str]]:
    packages = [(name, importlib.metadata.version(name)) for name in _PACKAGES]
    return [("Python", platform.python_version()), *packages]
