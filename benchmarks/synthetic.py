"""Synthetic experience: unrolls of Atari's shapes, from no game."""

import time
from typing import Any

import numpy as np

from actors.episode import Episode
from actors.spaces import Spec
from actors.transition import MID, Transition, Unroll
from actors.unroll import Unroller

ATARI = Spec(6, (4, 84, 84), np.dtype(np.uint8), stack=4, frames_per_step=4)


def random_unroll(
    trajectories: int, *, length: int = 20, stacked: bool = False
) -> Unroll:
    """B trajectories of random numbers, of one long game: `[T+1, B, …]`.

    Args:
      trajectories: B.
      length: T.
      stacked: send whole stacks, as EnvPool gives them.
    """
    rng = np.random.default_rng(0)
    rows = (length + 1, trajectories)
    stack, height, width = ATARI.observation_shape
    channels = stack if stacked else 1
    transitions = Transition(
        rng.integers(0, 256, (*rows, channels, height, width), np.uint8),
        np.full(rows, MID, np.int8),
        rng.normal(size=rows).astype(np.float32),
        np.ones(rows, np.float32),
        rng.integers(0, ATARI.num_actions, rows, np.int32),
        rng.normal(size=(*rows, ATARI.num_actions)).astype(np.float32),
    )
    shape = (trajectories, 0 if stacked else stack - 1, height, width)
    older = rng.integers(0, 256, shape, np.uint8)
    return Unroll(transitions, older, (), np.zeros(trajectories, np.int32))


def with_game_frames(unroll: Unroll, game: str) -> Unroll:
    """The same trajectories, their frames those of real, random play.

    Args:
      unroll: of single frames.
      game: an EnvPool task.
    """
    import envpool  # Of all that is here, only this needs it.

    transitions = unroll.transitions
    length, trajectories = transitions.reward.shape
    games = envpool.make(
        game, env_type="gymnasium", num_envs=trajectories, stack_num=1, seed=0
    )
    games.reset()
    rng = np.random.default_rng(0)
    frames = []
    # The first ones are all alike.
    for _ in range(200 + length):
        actions = rng.integers(games.action_space.n, size=trajectories)
        frames.append(games.step(actions.astype(np.int32))[0])
    games.close()
    played = np.stack(frames[-length:])
    return unroll._replace(transitions=transitions._replace(observation=played))


class SyntheticUnroller(Unroller):
    """Gives one unroll again and again, each after a fixed time.

    Args:
      unroll: what it gives.
      seconds: that each takes, without a core.
    """

    def __init__(self, unroll: Unroll, seconds: float = 0.0):
        self._unroll = unroll
        self._seconds = seconds

    def unroll(self, params: Any, version: int) -> tuple[Unroll, list[Episode]]:
        """The unroll as if made with these parameters; no game ends."""
        del params
        time.sleep(self._seconds)
        versions = np.full_like(self._unroll.version, version)
        return self._unroll._replace(version=versions), []
