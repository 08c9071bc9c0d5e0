"""Environments so small that the right values and policy are known.

Each can be failed for one cause only (the probe environments of rejax). All
have the same spaces, so that one compiled learner serves them all.
"""

from collections.abc import Callable

import gymnasium
import numpy as np

STATES, ACTIONS = 32, 2


class Probe(gymnasium.Env):
    """Walks from state to state, whatever is done; shows the state, one-hot.

    Args:
      reward: `(state, action) -> reward`.
      starts: the first state is drawn from so many.
      length: steps of an episode.
    """

    def __init__(
        self,
        reward: Callable[[int, int], float],
        *,
        starts: int = 1,
        length: int = 1,
    ):
        self._reward, self._starts, self._length = reward, starts, length
        self.observation_space = gymnasium.spaces.Box(
            0.0, 1.0, (STATES,), np.float32
        )
        self.action_space = gymnasium.spaces.Discrete(ACTIONS)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._state = int(self.np_random.integers(self._starts))
        self._time = 0
        return self._observation(), {}

    def step(self, action):
        reward = self._reward(self._state, action)
        self._state, self._time = self._state + 1, self._time + 1
        over = self._time == self._length
        return self._observation(), reward, over, False, {}

    def _observation(self):
        return np.eye(STATES, dtype=np.float32)[self._state % STATES]


def by_observation(state: int) -> float:
    """The reward of each state."""
    return 1.0 if state % 2 else -1.0


def constant():
    """One step, reward 1."""
    return Probe(lambda state, action: 1.0)


def observation():
    """One step, the reward that of the observation."""
    return Probe(lambda state, action: by_observation(state), starts=STATES)


def delayed():
    """Two steps, reward 1 at the end."""
    return Probe(lambda state, action: float(state == 1), length=2)


def action():
    """One step; action 1 pays, action 0 costs."""
    return Probe(lambda state, action: 2.0 * action - 1.0)


def action_and_observation():
    """One step, two observations, each with an action of its own that pays."""
    return Probe(
        lambda state, action: 1.0 if action == state else -1.0, starts=2
    )


def chain():
    """Four steps, reward 1 at the end: all values but one are discounted."""
    return Probe(lambda state, action: float(state == 3), length=4)
