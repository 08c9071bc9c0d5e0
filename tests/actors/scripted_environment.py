"""An environment that returns what a script says."""

import collections

import jax
import numpy as np

from actors.environment import Environment
from actors.spaces import Spec
from actors.transition import FIRST, LAST, Step


def make_environment(task, *, num_envs=2, batch_size=None):
    return Environment(
        task,
        "impala",
        num_envs=num_envs,
        batch_size=batch_size or num_envs,
        num_threads=2,
        seed=3,
    )


def assert_equal(one, other):
    assert jax.tree.structure(one) == jax.tree.structure(other)
    jax.tree.map(np.testing.assert_array_equal, one, other)


class Scripted:
    """Three environments that return as the script has it.

    A line of the script is a step type and a reward for some of them; frames
    are 10 * env + time, shown in stacks of two.
    """

    spec = Spec(
        num_actions=100,
        observation_shape=(2, 1),
        observation_dtype=np.int32,
        stack=2,
        frames_per_step=4,
    )
    num_envs, batch_size = 3, 2

    def __init__(self, *script):
        self._script = iter(script)
        self._frames = collections.defaultdict(list)
        self.calls = []

    def reset(self):
        self.calls.append("reset")

    def recv(self):
        line = next(self._script)
        ids = np.array(list(line), np.int32)
        self.calls.append(f"recv {ids}")
        types, rewards = zip(*line.values(), strict=True)
        return Step(
            ids,
            np.array([self._stack(*pair) for pair in line.items()], np.int32),
            np.array(types, np.int8),
            np.array(rewards, np.float32),
            np.where(np.array(types) == LAST, 0.0, 1.0),
        )

    def send(self, action, env_id):
        self.calls.append(f"send {action} to {env_id}")

    def close(self):
        self.calls.append("close")

    def _stack(self, env, step):
        frames = self._frames[env]
        frames.append(10 * env + len(frames))
        older = frames[-1] if step[0] == FIRST else frames[-2]
        return [[older], [frames[-1]]]
