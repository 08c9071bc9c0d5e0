"""The 57 games, their reference scores, and human-normalised scores.

Random and human scores are DQN Zoo's table (sourced). Public tables agree on
all of it but Video Pinball's random score: 16,256.9 here, 0 in others. Medians
are the same with both, means are not.
"""

import csv
import difflib
import functools
import importlib.resources
import re
from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import numpy as np

Score = TypeVar("Score", float, np.ndarray)


class Reference(NamedTuple):
    """What a random policy and a human player reach in a game."""

    random: float
    human: float


class Published(NamedTuple):
    """A published median of human-normalised scores, 57 games, 200M frames."""

    name: str
    median: float  # 1 is human
    source: str


_MUESLI = "table of Hessel et al. 2021"

# All without sticky actions; the sources do not distinguish those who report
# returns of training episodes from those who evaluate. BMG's is read off by
# third parties. Muesli and MuZero Reanalyse used sticky actions: left out.
MEDIANS = (
    Published("DQN", 0.79, _MUESLI),
    Published("IMPALA", 1.918, "Espeholt et al. 2018"),
    Published("Rainbow", 2.31, _MUESLI),
    Published("Meta-gradient", 2.87, _MUESLI),
    Published("STACX", 3.64, "Zahavy et al. 2020"),
    Published("LASER", 4.31, _MUESLI),
    Published("BMG", 6.10, "Flennerhag et al. 2022, by third parties"),
)


@functools.cache
def references() -> Mapping[str, Reference]:
    """Random and human scores by game; 57 of them."""
    rows = _read("human_random.csv")
    return {
        row["game"]: Reference(float(row["random"]), float(row["human"]))
        for row in rows
    }


@functools.cache
def published() -> Mapping[str, Mapping[str, float]]:
    """Published scores: agent, then game.

    IMPALA's are those of its Table C.1. STACX's are those printed with DiscoRL
    (2025), whose median, 300.6 %, is not the 364 % that STACX's paper states.
    """
    rows = _read("published.csv")
    agents = [name for name in rows[0] if name != "game"]
    return {
        agent: {row["game"]: float(row[agent]) for row in rows}
        for agent in agents
    }


def human_normalised(game: str, score: Score) -> Score:
    """(score - random) / (human - random): 0 is random play, 1 is human.

    Raises:
      KeyError: for a game that is none of the 57.
    """
    low, high = references()[game]
    return (score - low) / (high - low)


def game_of(name: str) -> str:
    """The game of a task or of any usual spelling: MsPacman-v5, ms_pacman.

    Raises:
      ValueError: naming the nearest, if it is none of the 57.
    """
    bare = _bare(re.sub(r"(^ALE/|NoFrameskip|-v\d+$)", "", name))
    games = {_bare(game): game for game in references()}
    if bare in games:
        return games[bare]
    near = difflib.get_close_matches(bare, games, n=1, cutoff=0.0)
    raise ValueError(
        f"unknown game {name!r}; nearest of the 57: {games[near[0]]}"
    )


def task_of(game: str) -> str:
    """EnvPool's name of a game: ms_pacman is MsPacman-v5."""
    return "".join(part.capitalize() for part in game.split("_")) + "-v5"


def _bare(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _read(name: str) -> list[dict[str, str]]:
    path = importlib.resources.files("experiments.atari57") / name
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
