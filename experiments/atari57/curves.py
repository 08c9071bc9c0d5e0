"""Learning curves of runs: bmg's from their folders, others' from CSV files.

The CSV form has the columns `game,seed,frames,return` and, where one file
holds several agents, `agent`; without it the file's name is the agent's. A row
is one episode, or a mean over some.
"""

import csv
import math
import pathlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from experiments.atari57.reference_scores import game_of
from learner.config import Config, ConfigError
from learner.record import config_file, evaluations
from learner.record.metrics import acting_hyperparams, read_episodes, read_lines

_REQUIRED = ("game", "seed", "frames", "return")


class Evaluation(NamedTuple):
    """Whole games of one fixed policy."""

    frames: int  # that it was trained for
    returns: np.ndarray  # [N] unclipped


class Curve(NamedTuple):
    """One seed of one agent on one game."""

    agent: str
    game: str
    seed: int
    protocol: str  # of the environment; "" where a file does not say
    budget: int  # frames that the run was to take
    frames: np.ndarray  # [N] environment frames, not falling
    returns: np.ndarray  # [N] unclipped
    lookahead: int = 0  # L, of bmg
    source: str = ""  # folder or file
    # Of the newest policy that was evaluated: no-op, sticky. Never changed in
    # place, so one default will do for all.
    evaluations: Mapping[str, Evaluation] = {}


class Hyperparams(NamedTuple):
    """The acting head's self-tuned hyper-parameters of one run."""

    agent: str
    frames: np.ndarray  # [N]
    values: dict[str, np.ndarray]  # [N] each


def find(paths: Sequence[str]) -> tuple[list[Curve], list[Hyperparams]]:
    """All runs and CSV files at, or below, some paths.

    Raises:
      ConfigError: where there is nothing, or a file is not of the form.
    """
    found: list[Curve] = []
    tuned: list[Hyperparams] = []
    for path in map(pathlib.Path, paths):
        if path.is_file():
            found += read_csv(path)
            continue
        folders = [file.parent for file in sorted(path.rglob("config.yaml"))]
        runs = [run for run in folders if (run / "episodes.csv").exists()]
        if not runs:
            raise ConfigError(f"{path}: no run, and no CSV file, is there")
        for run in runs:
            config = config_file.load(run / "config.yaml", Config())
            found += read_run(run, config)
            tuned += read_hyperparams(run, config)
    _refuse_duplicates(found)
    return found, tuned


def read_run(folder: pathlib.Path, config: Config) -> list[Curve]:
    """The curve of a run of `bmg train`; none where no episode has ended.

    Runs of a sweep are named by their variant, all others by their algorithm.
    """
    episodes = read_episodes(folder / "episodes.csv", warnings.warn)
    if not episodes:
        warnings.warn(f"{folder}: no episode has ended", stacklevel=2)
        return []
    curve = Curve(
        agent_of(folder, config),
        _game(config.task, folder),
        config.seed,
        config.environment.protocol,
        config.frames,
        np.array([at for at, _ in episodes], float),
        np.array([episode.episode_return for _, episode in episodes]),
        config.meta.bootstrap_updates if config.algorithm == "bmg" else 0,
        str(folder),
        read_evaluations(folder),
    )
    return [_checked(curve)]


def read_evaluations(folder: pathlib.Path) -> dict[str, Evaluation]:
    """The newest evaluated policy's whole games, by protocol."""
    played = evaluations.read(folder)
    newest: dict[str, int] = {}
    for row in played:
        newest[row.protocol] = max(row.frames, newest.get(row.protocol, 0))
    return {
        protocol: Evaluation(
            frames,
            np.array(
                [
                    row.game.episode_return
                    for row in played
                    if row[:2] == (protocol, frames)
                ]
            ),
        )
        for protocol, frames in newest.items()
    }


def agent_of(folder: pathlib.Path, config: Config) -> str:
    """What `bmg sweep` wrote to the file `variant`; else the algorithm."""
    marker = folder / "variant"
    return marker.read_text().strip() if marker.exists() else config.algorithm


def read_hyperparams(folder: pathlib.Path, config: Config) -> list[Hyperparams]:
    """What a run tuned, over frames; nothing of impala."""
    if config.algorithm == "impala":
        return []
    lines = read_lines(folder / "metrics.jsonl")
    values = acting_hyperparams(lines)
    if not values:
        return []
    frames = np.array([line["frames"] for line in lines], float)
    return [Hyperparams(agent_of(folder, config), frames, values)]


def read_csv(path: pathlib.Path) -> list[Curve]:
    """The curves of a file of the form `game,seed,frames,return[,agent]`.

    Raises:
      ConfigError: naming the file and line of what is wrong.
    """
    rows: dict[tuple[str, str, int], list[tuple[float, float]]] = {}
    with path.open(newline="") as file:
        reader = csv.DictReader(file)
        missing = set(_REQUIRED) - set(reader.fieldnames or ())
        if missing:
            raise ConfigError(
                f"{path}: no column {', '.join(sorted(missing))}; the form is "
                f"{','.join(_REQUIRED)} and, if there are several, agent"
            )
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            agent = row.get("agent") or path.stem
            key = (
                agent,
                _game(row["game"], where),
                int(_number(row, "seed", where)),
            )
            point = _number(row, "frames", where), _number(row, "return", where)
            rows.setdefault(key, []).append(point)
    budget = max((p[0] for points in rows.values() for p in points), default=0)
    return [
        _checked(_of_file(path, key, np.array(points), int(budget)))
        for key, points in rows.items()
    ]


def _of_file(
    path: pathlib.Path,
    key: tuple[str, str, int],
    points: np.ndarray,
    budget: int,
) -> Curve:
    frames, returns = points.T
    return Curve(*key, "", budget, frames, returns, source=str(path))


def _number(row: dict[str, str], name: str, where: str) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise ConfigError(f"{where}: {name} = {row[name]!r} is no number")
    return value


def _game(name: str, where: object) -> str:
    try:
        return game_of(name)
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def _checked(curve: Curve) -> Curve:
    """Refuses what is not finite; puts rows in the order of their frames."""
    if not np.isfinite(curve.returns).all():
        raise ConfigError(f"{curve.source}: a return is not finite")
    order = np.argsort(curve.frames, kind="stable")
    return curve._replace(
        frames=curve.frames[order], returns=curve.returns[order]
    )


def _refuse_duplicates(found: Iterable[Curve]) -> None:
    first: dict[tuple[str, str, int], str] = {}
    for curve in found:
        key = curve[:3]
        if key in first:
            raise ConfigError(
                f"{curve.source} and {first[key]} are both seed {curve.seed} "
                f"of {curve.agent} on {curve.game}: name one of them"
            )
        first[key] = curve.source
