"""Games of fixed policies, and `evaluations.csv` in a run's folder.

A row per whole game; frames are those that the policy was trained for.
"""

import csv
import pathlib
from collections.abc import Iterable
from typing import NamedTuple

from actors.episode import Episode

FILE = "evaluations.csv"
_FIELDS = ("protocol", "frames", "seed", "episode_return", "episode_frames")


class Games(NamedTuple):
    """Whole games, and the beginning of one of them to look at."""

    games: list[Episode]
    film: bytes = b""  # a GIF; empty where there is nothing to see


class Evaluation(NamedTuple):
    """The games of the policy that was there at `frames`."""

    frames: int
    games: list[Episode]
    film: bytes = b""
    failure: str = ""  # why there are none


class Played(NamedTuple):
    """One game of a fixed policy: a row of the file."""

    protocol: str  # no-op or sticky
    frames: int
    seed: int
    game: Episode


def read(folder: pathlib.Path) -> list[Played]:
    """All games of a run; rows that cannot be read are left out."""
    path = folder / FILE
    if not path.exists():
        return []
    rows = path.read_text(errors="replace").split("\n")[1:]
    return [played for row in rows if (played := _played(row))]


def add(folder: pathlib.Path, played: Iterable[Played]) -> None:
    """Adds games; the same policy's from the same seed are replaced."""
    fresh = list(played)
    replaced = {row[:3] for row in fresh}
    older = [row for row in read(folder) if row[:3] not in replaced]
    _write(folder, older + fresh)


def cut(folder: pathlib.Path, frames: int) -> None:
    """Drops the games of policies that came after a checkpoint."""
    rows = read(folder)
    remaining = [row for row in rows if row.frames <= frames]
    if len(remaining) < len(rows):
        _write(folder, remaining)


def protocol_of(environment: str) -> str:
    """What games of an environment's protocol are called here."""
    sticky = environment == "machado" or environment.endswith("-sticky")
    return "sticky" if sticky else "no-op"


def _played(row: str) -> Played | None:
    try:
        protocol, frames, seed, game_return, game_frames = row.split(",")
        game = Episode(float(game_return), int(game_frames))
        return Played(protocol, int(frames), int(seed), game)
    except ValueError:
        return None


def _write(folder: pathlib.Path, rows: Iterable[Played]) -> None:
    # In one step: a crash leaves the old file or the new one.
    fresh = folder / f"{FILE}.new"
    with fresh.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_FIELDS)
        writer.writerows((*row[:3], *row.game) for row in rows)
    fresh.replace(folder / FILE)
