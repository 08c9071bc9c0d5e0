"""A run as its folder records it."""

import pathlib
import statistics
from collections.abc import Callable
from typing import Any, NamedTuple

from actors.episode import Episode
from experiments.atari57.reference_scores import game_of, human_normalised
from learner.config import Config, ConfigError
from learner.record import config_file, lock
from learner.record.metrics import read_episodes, read_lines

_LAST = 100  # episodes
_LINES = 1_000  # of metrics: more cannot be distinguished in any figure


class RunRecord(NamedTuple):
    """A run as its files have it."""

    folder: pathlib.Path
    config: Config
    lines: list[dict[str, Any]]  # of metrics.jsonl, evenly spaced
    games: list[tuple[int, Episode]]  # of episodes.csv
    damage: list[str]  # what could not be read

    @property
    def frames(self) -> int:
        """Environment frames that the newest line counts."""
        return self.lines[-1]["frames"] if self.lines else 0

    @property
    def state(self) -> str:
        """training, done, stopped, or new: nothing is measured yet."""
        if lock.is_held(self.folder):
            return "training"
        if self.frames >= self.config.frames:
            return "done"
        return "stopped" if self.lines else "new"

    @property
    def mean_return(self) -> float | None:
        """Of the last 100 games."""
        last = [game.episode_return for _, game in self.games[-_LAST:]]
        return statistics.fmean(last) if last else None

    @property
    def of_human(self) -> float | None:
        """The mean return, human-normalised; None outside the 57 games."""
        if self.mean_return is None:
            return None
        try:
            return human_normalised(game_of(self.config.task), self.mean_return)
        except ValueError:
            return None

    @property
    def speed(self) -> float | None:
        """Median of frames per second over the lines."""
        rates = [line.get("frames_per_second") for line in self.lines]
        known = [rate for rate in rates if rate]
        return statistics.median(known) if known else None


def is_run(folder: pathlib.Path) -> bool:
    """Whether `bmg train` made this folder."""
    return (folder / "config.yaml").exists() and any(
        (folder / name).exists() for name in ("metrics.jsonl", "checkpoints")
    )


def config_of(folder: pathlib.Path) -> Config:
    """A run's configuration.

    Raises:
      ConfigError: where there is no run, naming those that are near.
    """
    if not is_run(folder):
        raise ConfigError(f"{folder} holds no run{_near(folder)}")
    return config_file.load(folder / "config.yaml", Config())


def read(folder: pathlib.Path) -> RunRecord:
    """Reads a run; what is damaged is left out and named.

    Raises:
      ConfigError: as `config_of`.
    """
    config = config_of(folder)
    damage: list[str] = []
    report: Callable[[str], None] = damage.append
    return RunRecord(
        folder,
        config,
        read_lines(folder / "metrics.jsonl", report, most=_LINES),
        read_episodes(folder / "episodes.csv", report),
        damage,
    )


def find(folder: pathlib.Path) -> list[pathlib.Path]:
    """All runs below a folder, itself included, by name."""
    found = {path.parent for path in folder.rglob("config.yaml")}
    return sorted(path for path in found if is_run(path))


def _near(folder: pathlib.Path) -> str:
    parent = folder if folder.is_dir() else folder.parent
    found = find(parent) if parent.is_dir() else []
    if not found:
        return ""
    names = ", ".join(str(path) for path in found[:5])
    more = f", … ({len(found)} in all)" if len(found) > 5 else ""
    return f"; near: {names}{more}"
