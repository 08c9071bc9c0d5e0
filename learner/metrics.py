"""Metrics on disk: JSON lines and CSV are the truth, TensorBoard beside them.

`metrics.jsonl` has a line per interval, `episodes.csv` a row per whole game.
Both count in environment frames. A resumed run first drops what was written
after the checkpoint that it goes on from, so that curves have neither gap nor
duplicate.
"""

import csv
import json
import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorboardX

from actors.episode import Episode

EPISODE_FIELDS = ("frames", "episode_return", "episode_frames")


class Metrics:
    """Appends to the files of one run.

    Args:
      folder: of the run.
      frames: the run goes on from here; later lines are dropped.
    """

    def __init__(self, folder: pathlib.Path, frames: int):
        self._lines_path = folder / "metrics.jsonl"
        self._episodes_path = folder / "episodes.csv"
        self._cut(frames)
        self._lines = self._lines_path.open("a")
        self._episodes = self._episodes_path.open("a", newline="")
        self._writer = csv.writer(self._episodes, lineterminator="\n")
        if self._episodes_path.stat().st_size == 0:
            self._writer.writerow(EPISODE_FIELDS)
        self._board = tensorboardX.SummaryWriter(
            str(folder / "tensorboard"), purge_step=frames or None
        )

    def episodes(self, frames: int, episodes: Iterable[Episode]) -> None:
        """Adds the games that ended in the batches consumed at `frames`."""
        for episode in episodes:
            self._writer.writerow((frames, *episode))

    def line(self, values: Mapping[str, Any]) -> None:
        """Adds one line; `values` has `frames`. NaN is written as null."""
        row = {name: _plain(value) for name, value in values.items()}
        self._lines.write(json.dumps(row) + "\n")
        self.flush()
        for name, value in row.items():
            if isinstance(value, float | int):
                self._board.add_scalar(name, value, row["frames"])

    def flush(self) -> None:
        """Hands what was added to the operating system."""
        self._lines.flush()
        self._episodes.flush()

    def close(self) -> None:
        """Closes the files."""
        self._lines.close()
        self._episodes.close()
        self._board.close()

    def _cut(self, frames: int) -> None:
        """Drops rows beyond `frames` and a half-written last line."""
        rows = read_lines(self._lines_path)
        kept = [json.dumps(row) for row in rows if row["frames"] <= frames]
        _rewrite(self._lines_path, kept)
        games = read_episodes(self._episodes_path)
        header = [",".join(EPISODE_FIELDS)] if games else []
        rows_kept = [
            f"{at},{game.episode_return},{game.frames}"
            for at, game in games
            if at <= frames
        ]
        _rewrite(self._episodes_path, header + rows_kept)


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of a `metrics.jsonl`; what cannot be read is left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text().splitlines():
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue  # A line cut short by a crash.
    return rows


def read_episodes(path: pathlib.Path) -> list[tuple[int, Episode]]:
    """`(frames, episode)` of an `episodes.csv`; broken rows are left out."""
    if not path.exists():
        return []
    games = []
    with path.open(newline="") as file:
        for row in csv.DictReader(file):
            try:
                episode = Episode(
                    float(row["episode_return"]), int(row["episode_frames"])
                )
                games.append((int(row["frames"]), episode))
            except (KeyError, TypeError, ValueError):
                continue  # A row cut short by a crash.
    return games


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
