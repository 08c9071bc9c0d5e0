"""Whole games of a fixed policy while training goes on."""

import pathlib
import threading
from collections.abc import Callable
from typing import Any

import jax

from learner.config import Config
from learner.record import evaluations
from learner.record.evaluations import Evaluation, Games, Played

PyTree = Any


class Evaluator:
    """Plays the newest policy at intervals, in a thread of its own.

    One evaluation at a time: what falls due meanwhile is left out, and what a
    stop cuts off is not played again.

    Args:
      play: whole games with given parameters.
      every: frames between evaluations; 0 for none.
      frames: at which the run starts or goes on.
    """

    def __init__(
        self,
        play: Callable[[PyTree], Games],
        *,
        every: int,
        frames: int,
    ):
        self._play = play
        self._every = every
        self._passed = frames
        self._thread: threading.Thread | None = None
        self._done: list[Evaluation] = []

    def offer(self, params: PyTree, frames: int) -> None:
        """Returns at once; `params` must not be donated afterwards."""
        due = (
            self._every and frames // self._every > self._passed // self._every
        )
        self._passed = frames
        if not due or (self._thread and self._thread.is_alive()):
            return
        self._thread = threading.Thread(
            target=self._work,
            args=(params, frames),
            name="evaluator",
            daemon=True,
        )
        self._thread.start()

    def results(self, *, wait: bool = False) -> list[Evaluation]:
        """What has ended since the last call; awaits what goes on if asked."""
        if wait and self._thread:
            self._thread.join()
        ended, self._done = self._done, []
        return ended

    def _work(self, params: PyTree, frames: int) -> None:
        try:
            evaluation = Evaluation(frames, *self._play(jax.device_get(params)))
        except Exception as error:  # training goes on without these games
            # Ray puts a remote traceback before what went wrong.
            lines = str(error).strip().splitlines()
            reason = lines[-1] if lines else type(error).__name__
            evaluation = Evaluation(frames, [], failure=reason)
        self._done.append(evaluation)


def evaluation_seed(config: Config) -> int:
    """The seed of the games of fixed policies."""
    return config.seed + 10**9  # other games than any actor's


def add_games(config: Config, evaluation: Evaluation) -> None:
    """Adds games to those on disk."""
    evaluations.add(
        pathlib.Path(config.folder),
        [
            Played(
                evaluations.protocol_of(config.environment.protocol),
                evaluation.frames,
                evaluation_seed(config),
                game,
            )
            for game in evaluation.games
        ],
    )
