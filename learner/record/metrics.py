"""Metrics on disk: JSON lines and CSV are the truth of a run.

`metrics.jsonl` has a line per interval, `episodes.csv` a row per whole game.
Both count in environment frames. A resumed run first drops what was written
after the checkpoint that it goes on from, so that curves have neither gap nor
duplicate.
"""

import csv
import json
import math
import pathlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import numpy as np

from actors.episode import Episode
from learner.record import evaluations
from learner.record.counted import counted

T = TypeVar("T")
Report = Callable[[str], None]
EPISODE_FIELDS = ("frames", "episode_return", "episode_frames")


def _ignore(message: str) -> None:
    """Reports nothing."""


class Metrics:
    """Appends to the files of one run.

    Args:
      folder: of the run.
      frames: the run goes on from here; later lines are dropped.
      report: takes messages for the user.
    """

    def __init__(
        self, folder: pathlib.Path, frames: int, report: Report = _ignore
    ):
        self._lines_path = folder / "metrics.jsonl"
        self._episodes_path = folder / "episodes.csv"
        self._cut(frames, report)
        self._lines = self._lines_path.open("a")
        self._episodes = self._episodes_path.open("a", newline="")
        self._writer = csv.writer(self._episodes, lineterminator="\n")
        if self._episodes_path.stat().st_size == 0:
            self._writer.writerow(EPISODE_FIELDS)

    def episodes(self, frames: int, episodes: Iterable[Episode]) -> None:
        """Adds the games that ended in the batches consumed at `frames`."""
        for episode in episodes:
            self._writer.writerow((frames, *episode))

    def line(self, values: Mapping[str, Any]) -> None:
        """Adds one line; `values` has `frames`. NaN is written as null."""
        row = {name: _plain(value) for name, value in values.items()}
        self._lines.write(json.dumps(row) + "\n")
        self.flush()

    def flush(self) -> None:
        """Hands what was added to the operating system."""
        self._lines.flush()
        self._episodes.flush()

    def close(self) -> None:
        """Closes the files."""
        self._lines.close()
        self._episodes.close()

    def _cut(self, frames: int, report: Report) -> None:
        """Drops rows beyond `frames` and a half-written last line."""
        evaluations.cut(self._lines_path.parent, frames)
        rows = read_lines(self._lines_path, report)
        lines = [json.dumps(row) for row in rows if row["frames"] <= frames]
        _rewrite(self._lines_path, lines)
        games = read_episodes(self._episodes_path, report)
        header = [",".join(EPISODE_FIELDS)] if games else []
        episodes = [
            f"{at},{game.episode_return},{game.frames}"
            for at, game in games
            if at <= frames
        ]
        _rewrite(self._episodes_path, header + episodes)


class NullMetrics:
    """`Metrics` of a learner host that writes none: the first one does."""

    def __init__(self, folder: pathlib.Path, frames: int, report: Report):
        del folder, frames, report

    def episodes(self, frames: int, episodes: Iterable[Episode]) -> None:
        """Nothing is added."""

    def line(self, values: Mapping[str, Any]) -> None:
        """Nothing is added."""

    def flush(self) -> None:
        """Nothing to hand over."""

    def close(self) -> None:
        """Nothing to close."""


def read_lines(
    path: pathlib.Path, report: Report = _ignore, *, most: int = 0
) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`.

    Lines that cannot be read, such as one cut short by a crash, are left out;
    how many goes to `report`.

    Args:
      path: of the file.
      report: takes messages for the user.
      most: look at about so many, evenly spaced, and at the last two, of which
        one is whole; 0 for all. To parse 100,000 takes seconds.
    """
    rows = list(filter(None, _rows(path)))
    if most and len(rows) > most:
        rows = rows[: -2 : -(-len(rows) // most)] + rows[-2:]
    return _readable(path, rows, _parse_line, report)


def newest_line(path: pathlib.Path) -> dict[str, Any]:
    """The last whole line of a `metrics.jsonl`; empty before the first."""
    rows = read_lines(path, most=1)
    return rows[-1] if rows else {}


def read_episodes(
    path: pathlib.Path, report: Report = _ignore
) -> list[tuple[int, Episode]]:
    """`(frames, episode)` of an `episodes.csv`; rows as in `read_lines`."""
    rows = _rows(path)
    # The end of a row that was cut short may look like a smaller number.
    if rows and rows[-1]:
        rows[-1] += ","
    return _readable(path, rows[1:], _parse_episode, report)


def _rows(path: pathlib.Path) -> list[str]:
    """Text between newlines: after the last there is none, if all is well."""
    if not path.exists():
        return []
    return path.read_text(errors="replace").split("\n")


def _readable(
    path: pathlib.Path,
    rows: Iterable[str],
    parse: Callable[[str], T],
    report: Report,
) -> list[T]:
    found, broken = [], 0
    for row in filter(None, rows):
        try:
            found.append(parse(row))
        except (KeyError, TypeError, ValueError):
            broken += 1
    if broken:
        report(
            f"{path}: {counted(broken, 'line')} left out, which cannot be read"
        )
    return found


def _parse_line(row: str) -> dict[str, Any]:
    line = json.loads(row)
    if type(line["frames"]) is not int:
        raise ValueError(row)
    return line


def _parse_episode(row: str) -> tuple[int, Episode]:
    frames, episode_return, episode_frames = row.split(",")
    return int(frames), Episode(float(episode_return), int(episode_frames))


def acting_hyperparams(lines: list[dict[str, Any]]) -> dict[str, np.ndarray]:
    """What a run tuned of head 0, by name: `[N]` over its lines."""
    return {
        name.removeprefix("hyperparams/").removesuffix("_0"): np.array(
            [line.get(name) for line in lines], float
        )
        for name in (lines[0] if lines else {})
        if name.startswith("hyperparams/") and name.endswith("_0")
    }


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`{"meta": {"loss": x}}` to `{"meta/loss": x}`."""
    flat: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            flat |= flatten(value, f"{prefix}{name}/")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


# Writers fold what is before the slash.
_GROUPS = {
    "return": ("mean_return", "evaluation_return", "episodes"),
    "speed": ("frames_per_second", "wait_share", "waiting", "seconds"),
    "lag": ("lag", "lag_max"),
    "actors": ("actors", "starting", "replaced"),
    "learner": ("frames", "updates", "skipped"),
}
_GROUP_OF = {name: group for group, names in _GROUPS.items() for name in names}


def numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of a line, by names that writers can group."""
    plain = {grouped(name): _plain(value) for name, value in values.items()}
    return {k: v for k, v in plain.items() if isinstance(v, float | int)}


def grouped(name: str) -> str:
    """`hyperparams/discount_0` has a group, `lag` gets one: `lag/lag`."""
    return f"{_GROUP_OF[name]}/{name}" if name in _GROUP_OF else name


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic) or hasattr(value, "dtype"):
        value = np.asarray(value).tolist()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _rewrite(path: pathlib.Path, lines: list[str]) -> None:
    """Replaces a file in one step: a crash leaves the old or the new one."""
    fresh = path.with_suffix(path.suffix + ".new")
    fresh.write_text("".join(f"{line}\n" for line in lines))
    fresh.replace(path)
